"""Pools as rows: their columns, and how many of them travel to Postgres at once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text

from indexer.errors import Moved
from indexer.model import ChainId, PoolCreated
from indexer.store import Tx
from indexer.store.copying import copy

COPY_FROM = 300  # rows from which COPY through a temporary table is cheaper than arrays


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """When blocks happened, Unix seconds: headers that were read, and an estimate for all others (or none)."""

    headers: Mapping[int, int]
    estimate: Callable[[int], int] | None = None

    def of(self, created: PoolCreated) -> tuple[datetime | None, str | None]:
        """The pool's creation time and how it is known."""
        number = created.log.block_number
        if created.log.timestamp_s is not None:
            return datetime.fromtimestamp(created.log.timestamp_s, UTC), "log"
        if number in self.headers:
            return datetime.fromtimestamp(self.headers[number], UTC), "header"
        if self.estimate is not None:
            return datetime.fromtimestamp(self.estimate(number), UTC), "estimated"
        return None, None


_Getter = Callable[[PoolCreated, Times], Any]
_COLUMNS: tuple[tuple[str, str, _Getter], ...] = (
    ("pool_key", "bytea", lambda pool, _: pool.key),
    ("emitter", "bytea", lambda pool, _: pool.log.address),
    ("topic0", "bytea", lambda pool, _: pool.log.topics[0]),
    ("dex", "text", lambda pool, _: pool.dex),
    ("protocol", "text", lambda pool, _: pool.protocol),
    ("token0", "bytea", lambda pool, _: pool.token0),
    ("token1", "bytea", lambda pool, _: pool.token1),
    ("fee_ppm", "integer", lambda pool, _: pool.fee_ppm),
    ("fee_kind", "text", lambda pool, _: pool.fee_kind),
    ("tick_spacing", "integer", lambda pool, _: pool.tick_spacing),
    ("bin_step", "integer", lambda pool, _: pool.bin_step),
    ("stable", "boolean", lambda pool, _: pool.stable),
    ("hooks", "bytea", lambda pool, _: pool.hooks),
    ("deployer", "bytea", lambda pool, _: pool.deployer),
    ("pool_index", "bigint", lambda pool, _: pool.pool_index),
    ("proof", "text", lambda pool, _: pool.proof),
    ("block_number", "bigint", lambda pool, _: pool.log.block_number),
    ("block_hash", "bytea", lambda pool, _: pool.log.block_hash),
    ("tx_hash", "bytea", lambda pool, _: pool.log.tx_hash),
    ("log_index", "integer", lambda pool, _: pool.log.log_index),
    ("created_at", "timestamptz", lambda pool, times: times.of(pool)[0]),
    ("created_at_kind", "text", lambda pool, times: times.of(pool)[1]),
)
_NAMES = ", ".join(name for name, _, _ in _COLUMNS)
_ARRAYS = ", ".join(f"cast(:{name} as {kind}[])" for name, kind, _ in _COLUMNS)
_TOLD = f"(select * from unnest({_ARRAYS}) as t({_NAMES}))"

_INSERT = """
    insert into gazetteer.pools (chain_id, {names}, first_seen, source)
    select :chain_id, {names}, :now, :source from {told} as told
    order by pool_key
    on conflict (chain_id, pool_key) do nothing
"""
_INSERT_ARRAYS = text(_INSERT.format(names=_NAMES, told=_TOLD))
_INSERT_COPIED = text(_INSERT.format(names=_NAMES, told="copied_pools"))
_COPIED = text(
    "create temporary table copied_pools (" + ", ".join(f"{name} {kind}" for name, kind, _ in _COLUMNS) + ")"
    " on commit drop",
)
_UPDATE = text(f"""
    update gazetteer.pools p set
        {", ".join(f"{name} = told.{name}" for name, _, _ in _COLUMNS)},
        source = :source, orphaned_at = null, answered_block = null, answered_at = null
    from {_TOLD} as told
    where p.chain_id = :chain_id and p.pool_key = told.pool_key
""")


def insert(
    tx: Tx,
    chain_id: ChainId,
    pools: Sequence[PoolCreated],
    times: Times,
    *,
    source: str,
    now: datetime,
) -> None:
    """New rows. Raises Moved if one of the keys was taken by somebody else since it was looked for."""
    if not pools:
        return
    ordered = sorted(pools, key=lambda pool: pool.key)
    facts: dict[str, object] = {"chain_id": chain_id, "source": source, "now": now}
    if len(ordered) >= COPY_FROM:
        _copy(tx, ordered, times)
        inserted = tx.execute(_INSERT_COPIED, facts).rowcount
    else:
        inserted = tx.execute(_INSERT_ARRAYS, facts | _arrays(ordered, times)).rowcount
    if inserted != len(ordered):
        message = f"{len(ordered) - inserted} pool keys were announced elsewhere at the same time"
        raise Moved(message)


def rewrite(tx: Tx, chain_id: ChainId, pools: Sequence[PoolCreated], times: Times, *, source: str) -> None:
    """Locked rows take over every fact of another announcement of the same key, and are alive again."""
    if pools:
        tx.execute(_UPDATE, {"chain_id": chain_id, "source": source} | _arrays(pools, times))


def _arrays(pools: Sequence[PoolCreated], times: Times) -> dict[str, object]:
    return {name: [getter(pool, times) for pool in pools] for name, _, getter in _COLUMNS}


def _copy(tx: Tx, pools: Sequence[PoolCreated], times: Times) -> None:
    tx.execute(_COPIED)
    rows = ([getter(pool, times) for _, _, getter in _COLUMNS] for pool in pools)
    copy(tx, "copied_pools", [(name, kind) for name, kind, _ in _COLUMNS], rows)
