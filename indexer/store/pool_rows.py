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


COLUMNS = (
    ("pool_key", "bytea"),
    ("emitter", "bytea"),
    ("topic0", "bytea"),
    ("dex", "text"),
    ("protocol", "text"),
    ("token0", "bytea"),
    ("token1", "bytea"),
    ("fee_ppm", "integer"),
    ("fee_kind", "text"),
    ("tick_spacing", "integer"),
    ("bin_step", "integer"),
    ("stable", "boolean"),
    ("hooks", "bytea"),
    ("deployer", "bytea"),
    ("pool_index", "bigint"),
    ("proof", "text"),
    ("block_number", "bigint"),
    ("block_hash", "bytea"),
    ("tx_hash", "bytea"),
    ("log_index", "integer"),
    ("created_at", "timestamptz"),
    ("created_at_kind", "text"),
)
"""Names and Postgres's types, in the order of `row`."""
_NAMES = ", ".join(name for name, _ in COLUMNS)
_ARRAYS = ", ".join(f"cast(:{name} as {kind}[])" for name, kind in COLUMNS)
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
    "create temporary table copied_pools (" + ", ".join(f"{name} {kind}" for name, kind in COLUMNS) + ")"
    " on commit drop",
)
_UPDATE = text(f"""
    update gazetteer.pools p set
        {", ".join(f"{name} = told.{name}" for name, _ in COLUMNS)},
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


def row(pool: PoolCreated, times: Times) -> tuple[Any, ...]:
    """A pool's values in the order of COLUMNS."""
    log = pool.log
    return (
        pool.key,
        log.address,
        log.topics[0],
        pool.dex,
        pool.protocol,
        pool.token0,
        pool.token1,
        pool.fee_ppm,
        pool.fee_kind,
        pool.tick_spacing,
        pool.bin_step,
        pool.stable,
        pool.hooks,
        pool.deployer,
        pool.pool_index,
        pool.proof,
        log.block_number,
        log.block_hash,
        log.tx_hash,
        log.log_index,
        *times.of(pool),
    )


def _arrays(pools: Sequence[PoolCreated], times: Times) -> dict[str, object]:
    columns = zip(*(row(pool, times) for pool in pools), strict=True)
    return {name: list(values) for (name, _), values in zip(COLUMNS, columns, strict=True)}


def _copy(tx: Tx, pools: Sequence[PoolCreated], times: Times) -> None:
    tx.execute(_COPIED)
    copy(tx, "copied_pools", COLUMNS, (row(pool, times) for pool in pools))
