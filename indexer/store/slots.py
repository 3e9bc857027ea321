"""A venue's scopes as periodic work: one row each that stays, and says when it is due again and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import text

from indexer.model import Claimed, Lane
from indexer.store import Tx

KIND = "venue"

_ADD = text("""
    insert into gazetteer.work (kind, scope, key, lane, due, created_at)
    select :kind, venue, key, :lane, :now, :now
    from unnest(cast(:venues as text[]), cast(:keys as bytea[])) as t(venue, key)
    order by venue, key
    on conflict (kind, scope, key) do nothing
""")

_DROP = text("""
    with gone as (
        select scope, key from gazetteer.work
        where kind = :kind and lease_id is null
          and (scope, key) not in (select * from unnest(cast(:venues as text[]), cast(:keys as bytea[])))
        order by scope, key for update
    )
    delete from gazetteer.work w using gone
    where w.kind = :kind and w.scope = gone.scope and w.key = gone.key
""")

_CLAIM = text("""
    with due as (
        select key from gazetteer.work
        where kind = :kind and scope = :venue and key = :key and lease_id is null
          and (:at_once or (due <= :now and not dead))
        for update skip locked
    )
    update gazetteer.work w set lease_id = :lease_id, lease_until = :lease_until
    from due where w.kind = :kind and w.scope = :venue and w.key = due.key
    returning w.losses
""")

_FINISH = text("""
    update gazetteer.work set
        lease_id = null, lease_until = null, losses = 0, dead = false, due = :due, reason = :reason
    where kind = :kind and scope = :venue and key = any(cast(:keys as bytea[])) and lease_id = :lease_id
""")

_PUT_OFF = text("""
    with all_of_it as (
        select key from gazetteer.work
        where kind = :kind and scope = :venue and lease_id is null and due < :due
        order by key for update
    )
    update gazetteer.work w set due = :due, reason = :reason
    from all_of_it where w.kind = :kind and w.scope = :venue and w.key = all_of_it.key
""")

_DUE = text("""
    select scope as venue, convert_from(key, 'UTF8') as of from gazetteer.work
    where kind = :kind and lease_id is null and not dead and due <= :now
    order by scope, key
""")

_ALL = text("""
    select scope as venue, convert_from(key, 'UTF8') as of, due, lease_until, dead, losses, reason
    from gazetteer.work where kind = :kind
    order by scope, key
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """When a scope is due, until when somebody runs it, and why it waits or is dead."""

    venue: str
    scope: str
    due: datetime
    running_until: datetime | None
    dead: bool
    losses: int
    reason: str | None


def add(tx: Tx, scopes: Mapping[str, Sequence[str]], now: datetime) -> None:
    """These scopes of these venues have a slot; a new one is due now. Others stay: they may be another process's."""
    tx.execute(_ADD, _pairs(scopes) | {"lane": Lane.HISTORY, "now": now})


def keep(tx: Tx, scopes: Mapping[str, Sequence[str]], now: datetime) -> None:
    """Exactly these scopes of these venues have a slot; a new one is due now, one that is not wanted any more goes."""
    tx.execute(_DROP, _pairs(scopes))
    add(tx, scopes, now)


def claim(tx: Tx, venue: str, scope: str, *, lease_s: float, now: datetime, at_once: bool = False) -> Claimed | None:
    """Lease one slot if it is due, or free at all where a person wants it `at_once`. None: it is not."""
    lease_id = uuid4()
    facts = {"kind": KIND, "venue": venue, "key": scope.encode(), "now": now, "at_once": at_once}
    leased = {"lease_id": lease_id, "lease_until": now + timedelta(seconds=lease_s)}
    row = tx.execute(_CLAIM, facts | leased).one_or_none()
    if row is None:
        return None
    return Claimed(kind=KIND, scope=venue, lease_id=lease_id, keys=(scope.encode(),), losses=row.losses, full=False)


def finish(tx: Tx, claimed: Claimed, due: datetime, reason: str | None) -> bool:
    """Give the slot back until `due`; earlier losses are forgotten. False: it was not ours any more."""
    facts = {"kind": KIND, "venue": claimed.scope, "keys": list(claimed.keys), "lease_id": claimed.lease_id}
    return tx.execute(_FINISH, facts | {"due": due, "reason": reason}).rowcount > 0


def put_off(tx: Tx, venue: str, due: datetime, reason: str) -> None:
    """Nothing of this venue is due before `due`; what runs just now is not disturbed."""
    tx.execute(_PUT_OFF, {"kind": KIND, "venue": venue, "due": due, "reason": reason})


def due(tx: Tx, now: datetime) -> list[tuple[str, str]]:
    """The venues and scopes that are due and that nobody runs."""
    return [(row.venue, row.of) for row in tx.execute(_DUE, {"kind": KIND, "now": now})]


def _pairs(scopes: Mapping[str, Sequence[str]]) -> dict[str, object]:
    pairs = sorted((venue, scope.encode()) for venue, of in scopes.items() for scope in of)
    return {"kind": KIND, "venues": [venue for venue, _ in pairs], "keys": [key for _, key in pairs]}


def all_of(tx: Tx) -> list[Slot]:
    """Every slot."""
    return [
        Slot(
            venue=row.venue,
            scope=row.of,
            due=row.due,
            running_until=row.lease_until,
            dead=row.dead,
            losses=row.losses,
            reason=row.reason,
        )
        for row in tx.execute(_ALL, {"kind": KIND})
    ]
