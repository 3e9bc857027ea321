"""Pools that were recorded, and the logs that announced them: rebuilt from the event declarations.

A record is what somebody wrote down of a pool. It may contradict itself: a log is rebuilt from it all the same, and
whether a register should believe that log is decided here, from the CREATE2 salts and pool keys of the protocols.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from eth_abi.abi import encode

from indexer.evm.abi import keccak
from indexer.model import NATIVE, Address, Factory, Hash32, PoolKey, Proof
from indexer.sim.announce import Announced, Facts, Wanted
from indexer.sim.events import Event
from indexer.sim.families import (
    INITIALIZE,
    NEW_EXCHANGE,
    ONE_TO_ONE_X96,
    PAIR_CREATED,
    PAIR_TYPES,
    POOL_CREATED,
    V4_DYNAMIC_FEE,
)

MADE_UP_FEE, MADE_UP_SPACING = 3_000, 60


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedPool:
    """One record. None: nobody wrote it down. `count` is how many pools its factory had after it.

    `fee` is the number that the event of its family carries. `made_up`: the whole pool is, see `recorded`.
    """

    factory: Factory
    key: PoolKey
    token0: Address
    token1: Address
    fee: int | None = None
    tick_spacing: int | None = None
    hooks: Address | None = None
    count: int | None = None
    block_number: int | None = None
    block_hash: Hash32 | None = None
    block_s: int | None = None
    tx_hash: Hash32 | None = None
    log_index: int | None = None
    made_up: bool = False


def can_rebuild(factory: Factory) -> bool:
    """Whether records of this factory's family can be turned into logs."""
    return factory.protocol in _FAMILIES


def rebuilt(pool: RecordedPool, count: int) -> tuple[Announced, bool]:
    """The log that announced this pool as its factory's number `count`, and whether a register should believe it."""
    return _FAMILIES[pool.factory.protocol](pool, count)


def made_up_pool(factory: Factory, token: Address, other: Address) -> RecordedPool:
    """A pool of these two at a factory of Uniswap V3's family, so that the token is found."""
    sides = (token, other) if token < other else (other, token)
    salt = keccak(encode([*PAIR_TYPES, "uint24"], [*sides, MADE_UP_FEE]))
    address, _ = Wanted(factory=factory, sides=sides, roll=0, count=0).address(salt)
    return RecordedPool(
        factory=factory,
        key=PoolKey(address),
        token0=sides[0],
        token1=sides[1],
        fee=MADE_UP_FEE,
        tick_spacing=MADE_UP_SPACING,
        made_up=True,
    )


def _uniswap_v1(pool: RecordedPool, _count: int) -> tuple[Announced, bool]:
    told = NEW_EXCHANGE.log((pool.token1, pool.key), ())
    return _announced(pool, NEW_EXCHANGE, told, "log"), pool.token0 == NATIVE


def _uniswap_v2(pool: RecordedPool, count: int) -> tuple[Announced, bool]:
    told = PAIR_CREATED.log((pool.token0, pool.token1), (pool.key, count))
    proof, true = _derived(pool, keccak(pool.token0 + pool.token1))
    return _announced(pool, PAIR_CREATED, told, proof, pool_index=count), true


def _uniswap_v3(pool: RecordedPool, _count: int) -> tuple[Announced, bool]:
    told = POOL_CREATED.log((pool.token0, pool.token1, pool.fee), (pool.tick_spacing, pool.key))
    proof, true = _derived(pool, keccak(encode([*PAIR_TYPES, "uint24"], [pool.token0, pool.token1, pool.fee])))
    more = {"fee_ppm": pool.fee, "tick_spacing": pool.tick_spacing}
    return _announced(pool, POOL_CREATED, told, proof, **more), true


def _uniswap_v4(pool: RecordedPool, _count: int) -> tuple[Announced, bool]:
    hooks, dynamic = pool.hooks or NATIVE, pool.fee == V4_DYNAMIC_FEE
    told = (pool.fee, pool.tick_spacing, hooks)
    pool_id = keccak(encode([*PAIR_TYPES, "uint24", "int24", "address"], [pool.token0, pool.token1, *told]))
    log = INITIALIZE.log((pool.key, pool.token0, pool.token1), (*told, ONE_TO_ONE_X96, 0))
    more: dict[str, Any] = {"fee_kind": "dynamic" if dynamic else "fixed", "fee_ppm": None if dynamic else pool.fee}
    more |= {"tick_spacing": pool.tick_spacing, "hooks": hooks}
    return _announced(pool, INITIALIZE, log, "pool_key", **more), PoolKey(pool_id) == pool.key


def _derived(pool: RecordedPool, salt: bytes) -> tuple[Proof, bool]:
    """How far the recorded address can be proven, and that it is not disproven."""
    wanted = Wanted(factory=pool.factory, sides=(pool.token0, pool.token1), roll=0, count=0)
    address, proof = wanted.address(salt)
    return proof, proof == "log" or PoolKey(address) == pool.key


def _announced(
    pool: RecordedPool,
    event: Event,
    told: tuple[tuple[Hash32, ...], bytes],
    proof: Proof,
    **more: Any,  # noqa: ANN401 - the fields of Facts that the family knows
) -> Announced:
    factory = pool.factory
    fee: dict[str, Any] = {"fee_ppm": factory.fee_ppm, "fee_kind": factory.fee_kind}
    facts = Facts(
        emitter=factory.address,
        topic0=event.topic0,
        dex=factory.dex,
        protocol=factory.protocol,
        key=pool.key,
        token0=pool.token0,
        token1=pool.token1,
        proof=proof,
        **(fee | more),
    )
    return Announced(topics=told[0], data=told[1], facts=facts)


_FAMILIES: Mapping[str, Callable[[RecordedPool, int], tuple[Announced, bool]]] = MappingProxyType(
    {
        "uniswap_v1": _uniswap_v1,
        "uniswap_v2": _uniswap_v2,
        "uniswap_v3": _uniswap_v3,
        "uniswap_v4": _uniswap_v4,
    }
)
