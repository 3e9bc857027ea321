"""Take a chain back to one of its blocks: what that costs, and all of it in one transaction."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from indexer.model import BlockRef, ChainId, Hash32, Header, Lane
from indexer.store import Tx, facts, scans, tokens, work

_WHERE = text("""
    select tip_number, anchor_number, halted from gazetteer.cursors where chain_id = :chain_id
""")
_HOLD = text("select 1 from gazetteer.cursors where chain_id = :chain_id for update")

_POOLS = text("""
    select dex, count(*) as pools from gazetteer.pools
    where chain_id = :chain_id and block_number > :block and orphaned_at is null
    group by dex order by dex
""")

_REST = text("""
    select
        (select count(*) from gazetteer.rejected_logs
         where chain_id = :chain_id and block_number > :block and orphaned_at is null) as rejected,
        (select coalesce(sum(upper(part) - lower(part)), 0)::bigint
         from gazetteer.coverage, unnest(scanned * int8multirange(int8range(:block + 1, null))) as part
         where chain_id = :chain_id) as scanned,
        (select coalesce(sum(upper(part) - lower(part)), 0)::bigint
         from gazetteer.coverage, unnest(audited * int8multirange(int8range(:block + 1, null))) as part
         where chain_id = :chain_id) as audited,
        (select count(*) from gazetteer.tokens where chain_id = :chain_id and pin_number > :block) as tokens,
        (select count(*) from gazetteer.pools
         where chain_id = :chain_id and block_number <= :block and answered_block > :block
           and orphaned_at is null) as asks,
        (select count(*) from gazetteer.scans where chain_id = :chain_id)
        + (select count(*) from gazetteer.work w join gazetteer.chains c on c.name = w.scope
           where c.chain_id = :chain_id and w.kind in ('token', 'pool') and w.lease_id is not null) as leases
""")

_NEWEST_BELOW = text("""
    select block_number, block_hash from gazetteer.pools
    where chain_id = :chain_id and block_number <= :block and orphaned_at is null
    group by block_number, block_hash
    order by block_number desc
    limit :most
""")

_SCANS = text("""
    delete from gazetteer.scans where lease_id in (
        select lease_id from gazetteer.scans where chain_id = :chain_id order by lease_id for update)
""")

_ORPHANED = text("""
    with gone as (
        select pool_key from gazetteer.pools
        where chain_id = :chain_id and block_number > :block and orphaned_at is null
        order by pool_key
        for update
    ), orphaned as (
        update gazetteer.pools p set orphaned_at = :now
        from gone where p.chain_id = :chain_id and p.pool_key = gone.pool_key
        returning p.pool_key, p.block_number, p.log_index
    )
    insert into gazetteer.events (kind, chain_id, subject, block_number, source, at)
    select 'pool.orphaned', :chain_id, pool_key, block_number, 'rewind', :now
    from orphaned order by block_number, log_index
""")

_TO_ASK = text("""
    select pool_key from gazetteer.pools
    where chain_id = :chain_id and block_number <= :block and answered_block > :block and orphaned_at is null
    order by pool_key
""")

_LEASES = text("""
    with held as (
        select kind, key from gazetteer.work
        where scope = :scope and kind in ('token', 'pool') and lease_id is not null
        order by kind, scope, key
        for update
    )
    update gazetteer.work w set lease_id = null, lease_until = null, due = :now, reason = 'the chain was rewound'
    from held where w.kind = held.kind and w.scope = :scope and w.key = held.key
""")

_REJECTED = text("""
    with gone as (
        select block_hash, log_index from gazetteer.rejected_logs
        where chain_id = :chain_id and block_number > :block and orphaned_at is null
        order by block_hash, log_index
        for update
    )
    update gazetteer.rejected_logs r set orphaned_at = :now
    from gone where r.chain_id = :chain_id and r.block_hash = gone.block_hash and r.log_index = gone.log_index
""")

_COVERAGE = text("""
    with held as (
        select address, topic0 from gazetteer.coverage where chain_id = :chain_id order by address, topic0 for update
    )
    update gazetteer.coverage c set
        scanned = c.scanned * int8multirange(int8range(null, :block, '[]')),
        audited = c.audited * int8multirange(int8range(null, :block, '[]')),
        listened_from = null
    from held where c.chain_id = :chain_id and c.address = held.address and c.topic0 = held.topic0
