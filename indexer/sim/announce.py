"""How each protocol family announces a pool, and what a register should believe of it.

Written from the event declarations and the CREATE2 salts of the protocols, independent of the decoders.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from eth_abi.abi import encode

from indexer.evm.abi import keccak
from indexer.model import Address, Factory, FeeKind, Hash32, PoolKey, Proof
from indexer.sim.events import Event, event

PAIR_CREATED = event(
    "PairCreated(address indexed token0, address indexed token1, address pair, uint256 allPairsLength)"
)
POOL_CREATED = event(
    "PoolCreated(address indexed token0, address indexed token1, uint24 indexed fee, int24 tickSpacing, address pool)"
)

V3_FEES = ((100, 1), (500, 10), (3_000, 60), (10_000, 200))
PANCAKE_V3_FEES = ((100, 1), (500, 10), (2_500, 50), (10_000, 200))


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is true of a pool, wherever it is announced."""

    emitter: Address
    topic0: Hash32
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A pool that somebody wants: at which factory, of which two sides. `roll`: 64 bits that decide the rest.

    `count` is how many pools the factory will have after this one.
    """

    factory: Factory
    sides: tuple[Address, Address]
    roll: int
    count: int

    @property
    def ordered(self) -> tuple[Address, Address]:
        """The two sides as most protocols order them."""
        first, second = self.sides
        return (first, second) if first < second else (second, first)

    def among(self, choices: int, place: int = 0) -> int:
        """A choice below `choices` that this pool always makes the same; `place` tells several apart."""
        return (self.roll >> (8 * place)) % 251 % choices

    def address(self, salt: bytes) -> tuple[Address, Proof]:
        """Where the pool is deployed: by CREATE2 if the factory's init code hash is known, else anywhere."""
        code_hash = self.factory.init_code_hash
        if code_hash is None:
            return Address(keccak(self.factory.address + salt + b"undisclosed")[12:]), "log"
        deployer = self.factory.create2_deployer or self.factory.address
        return Address(keccak(b"\xff" + deployer + salt + code_hash)[12:]), "create2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """One log of a factory, and what it makes known."""

    topics: tuple[Hash32, ...]
    data: bytes
    facts: Facts


Announcer = Callable[[Wanted], Announced]


def announce(wanted: Wanted) -> Announced:
    """The log by which the pool becomes known. Raises KeyError for a family that is not simulated."""
    return _FAMILIES[wanted.factory.protocol](wanted)


def can_announce(factory: Factory) -> bool:
    """Whether this factory's family is simulated."""
    return factory.protocol in _FAMILIES


def _uniswap_v2(wanted: Wanted) -> Announced:
    token0, token1 = wanted.ordered
    pair, proof = wanted.address(keccak(token0 + token1))
    topics, data = PAIR_CREATED.log((token0, token1), (pair, wanted.count))
    facts = _facts(wanted, PAIR_CREATED, pair, (token0, token1), proof, pool_index=wanted.count)
    return Announced(topics=topics, data=data, facts=facts)


def _uniswap_v3(wanted: Wanted) -> Announced:
    token0, token1 = wanted.ordered
    choices = PANCAKE_V3_FEES if wanted.factory.dex.startswith("pancake") else V3_FEES
    fee, spacing = choices[wanted.among(len(choices))]
    pool, proof = wanted.address(keccak(encode(["address", "address", "uint24"], [token0, token1, fee])))
    topics, data = POOL_CREATED.log((token0, token1, fee), (spacing, pool))
    facts = _facts(wanted, POOL_CREATED, pool, (token0, token1), proof, fee_ppm=fee, tick_spacing=spacing)
    return Announced(topics=topics, data=data, facts=facts)


def _facts(
    wanted: Wanted,
    announced_by: Event,
    key: bytes,
    tokens: tuple[Address, Address],
    proof: Proof,
    *,
    fee_ppm: int | None = None,
    tick_spacing: int | None = None,
    pool_index: int | None = None,
) -> Facts:
    return Facts(
        emitter=wanted.factory.address,
        topic0=announced_by.topic0,
        dex=wanted.factory.dex,
        protocol=wanted.factory.protocol,
        key=PoolKey(key),
        token0=tokens[0],
        token1=tokens[1],
        proof=proof,
        fee_ppm=wanted.factory.fee_ppm if fee_ppm is None else fee_ppm,
        fee_kind=wanted.factory.fee_kind,
        tick_spacing=tick_spacing,
        pool_index=pool_index,
    )


_FAMILIES: Mapping[str, Announcer] = MappingProxyType({"uniswap_v2": _uniswap_v2, "uniswap_v3": _uniswap_v3})
