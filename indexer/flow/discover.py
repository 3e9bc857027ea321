"""One run of one scope of a venue: claim, fetch, normalise, keep what came, apply. Nothing is applied by halves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from indexer import store
from indexer.errors import Refused, Retryable, UnreadableRow
from indexer.flow.turns import Failed, NotDue, Turn, begin, failed
from indexer.known import VenueRow
from indexer.model import Listing, Snapshot
from indexer.ports import Session
from indexer.store import Db, archive, listings, runs, slots
from indexer.store.clock import Clock
from indexer.store.listings import Applied
from indexer.venues import Venue

MOST_SAMPLES = 5
SAMPLE_CHARS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A list that came. It was applied, or is suspect and changed nothing."""

    run_id: int
    applied: Applied
    next_at: datetime


def discover(
    db: Db,
    row: VenueRow,
    scope: str,
    load: Callable[[], Venue],
    session: Session,
    clock: Clock,
    *,
    keep_in: Path | None,
    at_once: bool = False,
    accept: bool = False,
) -> Ran | Failed | NotDue:
    """Read one scope of a venue and make the register say what it lists.

    `at_once`: although it is not due. `accept`: believe a list that the guard holds for suspect. `keep_in`: where raw
    rows are archived. Raises DatabaseUnavailable; whatever the venue does comes back as Failed.
    """
    turn = begin(db, row, scope, clock, at_once=at_once or accept)
    if turn is None:
        return NotDue()
    try:
        fetched = _fetch(row, scope, load, session)
        rows = fetched.snapshot.rows
        kept = None if keep_in is None else archive.keep(keep_in, row.name, scope, turn.run.run_id, rows)
    except (Retryable, Refused) as error:
        return failed(db, turn, error, clock)
    return _settle(db, turn, fetched, kept, clock, accept=accept)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fetched:
    snapshot: Snapshot
    listings: Sequence[Listing]
    unreadable: Sequence[str]


def _fetch(row: VenueRow, scope: str, load: Callable[[], Venue], session: Session) -> _Fetched:
    """Raises what a venue's file raises, and Disabled where a credential is missing."""
    for name in row.secrets:
        session.secret(name)
    venue = load()
    snapshot = venue.fetch(session, scope, row.options)
    readable: list[Listing] = []
    unreadable: list[str] = []
    for position, raw in enumerate(snapshot.rows):
        try:
            readable.append(venue.normalise(scope, raw, row.options))
        except UnreadableRow as error:
            unreadable.append(f"row {position}: {error}"[:SAMPLE_CHARS])
    return _Fetched(snapshot=snapshot, listings=readable, unreadable=unreadable)


def _settle(db: Db, turn: Turn, fetched: _Fetched, kept: str | None, clock: Clock, *, accept: bool) -> Ran | NotDue:
    snapshot, run = fetched.snapshot, turn.run
    evidence = dict(snapshot.evidence)
    if fetched.unreadable:
        evidence["unreadable"] = list(fetched.unreadable[:MOST_SAMPLES])
    prepared = listings.prepare(fetched.listings)
    with store.begin(db) as tx:
        now = clock(tx)
        if not slots.finish(tx, turn.claimed, turn.next_at, None):
            return NotDue()  # the lease ran out, somebody else reads this scope: nothing is written
        applied = listings.apply(
            tx,
            run,
            prepared,
            complete=snapshot.complete,
            unreadable=len(fetched.unreadable),
            accept=accept,
            now=now,
        )
        runs.finish(
            tx,
            run,
            applied,
            client=snapshot.client,
            pages=snapshot.pages,
            evidence=evidence,
            archive=kept,
            now=now,
        )
    return Ran(run_id=run.run_id, applied=applied, next_at=turn.next_at)