""")

_READINGS = text("""
    with held as (
        select endpoint from gazetteer.readings where chain_id = :chain_id order by endpoint for update
    )
    update gazetteer.readings r set ranges = r.ranges * int8multirange(int8range(null, :block, '[]'))
    from held where r.chain_id = :chain_id and r.endpoint = held.endpoint
""")

_CURSOR = text("""
    update gazetteer.cursors set
        tip_number = :block, tip_hash = :hash, anchor_number = :block, anchor_hash = :hash, halted = null,
        tip_at = :now, tip_block_at = to_timestamp(:block_s), rewinds = rewinds + 1
    where chain_id = :chain_id
""")
_FORGET = text("delete from gazetteer.checkpoints where chain_id = :chain_id")
_REMEMBER = text("insert into gazetteer.checkpoints (chain_id, number, hash) values (:chain_id, :block, :hash)")

# What was seen is of the chain as it was; the follower tells anew.
_SIGHTINGS = text("""
    update gazetteer.sightings set
        head_number = null, head_block_at = null, safe_number = null, finalized_number = null,
        finalized_moved_at = null
    where chain_id = :chain_id
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a chain stands before it is taken back."""

    tip: int
    anchor: int
    halted: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What a rewind takes back. `pools` by dex; `scanned` and `audited` in blocks, summed over all that is listened to.

    `tokens` and `asks` are tokens and pools below that were asked above, and are asked again; `leases` are those of
    workers in the middle of something, who will write nothing.
    """

    tip: int
    pools: Mapping[str, int]
    rejected: int
    scanned: int
    audited: int
    tokens: int
    asks: int
    leases: int


def standing(tx: Tx, chain_id: ChainId) -> Standing | None:
    """None for a chain that was never followed."""
    row = tx.execute(_WHERE, {"chain_id": chain_id}).one_or_none()
    return None if row is None else Standing(tip=row.tip_number, anchor=row.anchor_number, halted=row.halted)


def newest_below(tx: Tx, chain_id: ChainId, block: int, most: int) -> list[BlockRef]:
    """The newest `most` blocks up to `block` that hold pools, as their rows name them; newest first."""
    rows = tx.execute(_NEWEST_BELOW, {"chain_id": chain_id, "block": block, "most": most})
    return [BlockRef(number=row.block_number, hash=Hash32(row.block_hash)) for row in rows]


def loss(tx: Tx, chain_id: ChainId, block: int) -> Loss | None:
    """What taking the chain back to `block` would take; None for a chain that was never followed."""
    where = standing(tx, chain_id)
    if where is None:
        return None
    told = {"chain_id": chain_id, "block": block}
    pools = {row.dex: row.pools for row in tx.execute(_POOLS, told)}
    rest = tx.execute(_REST, told).one()
    return Loss(tip=where.tip, pools=pools, **rest._mapping)  # noqa: SLF001 - a row's public mapping


def take_back(tx: Tx, chain_id: ChainId, to: Header, now: datetime) -> Loss | None:
    """Tip and anchor become `to`, and nothing above it is left. Returns what was taken."""
    told = {"chain_id": chain_id, "block": to.number, "now": now}
    tx.execute(_HOLD, told)
    scans.wait_turn(tx, chain_id)
    taken = loss(tx, chain_id, to.number)
    if taken is None:
        return None
    at = told | {"hash": to.hash, "block_s": to.timestamp_s}
    for statement in (_CURSOR, _FORGET, _REMEMBER, _SCANS):
        tx.execute(statement, at)
    chain = facts.chain_name(tx, chain_id)
    asks = [bytes(row.pool_key) for row in tx.execute(_TO_ASK, told)]
    tx.execute(_ORPHANED, told)
    doubted = tokens.doubt(tx, chain_id, to.number)
    tx.execute(_LEASES, {"scope": chain, "now": now})
    work.add(tx, "pool", chain, asks, Lane.HISTORY, now)
    work.add(tx, "token", chain, doubted, Lane.HISTORY, now)
    for statement in (_REJECTED, _COVERAGE, _READINGS, _SIGHTINGS):
        tx.execute(statement, told)
    return taken
