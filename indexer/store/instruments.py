"""Identity of what can be traded: one natural key, one hash, and what happens when two keys share one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from indexer.model import ChainId, PoolCreated, instrument_hash, pool_natural_key
from indexer.store import Tx

MOST_SALTS = 8

_INSERT = text("""
    insert into gazetteer.instruments
        (natural_key, hash, hash_salt, venue, scope, asset_class, inst_class, chain_id, pool_key, first_seen)
    select natural_key, hash, :salt, venue, :scope, asset_class, inst_class, cast(:chain_id as bigint), pool_key, :now
    from unnest(cast(:natural_keys as text[]), cast(:hashes as bigint[]), cast(:venues as text[]),
                cast(:asset_classes as text[]), cast(:inst_classes as text[]), cast(:pool_keys as bytea[]))
         as t(natural_key, hash, venue, asset_class, inst_class, pool_key)
    order by natural_key
    on conflict do nothing
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """What an instrument is, besides its natural key. None: nobody says. `pool_key` of a pool only."""

    venue: str
    asset_class: str | None
    inst_class: str | None
    pool_key: bytes | None = None


def add_pools(tx: Tx, chain_id: ChainId, scope: str, pools: Sequence[PoolCreated], now: datetime) -> None:
    """One instrument for each of these pools, which have none; `scope` is the chain's name."""
    made = {
        pool_natural_key(scope, pool.dex, pool.key): Instrument(
            venue=pool.dex, asset_class="crypto", inst_class="amm_pool", pool_key=pool.key
        )
        for pool in pools
    }
    add(tx, scope, made, now, chain_id=chain_id)


def add(tx: Tx, scope: str, made: Mapping[str, Instrument], now: datetime, *, chain_id: ChainId | None = None) -> None:
    """Instruments by natural key; what is there already is left alone.

    A hash that another natural key holds is salted anew and recorded.
    """
    left = dict(made)
    for salt in range(MOST_SALTS):
        if not left:
            return
        missing = _insert(tx, scope, left, chain_id, salt, now)
        left = {key: left[key] for key in missing}
        for key in sorted(left):
            tx.execute(_COLLISION, {"key": key, "hash": _signed(instrument_hash(key, salt)), "now": now})
    if left:
        message = f"{MOST_SALTS} hashes of {next(iter(left))} are all taken"
        raise AssertionError(message)


def forget_pools(tx: Tx, chain_id: ChainId, pool_keys: Sequence[bytes]) -> None:
    """The instruments of keys that another emitter takes over: they were never really there."""
    if pool_keys:
        tx.execute(_FORGET, {"chain_id": chain_id, "pool_keys": sorted(pool_keys)})


def _insert(
    tx: Tx, scope: str, made: Mapping[str, Instrument], chain_id: ChainId | None, salt: int, now: datetime
) -> list[str]:
    """The keys that are still not there: their hashes are taken."""
    keys = sorted(made)
    columns = {
        "natural_keys": keys,
        "hashes": [_signed(instrument_hash(key, salt)) for key in keys],
        "venues": [made[key].venue for key in keys],
        "asset_classes": [made[key].asset_class for key in keys],
        "inst_classes": [made[key].inst_class for key in keys],
        "pool_keys": [made[key].pool_key for key in keys],
    }
    facts = {"chain_id": chain_id, "scope": scope, "salt": salt, "now": now}
    if tx.execute(_INSERT, columns | facts).rowcount == len(keys):
        return []
    there = {row.natural_key for row in tx.execute(_KNOWN, {"keys": keys})}
    return [key for key in keys if key not in there]


def _signed(value: int) -> int:
    """The 64 bits as Postgres keeps them."""
    return value - 2**64 if value >= 2**63 else value
