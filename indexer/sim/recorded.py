"""One chain as it was recorded: real pools at their blocks, and real tokens, behind the same endpoints.

Nothing moves here: the head is final, and every token stands where it stands from the first block on. What nobody
wrote down is made up from the record itself, the same every time. `made_up` counts these fields:

* `pool`: a token that no recorded pool holds is given one at a known factory, so that it is found at all.
* `block_number`: among the MADE_UP_BLOCKS from the factory's first one on, but not above the head: evenly and in
  their order where the factory numbered its pools, else anywhere, by the pool's key.
* `block_s`: between two recorded times by the block's place; before the first and after the last one, by the
  chain's usual block time.
* `block_hash`, `tx_hash`: from the block's number and from the pool's key. All blocks without logs are made up.
* `log_index`: the lowest number that is free in the block, in the order of the keys.
* `count` (of the factory's pools after this one, where its event says it): from MADE_UP_COUNT up, in the order of
  the blocks, a number that no recorded pool has.

The starting price of a Uniswap V4 pool and its tick are made up too; no register keeps them. What is made up about
tokens stands in `described`.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from indexer.evm.abi import keccak
from indexer.known import Chain
from indexer.model import Address, Factory, Hash32, Log
from indexer.sim.blocks import Block, Entry
from indexer.sim.contracts import Contract
from indexer.sim.recorded_pools import RecordedPool, rebuilt
from indexer.sim.source import View

MADE_UP_COUNT = 1_000_000
MADE_UP_BLOCKS = 2_000_000
_T = TypeVar("_T")
COUNTING = frozenset({"uniswap_v2"})
NUMBER_BYTES = 8
_MASK = int.from_bytes(keccak(b"recorded")[:NUMBER_BYTES], "big")


class Recorded:
    """Blocks 0..`head` of one chain. Pools below their factory's first block or above `head` are not served.

    `epoch_s` is the time of the head where no time at all was recorded. Raises ValueError if two recorded logs claim
    one place, or two hashes or times one block.
    """

    stopped = True

    def __init__(
        self,
        *,
        chain: Chain,
        factories: Sequence[Factory],
        pools: Sequence[RecordedPool],
        tokens: Mapping[Address, Contract],
        head: int,
        epoch_s: int,
    ) -> None:
        self.chain = chain
        self.factories = tuple(factories)
        self.tick = 0
        self.head_number = head
        self.pools = tuple(pools)
        self._tokens = dict(tokens)
        self._times = _Times(pools, chain, head, epoch_s)
        self._hashes = {0: chain.genesis_hash, **_agreed(pools, lambda pool: pool.block_hash, "hashes")}
        self._numbers = {block_hash: number for number, block_hash in self._hashes.items()}
        self._entries = self._announce(_placed(pools, head))
        self._eventful = sorted(self._entries)
        self._view = View(ledger=self, tick=0, head=self.canonical(head), safe=head, finalized=head)

    def made_up(self) -> Counter[str]:
        """How many of the served pools have this field from nobody's record."""
        names = ("block_number", "block_s", "block_hash", "tx_hash", "log_index")
        found: Counter[str] = Counter()
        for pool in self.pools:
            found.update(name for name in names if getattr(pool, name) is None)
            found.update(["pool"] if pool.made_up else [])
            found.update(["count"] if pool.count is None and pool.factory.protocol in COUNTING else [])
        return found

    def view(self, ago: int = 0) -> View:
        """The chain, which was never any other."""
        del ago
        return self._view

    def canonical(self, number: int) -> Block:
        """The block of this number. Raises IndexError above the head."""
        if not 0 <= number <= self.head_number:
            raise IndexError(number)
        return Block(
            number=number,
            hash=self._hash(number),
            parent_hash=self._hash(number - 1) if number else Hash32(bytes(32)),
            timestamp_s=self._times.of(number),
        )

    def is_canonical(self, block: Block) -> bool:
        """Whether it is one of this chain's."""
        return block.hash == self._hash(block.number)

    def find(self, block_hash: Hash32) -> Block | None:
        """The block of this hash; None if there is none."""
        number = self._numbers.get(block_hash)
        if number is None:
            number = int.from_bytes(block_hash[-NUMBER_BYTES:], "big") ^ _MASK
        if not 0 <= number <= self.head_number or self._hash(number) != block_hash:
            return None
        return self.canonical(number)

    def entries(self, block: Block) -> tuple[Entry, ...]:
        """The logs of a block, in order."""
        return self._entries.get(block.number, ())

    def eventful(self, first: int, last: int) -> Iterator[int]:
        """The numbers in first..last of blocks that have logs."""
        yield from self._eventful[bisect_left(self._eventful, first) : bisect_right(self._eventful, last)]

    def contract(self, address: Address, view: View, at: Block) -> Contract | None:
        """The token at this address."""
        del view, at
        return self._tokens.get(address)

    def _hash(self, number: int) -> Hash32:
        """The recorded hash, or one from which the number can be read."""
        known = self._hashes.get(number)
        if known is not None:
            return known
        masked = (number ^ _MASK).to_bytes(NUMBER_BYTES, "big")
        return Hash32(keccak(self.chain.genesis_hash + masked)[:-NUMBER_BYTES] + masked)

    def _announce(self, placed: Mapping[int, Sequence[RecordedPool]]) -> dict[int, tuple[Entry, ...]]:
        counts: Counter[Address] = Counter()
        found: dict[int, tuple[Entry, ...]] = {}
        for number in sorted(placed):
            block, logs = self.canonical(number), []
            for index, pool in _indexed(placed[number], number):
                counts[pool.factory.address] += 1
                count = MADE_UP_COUNT + counts[pool.factory.address] if pool.count is None else pool.count
                logs.append(_entry(block, index, pool, count))
            found[number] = tuple(logs)
        return found


