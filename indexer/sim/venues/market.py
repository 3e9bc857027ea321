"""What happens on exchanges while somebody watches: things are listed, end, are born again, and a list breaks off."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from indexer.sim.chance import chance
from indexer.sim.venues.exchange import DAY_MS, Exchange, iso
from indexer.sim.venues.spec import Wire

Verb = Literal["list", "delist", "reuse", "shrink", "recover"]

ROUND: tuple[tuple[float, Verb], ...] = (
    (4.0, "list"),
    (8.0, "delist"),
    (12.0, "list"),
    (16.0, "reuse"),
    (22.0, "shrink"),
    (34.0, "recover"),
)
"""What one exchange goes through, in seconds; then the next one does."""
ROUND_S = 40.0
MOST_HAPPENINGS = 10_000
CONTRACT_DAYS = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One thing that happened. `key` is the venue's name of what it happened to; None: to the whole list."""

    verb: Verb
    venue: str
    scope: str
    key: str | None


def add(exchange: Exchange, scope: str, base: str, at_ms: int) -> Happening:
    """A coin is listed, born now."""
    row = exchange.new(scope, base, at_ms)
    exchange.rows[scope] = [*exchange.rows[scope], row]
    return Happening(verb="list", venue=exchange.name, scope=scope, key=row[exchange.ids[scope]])


def remove(exchange: Exchange, scope: str, key: str) -> Happening:
    """It is listed no more. Raises KeyError where it was not."""
    exchange.rows[scope] = [row for row in exchange.rows[scope] if row is not _row(exchange, scope, key)]
    return Happening(verb="delist", venue=exchange.name, scope=scope, key=key)


def reuse(exchange: Exchange, scope: str, key: str, born: Mapping[str, object]) -> Happening:
    """Another thing bears its name, told apart by `born`: fields of the row. Raises KeyError as `remove` does."""
    old = _row(exchange, scope, key)
    exchange.rows[scope] = [{**row, **born} if row is old else row for row in exchange.rows[scope]]
    return Happening(verb="reuse", venue=exchange.name, scope=scope, key=key)


def shrink(exchange: Exchange, scope: str) -> Happening:
    """From now on every other row of all its lists is missing."""
    exchange.faults.add("half")
    return Happening(verb="shrink", venue=exchange.name, scope=scope, key=None)


def recover(exchange: Exchange, scope: str) -> Happening:
    """Its lists are whole again."""
    exchange.faults.discard("half")
    return Happening(verb="recover", venue=exchange.name, scope=scope, key=None)


class Market:
    """Exchanges that live by `ROUND`, one after the other, for ever. `happened` remembers it all, oldest first."""

    def __init__(self, exchanges: Iterable[Exchange], *, seed: int | str = 0, round_s: float = ROUND_S) -> None:
        self._exchanges = tuple(exchanges)
        self._seed = seed
        self._round_s = round_s
        self._done = 0
        self.happened: list[Happening] = []

    def live(self, since_start_s: float) -> list[Happening]:
        """All that is due by now and has not happened yet."""
        new: list[Happening] = []
        while self._due_s(self._done) <= since_start_s and len(self.happened) + len(new) < MOST_HAPPENINGS:
            new.append(self._happen(self._done))
            self._done += 1
        self.happened += new
        return new

    def _due_s(self, number: int) -> float:
        rounds, place = divmod(number, len(ROUND))
        return self._round_s * (rounds + ROUND[place][0] / ROUND_S)

    def _happen(self, number: int) -> Happening:
        rounds, place = divmod(number, len(ROUND))
        exchange, dice = self._exchanges[rounds % len(self._exchanges)], chance(self._seed, "market", number)
        scope = "linear" if "linear" in exchange.rows else "future"
        at_ms = exchange.at_ms + int(self._due_s(number) * 1000)
        key = exchange.ids[scope]
        verbs: Mapping[Verb, Callable[[], Happening]] = {
            "list": lambda: add(exchange, "spot", f"NEW{number}", at_ms),
            "delist": lambda: remove(exchange, "spot", dice.choice(exchange.rows["spot"])[exchange.ids["spot"]]),
            "reuse": lambda: reuse(exchange, scope, *_reborn(dice.choice(exchange.rows[scope]), key, at_ms)),
            "shrink": lambda: shrink(exchange, "spot"),
            "recover": lambda: recover(exchange, "spot"),
        }
        return verbs[ROUND[place][1]]()


def _reborn(row: Wire, key: str, at_ms: int) -> tuple[str, Wire]:
    """Its name, and what of it says that it is another: when it was opened, or when it ends."""
    if "onboardDate" in row:
        return row[key], {"onboardDate": at_ms}
    if "launchTime" in row:
        return row[key], {"launchTime": str(at_ms)}
    if "openingDate" in row:
        return row[key], {"openingDate": iso(at_ms)}
    details = row["future_product_details"]
    return row[key], {"future_product_details": details | {"contract_expiry": iso(at_ms + CONTRACT_DAYS * DAY_MS)}}


def _row(exchange: Exchange, scope: str, key: str) -> Wire:
    found = next((row for row in exchange.rows[scope] if row[exchange.ids[scope]] == key), None)
    if found is None:
        raise KeyError(key)
    return found
