"""How each protocol family announces a pool, and what a register should believe of it.

Written from the event declarations and the CREATE2 salts of the protocols, independent of the decoders.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from eth_abi.abi import encode

from indexer.evm.abi import keccak
from indexer.model import NATIVE, Address, Factory, FeeKind, PoolKey, Proof
from indexer.sim.announce import Announced, Facts, Wanted
from indexer.sim.events import Event, event

NEW_EXCHANGE = event("NewExchange(address indexed token, address indexed exchange)")
PAIR_CREATED = event(
    "PairCreated(address indexed token0, address indexed token1, address pair, uint256 allPairsLength)"
)
STABLE_PAIR_CREATED = event(
    "PairCreated(address indexed token0, address indexed token1, bool stable, address pair, uint256 allPairsLength)"
)
POOL_CREATED = event(
    "PoolCreated(address indexed token0, address indexed token1, uint24 indexed fee, int24 tickSpacing, address pool)"
)
POOL_BY_SPACING = event(
    "PoolCreated(address indexed token0, address indexed token1, int24 indexed tickSpacing, address pool)"
)
INITIALIZE = event(
    "Initialize(bytes32 indexed id, address indexed currency0, address indexed currency1, uint24 fee, "
    "int24 tickSpacing, address hooks, uint160 sqrtPriceX96, int24 tick)"
)
POOL = event("Pool(address indexed token0, address indexed token1, address pool)")
CUSTOM_POOL = event(
    "CustomPool(address indexed deployer, address indexed token0, address indexed token1, address pool)"
)
LB_PAIR_CREATED = event(
    "LBPairCreated(address indexed tokenX, address indexed tokenY, uint256 indexed binStep, address pair, uint256 pid)"
)

V3_FEES = ((100, 1), (500, 10), (3_000, 60), (10_000, 200))
PANCAKE_V3_FEES = ((100, 1), (500, 10), (2_500, 50), (10_000, 200))
KYBER_FEE_UNITS = ((8, 1), (10, 1), (40, 8), (300, 60), (1_000, 200))
ALGEBRA_SPACINGS = (60, 1, 10, 200, None)
"""The last one stands for a pool that does not answer."""
BIN_STEPS = (1, 5, 10, 15, 20, 25, 50, 100)
V4_DYNAMIC_FEE = 0x800000
PPM_A_KYBER_UNIT = 10
ONE_TO_ONE_X96 = 1 << 96
PAIR_TYPES = ["address", "address"]

ASKING = frozenset({"algebra_v1", "algebra_v1_9", "algebra_integral"})
"""Families whose event leaves something to ask."""

Announcer = Callable[[Wanted], Announced]


def announce(wanted: Wanted) -> Announced:
    """The log by which the pool becomes known. Raises KeyError for a family that is not simulated."""
    return _FAMILIES[wanted.factory.protocol](wanted)


def can_announce(factory: Factory) -> bool:
    """Whether this factory's family is simulated."""
    return factory.protocol in _FAMILIES


def _uniswap_v1(wanted: Wanted) -> Announced:
    token = next(side for side in wanted.sides if side != NATIVE)
    exchange, proof = wanted.address(token)
    topics, data = NEW_EXCHANGE.log((token, exchange), ())
    return Announced(topics=topics, data=data, facts=_facts(wanted, NEW_EXCHANGE, exchange, (NATIVE, token), proof))


def _uniswap_v2(wanted: Wanted) -> Announced:
    token0, token1 = wanted.ordered
    pair, proof = wanted.address(keccak(token0 + token1))
    topics, data = PAIR_CREATED.log((token0, token1), (pair, wanted.count))
    facts = _facts(wanted, PAIR_CREATED, pair, (token0, token1), proof, pool_index=wanted.count)
    return Announced(topics=topics, data=data, facts=facts)


