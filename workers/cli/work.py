"""`gazetteer work`: what is left to ask tokens and pools, what was given up, and how to bring it back."""

from datetime import datetime
from pathlib import Path

import click

from indexer import store
from indexer.store import backlog
from indexer.store import work as rows
from indexer.store.clock import database_time
from workers.cli.place import data_dir as with_data_dir
from workers.cli.place import register
from workers.cli.shown import table

MOST_DEAD = 1_000
KINDS = click.Choice(["token", "pool"])
KEY_BYTES = (20, 32)


@click.group()
def work() -> None:
    """What is left to do, and what is dead."""


@work.command("list")
@with_data_dir
def list_(data_dir: Path | None) -> None:
    """What is left, by chain, kind and lane."""
    with register(data_dir) as db, store.begin(db) as tx:
        found, now = backlog.left(tx), database_time(tx)
    if not found:
        click.echo("nothing is left to ask")
        return
    columns = ("chain", "kind", "lane", "due", "leased", "waiting", "dead", "oldest due")
    cells = [
        (
            row.chain,
            row.kind,
            row.lane,
            *map(str, (row.due, row.leased, row.later, row.dead)),
            _ago(row.oldest_due, now),
        )
        for row in found
    ]
    click.echo(table(columns, cells, right=frozenset(range(3, len(columns)))))


@work.command()
@click.option("--kind", type=KINDS, default=None)
@click.option("--chain", default=None)
@click.option("--limit", type=click.IntRange(1), default=MOST_DEAD, show_default=True)
@with_data_dir
def dead(kind: str | None, chain: str | None, limit: int, data_dir: Path | None) -> None:
    """What was given up, and why."""
    with register(data_dir) as db, store.begin(db) as tx:
        found = backlog.dead(tx, limit + 1, kind, chain)
    if not found:
        click.echo("nothing is dead")
        return
    cells = [(row.chain, row.kind, row.key, str(row.losses), row.reason) for row in found[:limit]]
    click.echo(table(("chain", "kind", "key", "losses", "reason"), cells, right=frozenset({3})))
    if len(found) > limit:
        click.echo(f"the first {limit}; --limit N shows more", err=True)


@work.command()
@click.option("--kind", type=KINDS, default=None, help="Only this kind.")
@click.option("--chain", default=None, help="Only this chain.")
@click.argument("key", required=False)
@with_data_dir
def retry(kind: str | None, chain: str | None, key: str | None, data_dir: Path | None) -> None:
    """Bring dead work back: all, or of one kind, chain or KEY (a token's address, a pool's id)."""
    raw = None if key is None else _raw(key)
    with register(data_dir) as db, store.begin(db) as tx:
        count = rows.retry(tx, database_time(tx), kind=kind, key=raw, scope=chain)
    click.echo(f"{count} {'is' if count == 1 else 'are'} due again")


def _raw(key: str) -> bytes:
    try:
        raw = bytes.fromhex(key[2:] if key[:2] in ("0x", "0X") else key)
    except ValueError:
        raw = b""
    if len(raw) not in KEY_BYTES:
        raise click.BadParameter(f"{key!r} is neither an address (20 bytes) nor a pool's id (20 or 32 bytes), in hex")
    return raw


def _ago(moment: datetime | None, now: datetime) -> str | None:
    return None if moment is None else f"{max((now - moment).total_seconds(), 0):,.0f} s ago"
