"""`gazetteer status` and `gazetteer why`: where each chain stands, and what it waits for."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from math import floor
from pathlib import Path

import click

from indexer import store
from indexer.errors import Refused
from indexer.store import Db, audit, consent, health, migrate
from indexer.store import plan as rows
from indexer.store import status as stored
from indexer.store.clock import database_time
from indexer.store.plan import Missing
from indexer.store.status import ChainLive, ChainTotals
from workers import audits, wiring
from workers.audits import Audits
from workers.cli.place import data_dir as with_data_dir
from workers.cli.place import register
from workers.cli.shown import json_text, safe
from workers.local import data
from workers.why import Facts
from workers.why import why as sentence
from workers.wording import folded, span

WIDTH = 79
LABEL = 16
COLUMN = 20
UNKNOWN = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """All that is shown of one chain."""

    live: ChainLive
    totals: ChainTotals
    missing: Missing | None
    finalized_age_s: float | None
    consented: bool
    audits: Audits


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@with_data_dir
def status(as_json: bool, data_dir: Path | None) -> None:
    """Where each chain stands, and how to ask."""
    runs = _runs(data_dir)
    with register(data_dir) as db:
        chains = standings(db)
        reader = runs.reader_url if runs else None
    if as_json:
        click.echo(json_text(_object(chains, runs), indent=2))
        return
    for at in range(0, len(chains), 3):
        click.echo("\n".join(_table(chains[at : at + 3])) + "\n")
    if not chains:
        click.echo("no chain is known here yet: run gazetteer migrate")
    for each in chains:
        for line in folded(safe(audits.roll_call(each.audits) or ""), WIDTH, "  "):
            click.echo(line)
    for line in _ways(runs, reader):
        click.echo(line)


@click.command()
@with_data_dir
def why(data_dir: Path | None) -> None:
    """What each chain waits for, in one sentence; then what audits found, and how its endpoints behave."""
    runs = _runs(data_dir)
    with register(data_dir) as db:
        chains = standings(db)
    if not chains:
        raise Refused("no chain is known here yet: run gazetteer migrate")
    for each in chains:
        for line in folded(safe(sentence(_facts(each, runs or _Ways()))), WIDTH, "  "):
            click.echo(line)
        for told in audits.sentences(each.audits):
            click.echo("\n".join("  " + line for line in folded(safe(told), WIDTH - 2, "  ")))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ways:
    """How an embedded register is reached; `stopped`: its servers run only for a question."""

    command: str | None = None
    root: str | None = None
    stopped: bool = False
    reader_url: str | None = None
    flower_url: str | None = None


def _runs(data_dir: Path | None) -> _Ways | None:
    """The embedded register that the question is for; None where a database is configured."""
    if wiring.settings().database_url is not None and data_dir is None:
        return None
    found = data.find(data_dir)
    run, holder = found.run(), found.holder()
    stopped = holder is None or holder[0] != "supervisor"
    return _Ways(
        command=run.command if run else None,
        root=str(found.root),
        stopped=stopped,
        reader_url=run.reader_url if run else None,
        flower_url=run.flower_url if run and not stopped else None,
    )


def standings(db: Db) -> tuple[Standing, ...]:
    """Every enabled chain, by chain id. Raises DatabaseUnavailable, SchemaBehind."""
    migrate.check(db)
    with store.begin(db) as tx:
        now = database_time(tx)
        totals = {each.chain_id: each for each in stored.totals(tx)}
        moved = rows.finality_moved(tx)
        found = []
        for live in stored.live(tx):
            decided = consent.read(tx, live.chain_id)
            found.append(
                Standing(
                    live=live,
                    totals=totals[live.chain_id],
                    missing=rows.missing(tx, live.chain_id, floor=decided.floor),
                    finalized_age_s=_age_s(moved.get(live.chain_id), now),
                    consented=decided.keyed,
                    audits=_audits(tx, live, decided.keyed, now),
                )
            )
    return tuple(found)


def _audits(tx: store.Tx, live: ChainLive, consented: bool, now: datetime) -> Audits:
    scanned, audited = audit.share(tx, live.chain_id)
    return Audits(
        chain=live.chain,
        scanned=scanned,
        audited=audited,
        endpoints=_may_audit(live, consented),
        counts=health.read(tx, live.chain_id),
        now=now,
    )


def _may_audit(live: ChainLive, consented: bool) -> int | None:
    """How many endpoints may be spent on history; None for a chain that only others are configured for."""
    if live.chain not in wiring.chain_names():
        return None
    urls = [url for url in wiring.urls(live.chain) if url.startswith("http")]
    return sum(consented or wiring.settings().history == "all" or not wiring.is_keyed(url) for url in urls)


def _age_s(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else (now - moment).total_seconds()


def _facts(of: Standing, runs: _Ways) -> Facts:
    known = next((each for each in wiring.all_chains() if each.id == of.live.chain_id), None)
    decided, simulated = wiring.settings(), runs.command == "demo"
    urls = [url for url in wiring.urls(known.name) if url.startswith("http")] if known in wiring.chains() else []
    all_keyed = bool(urls) and all(map(wiring.is_keyed, urls))
    return Facts(
        chain=of.live.chain,
        halted=of.live.halted,
        followed=of.live.anchor is not None or (runs.root is not None and not runs.stopped),
        seen_age_s=of.live.seen_age_s,
        note=of.live.note,
        lag_blocks=of.live.lag_blocks,
        finalized_age_s=of.finalized_age_s,
        usual_depth_s=known.finality_depth * known.block_time_s if known else 0.0,
        missing_blocks=of.missing.blocks if of.missing else None,
        holes=of.missing.holes if of.missing else 0,
        waits_for_consent=not simulated and decided.history == "public" and all_keyed and not of.consented,
        history_off=not simulated and decided.history == "none",
        tokens_pending=of.totals.tokens_pending,
    )


def _table(chains: Sequence[Standing]) -> list[str]:
    """At most three chains side by side, in 79 columns."""
    columns = [_column(each) for each in chains]
    head = f"{'':<{LABEL}}" + " ".join(f"{_fit(safe(each.live.chain)):>{COLUMN}}" for each in chains)
    return [
        head.rstrip(),
        *(
            (f"{label:<{LABEL}}" + " ".join(f"{_fit(column[label]):>{COLUMN}}" for column in columns)).rstrip()
            for label in columns[0]
        ),
    ]


def _column(of: Standing) -> dict[str, str]:
    live, totals = of.live, of.totals
    return {
        "ready": "yes" if live.ready else "no",
        "head": _number(live.head),
        "tip": _number(live.tip),
        "lag": UNKNOWN if live.lag_blocks is None else f"{live.lag_blocks:,} blocks",
        "lag in time": UNKNOWN if live.lag_s is None else f"{live.lag_s:,.0f} s",
        "anchor": _number(live.anchor),
        "finalized": _number(live.finalized),
        "history": UNKNOWN if live.percent is None else f"{floor(live.percent * 100) / 100:.2f} %",
        "missing blocks": _number(of.missing.blocks if of.missing else None),
        "audited": _percent(audits.percent(of.audits)),
        "last difference": _ago(audits.last_difference_at(of.audits), of.audits.now),
        "pools": _number(totals.pools),
        "tokens": _number(totals.tokens),
        "tokens pending": _number(totals.tokens_pending),
        "pools pending": _number(totals.pools_pending),
        "dead": _number(totals.dead),
        "endpoint": safe(live.endpoint or UNKNOWN),
        "wake-ups": live.wakeups or UNKNOWN,
        "seen": UNKNOWN if live.seen_age_s is None else f"{live.seen_age_s:,.0f} s ago",
    }


def _fit(word: str) -> str:
    return word if len(word) <= COLUMN else f"{word[: COLUMN - 1]}…"


def _percent(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.2f} %"


def _ago(moment: datetime | None, now: datetime) -> str:
    return "none" if moment is None else f"{span((now - moment).total_seconds())} ago"


def _number(value: int | None) -> str:
    return UNKNOWN if value is None else f"{value:,}"


def _ways(runs: _Ways | None, reader: str | None) -> list[str]:
    if runs is None:
        return ['SQL      gazetteer sql "..." or gazetteer psql, on the configured database']
    lines = []
    if runs.stopped:
        lines.append(f"stopped  nothing follows; start it again: gazetteer {runs.command or 'up'}")
    if reader is not None:
        lines += ["SQL, as the role analyst:", reader]
    if runs.flower_url is not None:
        lines.append(f"Flower   {runs.flower_url}")
    return [*lines, f"data     {runs.root}"]


def _object(chains: Sequence[Standing], runs: _Ways | None) -> dict[str, object]:
    """The same as one JSON object."""
    return {
        "chains": [_chain_object(each) for each in chains],
        "register": None if runs is None else asdict(runs),
    }


def _chain_object(of: Standing) -> dict[str, object]:
    missing = of.missing
    return {
        **asdict(of.live),
        **asdict(of.totals),
        # blocks that have to be read, whichever factories miss them; above they count once for each factory
        "blocks_to_read": missing.blocks if missing else None,
        "blocks_wanted": missing.total if missing else None,
        "holes": missing.holes if missing else None,
        "scanned_blocks": of.audits.scanned,
        "audited_blocks": of.audits.audited,
        "audited_percent": audits.percent(of.audits),
        "last_difference_at": moment.isoformat() if (moment := audits.last_difference_at(of.audits)) else None,
        "endpoints": [asdict(each) | {"last_at": each.last_at.isoformat()} for each in of.audits.counts],
        "seen_at": of.live.seen_at.isoformat() if of.live.seen_at else None,
    }
