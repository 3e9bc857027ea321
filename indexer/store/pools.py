"""Pools as their factories announced them: rows made equal to what the chain says, and what was asked later."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Row, text

from indexer.model import BlockRef, ChainId, Emitter, Factory, Lane, PoolAnswers, PoolCreated, PoolKey
from indexer.model.pool import Rejected
from indexer.store import Tx, facts, instruments, pool_rows, rejected, tokens, work
from indexer.store.pool_rows import Times

_Row = Row[tuple[bytes, bytes, bytes, int, bytes, bytes, int, str, bool]]

# Rows that hold one of the announced keys, and rows that the answer should have held; locked in key order.
_THERE = text("""
    with keys as (
        select cast(unnest(cast(:keys as bytea[])) as bytea) as pool_key
        union
        select p.pool_key
        from gazetteer.pools p
        where p.chain_id = :chain_id and p.block_number between :first and :last and p.orphaned_at is null
          and (p.emitter, p.topic0) in (
              select address, topic0
              from unnest(cast(:emitters as bytea[]), cast(:topics as bytea[])) as e(address, topic0))
    )
    select p.pool_key, p.emitter, p.topic0, p.block_number, p.block_hash, p.tx_hash, p.log_index, p.source,
           p.orphaned_at is not null as orphaned
    from gazetteer.pools p join keys using (pool_key)
    where p.chain_id = :chain_id
    order by p.pool_key
    for update of p
""")

# A row is not certain where its block is a hole: the head wrote it on a branch that may have lost, and did not come
# back. Asked when the rows are locked, so that it sees the coverage that came with them.
_CERTAIN = text("""
    select p.pool_key
    from gazetteer.pools p
    join gazetteer.coverage c on c.chain_id = p.chain_id and c.address = p.emitter and c.topic0 = p.topic0
    where p.chain_id = :chain_id and p.pool_key = any(cast(:keys as bytea[]))
      and (c.scanned @> p.block_number or c.listened_from <= p.block_number)
""")

_ORPHAN = text("""
    update gazetteer.pools set orphaned_at = :now
    where chain_id = :chain_id and pool_key = any(cast(:keys as bytea[]))
""")

_EVENTS = text("""
    insert into gazetteer.events (kind, chain_id, subject, block_number, source, at)
    select kind, :chain_id, subject, block_number, :source, :now
    from unnest(cast(:kinds as text[]), cast(:subjects as bytea[]), cast(:blocks as bigint[]))
         as t(kind, subject, block_number)
""")

# A head row is final once coverage holds its block; the same condition, so that it is told exactly once.
_FINALIZED = text("""
    insert into gazetteer.events (kind, chain_id, subject, block_number, source, at)
    select 'pool.finalized', p.chain_id, p.pool_key, p.block_number, 'head', :now
    from gazetteer.pools p
    join gazetteer.coverage c on c.chain_id = p.chain_id and c.address = p.emitter and c.topic0 = p.topic0
    where p.chain_id = :chain_id and p.block_number between :first and :last
      and p.source = 'head' and p.orphaned_at is null and c.listened_from <= p.block_number
    order by p.block_number, p.log_index
""")

# Whoever loses what was covered reads it again: that is no news to those who were told before.
_TOLD_FINAL = text("""
    select subject from gazetteer.events
    where kind = 'pool.finalized' and chain_id = :chain_id
      and ('0x' || encode(subject, 'hex')) = any(cast(:subjects as text[]))
""")

_TO_ASK = text("""
    select pool_key, emitter from gazetteer.pools
    where chain_id = :chain_id and pool_key = any(cast(:keys as bytea[]))
    order by pool_key
""")

_HOLD = text("""
    select pool_key, block_number, orphaned_at is null as alive from gazetteer.pools
    where chain_id = :chain_id and pool_key = any(cast(:keys as bytea[]))
    order by pool_key
    for update
