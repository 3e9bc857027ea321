"""Who scans which missing range. A row says only who is at it; what is missing is computed, never stored."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import text

from indexer.model import Address, ChainId, Emitter, Hash32, Scan
from indexer.store import Tx, facts

_LOCK_SPACE = 0x6762  # the first key of our advisory locks for claims of history
# A claim that a crash of the server forgets is a hole again, so its commit, which everybody's next claim waits for,
# does not wait for the disk.
_LOCK = text("""
    select set_config('synchronous_commit', 'off', true), pg_advisory_xact_lock(:space, :chain)
""")

LEASED = """
    leased as (
        select decode(e.address, 'hex') as address, decode(e.topic0, 'hex') as topic0,
               range_agg(int8range(s.first_block, s.last_block, '[]')) as ranges
        from gazetteer.scans s, jsonb_to_recordset(s.emitters) as e(address text, topic0 text)
        where s.chain_id = :chain_id and s.lease_until > :now
        group by 1, 2
    )
"""
"""What is leased to somebody, of every (emitter, topic0). Parameters: chain_id, now."""

# The newest hole of every enabled (emitter, topic0): its blocks up to the anchor, less what was listened to, less
# what is leased to somebody.
_NEWEST_HOLES = text(f"""
    with {LEASED}, holes as (
        select c.address, c.topic0,
               int8multirange(int8range(f.from_block, greatest(u.anchor_number + 1, f.from_block)))
               * int8multirange(int8range(cast(:floor as bigint), null))
               - c.scanned - coalesce(l.ranges, '{{}}') as ranges
        from gazetteer.coverage c
        join gazetteer.factories f using (chain_id, address)
        join gazetteer.cursors u using (chain_id)
        left join leased l on l.address = c.address and l.topic0 = c.topic0
        where c.chain_id = :chain_id and f.enabled
    )
    select address, topic0, lower(newest) as first, upper(newest) - 1 as last
    from holes, lateral (select r as newest from unnest(ranges) as r order by r desc limit 1) as top
""")

_CLAIM = text("""
    insert into gazetteer.scans (lease_id, chain_id, first_block, last_block, emitters, lease_until)
    select :lease_id, :chain_id, :first, :last,
           jsonb_agg(jsonb_build_object('address', encode(address, 'hex'), 'topic0', encode(topic0, 'hex'))),
           :lease_until
    from unnest(cast(:addresses as bytea[]), cast(:topics as bytea[])) as e(address, topic0)
""")

_MINE = text("select 1 from gazetteer.scans where lease_id = :lease_id and lease_until > :now for update")
_HOLD = text("""
    update gazetteer.scans set first_block = :first, last_block = :last, lease_until = :until
    where lease_id = :lease_id
""")
_RELEASE = text("delete from gazetteer.scans where lease_id = :lease_id")
_SWEEP = text("""
    delete from gazetteer.scans where lease_id in (
        select lease_id from gazetteer.scans where lease_until <= :now order by lease_id for update skip locked
    )
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hole:
    """The newest blocks that one (emitter, topic0) was not listened to."""

    key: tuple[Address, Hash32]
    first: int
    last: int


def claim(tx: Tx, chain_id: ChainId, *, span: int, floor: int | None, lease_s: float, now: datetime) -> Scan | None:
    """Lease the newest missing range of at most `span` blocks, not below `floor`, to the caller. None: no hole."""
    wait_turn(tx, chain_id)
    holes = newest_holes(tx, chain_id, floor, now)
    return lease(tx, chain_id, newest_range(holes, span), lease_s=lease_s, now=now) if holes else None


def wait_turn(tx: Tx, chain_id: ChainId) -> None:
    """One claim of a chain's blocks at a time, until the end of the transaction."""
    tx.execute(_LOCK, {"space": _LOCK_SPACE, "chain": chain_id % 2**31})


def lease(
    tx: Tx,
    chain_id: ChainId,
    blocks: tuple[int, int, frozenset[tuple[Address, Hash32]]],
    *,
    lease_s: float,
    now: datetime,
) -> Scan:
    """Lease first..last of these (emitter, topic0) to the caller, who holds the turn and knows that they are free."""
    first, last, keys = blocks
    scan = Scan(
        chain_id=chain_id,
        lease_id=uuid4(),
        first=first,
        last=last,
        emitters=tuple(emitter for emitter in facts.watched(tx, chain_id) if emitter.key in keys),
        lease_until=now + timedelta(seconds=lease_s),
    )
    tx.execute(_CLAIM, _row(scan))
    return scan


def newest_holes(tx: Tx, chain_id: ChainId, floor: int | None, now: datetime) -> list[Hole]:
    """One hole for every enabled (emitter, topic0) that has one."""
    rows = tx.execute(_NEWEST_HOLES, {"chain_id": chain_id, "floor": floor or 0, "now": now})
    return [Hole(key=(Address(row.address), Hash32(row.topic0)), first=row.first, last=row.last) for row in rows]


def newest_range(holes: Sequence[Hole], span: int) -> tuple[int, int, frozenset[tuple[Address, Hash32]]]:
    """First and last block of the newest range, and the keys that miss all of it while no other key misses any."""
    last = max(hole.last for hole in holes)
    here = [hole for hole in holes if hole.last == last]
    first = max([last - span + 1, *(hole.first for hole in here)])
    first = max([first, *(hole.last + 1 for hole in holes if hole.last < last)])
    return first, last, frozenset(hole.key for hole in here)


def mine(tx: Tx, scan: Scan, now: datetime) -> bool:
    """Whether the lease is still ours; if so it stays ours until the end of the transaction."""
    return tx.execute(_MINE, {"lease_id": scan.lease_id, "now": now}).one_or_none() is not None


def hold(tx: Tx, lease_id: UUID, first: int, last: int, until: datetime) -> None:
    """Only this part of the lease goes on, up to `until`, so that nobody takes it up before."""
    tx.execute(_HOLD, {"lease_id": lease_id, "first": first, "last": last, "until": until})


def release(tx: Tx, lease_id: UUID) -> None:
    """The lease is over: its range was covered, or is a hole again."""
    tx.execute(_RELEASE, {"lease_id": lease_id})


def sweep(tx: Tx, now: datetime) -> int:
    """Remove leases that ran out; returns how many."""
    return tx.execute(_SWEEP, {"now": now}).rowcount


def _row(scan: Scan) -> dict[str, object]:
    keys: list[tuple[Address, Hash32]] = sorted(_key(emitter) for emitter in scan.emitters)
    return {
        "lease_id": scan.lease_id,
        "chain_id": scan.chain_id,
        "first": scan.first,
        "last": scan.last,
        "lease_until": scan.lease_until,
        "addresses": [address for address, _ in keys],
        "topics": [topic for _, topic in keys],
    }


def _key(emitter: Emitter) -> tuple[Address, Hash32]:
    return emitter.key
