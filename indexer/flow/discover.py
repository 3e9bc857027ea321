"""One run of one scope of a venue: claim, fetch, normalise, keep what came, apply. Nothing is applied by halves."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from indexer import store
from indexer.errors import (
    BadAnswer,
    BadCredentials,
    Banned,
    Disabled,
    GazetteerError,
    GeoBlocked,
    NeedsReauth,
    RateLimited,
    Refused,
    Retryable,
    UnreadableRow,
)
from indexer.known import VenueRow
from indexer.model import Claimed, Listing, Snapshot
from indexer.ports import Session
from indexer.store import Db, archive, listings, runs, slots
from indexer.store.clock import Clock
from indexer.store.listings import Applied, Run
from indexer.store.runs import RunRow
from indexer.venues import Venue

LEASE_SLACK_S = 60.0
"""A lease outlives the requests of its run by the last one and by this."""
FIRST_WAIT_S = 30.0
RATE_LIMITED_S = 60.0
BANNED_S = 900.0
PERSON_S = 21_600.0
"""How long until a refusal that only a person can end is tried again by itself."""
MOST_DOUBLINGS = 6
MOST_SAMPLES = 5
SAMPLE_CHARS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class NotDue:
    """Somebody runs this scope just now, or it is not due."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A list that came. It was applied, or is suspect and changed nothing."""

    run_id: int
    applied: Applied
    next_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """No list came. `error` is the class in one word, `reason` a sentence for people."""

    run_id: int
    error: str
    reason: str
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
    with store.begin(db) as tx:
        now = clock(tx)
        lease_s = row.limit_s + row.timeout_s + LEASE_SLACK_S
        claimed = slots.claim(tx, row.name, scope, lease_s=lease_s, now=now, at_once=at_once or accept)
        if claimed is None:
            return NotDue()
        run = runs.begin(tx, row.name, scope, now)
    try:
        fetched = _fetch(row, scope, load, session)
        kept = None if keep_in is None else archive.keep(keep_in, row.name, scope, run.run_id, fetched.snapshot.rows)
    except (Retryable, Refused) as error:
        return failed(db, row, claimed, run, error, clock)
    return _settle(db, row, claimed, run, fetched, kept, clock, accept=accept)


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


def _settle(
    db: Db,
    row: VenueRow,
    claimed: Claimed,
    run: Run,
    fetched: _Fetched,
    kept: str | None,
    clock: Clock,
    *,
    accept: bool,
) -> Ran | NotDue:
    snapshot, next_at = fetched.snapshot, run.started_at + timedelta(seconds=row.every_s)
    evidence = dict(snapshot.evidence)
    if fetched.unreadable:
        evidence["unreadable"] = list(fetched.unreadable[:MOST_SAMPLES])
    prepared = listings.prepare(fetched.listings)
    with store.begin(db) as tx:
        now = clock(tx)
        if not slots.finish(tx, claimed, next_at, None):
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
    return Ran(run_id=run.run_id, applied=applied, next_at=next_at)


def failed(
    db: Db, row: VenueRow, claimed: Claimed, run: Run, error: Retryable | Refused, clock: Clock
) -> Failed | NotDue:
    """The run ended without a list; when its scope is asked again, and why only then."""
    word, reason = word_of(error), str(error) or type(error).__name__
    with store.begin(db) as tx:
        now = clock(tx)
        before = runs.history(tx, run.venue, run.scope, MOST_DOUBLINGS + 1)[1:]
        next_at = now + timedelta(seconds=_wait_s(error, row, _failures(before)))
        if not slots.finish(tx, claimed, next_at, f"{word}: {reason}"):
            return NotDue()
        if isinstance(error, Disabled) and before and before[0].status == runs.DISABLED:
            runs.forget(tx, run)
        else:
            runs.fail(tx, run, error=word, reason=reason, retry_at=next_at, now=now)
        if isinstance(error, Banned):
            slots.put_off(tx, row.name, next_at, f"{word}: {reason}")
    return Failed(run_id=run.run_id, error=word, reason=reason, next_at=next_at)


def _failures(before: Sequence[RunRow]) -> int:
    """How many runs failed one after the other, the newest of them first in the list."""
    return next((n for n, each in enumerate(before) if each.status not in ("failed", "running")), len(before))


_WORDS: Mapping[type[GazetteerError], str] = {
    Banned: "banned",
    RateLimited: "rate_limited",
    BadAnswer: "malformed",
    GeoBlocked: "geo_blocked",
    BadCredentials: "auth",
    NeedsReauth: "needs_reauth",
    Disabled: runs.DISABLED,
    Refused: "refused",
    Retryable: "transient",
}
"""From the particular to the general."""


def word_of(error: GazetteerError) -> str:
    """The class of a venue's failure in one word, as `api.venue_runs` shows it."""
    return next((word for kind, word in _WORDS.items() if isinstance(error, kind)), "transient")


def _wait_s(error: Retryable | Refused, row: VenueRow, failures: int) -> float:
    """How long to wait before the venue is asked again; with jitter, so that scopes do not come back together."""
    if isinstance(error, Disabled):
        return row.every_s
    if isinstance(error, Refused):
        return max(row.every_s, PERSON_S)
    if isinstance(error, RateLimited):
        usual_s = BANNED_S if isinstance(error, Banned) else RATE_LIMITED_S
        return max(error.retry_after_s or usual_s, 1.0)
    doubled = FIRST_WAIT_S * 2.0 ** min(failures, MOST_DOUBLINGS)
    return min(doubled, row.every_s) * random.uniform(0.8, 1.2)  # noqa: S311 - spreads retries, decides nothing
