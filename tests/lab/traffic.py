"""People who ask factories for pools, and a chain that changes its mind about the last blocks. All from a seed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from indexer.model import NATIVE, Address
from tests.lab import onchain, zoo
from tests.lab.deploy import Site
from tests.lab.onchain import Wish
from tests.lab.zoo import Facts

INCLUDED_AGAIN = 0.6


@dataclass(kw_only=True)
class Traffic:
    """One chain's. `tokens` are facts by address; each wish is granted once, unless a reorg took it back."""

    site: Site
    tokens: dict[Address, Facts]
    seed: int
    _random: random.Random = field(init=False)
    _wishes: list[Wish] = field(init=False)
    _granted: list[tuple[int, Wish]] = field(init=False, default_factory=list)
    _born_at: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(f"{self.seed} {self.site.chain.name}")
        self._wishes = onchain.wishes(self.site, list(self.tokens))
        self._random.shuffle(self._wishes)

    def everybody(self) -> int:
        """One block with a pool of every token, one of every DEX, and two that everybody knows. Returns how many."""
        chosen: list[Wish] = [
            ("uniswap_v2", token, self.site.weth, 0) for token in self.tokens if token != self.site.weth
        ]
        chosen += [("uniswap_v3", self.site.weth, self.site.usdc, 2), ("uniswap_v4", NATIVE, self.site.usdc, 1)]
        names = {_name(wish) for wish in chosen}
        self._wishes = [wish for wish in self._wishes if _name(wish) not in names]
        for dex in self.site.factories:
            chosen.append(next(wish for wish in self._wishes if wish[0] == dex))
            self._wishes.remove(chosen[-1])
        self._grant(chosen)
        return len(chosen)

    def create(self, pools: int) -> int:
        """One block with so many new pools. Returns its number."""
        return self._grant(self._take(pools))

    def newcomer(self, number: int) -> Address:
        """A token is born, and in the next block there are pools of it."""
        token = zoo.born(self.site.anvil, f"Newcomer {number}", f"NEW{number}", number % 19)
        self.tokens[token] = zoo.ok(f"NEW{number}", f"Newcomer {number}", number % 19)
        self._born_at = self.site.anvil.head()
        self._grant([("uniswap_v2", token, self.site.weth, 0), ("uniswap_v3", self.site.usdc, token, 2)])
        return token

    def reorg(self, depth: int) -> int:
        """Other blocks take the place of the last ones: some pools come back elsewhere, one never, two are new.

        Never deeper than the last birth of a token, whose address would be another one. Returns the depth.
        """
        head = self.site.anvil.head()
        depth = min(depth, head - self._born_at)
        if depth < 1:
            return 0
        gone = [wish for at, wish in self._granted if at > head - depth]
        self._granted = [(at, wish) for at, wish in self._granted if at <= head - depth]
        again = [wish for wish in gone[1:] if self._random.random() < INCLUDED_AGAIN]
        self._wishes = [wish for wish in gone[1:] if wish not in again] + self._wishes
        places = sorted((self._random.randrange(depth), wish) for wish in [*again, *self._take(2)])
        self.site.anvil.reorg(depth, [(onchain.wish_tx(self.site, wish), at) for at, wish in places])
        self._granted += [(head - depth + 1 + at, wish) for at, wish in places]
        return depth

    @property
    def last(self) -> int:
        """The newest block in which a pool was created."""
        return max(at for at, _ in self._granted)

    def _take(self, count: int) -> list[Wish]:
        taken, self._wishes = self._wishes[:count], self._wishes[count:]
        return taken

    def _grant(self, wishes: Sequence[Wish]) -> int:
        receipts = self.site.anvil.send_many([onchain.wish_tx(self.site, wish) for wish in wishes])
        block = int(receipts[-1]["blockNumber"], 16)
        self._granted += [(block, wish) for wish in wishes]
        return block


def _name(wish: Wish) -> tuple[str, frozenset[Address], int]:
    dex, one, other, variant = wish
    return dex, frozenset((one, other)), variant
