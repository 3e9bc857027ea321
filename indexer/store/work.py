"""What is left to do, besides history: claim, finish, put off, sweep."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import text

from indexer.model import Claimed, Lane
from indexer.store import Tx

LOSSES_ALONE = 2
LOSSES_DEAD = 5
SWEPT_AT_ONCE = 1_000

_ADD = text("""
    insert into gazetteer.work as w (kind, scope, key, lane, due, created_at)
    select :kind, :scope, key, :lane, :now, :now
    from unnest(cast(:keys as bytea[])) as k(key)
    order by key
    on conflict (kind, scope, key) do update
        set lane = least(w.lane, excluded.lane), due = least(w.due, excluded.due)
        where w.lane > excluded.lane and not w.dead
""")

# By arrays of keys, not by joins, here and below: the planner, which never knows how much work there is just now, would
# read all of a chain's rows for each key, or for each handful.
_RAISE = text("""
    with mine as (
        select key from gazetteer.work
        where kind = :kind and scope = :scope and key = any(cast(:keys as bytea[])) and lane > :lane
        order by key for update
    )
    update gazetteer.work w set lane = :lane
    where w.kind = :kind and w.scope = :scope and w.key = any(array(select key from mine))
""")

_CLAIM = """
    with due as (
        select key from gazetteer.work
        where kind = :kind and scope = :scope and lease_id is null and not dead and due <= :now
          and lane <= :slowest and {which}
        order by lane, due
        limit :limit
        for update skip locked
    )
    update gazetteer.work w set lease_id = :lease_id, lease_until = :lease_until
    where w.kind = :kind and w.scope = :scope and w.key = any(array(select key from due))
    returning w.key, w.losses
"""
_CLAIM_LOST = text(_CLAIM.format(which=f"losses >= {LOSSES_ALONE}"))
_CLAIM_MANY = text(_CLAIM.format(which=f"losses < {LOSSES_ALONE}"))

_MINE = text("""
    select key from gazetteer.work
    where kind = :kind and scope = :scope and key = any(cast(:keys as bytea[]))
      and lease_id = :lease_id and lease_until > :now
    order by key for update
""")

_DONE = text("""
    delete from gazetteer.work
    where kind = :kind and scope = :scope and key = any(cast(:keys as bytea[])) and lease_id = :lease_id
""")

_AGAIN = text("""
    with mine as (
        select key from gazetteer.work
        where kind = :kind and scope = :scope and key = any(cast(:keys as bytea[])) and lease_id = :lease_id
        order by key for update
    )
    update gazetteer.work w set lease_id = null, lease_until = null, due = :due, reason = :reason
    where w.kind = :kind and w.scope = :scope and w.key = any(array(select key from mine))
""")

_SWEEP = text(f"""
    with lost as (
        select kind, scope, key from gazetteer.work
        where lease_id is not null and lease_until <= :now
        order by kind, scope, key
        limit {SWEPT_AT_ONCE}
        for update skip locked
    )
    update gazetteer.work w set
        lease_id = null, lease_until = null, losses = w.losses + 1, due = :now,
        dead = w.losses + 1 >= {LOSSES_DEAD},
        reason = 'its worker was lost ' || (w.losses + 1) || ' times'
    from lost where w.kind = lost.kind and w.scope = lost.scope and w.key = lost.key
    returning w.dead
""")

_DUE = text("""
    select k.kind, c.name as scope, l.lane
    from (values ('token'), ('pool')) as k(kind)
    cross join gazetteer.chains c
    cross join (values (0), (1)) as l(lane)
    where exists (
        select from gazetteer.work w
        where w.kind = k.kind and w.scope = c.name and w.lane = l.lane
          and w.lease_id is null and not w.dead and w.due <= :now
    )
    order by 1, 2, 3
""")

_LEFT = text("""
    select count(*) from gazetteer.work where scope = any(cast(:scopes as text[])) and not dead
""")

_RETRY = text("""
    with gone as (
        select kind, scope, key from gazetteer.work
        where dead and (cast(:kind as text) is null or kind = :kind)
          and (cast(:scope as text) is null or scope = :scope)
          and (cast(:key as bytea) is null or key = :key)
        order by kind, scope, key for update
    )
    update gazetteer.work w set dead = false, losses = 0, due = :now, reason = 'retried by command'
    from gone where w.kind = gone.kind and w.scope = gone.scope and w.key = gone.key
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """How many expired leases came back, and how many rows died of losing too many."""

    returned: int
    dead: int


