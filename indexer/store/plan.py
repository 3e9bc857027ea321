"""What history still has to read, and what the register weighs: for plans, progress bars and people."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from indexer.model import ChainId
from indexer.store import Tx

POOLS_THAT_WEIGH = 10_000
"""From so many pools on, the register's own weight a pool is better than the one that was measured elsewhere."""

# Blocks at which at least one enabled (emitter, topic0) was not listened to: each is read once, for all that miss it.
_MISSING = text("""
    with asked as (
        select h.chain_id,
               int8multirange(int8range(low, greatest(coalesce(u.anchor_number, :anchor) + 1, low))) as wanted,
               c.scanned
        from gazetteer.chains h
        join gazetteer.factories f using (chain_id)
        join gazetteer.coverage c using (chain_id, address)
        left join gazetteer.cursors u using (chain_id)
        cross join lateral (select greatest(f.from_block, cast(:floor as bigint)) as low) l
        where h.chain_id = :chain_id and f.enabled
          and coalesce(u.anchor_number, cast(:anchor as bigint)) is not null
    ), merged as (
        select range_agg(wanted) as wanted, range_agg(wanted - scanned) as missing from asked
    )
    select (select coalesce(sum(upper(r) - lower(r)), 0)::bigint from unnest(wanted) as r) as total,
           (select coalesce(sum(upper(r) - lower(r)), 0)::bigint from unnest(missing) as r) as missing,
           (select count(*) from unnest(missing) as r) as holes,
           lower(missing) as lowest,
           upper(missing) - 1 as newest,
           lower(wanted) as first_block
    from merged
""")

# Not a block's own header, but its neighbour's time: the first pool at or above it, else the tip's time.
_TIME_OF = text("""
    select created_at from gazetteer.pools
    where chain_id = :chain_id and block_number >= :block and created_at is not null
    order by block_number, log_index limit 1
""")

_FINALITY = text("""
    select chain_id, finalized_moved_at from gazetteer.sightings
    where finalized_number is not null and finalized_moved_at is not null
""")

_POOLS = text("select count(*) from gazetteer.pools where chain_id = :chain_id")

_WEIGHT = text("""
    select (select count(*) from gazetteer.pools) as pools,
           (select coalesce(sum(pg_total_relation_size(oid)), 0)::bigint from pg_class
            where relnamespace = 'gazetteer'::regnamespace and relkind = 'r') as bytes
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Blocks of first_block..anchor, and those of them that history has to read. All None: nothing to listen to.

    `newest` is the highest missing block; everything above it, up to the anchor, was read.
    """

    total: int
    blocks: int
    holes: int
    first_block: int | None
    lowest: int | None
    newest: int | None

    @property
    def percent(self) -> float:
        """How much was read; 100 only where nothing is missing."""
        if self.total == 0:
            return 100.0
        return 100.0 if self.blocks == 0 else min(100 * (self.total - self.blocks) / self.total, 99.99)


def missing(tx: Tx, chain_id: ChainId, *, floor: int | None, anchor: int | None = None) -> Missing | None:
    """What a chain misses, not below `floor`. `anchor` counts where the chain has none; None where both are unknown."""
    row = tx.execute(_MISSING, {"chain_id": chain_id, "floor": floor or 0, "anchor": anchor}).one()
    if row.first_block is None:
        return None
    return Missing(
        total=row.total,
        blocks=row.missing,
        holes=row.holes,
        first_block=row.first_block,
        lowest=row.lowest,
        newest=row.newest,
    )


def time_near(tx: Tx, chain_id: ChainId, block: int) -> datetime | None:
    """When the first pool at or above `block` was created; None if there is none."""
    moment: datetime | None = tx.execute(_TIME_OF, {"chain_id": chain_id, "block": block}).scalar_one_or_none()
    return moment


def pools(tx: Tx, chain_id: ChainId) -> int:
    """How many pools of a chain are stored."""
    count: int = tx.execute(_POOLS, {"chain_id": chain_id}).scalar_one()
    return count


def bytes_a_pool(tx: Tx) -> float | None:
    """What one pool weighs here, with its tokens, instrument, events and indexes; None while there are few."""
    row = tx.execute(_WEIGHT).one()
    return row.bytes / row.pools if row.pools >= POOLS_THAT_WEIGH else None


def finality_moved(tx: Tx) -> dict[ChainId, datetime]:
    """When finality last moved, as the followers saw it, by chain."""
    return {row.chain_id: row.finalized_moved_at for row in tx.execute(_FINALITY)}
