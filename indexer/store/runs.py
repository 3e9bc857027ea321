"""Runs: one row for each time that a scope of a venue was read, whatever came of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import Row, text

from indexer.model import Json
from indexer.store import Tx
from indexer.store.listings import Applied, Run

DISABLED = "disabled"
LOST = "lost"
MOST_REASON = 500
MOST_DUPLICATES = 20

_LOST = text(f"""
    update gazetteer.venue_runs
    set status = 'failed', error = '{LOST}', reason = 'its worker was lost', finished_at = :now
    where venue = :venue and scope = :scope and status = 'running'
""")
_BEGIN = text("""
    insert into gazetteer.venue_runs (venue, scope, started_at, status) values (:venue, :scope, :now, 'running')
    returning run_id
""")
_FINISH = text("""
    update gazetteer.venue_runs set
        status = :status, reason = :reason, finished_at = :now, client = :client, pages = :pages,
        evidence = :evidence, rows = :rows, unreadable = :unreadable, duplicates = :duplicates, new = :new,
        changed = :changed, same = :same, missing = :missing, delisted = :delisted, expired = :expired,
        reborn = :reborn, rules = :rules, archive = :archive, accepted = :accepted
    where run_id = :run_id and status = 'running'
""")
_FAIL = text("""
    update gazetteer.venue_runs
    set status = :status, error = :error, reason = :reason, retry_at = :retry_at, archive = :archive, finished_at = :now
    where run_id = :run_id and status = 'running'
""")
_FORGET = text("delete from gazetteer.venue_runs where run_id = :run_id and status = 'running'")
_LAST = text("""
    select r.* from gazetteer.venues v
    cross join unnest(v.scopes) as s(scope)
    cross join lateral (
        select * from gazetteer.venue_runs r
        where r.venue = v.name and r.scope = s.scope
        order by r.run_id desc limit 1
    ) as r
    order by r.venue, r.scope
""")
_HISTORY = text("""
    select * from gazetteer.venue_runs
    where venue = :venue and (cast(:scope as text) is null or scope = :scope)
    order by run_id desc limit :limit
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """A run as it is remembered; figures are None where it did not come that far."""

    run_id: int
    venue: str
    scope: str
    started_at: datetime
    finished_at: datetime | None
    status: str
    error: str | None
    reason: str | None
    retry_at: datetime | None
    client: str | None
    pages: int | None
    evidence: Mapping[str, Json] | None
    rows: int | None
    unreadable: int | None
    duplicates: int | None
    new: int | None
    changed: int | None
    same: int | None
    missing: int | None
    delisted: int | None
    expired: int | None
    reborn: int | None
    rules: int | None
    archive: str | None
    accepted: bool


def begin(tx: Tx, venue: str, scope: str, now: datetime) -> Run:
    """A new run. One of the scope that is still running lost its worker: nobody reads a scope twice at once."""
    facts = {"venue": venue, "scope": scope, "now": now}
    tx.execute(_LOST, facts)
    return Run(run_id=tx.execute(_BEGIN, facts).scalar_one(), venue=venue, scope=scope, started_at=now)


def finish(
    tx: Tx,
    run: Run,
    applied: Applied,
    *,
    client: str,
    pages: int,
    evidence: Mapping[str, Json],
    archive: str | None,
    now: datetime,
) -> None:
    """What came of it, in the transaction that applied it."""
    told: dict[str, Any] = {name: getattr(applied, name) for name in Applied.__slots__}
    twice = applied.duplicates[:MOST_DUPLICATES]
    told |= {
        "run_id": run.run_id,
        "now": now,
        "client": client,
        "pages": pages,
        "archive": archive,
        "duplicates": len(applied.duplicates),
        "evidence": Jsonb({**evidence, "duplicates": list(twice)} if twice else dict(evidence)),
    }
    tx.execute(_FINISH, told)


def fail(
    tx: Tx,
    run: Run,
    *,
    error: str,
    reason: str,
    retry_at: datetime | None,
    archive: str | None = None,
    now: datetime,
) -> None:
    """Nothing was applied. `error` is the class in one word; a `disabled` venue has not failed."""
    status = DISABLED if error == DISABLED else "failed"
    told = {"run_id": run.run_id, "status": status, "error": error, "reason": reason[:MOST_REASON], "archive": archive}
    tx.execute(_FAIL, told | {"retry_at": retry_at, "now": now})


def forget(tx: Tx, run: Run) -> None:
    """A run that said nothing new, as of a venue that is still disabled, leaves no trace."""
    tx.execute(_FORGET, {"run_id": run.run_id})


def last(tx: Tx) -> tuple[RunRow, ...]:
    """The newest run of each scope of each venue, running ones too; a scope that was never read has none."""
    return _rows(tx.execute(_LAST).all())


def history(tx: Tx, venue: str, scope: str | None, limit: int) -> tuple[RunRow, ...]:
    """The last runs of a venue, or of one of its scopes, newest first."""
    return _rows(tx.execute(_HISTORY, {"venue": venue, "scope": scope, "limit": limit}).all())


def _rows(rows: Sequence[Row[Any]]) -> tuple[RunRow, ...]:
    return tuple(RunRow(**row._mapping) for row in rows)  # noqa: SLF001 - a row's public mapping