def add(tx: Tx, kind: str, scope: str, keys: Sequence[bytes], lane: Lane, now: datetime) -> None:
    """Work that is due now. A row that is there already is only raised to the faster lane."""
    if keys:
        tx.execute(_ADD, {"kind": kind, "scope": scope, "keys": sorted(keys), "lane": lane, "now": now})


def hurry(tx: Tx, kind: str, scope: str, keys: Sequence[bytes], lane: Lane) -> None:
    """Raise rows that wait in a slower lane; where there is no row, nothing is left to do."""
    if keys:
        tx.execute(_RAISE, {"kind": kind, "scope": scope, "keys": sorted(keys), "lane": lane})


def claim(
    tx: Tx,
    kind: str,
    scope: str,
    *,
    limit: int,
    lease_s: float,
    now: datetime,
    slowest: Lane = Lane.HISTORY,
) -> Claimed | None:
    """Lease what is due in `slowest` and faster lanes, live first. What has cost two leases is claimed alone, before.

    None: nothing is due there.
    """
    lease_id = uuid4()
    facts = {
        "kind": kind,
        "scope": scope,
        "lease_id": lease_id,
        "lease_until": now + timedelta(seconds=lease_s),
        "now": now,
        "slowest": slowest,
    }
    for statement, most in ((_CLAIM_LOST, 1), (_CLAIM_MANY, limit)):
        rows = tx.execute(statement, facts | {"limit": most}).all()
        if rows:
            return Claimed(
                kind=kind,
                scope=scope,
                lease_id=lease_id,
                keys=tuple(sorted(bytes(row.key) for row in rows)),
                losses=max(row.losses for row in rows),
                full=len(rows) == most,
            )
    return None


def mine(tx: Tx, claimed: Claimed, now: datetime) -> frozenset[bytes]:
    """The keys whose lease is still ours; they stay ours until the end of the transaction."""
    rows = tx.execute(_MINE, _of(claimed, claimed.keys) | {"now": now})
    return frozenset(bytes(row.key) for row in rows)


def done(tx: Tx, claimed: Claimed, keys: Sequence[bytes]) -> int:
    """Nothing is left to do for these keys; returns how many of them were still ours."""
    return tx.execute(_DONE, _of(claimed, keys)).rowcount if keys else 0


def again(tx: Tx, claimed: Claimed, keys: Sequence[bytes], due: datetime, reason: str) -> int:
    """Give these keys back, to be done at `due` or later. That is no loss: nobody's lease ran out."""
    return tx.execute(_AGAIN, _of(claimed, keys) | {"due": due, "reason": reason}).rowcount if keys else 0


def sweep(tx: Tx, now: datetime) -> Swept:
    """Take back the leases that ran out, each of them a loss; the fifth loss of a key is its death."""
    dead = [row.dead for row in tx.execute(_SWEEP, {"now": now})]
    return Swept(returned=dead.count(False), dead=dead.count(True))


def due(tx: Tx, now: datetime) -> list[tuple[str, str, Lane]]:
    """The kinds, chains and lanes that have something due, claimed by nobody."""
    return [(row.kind, row.scope, Lane(row.lane)) for row in tx.execute(_DUE, {"now": now})]


def left(tx: Tx, scopes: Sequence[str]) -> int:
    """How many rows of these chains are not done, due, later or leased; dead ones are given up and do not count."""
    count: int = tx.execute(_LEFT, {"scopes": list(scopes)}).scalar_one()
    return count


def retry(tx: Tx, now: datetime, kind: str | None = None, key: bytes | None = None, scope: str | None = None) -> int:
    """Bring dead work back, all or of one kind, key or chain; returns how many rows."""
    return tx.execute(_RETRY, {"now": now, "kind": kind, "key": key, "scope": scope}).rowcount


def _of(claimed: Claimed, keys: Sequence[bytes]) -> dict[str, object]:
    return {"kind": claimed.kind, "scope": claimed.scope, "lease_id": claimed.lease_id, "keys": sorted(keys)}
