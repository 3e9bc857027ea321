"""What is left to audit: whatever is scanned and not audited; and what the rows say of a range, to be compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text

from indexer.model import Address, ChainId, Emitter, Hash32, Log, PoolCreated, PoolKey, Scan
from indexer.model.pool import Rejected
from indexer.store import Tx, readings, scans
from indexer.store.scans import Hole

# The newest blocks of every enabled (emitter, topic0) that are scanned and not audited, nor leased. With an endpoint
# too few only those count that somebody else has read.
_NEWEST_UNAUDITED = text(f"""
    with {scans.LEASED}, others as (
        select coalesce(range_agg(ranges), '{{}}')
               - coalesce(range_agg(ranges) filter (where endpoint = any(cast(:endpoints as text[]))), '{{}}') as ranges
        from gazetteer.readings where chain_id = :chain_id
    ), holes as (
        select c.address, c.topic0,
               c.scanned * int8multirange(int8range(f.from_block, greatest(u.anchor_number + 1, f.from_block)))
               * int8multirange(int8range(cast(:floor as bigint), null))
               * case when :enough then '{{(,)}}' else o.ranges end
               - c.audited - coalesce(l.ranges, '{{}}') as ranges
        from gazetteer.coverage c
        join gazetteer.factories f using (chain_id, address)
        join gazetteer.cursors u using (chain_id)
        cross join others o
        left join leased l on l.address = c.address and l.topic0 = c.topic0
        where c.chain_id = :chain_id and f.enabled and u.halted is null
    )
    select address, topic0, lower(newest) as first, upper(newest) - 1 as last
    from holes, lateral (select r as newest from unnest(ranges) as r order by r desc limit 1) as top
""")

_CHAINS = text("""
    select distinct h.name
    from gazetteer.chains h
    join gazetteer.cursors u using (chain_id)
    join gazetteer.factories f using (chain_id)
    join gazetteer.coverage c using (chain_id, address)
    where h.enabled and f.enabled and u.halted is null
      and not c.audited @> c.scanned
         * int8multirange(int8range(greatest(f.from_block, coalesce(h.history_from, 0)), null))
    order by h.name
""")

_SHARE = text("""
    select coalesce(sum(scanned_blocks), 0)::bigint as scanned, coalesce(sum(audited_blocks), 0)::bigint as audited
    from api.coverage where enabled and chain_id = :chain_id
""")

_OURS = """
    (emitter, {topic0}) in (
        select address, topic0
        from unnest(cast(:addresses as bytea[]), cast(:topics as bytea[])) as e(address, topic0))
    and chain_id = :chain_id and block_number between :first and :last and orphaned_at is null
"""
_POOLS = text(f"select * from gazetteer.pools where {_OURS.format(topic0='topic0')} order by pool_key")
_REJECTED = text(f"""
    select * from gazetteer.rejected_logs where {_OURS.format(topic0="substring(topics for 32)")}
    order by block_hash, log_index
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unaudited:
    """A range that one worker has claimed to audit, who may have read it, and whether these are all who did."""

    scan: Scan
    readers: frozenset[str]
    all_known: bool


def claim(
    tx: Tx,
    chain_id: ChainId,
    endpoints: Sequence[str],
    *,
    witnesses: int,
    span: int,
    floor: int | None,
    lease_s: float,
    now: datetime,
) -> Unaudited | None:
    """Lease the newest range of at most `span` blocks that these endpoints can audit. None: there is none.

    `witnesses` endpoints have to have read a block. With one less at hand, it is what only others have read.
    """
    if len(endpoints) < max(witnesses - 1, 1):
        return None
    scans.wait_turn(tx, chain_id)
    told = {"chain_id": chain_id, "floor": floor or 0, "now": now, "endpoints": list(endpoints)}
    rows = tx.execute(_NEWEST_UNAUDITED, told | {"enough": len(endpoints) >= witnesses})
    holes = [Hole(key=(Address(row.address), Hash32(row.topic0)), first=row.first, last=row.last) for row in rows]
    if not holes:
        return None
    scan = scans.lease(tx, chain_id, scans.newest_range(holes, span), lease_s=lease_s, now=now)
    readers, all_known = readings.of(tx, chain_id, scan.first, scan.last)
    return Unaudited(scan=scan, readers=readers, all_known=all_known)


def chains_to_audit(tx: Tx) -> list[str]:
    """Names of the enabled chains with blocks that are scanned and not audited."""
    return [row.name for row in tx.execute(_CHAINS)]


def share(tx: Tx, chain_id: ChainId) -> tuple[int, int]:
    """Blocks up to the anchor that were listened to, and those of them that are audited: of all factories together."""
    row = tx.execute(_SHARE, {"chain_id": chain_id}).one()
    return row.scanned, row.audited


def stored(
    tx: Tx, chain_id: ChainId, first: int, last: int, emitters: Sequence[Emitter]
) -> tuple[list[PoolCreated], list[Rejected]]:
    """What these emitters announced in first..last as the rows have it. What a row does not keep of a log is empty."""
    told = {
        "chain_id": chain_id,
        "first": first,
        "last": last,
        "addresses": [emitter.factory.address for emitter in emitters],
        "topics": [emitter.topic0 for emitter in emitters],
    }
    created = [_pool(row) for row in tx.execute(_POOLS, told)]
    return created, [_rejected(row) for row in tx.execute(_REJECTED, told)]


def _pool(row: Row[Any]) -> PoolCreated:
    return PoolCreated(
        log=_log(row, (Hash32(row.topic0),), b""),
        dex=row.dex,
        protocol=row.protocol,
        key=PoolKey(row.pool_key),
        token0=Address(row.token0),
        token1=Address(row.token1),
        proof=row.proof,
        fee_ppm=row.fee_ppm,
        fee_kind=row.fee_kind,
        tick_spacing=row.tick_spacing,
        bin_step=row.bin_step,
        stable=row.stable,
        hooks=row.hooks and Address(row.hooks),
        deployer=row.deployer and Address(row.deployer),
        pool_index=row.pool_index,
        asks=row.answered_at is not None,
    )


def _rejected(row: Row[Any]) -> Rejected:
    topics = tuple(Hash32(row.topics[at : at + 32]) for at in range(0, len(row.topics), 32))
    return Rejected(log=_log(row, topics, row.data or b""), reason=row.reason)


def _log(row: Row[Any], topics: tuple[Hash32, ...], data: bytes) -> Log:
    return Log(
        block_number=row.block_number,
        block_hash=Hash32(row.block_hash),
        tx_hash=Hash32(row.tx_hash),
        log_index=row.log_index,
        address=Address(row.emitter),
        topics=topics,
        data=data,
    )