def _solidly(wanted: Wanted) -> Announced:
    token0, token1 = wanted.ordered
    stable = wanted.among(2) == 0
    flagged = STABLE_PAIR_CREATED.topic0 in wanted.factory.topics
    if flagged and PAIR_CREATED.topic0 in wanted.factory.topics:
        flagged = wanted.among(2, 1) == 0
    pair, proof = wanted.address(keccak(token0 + token1 + bytes([stable])))
    if flagged:
        topics, data = STABLE_PAIR_CREATED.log((token0, token1), (stable, pair, wanted.count))
    else:
        topics, data = PAIR_CREATED.log((token0, token1), (pair, wanted.count))
    facts = _facts(
        wanted,
        STABLE_PAIR_CREATED if flagged else PAIR_CREATED,
        pair,
        (token0, token1),
        proof if flagged else "log",
        stable=stable if flagged else None,
        pool_index=wanted.count,
    )
    return Announced(topics=topics, data=data, facts=facts)


def _uniswap_v3(wanted: Wanted) -> Announced:
    choices = PANCAKE_V3_FEES if wanted.factory.dex.startswith("pancake") else V3_FEES
    fee, spacing = choices[wanted.among(len(choices))]
    return _by_fee(wanted, fee, spacing, ("uint24", fee), fee, wanted.factory.fee_kind)


def _kyber_elastic(wanted: Wanted) -> Announced:
    units, spacing = KYBER_FEE_UNITS[wanted.among(len(KYBER_FEE_UNITS))]
    return _by_fee(wanted, units, spacing, ("uint24", units), units * PPM_A_KYBER_UNIT, "fixed")


def _ramses_cl(wanted: Wanted) -> Announced:
    fee, spacing = V3_FEES[wanted.among(len(V3_FEES))]
    return _by_fee(wanted, fee, spacing, ("uint24", fee), fee, "mutable")


def _solidly_v3(wanted: Wanted) -> Announced:
    fee, spacing = V3_FEES[wanted.among(len(V3_FEES))]
    return _by_fee(wanted, fee, spacing, ("int24", spacing), fee, "mutable")


def _by_fee(
    wanted: Wanted, fee: int, spacing: int, salted: tuple[str, int], fee_ppm: int, fee_kind: FeeKind
) -> Announced:
    """Uniswap V3's event. `salted` is what stands beside the tokens in the CREATE2 salt."""
    token0, token1 = wanted.ordered
    pool, proof = wanted.address(keccak(encode([*PAIR_TYPES, salted[0]], [token0, token1, salted[1]])))
    topics, data = POOL_CREATED.log((token0, token1, fee), (spacing, pool))
    facts = _facts(
        wanted,
        POOL_CREATED,
        pool,
        (token0, token1),
        proof,
        fee_ppm=fee_ppm,
        fee_kind=fee_kind,
        tick_spacing=spacing,
    )
    return Announced(topics=topics, data=data, facts=facts)


def _ramses_v3_cl(wanted: Wanted) -> Announced:
    if wanted.among(2, 1) == 0:
        return _ramses_cl(wanted)
    token0, token1 = wanted.ordered
    _, spacing = V3_FEES[wanted.among(len(V3_FEES))]
    pool, _ = wanted.address(keccak(encode([*PAIR_TYPES, "int24"], [token0, token1, spacing])))
    topics, data = POOL_BY_SPACING.log((token0, token1, spacing), (pool,))
    facts = _facts(
        wanted,
        POOL_BY_SPACING,
        pool,
        (token0, token1),
        "log",
        fee_ppm=None,
        fee_kind="mutable",
        tick_spacing=spacing,
    )
    return Announced(topics=topics, data=data, facts=facts)


