"""Creation times of pools that were estimated, and how they become exact."""

from collections.abc import Sequence

from sqlalchemy import text

from indexer.model import BlockRef, ChainId, Hash32, Header
from indexer.store import Tx

_ESTIMATED = text("""
    select distinct block_number, block_hash
    from gazetteer.pools
    where chain_id = :chain_id and created_at_kind = 'estimated' and orphaned_at is null
    order by block_number desc
    limit :most
""")

_WITH_ESTIMATES = text("""
    select c.name from gazetteer.chains c
    where c.enabled and exists (
        select from gazetteer.pools p
        where p.chain_id = c.chain_id and p.created_at_kind = 'estimated' and p.orphaned_at is null)
    order by c.name
""")

# Rows whose block is not the header's are left alone: their time would be another block's.
_EXACT = text("""
    with exact as (
        select p.pool_key, h.timestamp_s
        from gazetteer.pools p
        join unnest(cast(:numbers as bigint[]), cast(:hashes as bytea[]), cast(:times as bigint[]))
             as h(number, hash, timestamp_s) on p.block_number = h.number and p.block_hash = h.hash
        where p.chain_id = :chain_id and p.created_at_kind = 'estimated'
        order by p.pool_key for update of p
    )
    update gazetteer.pools p
    set created_at = to_timestamp(exact.timestamp_s), created_at_kind = 'header'
    from exact where p.chain_id = :chain_id and p.pool_key = exact.pool_key
""")


def chains_with_estimates(tx: Tx) -> list[str]:
    """Names of the enabled chains with pools whose time is estimated."""
    return [row.name for row in tx.execute(_WITH_ESTIMATES)]


def estimated_blocks(tx: Tx, chain_id: ChainId, most: int) -> tuple[BlockRef, ...]:
    """The newest blocks that hold pools with an estimated time."""
    rows = tx.execute(_ESTIMATED, {"chain_id": chain_id, "most": most})
    return tuple(BlockRef(number=row.block_number, hash=Hash32(row.block_hash)) for row in rows)


def exact(tx: Tx, chain_id: ChainId, headers: Sequence[Header]) -> int:
    """Write the headers' own times to the pools of their blocks; returns how many rows changed."""
    ordered = sorted(headers, key=lambda header: header.number)
    result = tx.execute(
        _EXACT,
        {
            "chain_id": chain_id,
            "numbers": [header.number for header in ordered],
            "hashes": [header.hash for header in ordered],
            "times": [header.timestamp_s for header in ordered],
        },
    )
    return result.rowcount
