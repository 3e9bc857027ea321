"""One chain, made up tick by tick from a seed: blocks, forks, finality, and who exists where.

What it holds is a function of (seed, chain, habits, number of ticks): how fast it is ticked, and what is read in
between, changes nothing. Blocks before the first tick are in `prefix`.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from indexer.evm.abi import keccak
from indexer.known import Chain, Quote
from indexer.model import NATIVE, Address, Factory, Hash32
from indexer.sim.blocks import Block, Creation, Entry, entries
from indexer.sim.chance import chance, poisson
from indexer.sim.contracts import Contract
from indexer.sim.families import can_announce
from indexer.sim.pending import Pending
from indexer.sim.prefix import Prefix
from indexer.sim.source import View
from indexer.sim.standing import Standing
from indexer.sim.tokens import TokenSpec, plain

REMEMBERED_TICKS = 1_000
RETURN_SHARE = 0.15
SHALLOW = 0.7
LENGTHS = (1, 1, 1, 1, 0, 2, -1)
"""By how much a new branch is longer than the one that it replaces."""
KEPT_SHARE, LATER_SHARE = 0.65, 0.15
LATEST_TICKS = 5
MOST_KEPT_BLOCKS = 20_000
QUOTE_DECIMALS = {"stable": 6, "btc": 8}


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How a chain behaves. Shares are of all ticks, depths in blocks; `finality_step` and `stall_ticks` in ticks.

    `pools_a_tick` is a mean. `flaw_share` is of all announcements. `stall_share`: how often finality begins to stall.
    """

    tick_s: float = 1.0
    history_blocks: int = 200_000
    history_pools: int = 3_000
    pools_a_tick: float = 1.0
    idle_share: float = 0.05
    reorg_share: float = 0.03
    deepest_reorg: int = 12
    finality_depth: int = 32
    finality_step: int = 4
    stall_share: float = 0.0
    stall_ticks: int = 60
    flaw_share: float = 0.01


