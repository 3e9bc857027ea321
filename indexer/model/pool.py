"""A factory, and a pool as its factory announced it."""

from dataclasses import dataclass
from typing import Literal, NewType

from indexer.model.chain import Address, ChainId, Hash32, Log

PoolKey = NewType("PoolKey", bytes)  # 20-byte contract address, or 32-byte id inside a singleton

FeeKind = Literal["fixed", "mutable", "dynamic", "unknown"]
"""fixed: never changes, `fee_ppm` is the fee. mutable: an owner may change it, `fee_ppm` was the fee at creation
or NULL. dynamic: changes with every swap or block, `fee_ppm` is NULL. unknown: nobody says whether it may change,
`fee_ppm` is what the event says or NULL."""

Proof = Literal["create2", "pool_key", "log"]
"""How the pool's address or id is known: re-derived by CREATE2, re-derived from the pool key, or only announced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Factory:
    """One deployment that announces pools. `dex` is its public name (`quickswap_v3`), `protocol` its family's file.

    `from_block` is a floor: no pool was announced before it. `init_code_hash` and `create2_deployer` are None
    where the derivation is not known. `fee_ppm` is the fee of every pool, None where the event or nobody says.
    """

    chain_id: ChainId
    address: Address
    dex: str
    protocol: str
    from_block: int
    from_block_quality: str
    topics: tuple[Hash32, ...]
    enabled: bool
    init_code_hash: Hash32 | None = None
    create2_deployer: Address | None = None
    fee_ppm: int | None = None
    fee_kind: FeeKind = "unknown"
    tier: str = "core"
    confidence: str = "high"
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolCreated:
    """What one log says about one pool, and nothing that a call would have to tell.

    `token0`, `token1` are in the order of the event. The native currency is 20 zero bytes. `pool_index` is the
    factory's own running count where it announces one (1, 2, 3, ...). `asks` marks a pool whose family has
    questions left, which get work of their own.
    """

    log: Log
    dex: str
    protocol: str
    key: PoolKey
    token0: Address
    token1: Address
    proof: Proof
    fee_ppm: int | None = None
    fee_kind: FeeKind = "unknown"
    tick_spacing: int | None = None
    bin_step: int | None = None
    stable: bool | None = None
    hooks: Address | None = None
    deployer: Address | None = None
    pool_index: int | None = None
    asks: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolAnswers:
    """What a pool said about itself when asked. None: it has no such thing, or did not say."""

    tick_spacing: int | None = None
    fee_ppm: int | None = None
    fee_kind: FeeKind | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A log of a watched emitter and topic that announces nothing credible, and why."""

    log: Log
    reason: str
