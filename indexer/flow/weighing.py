"""Weigh what several readings of one range say. Values in, values out.

Readings are compared by announcement: its place (block number, block hash, log index) and what it says there. What
all of them tell alike is true. Of what they do not, block by block:

* The block's hash is the one that at least two endpoints, and more than half of those asked, name. An announcement
  under another hash is false, whoever shows it: two endpoints decide that.
* An announcement under the true hash that only some show is true: logs are forgotten every day, but nobody was ever
  seen to invent one together with the hash of a real block. Whoever does not show it has omitted it.
* Two announcements at one place under the true hash: the one that more endpoints show. Two alone cannot tell; a third
  one decides. An endpoint that was asked twice counts once.

A block whose hash or whose announcements cannot be decided keeps what is stored and stays unaudited.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from indexer.model import Hash32, PoolCreated
from indexer.model.pool import Rejected
from indexer.store.rejected import DATA_BYTES, OUSTED

OMITTED, INVENTED, WRONG_HASH = "omitted_logs", "invented_logs", "wrong_hashes"
UPHELD = "upheld_blocks"

Place = tuple[int, Hash32, int]
Told = PoolCreated | Rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was told of first..last, by place. `endpoint` is who told it; None: several, or nobody knows."""

    endpoint: str | None
    first: int
    last: int
    told: Mapping[Place, Told]

    def since(self, first: int) -> "Reading":
        """The part of it from block `first` on."""
        told = {place: told for place, told in self.told.items() if place[0] >= first}
        return Reading(endpoint=self.endpoint, first=first, last=self.last, told=told)


@dataclass(slots=True, kw_only=True)
class Weighed:
    """What is true, where nobody can tell, and how often whom the truth contradicts, by endpoint and what it did.

    `upheld` counts the blocks that an endpoint told rightly while somebody else, or what was stored, did not.
    """

    created: list[PoolCreated] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    undecided: list[int] = field(default_factory=list)
    blamed: Counter[tuple[str, str]] = field(default_factory=Counter)
    upheld: Counter[str] = field(default_factory=Counter)


def reading(
    endpoint: str | None,
    first: int,
    last: int,
    created: Iterable[PoolCreated],
    rejected: Iterable[Rejected],
) -> Reading:
    """What was announced in first..last, by place. Where a pool stands at a place, a rejected log there is old."""
    told: dict[Place, Told] = {_place(each): each for each in rejected if first <= each.log.block_number <= last}
    told |= {_place(each): each for each in created if first <= each.log.block_number <= last}
    return Reading(endpoint=endpoint, first=first, last=last, told=told)


def disputed(readings: Sequence[Reading]) -> list[int]:
    """The blocks that these readings of one range do not tell alike, in order."""
    places = {place for each in readings for place in each.told}
    return sorted({place[0] for place in places if not _all_alike([each.told.get(place) for each in readings])})


def alike(one: Reading, other: Reading) -> bool:
    """Whether two readings say the same."""
    return not disputed([one, other])


def weigh(readings: Sequence[Reading], stored: Reading, hashes: Mapping[int, Hash32]) -> Weighed:
    """What is true of the stored range, which each reading is of. `hashes` are those of disputed blocks, if certain."""
    everything = [*readings, stored]
    open_blocks = frozenset(disputed(everything))
    weighed = Weighed()
    for block, places in _by_block(everything).items():
        if block not in open_blocks:
            _keep(weighed, [_shown(everything, place)[0] for place in places])
            continue
        truth = _truth(everything, places, hashes[block]) if block in hashes else None
        if truth is None:
            weighed.undecided.append(block)
            _keep(weighed, [stored.told[place] for place in places if place in stored.told])
            continue
        _keep(weighed, truth.values())
        _judge(weighed, everything, block, truth)
    return weighed


def _by_block(readings: Sequence[Reading]) -> dict[int, list[Place]]:
    places: dict[int, list[Place]] = {}
    for place in sorted({place for each in readings for place in each.told}):
        places.setdefault(place[0], []).append(place)
    return places


