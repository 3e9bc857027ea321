"""One run of a source that knows more of what others list: claim, ask, keep what is sure, remember whom it missed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from indexer import store
from indexer.errors import Refused, Retryable
from indexer.flow.turns import Failed, NotDue, Turn, begin, failed, lease_s, word_of
from indexer.known import VenueRow
from indexer.model import Claimed, Learned, Sought
from indexer.ports import Session
from indexer.store import Db, enrichment, runs, slots, work
from indexer.store.clock import Clock
from indexer.store.enrichment import KIND, Wanted
from indexer.store.listings import Applied
from indexer.venues import Enricher

MOST_ADDED = 10_000
BATCH = 100
MOST_BATCHES = 20
KNOWN_FOR = timedelta(days=180)
MISSED_FOR = timedelta(days=30)
UNANSWERED_FOR = timedelta(hours=1)
"""Whoever the source did not answer about waits behind the others: it may be why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enriched:
    """A run that came to its end. Of `asked` listings something was learned of all but `missed`."""

    asked: int
    missed: int
    identifiers: int
    next_at: datetime


def enrich(
    db: Db,
    row: VenueRow,
    load: Callable[[], Enricher],
    session: Session,
    clock: Clock,
    *,
    at_once: bool = False,
) -> Enriched | Failed | NotDue:
    """Ask one source about the listings that are due there, some hundred of them. `at_once`: although it is not due.

    What was answered before a failure is kept. Raises DatabaseUnavailable.
    """
    (scope,) = row.scopes
    turn = begin(db, row, scope, clock, at_once=at_once)
    if turn is None:
        return NotDue()
    with store.begin(db) as tx:
        enrichment.add(tx, row.name, wanted(row), MOST_ADDED, clock(tx))
    counted = _Counted()
    error = _ask_all(db, row, load, session, clock, counted)
    return _finished(db, turn, counted, clock) if error is None else failed(db, turn, error, clock)


def wanted(row: VenueRow) -> Wanted:
    """Whom this source is asked about, by its row's `options.seeks`."""
    seeks = row.options["seeks"]
    return Wanted(
        lacks=seeks["lacks"], by=tuple(seeks["by"]), ticker=seeks.get("ticker", False), venue=seeks.get("venue")
    )


@dataclass(slots=True)
class _Counted:
    asked: int = 0
    missed: int = 0
    identifiers: int = 0
    batches: int = 0


def _ask_all(
    db: Db, row: VenueRow, load: Callable[[], Enricher], session: Session, clock: Clock, counted: _Counted
) -> Retryable | Refused | None:
    """Batch after batch until nothing is due; what ended it early."""
    try:
        enricher = load()
    except Refused as refused:
        return refused
    while counted.batches < MOST_BATCHES:
        with store.begin(db) as tx:
            now = clock(tx)
            claimed = work.claim(tx, KIND, row.name, limit=BATCH, lease_s=lease_s(row), now=now)
            if claimed is None:
                return None
            sought = enrichment.sought(tx, claimed.keys)
        learned, error = _answers(enricher, row, session, sought)
        ours = _keep(db, row, claimed, sought, learned, error, clock, counted)
        if error is not None or not ours:
            return error
    return None


def _answers(
    enricher: Enricher, row: VenueRow, session: Session, sought: Sequence[Sought]
) -> tuple[list[Learned], Retryable | Refused | None]:
    learned: list[Learned] = []
    try:
        learned.extend(enricher.look_up(session, sought, row.options))
    except (Retryable, Refused) as error:
        return learned, error
    return learned, None


def _keep(
    db: Db,
    row: VenueRow,
    claimed: Claimed,
    sought: Sequence[Sought],
    learned: Sequence[Learned],
    error: Retryable | Refused | None,
    clock: Clock,
    counted: _Counted,
) -> bool:
    """Write what is still ours to write, and say for each when it is asked about again. False: nothing is ours."""
    with store.begin(db) as tx:
        now = clock(tx)
        mine = work.mine(tx, claimed, now)
        kept = [each for each in learned if each.natural_key.encode() in mine]
        known = {each.natural_key.encode() for each in kept if each.anything}
        missed = {each.natural_key.encode() for each in kept} - known
        asked = {each.natural_key.encode() for each in sought}
        work.done(tx, claimed, sorted(mine - asked))  # no longer listed
        work.again(tx, claimed, sorted(known), now + KNOWN_FOR, "known")
        work.again(tx, claimed, sorted(missed), now + MISSED_FOR, "not known there")
        left = sorted(mine & asked - known - missed)
        work.again(tx, claimed, left, now + UNANSWERED_FOR, word_of(error) if error else "not answered")
        counted.identifiers += enrichment.learn(tx, row.name, kept, now)
    counted.asked += len(kept)
    counted.missed += len(missed)
    counted.batches += 1
    return bool(mine)


def _finished(db: Db, turn: Turn, counted: _Counted, clock: Clock) -> Enriched | NotDue:
    """A run that asked about nobody leaves no trace."""
    done = Applied(status="applied", rows=counted.asked, unreadable=0, new=counted.identifiers, missing=counted.missed)
    evidence = {"asked": counted.asked, "not_known": counted.missed, "identifiers": counted.identifiers}
    with store.begin(db) as tx:
        now = clock(tx)
        if not slots.finish(tx, turn.claimed, turn.next_at, None):
            return NotDue()
        if counted.asked:
            client, pages = turn.row.adapter, counted.batches
            runs.finish(tx, turn.run, done, client=client, pages=pages, evidence=evidence, archive=None, now=now)
        else:
            runs.forget(tx, turn.run)
    return Enriched(asked=counted.asked, missed=counted.missed, identifiers=counted.identifiers, next_at=turn.next_at)
