"""Which things that bear names are one asset. A pure function of what is said, in whatever order it was said.

Names are taken from the surest scheme to the least, in each by value. A name unites all that bear it, unless that
would contradict something surer: two ISINs, two entries of one list. Then it is contested, and unites nobody.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from indexer.model.asset import Name

MERGES_AT = 0.95
"""Whoever says it less surely than that may point at an asset, but makes no two of them one."""

CONFIDENCE: Mapping[str, float] = {
    "iso4217": 1.0,
    "isin": 1.0,
    "cusip": 1.0,
    "caip19": 1.0,
    "figi_share": 0.99,
    "figi_composite": 0.99,
    "figi": 0.99,
    "coingecko": 0.95,
    "conid": 1.0,
    "alpaca": 1.0,
}
"""How sure it is that two that bear the same name are one; in the order in which names are taken."""

_ORDER = {scheme: place for place, scheme in enumerate(CONFIDENCE)}
_ONE_EACH = ("iso4217", "isin", "cusip", "figi_share")
"""An asset has one at most; a name of a scheme that comes later does not bring two together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """Something that bears names: all listings with the same ones, or a code of somebody's.

    `hints` are names that follow from its own, without anybody giving them. Of one list (`entry_of`) two `entry`s are
    two things. `bearers` says how many speak through it, `code` what people call it.
    """

    names: Sequence[Name]
    kind: str
    code: str
    source: str
    name: str | None = None
    confidence: float = 1.0
    hints: Sequence[Name] = ()
    entry_of: str | None = None
    entry: str = ""
    bearers: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouped:
    """`groups` hold places of things, `names` of each what names it; `contested` are groups by name.

    A thing that is in no group said it too unsurely, or bears only names that are contested.
    """

    groups: Sequence[Sequence[int]]
    names: Sequence[Sequence[Name]]
    contested: Mapping[Name, Sequence[int]]
    pointing: Mapping[int, int]
    """The group that a thing without certainty points at."""


def order(name: Name) -> tuple[int, str]:
    """Where a name stands among others: the surest first."""
    return _ORDER[name[0]], name[1]


def group(things: Sequence[Thing]) -> Grouped:
    """One group for each asset. Equal for the same things in any order, but for how groups are numbered."""
    sure = [place for place, thing in enumerate(things) if thing.confidence >= MERGES_AT and thing.names]
    union = _Union(things, sure)
    contested: dict[Name, list[int]] = {}
    for name in sorted(union.bearers, key=order):
        if not union.unite(name):
            contested[name] = union.bearers[name]
    members: dict[int, list[int]] = {}
    for place in sure:
        members.setdefault(union.root(place), []).append(place)
    given: dict[int, set[Name]] = {
        root: {name for place in places for name in things[place].names} for root, places in members.items()
    }
    named = {root: sorted(names - contested.keys(), key=order) for root, names in given.items()}
    roots = sorted((root for root, names in named.items() if names), key=lambda root: order(named[root][0]))
    number = {root: place for place, root in enumerate(roots)}
    of_name = {name: number[root] for root in roots for name in named[root]}
    pointing = {}
    for place, thing in enumerate(things):
        found = {of_name[name] for name in thing.names if name in of_name}
        if thing.confidence < MERGES_AT and len(found) == 1:
            pointing[place] = found.pop()
    return Grouped(
        groups=[members[root] for root in roots],
        names=[named[root] for root in roots],
        contested={
            name: sorted({number[root] for place in places if (root := union.root(place)) in number})
            for name, places in contested.items()
            if any(name in given[union.root(place)] for place in places)
        },
        pointing=pointing,
    )


@dataclass(slots=True)
class _Union:
    """Sets of things that are one, and what each set has that no asset has twice."""

    things: Sequence[Thing]
    places: Iterable[int]
    bearers: dict[Name, list[int]] = field(default_factory=dict)
    _above: dict[int, int] = field(default_factory=dict)
    _has: dict[int, dict[str, set[str]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for place in self.places:
            thing = self.things[place]
            self._above[place] = place
            has: dict[str, set[str]] = {}
            for name in (*thing.names, *thing.hints):
                self.bearers.setdefault(name, []).append(place)
                if name[0] in _ONE_EACH:
                    has.setdefault(name[0], set()).add(name[1])
            if thing.entry_of is not None:
                has[f"list {thing.entry_of}"] = {thing.entry}
            self._has[place] = has

    def root(self, place: int) -> int:
        """The thing that stands for its set."""
        while self._above[place] != place:
            self._above[place] = self._above[self._above[place]]
            place = self._above[place]
        return place

    def unite(self, name: Name) -> bool:
        """Make all that bear it one. False: they contradict each other, and stay as they are."""
        places = self.bearers[name]
        if len(places) == 1:
            return True
        roots = sorted({self.root(place) for place in places}, key=self._first)
        if any(self._contradict(roots, key) for key in {key for root in roots for key in self._has[root]}
               if _ORDER.get(key, -1) < _ORDER[name[0]]):  # fmt: skip
            return False
        for root in roots[1:]:
            self._above[root] = roots[0]
            for key, values in self._has.pop(root).items():
                self._has[roots[0]].setdefault(key, set()).update(values)
        return True

    def _first(self, root: int) -> tuple[tuple[int, str], ...]:
        """So that what is compared first does not depend on what was said first."""
        return tuple(sorted(order(name) for name in self.things[root].names))

    def _contradict(self, roots: Sequence[int], key: str) -> bool:
        seen: set[str] = set()
        for root in roots:
            values = self._has[root].get(key, set())
            if seen and values and seen.isdisjoint(values):
                return True
            seen |= values
        return False
