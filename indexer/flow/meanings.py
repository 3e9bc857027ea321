"""What speaks of assets, brought into one shape: things that bear names, and codes of venues that mean things."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from indexer.flow.curated import SOURCE
from indexer.flow.grouping import CONFIDENCE, Thing, order
from indexer.model.asset import Claim, Name
from indexer.store.assets import Bearers, Share

KINDS = {"stock": "equity"}
"""Of a security, where its asset has another word than the instrument."""
SHARE = "tokenised_share"
ISSUER, ISSUER_CONFIDENCE = "issuer", 0.8
"""A venue says that its token follows a share; neither its contract nor its ISIN is told."""
ISIN_PREFIXES = ("US", "CA")
"""Countries whose ISIN is their prefix, the CUSIP, and a digit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A venue's code means this thing, from `since` until `until`; last confirmed in `checked`."""

    venue: str
    code: str
    thing: int
    method: str
    source: str
    confidence: float
    since: datetime
    until: datetime | None
    checked: datetime


def of_securities(told: Sequence[Bearers]) -> list[Thing]:
    """Listings by their names. Where two are told of one scheme, neither counts."""
    things = []
    for each in told:
        times = Counter(scheme for scheme, _ in each.names)
        names = [name for name in each.names if times[name[0]] == 1]
        things.append(
            Thing(
                names=names,
                kind=KINDS.get(each.inst_class, each.inst_class),
                code=each.symbol,
                name=each.company,
                source=each.source,
                hints=[("cusip", value[2:11]) for scheme, value in names if _holds_cusip(scheme, value)],
                bearers=each.count,
            )
        )
    return things


def _holds_cusip(scheme: str, value: str) -> bool:
    return scheme == "isin" and value.startswith(ISIN_PREFIXES)


def of_claims(claims: Sequence[Claim], start: int) -> tuple[list[Thing], list[Link]]:
    """One thing for each code and meaning, numbered from `start`, and the links of those that are a venue's."""
    told: dict[tuple[str, str, str, datetime | None], list[Claim]] = {}
    for claim in claims:
        told.setdefault((claim.source, claim.venue, claim.code, claim.until), []).append(claim)
    things: list[Thing] = []
    links: list[Link] = []
    for (source, venue, code, until), of in sorted(told.items(), key=lambda item: (item[0][:3], str(item[0][3]))):
        names = sorted({(claim.scheme, claim.value) for claim in of}, key=order)
        confidence = min(claim.confidence for claim in of)
        since, checked = (min(m for c in of if (m := getattr(c, key)) is not None) for key in ("since", "checked"))
        if venue:
            surest = names[0][0]
            links.append(
                Link(
                    venue=venue,
                    code=code,
                    thing=start + len(things),
                    method=surest,
                    source=source,
                    confidence=min(confidence, CONFIDENCE[surest]),
                    since=since,
                    until=until,
                    checked=checked,
                )
            )
        things.append(
            Thing(
                names=names,
                kind=_kind(names),
                code=of[0].label or code,
                name=of[0].name,
                source=source,
                confidence=confidence,
                entry_of=None if source == SOURCE else f"{source} {venue}",
                entry=code,
            )
        )
    return things, links


def of_shares(shares: Sequence[Share], reborn: Mapping[tuple[str, str], datetime], start: int) -> list[Link]:
    """Codes of tokenised shares mean tokens of their own, numbered from `start`."""
    links = []
    for number, share in enumerate(shares):
        since = max(share.since, reborn.get((share.venue, share.code), share.since))
        links.append(
            Link(
                venue=share.venue,
                code=share.code,
                thing=start + number,
                method=ISSUER,
                source=share.venue,
                confidence=ISSUER_CONFIDENCE,
                since=since,
                until=None,
                checked=since,
            )
        )
    return links


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What people call an asset."""

    kind: str
    code: str
    name: str | None


def described(things: Sequence[Thing], members: Sequence[int], names: Sequence[Name]) -> Described:
    """By what most of those that bear its names say; of equals the first."""
    kinds: Counter[str] = Counter()
    codes: Counter[str] = Counter()
    called: dict[str, set[str]] = {}
    for place in members:
        thing = things[place]
        kinds[thing.kind] += thing.bearers
        codes[thing.code] += thing.bearers
        if thing.name is not None:
            called.setdefault(thing.code, set()).add(thing.name)
    code = _most(codes)
    found = called.get(code) or {name for each in called.values() for name in each}
    coin = any(scheme == "caip19" for scheme, _ in names)
    return Described(kind=_kind(names) if coin else _most(kinds), code=code, name=min(found, default=None))


def followed(tracked: Sequence[tuple[str, Name]], group_of: Mapping[Name, int]) -> dict[str, int]:
    """The one share that bears this ticker where the token's issuer means it, by its surest name; else none."""
    found: dict[str, set[tuple[int, int]]] = {}
    for symbol, name in tracked:
        if name in group_of:
            found.setdefault(symbol, set()).add((order(name)[0], group_of[name]))
    shares = {}
    for symbol, pairs in found.items():
        surest = min(pairs)[0]
        groups = {group for place, group in pairs if place == surest}
        if len(groups) == 1:
            shares[symbol] = groups.pop()
    return shares


def _kind(names: Sequence[Name]) -> str:
    if names and names[0][0] == "iso4217":
        return "fiat"
    natives = any("/slip44:" in value for scheme, value in names if scheme == "caip19")
    contracts = any(scheme == "caip19" for scheme, _ in names)
    return "token" if contracts and not natives else "coin"


def _most(counted: Counter[str]) -> str:
    return min(counted, key=lambda word: (-counted[word], word))