def _truth(readings: Sequence[Reading], places: Sequence[Place], block_hash: Hash32) -> dict[Place, Told] | None:
    """What stands in a block of this hash; None where two announcements claim one place and equally many show them."""
    truth: dict[Place, Told] = {}
    for place in places:
        if place[1] != block_hash:
            continue
        versions = [version[0] for version in _versions(_shown(readings, place))]
        votes = [len(_endpoints(readings, place, version)) for version in versions]
        if votes.count(max(votes)) > 1:
            return None
        truth[place] = versions[votes.index(max(votes))]
    return _last_words(truth)


def _endpoints(readings: Sequence[Reading], place: Place, version: Told) -> set[str | None]:
    """Who shows this announcement; whoever read twice is one."""
    return {each.endpoint for each in readings if place in each.told and _same(each.told[place], version)}


def _last_words(truth: dict[Place, Told]) -> dict[Place, Told]:
    """Of several announcements of a pool by one emitter in one transaction the last stands, as when they are read."""
    last: dict[object, Place] = {}
    for place, told in truth.items():
        if isinstance(told, PoolCreated):
            words = (told.log.tx_hash, told.log.address, told.key)
            last[words] = max(last.get(words, place), place, key=lambda each: each[2])
    kept = set(last.values())
    return {place: told for place, told in truth.items() if isinstance(told, Rejected) or place in kept}


def _judge(weighed: Weighed, readings: Sequence[Reading], block: int, truth: Mapping[Place, Told]) -> None:
    """Whom the truth of one block contradicts, and whom it upholds. Whoever read twice is blamed once."""
    blamed = Counter[tuple[str, str]]()
    named = [each for each in readings if each.endpoint is not None]
    for each in named:
        blamed |= _blame(each, block, truth)
    weighed.blamed.update(blamed)
    weighed.upheld.update({each.endpoint for each in named if each.endpoint} - {endpoint for endpoint, _ in blamed})


def _blame(one: Reading, block: int, truth: Mapping[Place, Told]) -> Counter[tuple[str, str]]:
    assert one.endpoint is not None
    blamed = Counter[tuple[str, str]]()
    false = {place[2] for place in one.told if place[0] == block and place not in truth}
    for place, true in truth.items():
        mine = one.told.get(place)
        if mine is None:
            blamed[one.endpoint, WRONG_HASH if place[2] in false else OMITTED] += 1
        elif not _same(mine, true):
            blamed[one.endpoint, INVENTED] += 1
    hashes, indexes = {place[1] for place in truth}, {place[2] for place in truth}
    invented = [place for place in one.told if place[0] == block and place[1] not in hashes and place[2] not in indexes]
    if invented:
        blamed[one.endpoint, INVENTED] += len(invented)
    return blamed


def _keep(weighed: Weighed, true: Iterable[Told]) -> None:
    for told in true:
        if isinstance(told, PoolCreated):
            weighed.created.append(told)
        else:
            weighed.rejected.append(told)


def _shown(readings: Sequence[Reading], place: Place) -> list[Told]:
    return [each.told[place] for each in readings if place in each.told]


def _all_alike(told: Sequence[Told | None]) -> bool:
    there = [each for each in told if each is not None]
    return len(there) == len(told) and len(_versions(there)) == 1


def _versions(told: Sequence[Told]) -> list[list[Told]]:
    """The same announcements together."""
    versions: list[list[Told]] = []
    for each in told:
        for version in versions:
            if _same(version[0], each):
                version.append(each)
                break
        else:
            versions.append([each])
    return versions


def _same(one: Told, other: Told) -> bool:
    """Whether two at one place say the same. What calls and factories' rows tell besides is not compared."""
    if (one.log.tx_hash, one.log.address, one.log.topics[:1]) != (
        other.log.tx_hash,
        other.log.address,
        other.log.topics[:1],
    ):
        return False
    if isinstance(one, PoolCreated) and isinstance(other, PoolCreated):
        return (one.key, one.token0, one.token1) == (other.key, other.token0, other.token1)
    return _same_data(one, other)


def _same_data(one: Told, other: Told) -> bool:
    """The row of a rejected log keeps the beginning of its data; of one that was ousted, nothing."""
    if any(isinstance(each, Rejected) and each.reason == OUSTED for each in (one, other)):
        return True
    return one.log.data[:DATA_BYTES] == other.log.data[:DATA_BYTES]


def _place(told: Told) -> Place:
    return told.log.block_number, told.log.block_hash, told.log.log_index