def _entry(block: Block, index: int, pool: RecordedPool, count: int) -> Entry:
    told, believed = rebuilt(pool, count)
    log = Log(
        block_number=block.number,
        block_hash=block.hash,
        tx_hash=pool.tx_hash or keccak(b"transaction" + pool.key),
        log_index=index,
        address=pool.factory.address,
        topics=told.topics,
        data=told.data,
        timestamp_s=block.timestamp_s,
    )
    return Entry(log=log, kind="pool", facts=told.facts) if believed else Entry(log=log, kind="rejected")


def _placed(pools: Sequence[RecordedPool], head: int) -> dict[int, list[RecordedPool]]:
    """The pools by block, recorded or made up."""
    most: dict[Address, int] = {}
    for pool in pools:
        if pool.count is not None:
            most[pool.factory.address] = max(most.get(pool.factory.address, 0), pool.count)
    found: dict[int, list[RecordedPool]] = {}
    for pool in pools:
        number = pool.block_number
        if number is None:
            number = _made_up_block(pool, most.get(pool.factory.address, 0), head)
        if pool.factory.from_block <= number <= head:
            found.setdefault(number, []).append(pool)
    return found


def _made_up_block(pool: RecordedPool, most: int, head: int) -> int:
    first = max(pool.factory.from_block, 1)
    blocks = max(min(head - first + 1, MADE_UP_BLOCKS), 1)
    if pool.count is not None:
        return first + blocks * pool.count // (most + 1)
    return first + int.from_bytes(keccak(pool.key)[:NUMBER_BYTES], "big") % blocks


def _indexed(pools: Sequence[RecordedPool], number: int) -> list[tuple[int, RecordedPool]]:
    """The pools of one block with their log indices, in that order."""
    taken = {pool.log_index: pool for pool in pools if pool.log_index is not None}
    rest = sorted((pool for pool in pools if pool.log_index is None), key=lambda pool: pool.key)
    if len(taken) + len(rest) < len(pools):
        message = f"two recorded logs have one index in block {number}"
        raise ValueError(message)
    free = (index for index in range(len(pools)) if index not in taken)
    return sorted([*taken.items(), *zip(free, rest, strict=False)], key=lambda pair: pair[0])


def _agreed(pools: Sequence[RecordedPool], of: Callable[[RecordedPool], _T | None], what: str) -> dict[int, _T]:
    """What the records say of their blocks, by number."""
    found: dict[int, _T] = {}
    for pool in pools:
        value = of(pool)
        if value is not None and pool.block_number is not None and found.setdefault(pool.block_number, value) != value:
            message = f"block {pool.block_number} has two recorded {what}"
            raise ValueError(message)
    return found


class _Times:
    """When blocks were, Unix seconds."""

    def __init__(self, pools: Sequence[RecordedPool], chain: Chain, head: int, epoch_s: int) -> None:
        known = _agreed(pools, lambda pool: pool.block_s, "times") or {head: epoch_s}
        self._numbers = sorted(known)
        self._known = known
        self._block_time_s = chain.block_time_s

    def of(self, number: int) -> int:
        """The time of a block."""
        place = bisect_right(self._numbers, number)
        if place == 0:
            first = self._numbers[0]
            return max(int(self._known[first] - (first - number) * self._block_time_s), 0)
        below = self._numbers[place - 1]
        since_s = self._known[below]
        if place == len(self._numbers):
            return since_s + int((number - below) * self._block_time_s)
        above = self._numbers[place]
        return since_s + (self._known[above] - since_s) * (number - below) // (above - below)