class Ledger:
    """One chain. Of `factories` and `quotes` those of this chain count; of factories, the enabled ones.

    `chain` says its id, name, genesis hash and multicalls. `epoch_s` is the time of tick 0, Unix seconds.
    """

    def __init__(
        self,
        *,
        seed: int | str,
        chain: Chain,
        factories: Sequence[Factory],
        quotes: Sequence[Quote] = (),
        habits: Habits | None = None,
        epoch_s: int = 1_700_000_000,
    ) -> None:
        self.chain = chain
        self.habits = habits or Habits()
        self.epoch_s = epoch_s
        self.tick = 0
        self.stopped = False
        self.factories = tuple(f for f in factories if f.chain_id == chain.id and f.enabled and can_announce(f))
        self.quotes = {q.address: _spec(q) for q in quotes if q.chain_id == chain.id and q.address != NATIVE}
        self._words = (seed, chain.name)
        self._standing = Standing()
        self._pending = Pending(self.factories, tuple(self.quotes), self.habits.flaw_share)
        self._prefix = Prefix(
            words=f"{seed}|{chain.name}",
            genesis_hash=chain.genesis_hash,
            top=self.habits.history_blocks,
            epoch_s=epoch_s,
            tick_s=self.habits.tick_s,
        )
        stream = chance(*self._words, "history")
        self._prefix.write(self.habits.history_pools, self._pending, self._standing, stream)
        self._branch: list[Block] = []
        self._mined: dict[Hash32, Block] = {}
        self._entries: dict[Hash32, tuple[Entry, ...]] = {}
        self._abandoned: list[Block] = []
        self._finalized = max(self._prefix.top - self.habits.finality_depth, 0)
        self._stalled_until = 0
        self._past: deque[View] = deque(maxlen=REMEMBERED_TICKS)
        self._remember()

    @property
    def head(self) -> Block:
        """The newest block."""
        return self._branch[-1] if self._branch else self._prefix.block(self._prefix.top)

    def view(self, ago: int = 0) -> View:
        """The chain as it is, or as it was this many ticks ago: at most 999, and not before the first."""
        return self._past[-1 - min(ago, len(self._past) - 1)]

    def canonical(self, number: int) -> Block:
        """The block of this number on the branch of now. Raises IndexError above the head."""
        top = self._prefix.top
        return self._prefix.block(number) if number <= top else self._branch[number - top - 1]

    def is_canonical(self, block: Block) -> bool:
        """Whether the branch of now holds this block."""
        at = block.number - self._prefix.top - 1
        return at < 0 or (at < len(self._branch) and self._branch[at] is block)

    def find(self, block_hash: Hash32) -> Block | None:
        """The block of this hash on whichever branch; None if there never was one."""
        return self._mined.get(block_hash) or self._prefix.find(block_hash)

    def entries(self, block: Block) -> tuple[Entry, ...]:
        """The logs of a block, made anew where they were not read lately: a long past would fill the memory."""
        if block.number <= self._prefix.top and not self._prefix.holds_logs(block.number):
            return ()
        made = self._entries.get(block.hash)
        if made is None:
            if len(self._entries) >= MOST_KEPT_BLOCKS:
                del self._entries[next(iter(self._entries))]
            made = self._entries[block.hash] = entries(block, self.factories)
        return made

    def eventful(self, first: int, last: int) -> Iterator[int]:
        """The numbers in first..last whose blocks may hold logs, in order."""
        yield from self._prefix.eventful(first, last)
        yield from range(max(first, self._prefix.top + 1), last + 1)

    def orphans(self) -> Iterator[Block]:
        """Every block that was mined and is not on the branch of now."""
        return (block for block in self._mined.values() if not self.is_canonical(block))

    def contract(self, address: Address, view: View, at: Block) -> Contract | None:
        """The token or asked pool at this address as of block `at` of `view`; None if nobody lived there yet."""
        if address in self.quotes:
            return self.quotes[address]
        for contract, birth in self._standing.births(address):
            if birth.number <= at.number and view.has(birth):
                return contract
        return None

    def advance(self) -> None:
        """One tick: mostly a block, sometimes nothing, sometimes a fork. No-op after `stop`."""
        if self.stopped:
            return
        self.tick += 1
        stream = chance(*self._words, self.tick)
        share = stream.random()
        if share < self.habits.reorg_share:
            self._fork(stream)
        elif share >= self.habits.reorg_share + self.habits.idle_share:
            self._mine(self._wanted(stream), stream)
        self._finalize(stream)
        self._remember()

    def advance_to(self, tick: int) -> None:
        """As many ticks as are missing."""
        while self.tick < tick and not self.stopped:
            self.advance()

    def stop(self) -> None:
        """Mine no more, and make everything final."""
        self.stopped = True
        self._finalized = self.head.number
        self._remember()

    def _remember(self) -> None:
        head, final = self.head, self._finalized
        safe = max(final, head.number - self.habits.finality_depth // 2)
        self._past.append(View(ledger=self, tick=self.tick, head=head, safe=safe, finalized=final))

    def _finalize(self, stream: Random) -> None:
        if stream.random() < self.habits.stall_share:
            self._stalled_until = self.tick + self.habits.stall_ticks
        if self.tick >= self._stalled_until and self.tick % self.habits.finality_step == 0:
            self._finalized = max(self._finalized, self.head.number - self.habits.finality_depth)

    def _wanted(self, stream: Random) -> list[Creation]:
        wanted = self._pending.due(self.tick)
        for _ in range(poisson(stream, self.habits.pools_a_tick)):
            wanted.append(self._pending.fresh(stream, self._earlier(stream)))
        return wanted

    def _earlier(self, stream: Random) -> TokenSpec | None:
        """A token that was deployed on this branch not long ago."""
        if not self._branch:
            return None
        block = self._branch[-1 - stream.randrange(min(len(self._branch), REMEMBERED_TICKS))]
        return block.creations[0][0].tokens[0] if block.creations else None

    def _mine(self, wanted: Sequence[Creation], stream: Random, stamp_s: int | None = None) -> None:
        """One block more, at the time of this tick or at `stamp_s`."""
        parent = self.head
        now_s = self.epoch_s + int(self.tick * self.habits.tick_s)
        salt = self.tick.to_bytes(8, "big") + stream.getrandbits(64).to_bytes(8, "big")
        self._push(
            Block(
                number=parent.number + 1,
                hash=keccak(parent.hash + salt),
                parent_hash=parent.hash,
                timestamp_s=max(now_s if stamp_s is None else stamp_s, parent.timestamp_s),
                creations=self._standing.admitted(wanted),
                parent=parent,
            )
        )

    def _push(self, block: Block) -> None:
        self._branch.append(block)
        self._mined[block.hash] = block
        self._standing.add(block)

    def _pop(self, depth: int) -> list[Block]:
        """Take the last `depth` blocks off the branch; returns them, oldest first."""
        gone = self._branch[-depth:]
        del self._branch[-depth:]
        for block in gone:
            self._standing.take_back(block)
        return gone

    def _fork(self, stream: Random) -> None:
        """Another branch wins, which shares nothing with the one before above some block that is not yet final."""
        floor = max(self._finalized, self._prefix.top)
        most = min(self.head.number - floor, self.habits.deepest_reorg)
        if most < 1:
            self._mine(self._wanted(stream), stream)
        elif stream.random() >= RETURN_SHARE or not self._return(floor):
            shallow = 1 + min(int(stream.expovariate(SHALLOW)), most - 1)
            self._replace(most if stream.random() < self.habits.reorg_share else shallow, stream)

    def _replace(self, depth: int, stream: Random) -> None:
        """Some creations move to other blocks or places, some come later, some never; some are new."""
        gone = self._abandoned = self._pop(depth)
        length = max(depth + stream.choice(LENGTHS), 1)
        shares: list[list[Creation]] = [[] for _ in range(length)]
        for block in gone:
            for creation, _ in block.creations:
                fate = stream.random()
                if fate < KEPT_SHARE:
                    shares[stream.randrange(length)].append(creation)
                elif fate < KEPT_SHARE + LATER_SHARE:
                    self._pending.later(creation, self.tick + stream.randint(1, LATEST_TICKS))
        for place, share in enumerate(shares):
            stamp_s = gone[place].timestamp_s if place < len(gone) else None
            self._mine([*share, *self._wanted(stream)], stream, stamp_s)

    def _return(self, floor: int) -> bool:
        """The branch that lost last time wins after all, with the very same blocks."""
        back = self._abandoned
        if not back or back[0].parent is None or back[0].number <= floor or not self.is_canonical(back[0].parent):
            return False
        self._abandoned = self._pop(self.head.number - back[0].number + 1)
        for block in back:
            self._push(block)
        return True


def _spec(quote: Quote) -> TokenSpec:
    return plain(quote.address, quote.symbol, quote.symbol, QUOTE_DECIMALS.get(quote.kind, 18))
