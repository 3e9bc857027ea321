"""`gazetteer rewind`: take one chain back to a block, so that what is above it is read again."""

from pathlib import Path

import click

from indexer import store
from indexer.errors import Refused
from indexer.flow import rewind as flow
from indexer.flow.rewind import Plan
from indexer.store import migrate
from workers import wiring
from workers.cli.place import data_dir as with_data_dir
from workers.cli.shown import safe, table
from workers.local import data

STATEMENT_S = 1_800
"""Millions of rows may go back at once."""


@click.command()
@click.argument("chain")
@click.option("--to", "number", type=click.IntRange(0), required=True, help="The last block that stays.")
@click.option("--dry", is_flag=True, help="Only say what would be taken back.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_data_dir
def rewind(chain: str, number: int, dry: bool, yes: bool, data_dir: Path | None) -> None:
    """Take CHAIN back to a block: after a fork below its anchor, or after a decoder was put right.

    Pools above it become orphaned and revive when they are read again; followers and history go on by themselves.
    """
    of = wiring.chain(chain)
    with data.opened(data_dir) as url:
        if wiring.settings().database_url != url:
            _of_a_real_network(data_dir)
            wiring.use(database_url=url, broker_url=None)
        db = store.connect(url, name="gazetteer rewind", statement_s=STATEMENT_S)
        try:
            migrate.check(db)
            endpoints = wiring.endpoints(chain, "live")
            found = flow.plan(db, endpoints.ready(), of, number)
            _say(chain, found)
            if dry:
                click.echo("nothing was changed")
            elif yes or click.confirm("Take this back?", default=False):
                taken = flow.rewind(db, of, found.to, wiring.clock)
                click.echo(f"{chain} stands at block {number}; {sum(taken.pools.values()):,} pools were taken back")
                click.echo("its follower and history go on from there by themselves")
        finally:
            db.dispose()
            wiring.db().dispose()


def _of_a_real_network(data_dir: Path | None) -> None:
    run = data.find(data_dir).run()
    if run is not None and run.command == "demo":
        raise Refused("this is the demo's register, whose endpoints only the demo can ask: it cannot be rewound")


def _say(chain: str, of: Plan) -> None:
    """The block, who names it, and what is taken back."""
    number, loss = of.to.number, of.loss
    click.echo(f"{chain}: block {number} is 0x{of.to.hash.hex()}, says {safe(', '.join(of.endpoints))}")
    for each in of.silent:
        click.echo(safe(f"  not asked: {each}"))
    if of.standing.halted is not None:
        click.echo(safe(f"it is halted: {of.standing.halted}"))
    above = f"blocks {number + 1:,} to {loss.tip:,}" if loss.tip > number else "no blocks"
    click.echo(f"to be taken back: {above}, anchor {of.standing.anchor:,}")
    lines = [*loss.pools.items(), ("all pools", sum(loss.pools.values()))]
    lines += [("rejected logs", loss.rejected), ("blocks listened to", loss.scanned), ("of them audited", loss.audited)]
    lines += [("tokens to ask again", loss.tokens), ("pools to ask again", loss.asks), ("leases", loss.leases)]
    click.echo(table(("what", "count"), [(name, f"{count:,}") for name, count in lines], right=frozenset({1})))
