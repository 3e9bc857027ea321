"""Blocks, what is created in them, and the logs that say so."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from indexer.evm.abi import keccak
from indexer.model import Address, Factory, Hash32, Log
from indexer.sim.announce import Announced, Facts, Wanted
from indexer.sim.contracts import WORD
from indexer.sim.events import event
from indexer.sim.families import announce
from indexer.sim.tokens import TokenSpec

Flaw = Literal["dirty", "wrong_address", "cut_short", "impostor"]
"""dirty: bits where the ABI has none. wrong_address: not the derived one. cut_short: a word of data is missing.
impostor: beside the good log, another factory announces the same pool as its own."""
FLAWS: tuple[Flaw, ...] = ("dirty", "wrong_address", "cut_short", "impostor")

Kind = Literal["pool", "rejected", "noise"]

TRANSFER = event("Transfer(address indexed from, address indexed to, uint256 value)")
DIRT = b"\x01"
MOST_NOISE = 3
CROSS_NOISE_EVERY = 16
_LEFT = bytes(12)
"""Before an address in its word."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Creation:
    """Somebody creates a pool. `tokens` are those of its sides that are deployed for it, or were before.

    It is the same transaction with the same pool and tokens in whichever block it is included.
    """

    factory: Factory
    sides: tuple[Address, Address]
    roll: int
    tokens: tuple[TokenSpec, ...]
    flaw: Flaw | None = None
    impostor: Factory | None = None

    @property
    def place(self) -> tuple[Address, Address, Address]:
        """What cannot be taken twice on one branch."""
        return (self.factory.address, *sorted(self.sides))  # type: ignore[return-value]  # a sorted pair is a pair

    @property
    def tx_hash(self) -> Hash32:
        """The transaction's hash."""
        return keccak(self.factory.address + self.sides[0] + self.sides[1] + self.roll.to_bytes(8, "big"))

    @property
    def makes_pool(self) -> bool:
        """Whether its log is one that a register can believe."""
        return self.flaw in (None, "impostor")

    def wanted(self, count: int) -> Wanted:
        """The pool, as the one that brings its factory's count to this."""
        return Wanted(factory=self.factory, sides=self.sides, roll=self.roll, count=count)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Block:
    """One block of one branch. `creations` come with the count of their factory's pools after them.

    `parent` is None where it lies in the long prefix that never forks.
    """

    number: int
    hash: Hash32
    parent_hash: Hash32
    timestamp_s: int
    creations: tuple[tuple[Creation, int], ...] = ()
    parent: "Block | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One log, and what a register should make of it: a pool with these facts, a rejected log, or nothing."""

    log: Log
    kind: Kind
    facts: Facts | None = None
    creation: Creation | None = None


def entries(block: Block, factories: Sequence[Factory]) -> tuple[Entry, ...]:
    """Every log of a block: noise that depends on its hash, then what was created."""
    found: list[Entry] = []
    for number, (emitter, topics, data) in enumerate(_noise(block, factories)):
        tx_hash = keccak(block.hash + bytes([number]))
        found.append(Entry(log=_log(block, tx_hash, len(found), emitter, topics, data), kind="noise"))
    for creation, count in block.creations:
        for emitter, told, kind in _told(creation, count):
            log = _log(block, creation.tx_hash, len(found), emitter, told.topics, told.data)
            facts = told.facts if kind == "pool" else None
            found.append(Entry(log=log, kind=kind, facts=facts, creation=creation))
    return tuple(found)


def _log(block: Block, tx_hash: Hash32, index: int, emitter: Address, topics: tuple[Hash32, ...], data: bytes) -> Log:
    return Log(
        block_number=block.number,
        block_hash=block.hash,
        tx_hash=tx_hash,
        log_index=index,
        address=emitter,
        topics=topics,
        data=data,
        timestamp_s=block.timestamp_s,
    )


def _told(creation: Creation, count: int) -> Iterator[tuple[Address, Announced, Kind]]:
    good = announce(creation.wanted(count))
    if creation.makes_pool:
        yield creation.factory.address, good, "pool"
    impostor = creation.impostor
    if impostor is not None and good.topics[0] in impostor.topics:
        yield impostor.address, good, "rejected"
    elif creation.flaw is not None and not creation.makes_pool:
        yield creation.factory.address, _spoilt(good, creation.flaw, creation.roll), "rejected"


def _spoilt(good: Announced, flaw: Flaw, roll: int) -> Announced:
    """The log with its flaw, or dirty where the flaw could not be told or does not exist."""
    if flaw == "cut_short" and good.data:
        return replace(good, data=good.data[:-WORD])
    if flaw == "wrong_address" and good.facts.proof != "log":
        other = keccak(good.facts.key + roll.to_bytes(8, "big"))[-len(good.facts.key) :]
        return replace(
            good,
            topics=tuple(Hash32(topic.replace(good.facts.key, other)) for topic in good.topics),
            data=good.data.replace(good.facts.key, other),
        )
    soiled = Hash32(DIRT + good.topics[2][1:])
    return replace(good, topics=(*good.topics[:2], soiled, *good.topics[3:]))


def _noise(block: Block, factories: Sequence[Factory]) -> Iterator[tuple[Address, tuple[Hash32, ...], bytes]]:
    """Logs of others: transfers, strangers that use a factory's topic, factories that use another's topic."""
    if block.number == 0:
        return
    for number in range(block.hash[0] % (MOST_NOISE + 1)):
        stranger = Address(keccak(block.hash + b"stranger" + bytes([number]))[12:])
        sides = (Hash32(_LEFT + stranger), Hash32(_LEFT + block.hash[:20]))
        yield stranger, (TRANSFER.topic0, *sides), number.to_bytes(WORD, "big")
    if block.hash[1] % CROSS_NOISE_EVERY:
        return
    topics = sorted({topic for factory in factories for topic in factory.topics})
    if topics:
        topic = topics[block.hash[2] % len(topics)]
        factory = factories[block.hash[3] % len(factories)]
        emitter = Address(block.hash[:20]) if topic in factory.topics else factory.address
        yield emitter, (topic, Hash32(bytes(WORD))), bytes(WORD)
