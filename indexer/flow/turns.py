"""One turn of one scope of a venue, whatever it is read for: how it begins, and how it ends with nothing to show."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

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
)
from indexer.known import VenueRow
from indexer.model import Claimed
from indexer.store import Db, runs, slots
from indexer.store.clock import Clock
from indexer.store.listings import Run
from indexer.store.runs import RunRow

LEASE_SLACK_S = 60.0
"""A lease outlives the requests of its run by the last one and by this."""
FIRST_WAIT_S = 30.0
RATE_LIMITED_S = 60.0
BANNED_S = 900.0
PERSON_S = 21_600.0
"""How long until a refusal that only a person can end is tried again by itself."""
MOST_DOUBLINGS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class NotDue:
    """Somebody runs this scope just now, or it is not due."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """Nothing came. `error` is the class in one word, `reason` a sentence for people."""

    run_id: int
    error: str
    reason: str
    next_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A scope that is ours for the time of one run."""

    row: VenueRow
    claimed: Claimed
    run: Run

    @property
    def next_at(self) -> datetime:
        """When the scope is read again, if all goes well."""
        return self.run.started_at + timedelta(seconds=self.row.every_s)


def lease_s(row: VenueRow) -> float:
    """How long a run of this venue may be at what it claims."""
    return row.limit_s + row.timeout_s + LEASE_SLACK_S


def begin(db: Db, row: VenueRow, scope: str, clock: Clock, *, at_once: bool) -> Turn | None:
    """Claim the scope and number the run. None: it is not due, or not free. `at_once`: although it is not due."""
    with store.begin(db) as tx:
        now = clock(tx)
        claimed = slots.claim(tx, row.name, scope, lease_s=lease_s(row), now=now, at_once=at_once)
        if claimed is None:
            return None
        return Turn(row=row, claimed=claimed, run=runs.begin(tx, row.name, scope, now))


def failed(db: Db, turn: Turn, error: Retryable | Refused, clock: Clock) -> Failed | NotDue:
    """The run ended without a list; when its scope is asked again, and why only then."""
    row, run = turn.row, turn.run
    word, reason = word_of(error), str(error) or type(error).__name__
    with store.begin(db) as tx:
        now = clock(tx)
        before = runs.history(tx, run.venue, run.scope, MOST_DOUBLINGS + 1)[1:]
        next_at = now + timedelta(seconds=_wait_s(error, row, _failures(before)))
        if not slots.finish(tx, turn.claimed, next_at, f"{word}: {reason}"):
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