""")

_ANSWER = text("""
    with told as (
        select * from unnest(cast(:keys as bytea[]), cast(:tick_spacings as integer[]), cast(:fees as integer[]),
                             cast(:fee_kinds as text[])) as t(pool_key, tick_spacing, fee_ppm, fee_kind)
    ), locked as (
        select p.pool_key from gazetteer.pools p join told using (pool_key)
        where p.chain_id = :chain_id order by p.pool_key for update of p
    )
    update gazetteer.pools p set
        tick_spacing = coalesce(told.tick_spacing, p.tick_spacing),
        fee_ppm = case when told.fee_kind is null then p.fee_ppm else told.fee_ppm end,
        fee_kind = coalesce(told.fee_kind, p.fee_kind),
        answered_block = :block, answered_at = :now
    from told join locked using (pool_key)
    where p.chain_id = :chain_id and p.pool_key = told.pool_key
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What came of a range: rows new, alive again, moved to another block, orphaned; tokens and pools left to ask."""

    new: int
    revived: int
    moved: int
    orphaned: int
    tokens: int
    asks: int


@dataclass(slots=True)
class _Plan:
    new: list[PoolCreated] = field(default_factory=list)
    revived: list[PoolCreated] = field(default_factory=list)
    moved: list[PoolCreated] = field(default_factory=list)
    taken: list[bytes] = field(default_factory=list)  # keys that another emitter held
    ousted: list[_Row] = field(default_factory=list)  # rows of later announcements, which stand on the chain too
    confirmed: list[PoolCreated] = field(default_factory=list)  # head rows that a final reading found in place
    rejected: list[Rejected] = field(default_factory=list)
    orphaned: list[_Row] = field(default_factory=list)

    @property
    def written(self) -> list[PoolCreated]:
        return self.new + self.revived + self.moved


def settle(
    tx: Tx,
    chain_id: ChainId,
    first: int,
    last: int,
    created: Sequence[PoolCreated],
    refused: Sequence[Rejected],
    *,
    emitters: Sequence[Emitter],
    source: str,
    times: Times,
    until: int | None,
    now: datetime,
) -> Settled:
    """Make the rows of `emitters` in first..last equal to the answer: new rows in, absent ones orphaned.

    `until`: the newest block that a fork took back, None where there was none; what was there in the blocks after
    `last` is orphaned too, and answers of tokens from lost blocks are in doubt. Raises Moved if one of the keys
    appeared elsewhere meanwhile.
    """
    upper = last if until is None else max(last, until)
    found = tx.execute(
        _THERE,
        {
            "chain_id": chain_id,
            "first": first,
            "last": upper,
            "keys": sorted({pool.key for pool in created}),
            "emitters": [emitter.factory.address for emitter in emitters],
            "topics": [emitter.topic0 for emitter in emitters],
        },
    )
    there = {bytes(row.pool_key): row for row in found}
    answered = _Answered(range(first, upper + 1), frozenset(emitter.key for emitter in emitters))
    plan = _plan(created, there, answered, _standing(tx, chain_id, there, answered))
    _write_pools(tx, chain_id, plan, times, source, now)
    doubted = tokens.doubt(tx, chain_id, first - 1) if until is not None else []
    asked, asks = _write_work(tx, chain_id, plan, doubted, source, now)
    rejected.settle(tx, chain_id, first, upper, [*refused, *plan.rejected], emitters=emitters, now=now)
    rejected.oust(tx, chain_id, plan.ousted, now)
    _tell(tx, chain_id, plan, source, now)
    return Settled(
        new=len(plan.new),
        revived=len(plan.revived),
        moved=len(plan.moved),
        orphaned=len(plan.orphaned),
        tokens=asked,
        asks=asks,
    )


@dataclass(frozen=True, slots=True)
class _Answered:
    """What an answer is about: these blocks of these (emitter, topic0). It says all there is to say of them."""

    blocks: range
    emitters: frozenset[tuple[bytes, bytes]]

    def covers(self, row: _Row) -> bool:
        return row.block_number in self.blocks and (row.emitter, row.topic0) in self.emitters


def _standing(tx: Tx, chain_id: ChainId, there: Mapping[bytes, _Row], answered: _Answered) -> frozenset[bytes]:
    """The keys of rows that stand whatever the answer says: alive and certain, and the answer is not about them."""
    keys = sorted(key for key, row in there.items() if not row.orphaned and not answered.covers(row))
    if not keys:
        return frozenset()
    return frozenset(bytes(row.pool_key) for row in tx.execute(_CERTAIN, {"chain_id": chain_id, "keys": keys}))


def _plan(
    created: Sequence[PoolCreated],
    there: Mapping[bytes, _Row],
    answered: _Answered,
    standing: frozenset[bytes],
) -> _Plan:
    """Decide, for each announcement and each row that is there, what becomes of it.

    The earliest announcement on the chain wins, in whatever order they became known.
    """
    plan = _Plan()
    told: dict[bytes, PoolCreated] = {}
    for pool in sorted(created, key=_order):
        row = there.get(pool.key)
        holder = told.get(pool.key)
        if holder is not None:
            plan.rejected.append(_already(pool, holder.log.address, holder.log.block_number))
        elif row is None:
            plan.new.append(told.setdefault(pool.key, pool))
        elif pool.key in standing and (row.block_number, row.log_index) < _order(pool):
            plan.rejected.append(_already(pool, row.emitter, row.block_number))
        else:
            _replace(plan, told.setdefault(pool.key, pool), row, answered)
    plan.orphaned = [row for key, row in there.items() if key not in told and not row.orphaned and answered.covers(row)]
    return plan


def _replace(plan: _Plan, pool: PoolCreated, row: _Row, answered: _Answered) -> None:
    stranger = row.emitter != pool.log.address
    if stranger:
        plan.taken.append(pool.key)
    if row.orphaned:
        plan.revived.append(pool)
    elif stranger or _place(row) != (pool.log.block_hash, pool.log.tx_hash, pool.log.log_index):
        plan.moved.append(pool)
        if not answered.covers(row):
            plan.ousted.append(row)
    elif row.source == "head":
        plan.confirmed.append(pool)


def _order(pool: PoolCreated) -> tuple[int, int]:
    return pool.log.block_number, pool.log.log_index


def _place(row: _Row) -> tuple[bytes, bytes, int]:
    return row.block_hash, row.tx_hash, row.log_index


def _already(pool: PoolCreated, emitter: bytes, block: int) -> Rejected:
    return Rejected(log=pool.log, reason=f"pool key already announced by 0x{emitter.hex()} in block {block}")


def _write_pools(tx: Tx, chain_id: ChainId, plan: _Plan, times: Times, source: str, now: datetime) -> None:
    pool_rows.insert(tx, chain_id, plan.new, times, source=source, now=now)
    pool_rows.rewrite(tx, chain_id, plan.revived + plan.moved, times, source=source)
    if plan.orphaned:
        keys = sorted(bytes(row.pool_key) for row in plan.orphaned)
        tx.execute(_ORPHAN, {"chain_id": chain_id, "keys": keys, "now": now})


def _write_work(
    tx: Tx,
    chain_id: ChainId,
    plan: _Plan,
    doubted: Sequence[bytes],
    source: str,
    now: datetime,
) -> tuple[int, int]:
    """Tokens, instruments and work of what was written; returns how many tokens and pools are left to ask."""
    written = plan.written
    if not written and not doubted:
        return 0, 0
    lane = Lane.LIVE if source == "head" else Lane.HISTORY
    chain: str = facts.chain_name(tx, chain_id)
    sides = {side for pool in written for side in (pool.token0, pool.token1)}
    fresh = tokens.seen(tx, chain_id, sorted(sides), now)
    instruments.forget_pools(tx, chain_id, plan.taken)
    taken = set(plan.taken)
    again = (pool for pool in plan.revived + plan.moved if pool.key in taken)
    instruments.add_pools(tx, chain_id, chain, [*plan.new, *again], now)
    asks = [pool.key for pool in written if pool.asks]
    work.add(tx, "pool", chain, asks, lane, now)
    work.add(tx, "token", chain, fresh, lane, now)
    # during a backfill a fork puts thousands of answers in doubt, each to be confirmed alone: new tokens go before them
    work.add(tx, "token", chain, doubted, Lane.HISTORY, now)
    if lane is Lane.LIVE:
        work.hurry(tx, "token", chain, sorted(sides.difference(fresh)), lane)
    return len(fresh), len(asks)


def _tell(tx: Tx, chain_id: ChainId, plan: _Plan, source: str, now: datetime) -> None:
    told = [("pool.orphaned", bytes(row.pool_key), row.block_number) for row in plan.orphaned]
    for kind, group in (
        ("pool.created", plan.new),
        ("pool.revived", plan.revived),
        ("pool.moved", plan.moved),
        ("pool.finalized", _news_of_finality(tx, chain_id, plan.confirmed) if source == "history" else ()),
    ):
        told += [(kind, pool.key, pool.log.block_number) for pool in group]
    if told:
        tx.execute(
            _EVENTS,
            {
                "chain_id": chain_id,
                "source": source,
                "now": now,
                "kinds": [kind for kind, _, _ in told],
                "subjects": [subject for _, subject, _ in told],
                "blocks": [block for _, _, block in told],
            },
        )


def _news_of_finality(tx: Tx, chain_id: ChainId, confirmed: Sequence[PoolCreated]) -> list[PoolCreated]:
    if not confirmed:
        return []
    subjects = ["0x" + pool.key.hex() for pool in confirmed]
    told = {bytes(row.subject) for row in tx.execute(_TOLD_FINAL, {"chain_id": chain_id, "subjects": subjects})}
    return [pool for pool in confirmed if pool.key not in told]


def finalize(tx: Tx, chain_id: ChainId, above: int, to: int, now: datetime) -> int:
    """Tell of the head's pools in (above, to], which the anchor has passed; returns how many."""
    return tx.execute(_FINALIZED, {"chain_id": chain_id, "first": above + 1, "last": to, "now": now}).rowcount


