"""What is the same: listings, codes of venues and contracts on chains, brought together as assets.

Everything is derived anew from what is said now, whoever said it first; what stands is only compared with that, so
that doing it twice changes nothing, and the order of the runs before it does not matter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from hashlib import blake2b

from indexer import store
from indexer.flow import curated, meanings
from indexer.flow.grouping import CONFIDENCE, Grouped, Thing, group, order
from indexer.flow.meanings import Link
from indexer.model.asset import Claim, Name
from indexer.store import Db, Tx, asset_writes, assets
from indexer.store.assets import Asset, Meant, Named, Share
from indexer.store.clock import Clock

TICK = timedelta(microseconds=1)
CODE = "code"
"""Stands for a scheme where a venue's code is claimed for two assets."""
_VERSION = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class NothingNew:
    """Nobody said anything since, or somebody else is at it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Related:
    """How many assets are new or became part of another, and how many names, codes and conflicts changed."""

    added: int
    merged: int
    named: int
    codes: int
    contested: int


def relate(db: Db, clock: Clock, claims: Sequence[Claim] | None = None) -> Related | NothingNew:
    """Make assets say what listings, lists of coins and `claims` (None: what is known by hand) say together."""
    by_hand = curated.claims() if claims is None else claims
    with store.begin(db) as tx:
        before = assets.remembered(tx)
        mark = f"{_VERSION} {blake2b(repr(by_hand).encode(), digest_size=8).hexdigest()} {assets.heard(tx)}"
        if mark == before:
            return NothingNew()
        heard = _listen(tx, by_hand)  # what is said meanwhile is heard again the next time
    said = _Said(**vars(heard), grouped=group(heard.things))
    with store.begin(db) as tx:
        if not assets.alone(tx) or assets.remembered(tx) != before:
            return NothingNew()
        last, now = assets.latest(tx), clock(tx)
        related = _relate(tx, said, now if last is None else max(now, last + TICK))
        assets.remember(tx, mark)
    return related


@dataclass(frozen=True, kw_only=True)
class _Heard:
    """What is said: things, links of codes to them by their place, and tokenised shares, whose places come after."""

    things: Sequence[Thing]
    links: Sequence[Link]
    shares: Sequence[Share]
    reborn: Mapping[tuple[str, str], datetime]


@dataclass(frozen=True, kw_only=True)
class _Said(_Heard):
    """What is said, and which of the things are one."""

    grouped: Grouped

    @cached_property
    def share_start(self) -> int:
        """Groups from here on are tokenised shares, each by itself."""
        return len(self.grouped.groups)

    @cached_property
    def group_of_name(self) -> Mapping[Name, int]:
        """The group that each name names."""
        return {name: number for number, names in enumerate(self.grouped.names) for name in names}

    def group_of(self, link: Link) -> int | None:
        """The group that a code means; None: what is said of it is not sure enough to be anything."""
        if link.thing >= len(self.things):
            return self.share_start + link.thing - len(self.things)
        return self._of_thing.get(link.thing, self.grouped.pointing.get(link.thing))

    @cached_property
    def _of_thing(self) -> Mapping[int, int]:
        return {place: number for number, places in enumerate(self.grouped.groups) for place in places}


def _listen(tx: Tx, by_hand: Sequence[Claim]) -> _Heard:
    listing = assets.venues(tx)
    told = [*assets.claims(tx), *by_hand]
    mapped = {(claim.venue, claim.code) for claim in told}
    told += [
        curated.currency(code, venue, venue)
        for venue, code in assets.currencies(tx, curated.currencies())
        if (venue, code) not in mapped
    ]
    told = [claim for claim in told if not claim.venue or claim.venue in listing]
    things = meanings.of_securities(assets.securities(tx, list(CONFIDENCE)))
    more, links = meanings.of_claims(told, len(things))
    things += more
    shares, reborn = assets.shares(tx), assets.reborn(tx)
    links += meanings.of_shares(shares, reborn, len(things))
    return _Heard(things=things, links=links, shares=shares, reborn=reborn)


def _relate(tx: Tx, said: _Said, now: datetime) -> Related:
    named, meant = assets.named(tx), assets.meant(tx)
    ids, merged = _allocate(said, named, meant)
    fresh = [number for number in range(said.share_start + len(said.shares)) if number not in ids]
    told = [_description(said, number) for number in fresh]
    made = asset_writes.add(tx, [(each.kind, each.code, each.name) for each in told], now)
    ids |= dict(zip(fresh, made, strict=True))
    _describe(tx, said, ids)
    asset_writes.merge(tx, merged := {old: ids[number] for old, number in merged.items()}, now)
    names = _name(tx, said, ids, merged, named, now)
    open_, clashes = _chosen(said, ids)
    codes = _mean(tx, said, open_, _past(said, ids), meant, assets.merged(tx), now)
    contested = _contest(tx, said, ids, clashes, now)
    return Related(added=len(made), merged=len(merged), named=names, codes=codes, contested=contested)


def _allocate(
    said: _Said, named: Mapping[Name, Named], meant: Sequence[Meant]
) -> tuple[dict[int, int], dict[int, int]]:
    """The assets that groups are already, by the surest of their names; and those that a group swallows."""
    group_of = said.group_of_name
    ids: dict[int, int] = {}
    taken: set[int] = set()
    swallowed: dict[int, int] = {}
    for name in sorted(named.keys() & group_of.keys(), key=order):
        number, asset_id = group_of[name], named[name].asset_id
        if asset_id in taken:
            continue  # its surest name went elsewhere: what else it was called is another asset's now
        if number in ids:
            swallowed.setdefault(asset_id, number)
        else:
            ids[number] = asset_id
            taken.add(asset_id)
    now = {(each.venue, each.code): each for each in meant if each.until is None and each.method == meanings.ISSUER}
    for number, share in enumerate(said.shares):
        current = now.get((share.venue, share.code))
        if current is not None and current.since >= said.reborn.get((share.venue, share.code), current.since):
            ids[said.share_start + number] = current.asset_id
    return ids, {asset_id: number for asset_id, number in swallowed.items() if asset_id not in taken}


def _description(said: _Said, number: int) -> meanings.Described:
    if number >= said.share_start:
        return meanings.Described(kind=meanings.SHARE, code=said.shares[number - said.share_start].code, name=None)
    return meanings.described(said.things, said.grouped.groups[number], said.grouped.names[number])


def _describe(tx: Tx, said: _Said, ids: Mapping[int, int]) -> None:
    """Kind, code and name of every asset as they are said now, and what tokenised shares follow."""
    wanted = sorted({share.tracks for share in said.shares if share.tracks is not None})
    share_of = meanings.followed(assets.tracked(tx, wanted), said.group_of_name) if wanted else {}
    standing = assets.standing(tx)
    changed = []
    for number, asset_id in sorted(ids.items()):
        told = _description(said, number)
        asset = Asset(asset_id=asset_id, kind=told.kind, code=told.code, name=told.name, tracks_id=None, multiple=None)
        if number >= said.share_start:
            share = said.shares[number - said.share_start]
            followed = share_of.get(share.tracks or "")
            tracks_id = None if followed is None else ids[followed]
            asset = replace(asset, tracks_id=tracks_id, multiple=share.multiplier)
        if asset != standing[asset_id]:
            changed.append(asset)
    asset_writes.describe(tx, changed)


def _name(
    tx: Tx,
    said: _Said,
    ids: Mapping[int, int],
    merged: Mapping[int, int],
    named: Mapping[Name, Named],
    now: datetime,
) -> int:
    """Each name names the asset of its group. One that nobody says any more stays; a contested one names none."""
    best: dict[Name, tuple[float, str]] = {}
    for thing in said.things:
        for name in thing.names:
            word = -min(thing.confidence, CONFIDENCE[name[0]]), thing.source
            if name not in best or word < best[name]:
                best[name] = word
    wanted = {
        name: Named(asset_id=ids[number], name=name, source=best[name][1], confidence=-best[name][0])
        for name, number in said.group_of_name.items()
    }
    ended = [name for name in named if name in said.grouped.contested]
    begun = []
    for name, each in named.items():
        if name not in wanted and each.asset_id in merged and name not in said.grouped.contested:
            wanted[name] = replace(each, asset_id=merged[each.asset_id])
    altered = []
    for name, each in wanted.items():
        before = named.get(name)
        if before is None or before.asset_id != each.asset_id:
            ended += [] if before is None else [name]
            begun.append(each)
        elif before != each:
            altered.append(each)
    asset_writes.name(tx, ended, begun, altered, now)
    return len(begun) + len({*ended} - {each.name for each in begun})


Key = tuple[str, str]


def _chosen(said: _Said, ids: Mapping[int, int]) -> tuple[dict[Key, Meant], dict[Name, Sequence[int]]]:
    """What codes mean now, by the surest that says so; and codes that are claimed for several assets."""
    by_key: dict[Key, list[tuple[Link, int]]] = {}
    for link in said.links:
        number = said.group_of(link) if link.until is None else None
        if number is not None:
            by_key.setdefault((link.venue, link.code), []).append((link, number))
    chosen: dict[Key, Meant] = {}
    clashes: dict[Name, Sequence[int]] = {}
    for key, found in by_key.items():
        numbers = {number for _, number in found}
        if len(numbers) > 1:
            clashes[CODE, f"{key[0]}:{key[1]}"] = sorted(ids[number] for number in numbers)
            continue
        link, number = min(found, key=lambda each: (-each[0].confidence, each[0].source))
        reborn = said.reborn.get(key)
        doubted = reborn is not None and reborn > max(link.checked, link.since)
        chosen[key] = _meant(link, ids[number], until=reborn if doubted else None)
    return chosen, clashes


def _past(said: _Said, ids: Mapping[int, int]) -> list[Meant]:
    """What codes meant, where somebody wrote down until when."""
    found = []
    for link in said.links:
        number = said.group_of(link) if link.until is not None else None
        if number is not None:
            found.append(_meant(link, ids[number], until=link.until))
    return found


def _meant(link: Link, asset_id: int, *, until: datetime | None) -> Meant:
    return Meant(
        venue=link.venue,
        code=link.code,
        asset_id=asset_id,
        method=link.method,
        source=link.source,
        confidence=link.confidence,
        since=link.since,
        until=until,
    )


def _mean(
    tx: Tx,
    said: _Said,
    chosen: Mapping[Key, Meant],
    past: Sequence[Meant],
    meant: Sequence[Meant],
    merged: Mapping[int, int],
    now: datetime,
) -> int:
    """Write what of the codes differs: meanings that began, ended, or are said otherwise."""

    def same(one: Meant, other: Meant) -> bool:
        return merged.get(one.asset_id, one.asset_id) == other.asset_id

    standing = {(each.venue, each.code, each.since): each for each in meant}
    current = {(each.venue, each.code): each for each in meant if each.until is None}
    told = [each for each in past if standing.get((each.venue, each.code, each.since)) != each]
    over: dict[Key, list[datetime]] = {}
    for each in (*meant, *past):
        if each.until is not None:
            over.setdefault((each.venue, each.code), []).append(each.until)
    ended: dict[Key, datetime] = {}
    for key in sorted(chosen.keys() | current.keys()):
        want, stands = chosen.get(key), current.get(key)
        if stands is not None and want is not None and want.until is None and same(stands, want):
            want = replace(want, since=stands.since)
            told += [] if want == stands else [want]
            continue
        if stands is not None:
            ended[key] = _end(stands, want, said.reborn.get(key), now)
            over.setdefault(key, []).append(ended[key])
        if want is not None:
            want = replace(want, since=max([want.since, *over.get(key, [])]))
            if want.until is None or want.since < want.until:
                told += [] if standing.get((*key, want.since)) == want else [want]
    asset_writes.mean(tx, ended, told)
    return len(ended) + len(told)


def _end(stands: Meant, want: Meant | None, reborn: datetime | None, now: datetime) -> datetime:
    """When a meaning ended: where its code was born again, where another began, or now that nobody says it."""
    moments = [reborn, want.since if want is not None and want.until is None else None]
    return min((each for each in moments if each is not None and stands.since < each <= now), default=now)


def _contest(tx: Tx, said: _Said, ids: Mapping[int, int], clashes: Mapping[Name, Sequence[int]], now: datetime) -> int:
    found: dict[Name, Sequence[int]] = {
        name: sorted(ids[number] for number in numbers) for name, numbers in said.grouped.contested.items()
    }
    found |= clashes
    standing = assets.conflicts(tx)
    settled = [name for name, those in standing.items() if tuple(found.get(name, ())) != those]
    begun = {name: those for name, those in found.items() if standing.get(name) != tuple(those)}
    asset_writes.contest(tx, settled, begun, now)
    return len({*settled, *begun})
