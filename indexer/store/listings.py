"""One run's list made true: what is new, changed, missing or gone, all in one transaction, or nothing at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Row, text

from indexer.errors import Moved
from indexer.model import Listing
from indexer.store import Tx, instruments, listing_stage, listing_writes
from indexer.store.instruments import Instrument
from indexer.store.listing_rows import Staged, staged
from indexer.store.listing_stage import Counted, Told

LEAST_PRESENT_PERCENT = 90
"""Of the live listings that do not expire today; a list that holds fewer is suspect."""

TICK = timedelta(microseconds=1)

_SCOPE = text("""
    insert into gazetteer.venue_scopes (venue, scope) values (:venue, :scope) on conflict do nothing
""")
_HOLD = text("""
    select run_id, applied_at from gazetteer.venue_scopes where venue = :venue and scope = :scope for update
""")
_APPLIED = text("""
    update gazetteer.venue_scopes set run_id = :run_id, applied_at = :now where venue = :venue and scope = :scope
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One reading of one scope of a venue, as `runs.begin` numbers it."""

    run_id: int
    venue: str
    scope: str
    started_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What came of a list. `suspect`: nothing was changed, and `reason` says why. `accepted`: it would have been.

    `rows` were told, `unreadable` besides; `duplicates` are ids told more than once, of each the same one row counts.
    `missing` are not in it, but not gone yet; `delisted` and `expired` went with it; `rules` changed theirs.
    """

    status: Literal["applied", "suspect"]
    reason: str | None = None
    accepted: bool = False
    rows: int
    unreadable: int
    duplicates: Sequence[str] = ()
    new: int = 0
    changed: int = 0
    same: int = 0
    missing: int = 0
    delisted: int = 0
    expired: int = 0
    reborn: int = 0
    rules: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A list as it is kept: one row for each stable_id, and which ids of the `told` rows were told more than once."""

    rows: Sequence[Staged]
    told: int
    duplicates: Sequence[str]


def prepare(listings: Sequence[Listing]) -> Prepared:
    """Everything that a list can be worked out to before a transaction is open. Takes seconds where it is long."""
    rows, twice = staged(listings)
    return Prepared(rows=rows, told=len(listings), duplicates=twice)


def apply(
    tx: Tx,
    run: Run,
    prepared: Prepared,
    *,
    complete: bool,
    unreadable: int,
    accept: bool,
    now: datetime,
) -> Applied:
    """Make the register say what this list says, if it can be believed; `accept` believes it anyway.

    `complete` is the snapshot's own word. While rows were unreadable nobody is missed. Raises Moved where a later run
    of the scope was applied already; the caller holds its lease in this transaction.
    """
    scope = _hold(tx, run)
    now = now if scope.applied_at is None else max(now, scope.applied_at + TICK)  # clocks may step back
    rows = prepared.rows
    told: dict[str, Any] = {"rows": prepared.told, "unreadable": unreadable, "duplicates": prepared.duplicates}
    counted = listing_stage.stage(tx, run.venue, run.scope, rows, now)
    doubt = _doubt(counted, len(rows), complete=complete, unreadable=unreadable)
    if doubt is not None and not accept:
        return Applied(status="suspect", reason=doubt, **told)
    different = listing_stage.different(tx, run.venue, run.scope, rows)
    instruments.add(tx, run.scope, _fresh(run.venue, different), now)
    facts = {"venue": run.venue, "scope": run.scope, "run_id": run.run_id, "now": now, "before": scope.applied_at}
    done = listing_writes.write(tx, facts, count_misses=unreadable == 0)
    tx.execute(_APPLIED, facts)
    new, reborn = (sum(each.what == what for each in different) for what in ("new", "reborn"))
    return Applied(
        status="applied",
        reason=doubt,
        accepted=doubt is not None,
        **told,
        new=new,
        reborn=reborn,
        changed=done["changed"],
        same=len(rows) - new - reborn - done["changed"],
        missing=done["missing"],
        delisted=done.get("instrument.delisted", 0),
        expired=done.get("instrument.expired", 0),
        rules=done.get("rules.changed", 0),
    )


def _hold(tx: Tx, run: Run) -> Row[tuple[int | None, datetime | None]]:
    key = {"venue": run.venue, "scope": run.scope}
    tx.execute(_SCOPE, key)
    scope = tx.execute(_HOLD, key).one()
    if scope.run_id is not None and scope.run_id >= run.run_id:
        raise Moved(f"run {scope.run_id} of {run.venue} {run.scope} was applied, {run.run_id} comes too late")
    return scope


def _doubt(counted: Counted, rows: int, *, complete: bool, unreadable: int) -> str | None:
    """Why the list is not to be believed; None if it is. A row that is unreadable was listed all the same."""
    if not complete:
        return f"the list is not complete; it has {rows} rows"
    if rows == 0:
        return f"the list has no readable row; {counted.live} live listings are known"
    if (counted.present + unreadable) * 100 < counted.live * LEAST_PRESENT_PERCENT:
        return f"only {counted.present} of {counted.live} live listings are in the list"
    return None


def _fresh(venue: str, different: Sequence[Told]) -> dict[str, Instrument]:
    return {
        each.natural_key: Instrument(venue=venue, asset_class=each.row.asset_class, inst_class=each.row.inst_class)
        for each in different
        if each.what in ("new", "reborn")
    }
