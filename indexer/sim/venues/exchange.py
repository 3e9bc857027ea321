"""What simulated exchanges share: coins from a seed, days of expiry, and faults of a list's content."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import ClassVar

from indexer.sim.chance import chance
from indexer.sim.venues.spec import Asked, Wire, struck

AT_MS = 1_782_864_000_000
"""2026-07-01: when a simulated venue lives unless it is told."""
DAY_MS = 86_400_000
FRIDAY, EXPIRY_HOUR = 4, 8
EXPIRY_DAYS = (7, 60, 150)
SIZE = 300
NEW_WORD = "QUITE_NEW"
COINS = (
    *("BTC", "ETH", "SOL", "XRP", "BNB", "DOGE", "ADA", "TRX", "LINK", "AVAX", "DOT", "LTC", "BCH", "UNI", "ATOM"),
    *("ETC", "FIL", "APT", "ARB", "OP", "NEAR", "INJ", "SUI", "AAVE", "MKR", "LUNA", "LUNC", "PEPE", "SHIB", "TON"),
)
SHARES = ("AAPL", "TSLA", "NVDA", "MSFT", "AMZN", "GOOGL", "META", "SPY", "QQQ", "COIN", "MSTR", "HOOD")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Exchange(ABC):
    """One simulated exchange: `rows` by scope, from a seed; `size` is the length of its longest list.

    Faults that it knows besides the server's: `empty` (no rows at all), `half` (every other row is missing),
    `new_status` (the first row has a word that nobody knows), `bad_row` (the first row has lost its name).
    """

    name = ""
    ids: ClassVar[Mapping[str, str]] = {}
    words: ClassVar[Mapping[str, str]] = {}

    def __init__(self, *, seed: int | str = 0, size: int = SIZE, at_ms: int = AT_MS) -> None:
        self.seed = seed
        self.at_ms = at_ms
        self.faults: set[str] = set()
        self.rows: dict[str, list[Wire]] = {scope: self._first(scope, size) for scope in self.ids}

    @abstractmethod
    def new(self, scope: str, base: str, born_ms: int) -> Wire:
        """A row of a listing of this coin, born then, in this venue's shape."""

    @abstractmethod
    def _first(self, scope: str, size: int) -> list[Wire]: ...

    def listed(self, scope: str, asked: Asked) -> list[Wire]:
        """What it lists in this scope, spoiled by its faults."""
        rows = self.rows[scope]
        if struck(self.faults, "empty", asked):
            return []
        if struck(self.faults, "half", asked):
            rows = rows[::2]
        if rows and struck(self.faults, "new_status", asked):
            rows = [{**rows[0], self.words[scope]: NEW_WORD}, *rows[1:]]
        if rows and struck(self.faults, "bad_row", asked):
            rows = [{key: value for key, value in rows[0].items() if key != self.ids[scope]}, *rows[1:]]
        return rows

    def dice(self, *of: int | str) -> Random:
        """Chance that is the same for the same seed and words."""
        return chance(self.seed, self.name, *of)

    def coins(self, number: int) -> list[str]:
        """So many codes: known ones, then invented ones."""
        codes = dict.fromkeys(COINS[:number])
        dice = self.dice("coins")
        while len(codes) < number:
            codes["".join(dice.choices(_LETTERS, k=dice.randint(3, 5)))] = None
        return list(codes)

    def born(self, *of: int | str) -> int:
        """A moment of the last years, in ms."""
        return self.at_ms - self.dice("born", *of).randrange(30, 1500) * DAY_MS


def expiries(at_ms: int, days: Sequence[int] = EXPIRY_DAYS) -> list[int]:
    """Fridays at 08:00 UTC, each that many days ahead or a little more, in ms."""
    moments = []
    for ahead in days:
        day = datetime.fromtimestamp(at_ms / 1000, UTC) + timedelta(days=ahead)
        friday = day + timedelta(days=(FRIDAY - day.weekday()) % 7)
        moments.append(int(friday.replace(hour=EXPIRY_HOUR, minute=0, second=0, microsecond=0).timestamp() * 1000))
    return moments


def utc(at_ms: int) -> datetime:
    """A moment in ms as a datetime."""
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def iso(at_ms: int) -> str:
    """A moment in ms as venues write it."""
    return utc(at_ms).strftime("%Y-%m-%dT%H:%M:%SZ")