def to_ask(tx: Tx, chain_id: ChainId, keys: Sequence[bytes]) -> list[tuple[PoolKey, Factory]]:
    """The pools among `keys`, with their factories."""
    rows = tx.execute(_TO_ASK, {"chain_id": chain_id, "keys": sorted(keys)}).all()
    factories = facts.factories_of(tx, chain_id, [bytes(row.emitter) for row in rows])
    return [(PoolKey(bytes(row.pool_key)), factories[bytes(row.emitter)]) for row in rows]


def hold(tx: Tx, chain_id: ChainId, keys: Sequence[bytes]) -> dict[bytes, int]:
    """The blocks of the living pools among `keys`; all rows stay locked, so that none moves or comes back."""
    rows = tx.execute(_HOLD, {"chain_id": chain_id, "keys": sorted(keys)})
    return {bytes(row.pool_key): row.block_number for row in rows if row.alive}


def answer(
    tx: Tx,
    chain_id: ChainId,
    told: Sequence[tuple[PoolKey, PoolAnswers]],
    pin: BlockRef,
    now: datetime,
) -> None:
    """Write what pools said at `pin`; what they did not say stays as it was announced."""
    if not told:
        return
    ordered = sorted(told, key=lambda pair: pair[0])
    tx.execute(
        _ANSWER,
        {
            "chain_id": chain_id,
            "block": pin.number,
            "now": now,
            "keys": [key for key, _ in ordered],
            "tick_spacings": [answers.tick_spacing for _, answers in ordered],
            "fees": [answers.fee_ppm for _, answers in ordered],
            "fee_kinds": [answers.fee_kind for _, answers in ordered],
        },
    )
