"""Identity of what can be traded: one natural key, one hash, and what happens when two keys share one."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text

from indexer.model import ChainId, PoolCreated, instrument_hash, pool_natural_key
from indexer.store import Tx

MOST_SALTS = 8

_INSERT = text("""
    insert into gazetteer.instruments
        (natural_key, hash, hash_salt, venue, scope, asset_class, inst_class, chain_id, pool_key, first_seen)
    select natural_key, hash, :salt, venue, :scope, 'crypto', 'amm_pool', :chain_id, pool_key, :now
    from unnest(cast(:natural_keys as text[]), cast(:hashes as bigint[]), cast(:venues as text[]),
                cast(:pool_keys as bytea[])) as t(natural_key, hash, venue, pool_key)
    order by natural_key
    on conflict do nothing
    returning natural_key
""")

_KNOWN = text("select natural_key from gazetteer.instruments where natural_key = any(cast(:keys as text[]))")

_COLLISION = text("""
    insert into gazetteer.hash_collisions (natural_key, other_key, hash, seen_at)
    select :key, natural_key, hash, :now from gazetteer.instruments where hash = :hash
    on conflict (natural_key) do nothing
""")

_FORGET = text("""
    delete from gazetteer.instruments
    where chain_id = :chain_id and pool_key = any(cast(:pool_keys as bytea[]))
""")


def add_pools(tx: Tx, chain_id: ChainId, scope: str, pools: Sequence[PoolCreated], now: datetime) -> None:
    """One instrument for each of these pools, which have none; `scope` is the chain's name.

    A hash that another natural key holds is salted anew and recorded.
    """
    if not pools:
        return
    left = {pool_natural_key(scope, pool.dex, pool.key): pool for pool in pools}
    for salt in range(MOST_SALTS):
        told = _told(tx, chain_id, scope, left, salt, now)
        left = {key: pool for key, pool in left.items() if key not in told}
        if not left:
            return
        for key in sorted(left):
            tx.execute(_COLLISION, {"key": key, "hash": _signed(instrument_hash(key, salt)), "now": now})
    message = f"{MOST_SALTS} hashes of {next(iter(left))} are all taken"
    raise AssertionError(message)


def forget_pools(tx: Tx, chain_id: ChainId, pool_keys: Sequence[bytes]) -> None:
    """The instruments of keys that another emitter takes over: they were never really there."""
    if pool_keys:
        tx.execute(_FORGET, {"chain_id": chain_id, "pool_keys": sorted(pool_keys)})


def _told(
    tx: Tx,
    chain_id: ChainId,
    scope: str,
    pools: dict[str, PoolCreated],
    salt: int,
    now: datetime,
) -> set[str]:
    keys = sorted(pools)
    columns = {
        "natural_keys": keys,
        "hashes": [_signed(instrument_hash(key, salt)) for key in keys],
        "venues": [pools[key].dex for key in keys],
        "pool_keys": [pools[key].key for key in keys],
    }
    facts = {"chain_id": chain_id, "scope": scope, "salt": salt, "now": now}
    told = {row.natural_key for row in tx.execute(_INSERT, columns | facts)}
    missing = [key for key in keys if key not in told]
    if missing:
        told |= {row.natural_key for row in tx.execute(_KNOWN, {"keys": missing})}
    return told


def _signed(value: int) -> int:
    """The 64 bits as Postgres keeps them."""
    return value - 2**64 if value >= 2**63 else value