def _uniswap_v4(wanted: Wanted) -> Announced:
    currency0, currency1 = wanted.ordered
    hooked = wanted.among(4, 1) == 0
    hooks = Address(keccak(wanted.roll.to_bytes(8, "big"))[12:]) if hooked else NATIVE
    dynamic = hooked and wanted.among(2, 2) == 0
    fee, spacing = V3_FEES[wanted.among(len(V3_FEES))]
    told = (V4_DYNAMIC_FEE if dynamic else fee, spacing, hooks)
    pool_id = keccak(encode([*PAIR_TYPES, "uint24", "int24", "address"], [currency0, currency1, *told]))
    topics, data = INITIALIZE.log((pool_id, currency0, currency1), (*told, ONE_TO_ONE_X96, -wanted.among(9)))
    facts = _facts(
        wanted,
        INITIALIZE,
        pool_id,
        (currency0, currency1),
        "pool_key",
        fee_ppm=None if dynamic else fee,
        fee_kind="dynamic" if dynamic else "fixed",
        tick_spacing=spacing,
        hooks=hooks,
    )
    return Announced(topics=topics, data=data, facts=facts)


def _algebra(wanted: Wanted) -> Announced:
    token0, token1 = wanted.ordered
    custom = CUSTOM_POOL.topic0 in wanted.factory.topics and wanted.among(3, 1) == 0
    deployer = Address(keccak(b"deployer" + wanted.roll.to_bytes(8, "big"))[12:]) if custom else None
    salt = encode(PAIR_TYPES, [token0, token1])
    pool, proof = wanted.address(keccak(encode(["address"], [deployer]) + salt if custom else salt))
    indexed = (token0, token1) if deployer is None else (deployer, token0, token1)
    announced_by = CUSTOM_POOL if custom else POOL
    topics, data = announced_by.log(indexed, (pool,))
    facts = _facts(
        wanted,
        announced_by,
        pool,
        (token0, token1),
        proof,
        fee_ppm=None,
        fee_kind="dynamic",
        deployer=deployer,
        asks=True,
        answered_tick_spacing=ALGEBRA_SPACINGS[wanted.among(len(ALGEBRA_SPACINGS))],
    )
    return Announced(topics=topics, data=data, facts=facts)


def _liquidity_book(wanted: Wanted) -> Announced:
    bin_step = BIN_STEPS[wanted.among(len(BIN_STEPS))]
    pair, _ = wanted.address(encode([*PAIR_TYPES, "uint256"], [*wanted.sides, bin_step]))
    topics, data = LB_PAIR_CREATED.log((*wanted.sides, bin_step), (pair, wanted.count - 1))
    facts = _facts(
        wanted,
        LB_PAIR_CREATED,
        pair,
        wanted.sides,
        "log",
        fee_ppm=None,
        fee_kind="dynamic",
        bin_step=bin_step,
        pool_index=wanted.count,
    )
    return Announced(topics=topics, data=data, facts=facts)


def _facts(
    wanted: Wanted,
    announced_by: Event,
    key: bytes,
    tokens: tuple[Address, Address],
    proof: Proof,
    **more: Any,  # noqa: ANN401 - the fields of Facts that the family knows
) -> Facts:
    """What every family knows, with the fee that the factory's row says unless the event says one."""
    factory = wanted.factory
    fee: dict[str, Any] = {"fee_ppm": factory.fee_ppm, "fee_kind": factory.fee_kind}
    return Facts(
        emitter=factory.address,
        topic0=announced_by.topic0,
        dex=factory.dex,
        protocol=factory.protocol,
        key=PoolKey(key),
        token0=tokens[0],
        token1=tokens[1],
        proof=proof,
        **(fee | more),
    )


_FAMILIES: Mapping[str, Announcer] = MappingProxyType(
    {
        "uniswap_v1": _uniswap_v1,
        "uniswap_v2": _uniswap_v2,
        "uniswap_v3": _uniswap_v3,
        "uniswap_v4": _uniswap_v4,
        "kyber_elastic": _kyber_elastic,
        "ramses_cl": _ramses_cl,
        "ramses_v3_cl": _ramses_v3_cl,
        "solidly": _solidly,
        "solidly_v3": _solidly_v3,
        "algebra_v1": _algebra,
        "algebra_v1_9": _algebra,
        "algebra_integral": _algebra,
        "lb": _liquidity_book,
    }
)
