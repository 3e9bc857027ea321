"""`gazetteer venues`: which exchanges and brokers are listed, how their runs went, and a run by hand."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from indexer import store
from indexer import venues as files
from indexer.flow import sameness
from indexer.flow.coins import Taken
from indexer.flow.discover import Ran
from indexer.flow.enrich import Enriched
from indexer.flow.turns import Failed, NotDue
from indexer.known import VenueRow
from indexer.store import changes, runs, slots
from indexer.store.clock import database_time
from indexer.store.runs import RunRow
from indexer.store.slots import Slot
from workers import sources, wiring
from workers.cli.place import data_dir as with_data_dir
from workers.cli.place import register, wired
from workers.cli.shown import safe, table
from workers.wording import folded

MOST_CHANGES = 20
MOST_RUNS = 20
WIDTH = 79
FIGURES = ("rows", "new", "changed", "missing", "delisted", "expired", "reborn")


@click.group()
def venues() -> None:
    """Exchanges and brokers: what is listed, how their runs went, and a run by hand."""


@venues.command("list")
@with_data_dir
def list_(data_dir: Path | None) -> None:
    """Every scope of every listed venue: its last run, and when the next one is due."""
    with register(data_dir) as db, store.begin(db) as tx:
        last = {(run.venue, run.scope): run for run in runs.last(tx)}
        waiting = {(slot.venue, slot.scope): slot for slot in slots.all_of(tx)}
        now = database_time(tx)
    if not last and not waiting:
        click.echo(
            "no venue is listed yet: workers of the lane venues list them, `gazetteer venues run VENUE` does now"
        )
        return
    columns = ("venue", "scope", "status", "rows", "read", "next", "why")
    cells = [(*key, *_standing(last.get(key), waiting.get(key), now)) for key in sorted(last.keys() | waiting.keys())]
    click.echo(table(columns, cells, right=frozenset({3, 4, 5})))


def _standing(run: RunRow | None, slot: Slot | None, now: datetime) -> tuple[str | None, ...]:
    status = "waiting" if run is None else run.status
    why = None if run is None or run.status == "applied" else (run.reason or run.error)
    if slot is not None and slot.dead:
        status, why = "dead", f"{slot.reason}; gazetteer work retry"
    rows = None if run is None or run.rows is None else f"{run.rows:,}"
    read = None if run is None else _span((now - run.started_at).total_seconds()) + " ago"
    due = None if slot is None else _due(slot, now)
    return status, rows, read, due, None if why is None else why[:WIDTH]


def _due(slot: Slot, now: datetime) -> str:
    if slot.running_until is not None:
        return "running"
    left_s = (slot.due - now).total_seconds()
    return "due" if left_s <= 0 else f"in {_span(left_s)}"


def _span(seconds: float) -> str:
    for unit, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{max(seconds, 0):.0f} s"


@venues.command()
@click.argument("venue")
@click.argument("scope", required=False)
@click.option("--accept", is_flag=True, help="Believe a list that the guard holds for suspect.")
@with_data_dir
def run(venue: str, scope: str | None, accept: bool, data_dir: Path | None) -> None:
    """Read VENUE, or one SCOPE of it, now and in this process, and say what changed."""
    with wired(data_dir):
        row = wiring.venue(venue)
        if scope is not None and scope not in row.scopes:
            raise click.BadParameter(f"{venue} has no scope {scope!r}; it has {', '.join(row.scopes)}")
        wiring.due_venues()  # a slot for each scope, also where no worker ever ran
        done = [_run(row, each, accept) for each in ([scope] if scope else row.scopes)]
    if not all(done):
        sys.exit(1)


def _run(row: VenueRow, scope: str, accept: bool) -> bool:
    """One scope, with what came of it; False where nothing was kept."""
    name = f"{row.name} {scope}"
    with _shown(name) as told:
        done = sources.run(row, scope, "live", told, at_once=True, accept=accept)
    if isinstance(done, NotDue):
        _say(f"{name}: somebody reads it just now; ask again in a minute")
        return False
    if isinstance(done, Failed):
        _say(f"{name}: {done.error}: {done.reason}")
        return False
    if isinstance(done, Taken):
        return _coins(name, done)
    if isinstance(done, Enriched):
        asked = f"asked about {done.asked:,} listings"
        _say(f"{name}: {asked}, {done.identifiers:,} identifiers new, {done.missed:,} not known")
        return True
    return _list(name, done)


def _list(name: str, done: Ran) -> bool:
    found = done.applied
    if found.status == "suspect":
        _say(
            f"{name}: suspect, nothing was changed: {found.reason}. If the venue really lists no more than that: "
            f"gazetteer venues run {name} --accept"
        )
        return False
    figures = ", ".join(f"{getattr(found, figure):,} {figure}" for figure in FIGURES)
    _say(f"{name}: {figures}, {found.rules:,} rules changed, {found.unreadable:,} unreadable")
    _say_changes(done.run_id)
    return True


def _coins(name: str, done: Taken) -> bool:
    """Where the list is believed, assets follow at once."""
    if done.doubt is not None:
        _say(f"{name}: suspect, nothing was changed: {done.doubt}")
        return False
    sameness.relate(wiring.db(), wiring.clock)
    _say(f"{name}: {done.names:,} names of coins")
    return True


def _say_changes(run_id: int) -> None:
    with store.begin(wiring.db()) as tx:
        found = changes.of_run(tx, run_id, MOST_CHANGES + 1)
    if found:
        cells = [(each.symbol, each.field, each.old_value, each.new_value) for each in found[:MOST_CHANGES]]
        click.echo(table(("symbol", "what", "before", "now"), cells))
    if len(found) > MOST_CHANGES:
        click.echo(f"and more: select * from api.listing_changes where run_id = {run_id}")


def _say(text: str) -> None:
    click.echo("\n".join(folded(safe(text), WIDTH, "  ")))


@contextmanager
def _shown(name: str) -> Iterator[Callable[[int, int | None], None]]:
    """A bar of the requests of one run on a terminal, nothing elsewhere."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(name, total=None)

        def told(done: int, total: int | None) -> None:
            progress.update(task, completed=done, total=total)

        yield told


