"""What people are about to create: pools of new tokens and of old ones, some of them announced badly."""

from collections.abc import Sequence
from random import Random

from indexer.model import NATIVE, Address, Factory
from indexer.sim.blocks import FLAWS, Creation, Flaw
from indexer.sim.tokens import TokenSpec, token

ANOTHER_POOL_SHARE = 0.15
TWO_NEW_SHARE = 0.05
NATIVE_SHARE = 0.5
NATIVE_ALWAYS = frozenset({"uniswap_v1"})
NATIVE_SOMETIMES = frozenset({"uniswap_v4"})


class Pending:
    """Draws creations, and keeps those that a fork threw out until their time comes again.

    `quotes` are the tokens that most pools have on one side.
    """

    def __init__(self, factories: Sequence[Factory], quotes: Sequence[Address], flaw_share: float) -> None:
        self._factories = tuple(factories)
        self._quotes = tuple(quotes)
        self._flaw_share = flaw_share
        self._later: list[tuple[int, Creation]] = []

    def later(self, creation: Creation, tick: int) -> None:
        """Include it at this tick."""
        self._later.append((tick, creation))

    def due(self, tick: int) -> list[Creation]:
        """What was to be included by now; it is given out once."""
        if not self._later:
            return []
        now = [creation for due, creation in self._later if due <= tick]
        self._later = [(due, creation) for due, creation in self._later if due > tick]
        return now

    def fresh(self, stream: Random, earlier: TokenSpec | None) -> Creation:
        """A new wish: mostly a new token against a quote, sometimes `earlier` in another pool, or two new tokens."""
        factory = stream.choice(self._factories)
        share, flawed, roll = stream.random(), stream.random() < self._flaw_share, stream.getrandbits(64)
        first = earlier if earlier is not None and share < ANOTHER_POOL_SHARE else token(stream)
        other = self._quote(factory, stream)
        tokens: tuple[TokenSpec, ...] = (first,)
        if other is None or (share > 1 - TWO_NEW_SHARE and factory.protocol not in NATIVE_ALWAYS):
            second = token(stream)
            other, tokens = second.address, (first, second)
        flaw, impostor = self._flaw(factory, stream) if flawed else (None, None)
        return Creation(
            factory=factory,
            sides=(first.address, other),
            roll=roll,
            tokens=tokens,
            flaw=flaw,
            impostor=impostor,
        )

    def _quote(self, factory: Factory, stream: Random) -> Address | None:
        if factory.protocol in NATIVE_ALWAYS:
            return NATIVE
        if factory.protocol in NATIVE_SOMETIMES and stream.random() < NATIVE_SHARE:
            return NATIVE
        return stream.choice(self._quotes) if self._quotes else None

    def _flaw(self, factory: Factory, stream: Random) -> tuple[Flaw, Factory | None]:
        flaw = stream.choice(FLAWS)
        if flaw != "impostor":
            return flaw, None
        others = [
            other
            for other in self._factories
            if other.protocol == factory.protocol and other is not factory and other.init_code_hash is None
        ]
        return (flaw, stream.choice(others)) if others else ("dirty", None)
