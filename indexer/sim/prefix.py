"""The blocks before the first tick. They never fork, and most are made from their number when they are read."""

from bisect import bisect_left, bisect_right
from random import Random

from indexer.evm.abi import keccak
from indexer.model import Hash32
from indexer.sim.blocks import Block, Creation
from indexer.sim.pending import Pending
from indexer.sim.standing import Standing
from indexer.sim.tokens import TokenSpec

NUMBER_BYTES = 8


class Prefix:
    """Blocks 0..`top`. `words` make the hashes; block 0 has `genesis_hash`; `epoch_s` is the time of block `top`."""

    def __init__(self, *, words: str, genesis_hash: Hash32, top: int, epoch_s: int, tick_s: float) -> None:
        self.top = top
        self._genesis_hash = genesis_hash
        self._epoch_s, self._tick_s = epoch_s, tick_s
        self._salt = keccak(words.encode()) + genesis_hash
        self._mask = int.from_bytes(keccak(self._salt)[:NUMBER_BYTES], "big")
        self._written: dict[int, Block] = {}
        self._numbers: list[int] = []

    def write(self, pools: int, pending: Pending, standing: Standing, stream: Random) -> None:
        """Decide which blocks hold creations, and which. Raises IndexError if there is no factory."""
        numbers = sorted(stream.randint(1, self.top) for _ in range(pools if self.top else 0))
        last: TokenSpec | None = None
        for number in numbers:
            creation = pending.fresh(stream, last)
            last = creation.tokens[0]
            before = self._written.get(number)
            already = [kept for kept, _ in before.creations] if before is not None else []
            if before is not None:
                standing.take_back(before)
            block = self._block(number, standing.admitted([*already, creation]))
            standing.add(block)
            self._written[number] = block
        self._numbers = sorted(self._written)

    def block(self, number: int) -> Block:
        """The block of this number, of 0..top."""
        return self._written.get(number) or self._block(number, ())

    def find(self, block_hash: Hash32) -> Block | None:
        """The block of this hash; its number can be read from it."""
        number = int.from_bytes(block_hash[-NUMBER_BYTES:], "big") ^ self._mask
        if block_hash == self._genesis_hash:
            number = 0
        if not 0 <= number <= self.top or self._hash(number) != block_hash:
            return None
        return self.block(number)

    def holds_logs(self, number: int) -> bool:
        """Whether the block has any logs."""
        return number in self._written

    def eventful(self, first: int, last: int) -> list[int]:
        """The numbers in first..last of blocks that have logs."""
        return self._numbers[bisect_left(self._numbers, first) : bisect_right(self._numbers, last)]

    def _block(self, number: int, creations: tuple[tuple[Creation, int], ...]) -> Block:
        return Block(
            number=number,
            hash=self._hash(number),
            parent_hash=self._hash(number - 1) if number else Hash32(bytes(32)),
            timestamp_s=self._epoch_s - int((self.top - number) * self._tick_s),
            creations=creations,
        )

    def _hash(self, number: int) -> Hash32:
        if number == 0:
            return self._genesis_hash
        masked = (number ^ self._mask).to_bytes(NUMBER_BYTES, "big")
        return Hash32(keccak(self._salt + masked)[:-NUMBER_BYTES] + masked)