@venues.command()
@click.argument("venue")
@with_data_dir
def login(venue: str, data_dir: Path | None) -> None:
    """Log in to VENUE with a browser, where its logins run out and only a person can renew them."""
    with wired(data_dir):
        row = wiring.venue(venue)
        session = wiring.venue_session(row, "live", lambda _done, _total: None)
        file = files.login(row.adapter, row.extra)
        url, state = file.login_url(session, row.options)
        click.echo(f"Open this address, log in, and copy the address that the browser is sent to:\n\n{url}\n")
        file.log_in(session, row.options, click.prompt("the address that it was sent to").strip(), state)
    click.echo(f"{venue} is logged in; its lists are read when they are due, gazetteer venues run {venue} reads now")


@venues.command()
@click.argument("venue")
@click.argument("scope", required=False)
@click.option("--limit", type=click.IntRange(1, 1_000), default=MOST_RUNS, show_default=True)
@with_data_dir
def history(venue: str, scope: str | None, limit: int, data_dir: Path | None) -> None:
    """The last runs of VENUE, newest first."""
    with register(data_dir) as db, store.begin(db) as tx:
        found = runs.history(tx, venue, scope, limit)
    if not found:
        click.echo(f"{venue} was never read; gazetteer venues list shows what is listed")
        return
    click.echo(_history(found))


def _history(found: Sequence[RunRow]) -> str:
    columns = ("run", "scope", "began", "status", *FIGURES, "why")
    cells = [
        (
            str(run.run_id),
            run.scope,
            run.started_at.strftime("%Y-%m-%d %H:%M:%S"),
            run.status,
            *(None if getattr(run, name) is None else f"{getattr(run, name):,}" for name in FIGURES),
            run.reason or run.error,
        )
        for run in found
    ]
    return table(columns, cells, right=frozenset({0, *range(4, 4 + len(FIGURES))}))
