"""A pool that somebody wants, and the log by which it becomes known."""

from dataclasses import dataclass

from indexer.evm.abi import keccak
from indexer.model import Address, Factory, FeeKind, Hash32, PoolKey, Proof


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is true of a pool, wherever it is announced.

    `asks`: its event leaves something to ask, and `answered_tick_spacing` is what the pool says, None: nothing.
    """

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
    asks: bool = False
    answered_tick_spacing: int | None = None


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
