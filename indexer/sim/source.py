"""What stands behind an endpoint: a chain that is made up from a seed, or one that was recorded."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from indexer.known import Chain
from indexer.model import Address, Factory, Hash32
from indexer.sim.blocks import Block, Entry
from indexer.sim.contracts import Contract


class Source(Protocol):
    """One chain as endpoints read it: `chain` and `factories` say which, `tick` how often it moved so far."""

    chain: Chain
    factories: tuple[Factory, ...]
    tick: int
    stopped: bool

    def view(self, ago: int = 0) -> "View":
        """The chain as it is, or as it was this many ticks ago."""
        ...

    def canonical(self, number: int) -> Block:
        """The block of this number on the branch of now. Raises IndexError above the head."""
        ...

    def is_canonical(self, block: Block) -> bool:
        """Whether the branch of now holds this block."""
        ...

    def find(self, block_hash: Hash32) -> Block | None:
        """The block of this hash on whichever branch; None if there never was one."""
        ...

    def entries(self, block: Block) -> tuple[Entry, ...]:
        """The logs of a block, in order."""
        ...

    def eventful(self, first: int, last: int) -> Iterator[int]:
        """The numbers in first..last whose blocks may hold logs, in order."""
        ...

    def contract(self, address: Address, view: "View", at: Block) -> Contract | None:
        """Who lives at this address as of block `at` of `view`; None if nobody does (yet)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The chain as a node saw it after some tick: a branch up to `head`, and what it called safe and finalized."""

    ledger: Source
    tick: int
    head: Block
    safe: int
    finalized: int

    def block(self, number: int) -> Block | None:
        """The block of this number on this branch; None above the head."""
        if not 0 <= number <= self.head.number:
            return None
        at = self.head
        while at.number > number and at.parent is not None and not self.ledger.is_canonical(at):
            at = at.parent
        return at if at.number == number else self.ledger.canonical(number)

    def has(self, block: Block) -> bool:
        """Whether this block is on this branch."""
        found = self.block(block.number)
        return found is not None and found.hash == block.hash

    def entries(self, first: int, last: int) -> Iterator[Entry]:
        """Every log of first..last, in order; blocks above the head have none."""
        for number in self.ledger.eventful(first, min(last, self.head.number)):
            block = self.block(number)
            if block is not None:
                yield from self.ledger.entries(block)

    def contract(self, address: Address, at: Block) -> Contract | None:
        """The contract that was deployed at this address up to block `at` of this branch; None if there was none."""
        return self.ledger.contract(address, self, at)
