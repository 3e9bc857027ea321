"""Listings on their way to Postgres: each as one canonical text of its identity, and digests that tell what changed.

What is unknown is left out of the text, so that a field that venues begin to tell later changes nothing before that.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any

import orjson
from blake3 import blake3

from indexer.model import GONE, Details, Listing, Rules
from indexer.store.listing_tables import DIGEST_BYTES

PLAIN = ("symbol", "status", "venue_status", "birth", "asset_class", "inst_class", "display", "base", "quote", "settle",
         "currency", "underlying", "tracks", "payoff", "option_right", "exercise", "settlement", "adjusted", "mic",
         "exchange", "tradable")  # fmt: skip
NUMBERS = ("multiplier", "strike")
DATES = ("expires_on", "expires_at", "list_at", "delist_at")
RULES = ("tick_size", "lot_size", "min_size", "max_size", "min_notional", "max_notional")
DETAILS = ("company_name", "sector", "industry", "market_cap_currency")

_PLAIN, _NUMBERS, _DATES = attrgetter(*PLAIN), attrgetter(*NUMBERS), attrgetter(*DATES)
_RULES, _DETAILS = attrgetter(*RULES), attrgetter(*DETAILS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """One listing of a run. `rules` and `details` are None, with their digests, where the venue tells nothing."""

    stable_id: str
    birth: str | None
    gone: bool
    asset_class: str | None
    inst_class: str | None
    state: bytes
    content_hash: bytes
    rules: bytes | None
    rules_hash: bytes | None
    details: bytes | None
    details_hash: bytes | None

    @property
    def order(self) -> tuple[object, ...]:
        """Of several rows with one stable_id the least stands: a living one, else whatever their texts decide."""
        return self.gone, self.state, self.rules or b"", self.details or b""


def staged(listings: Iterable[Listing]) -> tuple[list[Staged], list[str]]:
    """One row for each stable_id, by stable_id; and the stable_ids that were told more than once."""
    kept: dict[str, Staged] = {}
    twice: set[str] = set()
    for listing in listings:
        row = _staged(listing)
        other = kept.setdefault(row.stable_id, row)
        if other is not row:
            twice.add(row.stable_id)
            kept[row.stable_id] = min(other, row, key=lambda each: each.order)
    return [kept[key] for key in sorted(kept)], sorted(twice)


def _staged(listing: Listing) -> Staged:
    state = _text(_identity(listing))
    rules = _told(_rules(listing.rules))
    details = _told(_details(listing.details))
    return Staged(
        stable_id=_clean(listing.stable_id),
        birth=None if listing.birth is None else _clean(listing.birth),
        gone=listing.status in GONE,
        asset_class=listing.asset_class,
        inst_class=listing.inst_class,
        state=state,
        content_hash=_digest(state),
        rules=rules,
        rules_hash=None if rules is None else _digest(rules),
        details=details,
        details_hash=None if details is None else _digest(details),
    )


def _identity(listing: Listing) -> dict[str, Any]:
    told = {name: value for name, value in zip(PLAIN, _PLAIN(listing), strict=True) if value is not None}
    for name, number in zip(NUMBERS, _NUMBERS(listing), strict=True):
        if number is not None:
            told[name] = _number(number)
    for name, date_or_moment in zip(DATES, _DATES(listing), strict=True):
        if date_or_moment is not None:
            told[name] = _moment(date_or_moment)
    if listing.identifiers:
        told["identifiers"] = sorted({(each.scheme, each.value) for each in listing.identifiers})
    if listing.attrs:
        told["attrs"] = listing.attrs
    return told


def _rules(rules: Rules) -> dict[str, Any]:
    told: dict[str, Any] = {
        name: _number(value) for name, value in zip(RULES, _RULES(rules), strict=True) if value is not None
    }
    if rules.more:
        told["more"] = rules.more
    return told


def _details(details: Details) -> dict[str, Any]:
    told = {name: value for name, value in zip(DETAILS, _DETAILS(details), strict=True) if value is not None}
    if details.market_cap is not None:
        told["market_cap"] = _number(details.market_cap)
    return told


def _number(value: Decimal) -> str:
    """The number without zeros that say nothing: 0.10 and 0.1 are one."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _moment(value: date) -> str:
    if isinstance(value, datetime) and value.tzinfo is not UTC:
        return value.astimezone(UTC).isoformat()
    return value.isoformat()


def _told(facts: dict[str, Any]) -> bytes | None:
    return _text(facts) if facts else None


def _text(facts: Mapping[str, Any]) -> bytes:
    """Canonical JSON: sorted keys, no spaces; without what Postgres cannot hold (NUL, half of a surrogate pair)."""
    try:
        text = orjson.dumps(facts, _plain, orjson.OPT_SORT_KEYS)
    except TypeError:  # a lone surrogate, or an integer of more than 64 bits
        text = _written(facts)
    return _written(orjson.loads(text)) if b"\\u0000" in text else text


def _written(facts: object) -> bytes:
    return json.dumps(_cleaned(facts), sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def _cleaned(value: object) -> object:
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, Mapping):
        return {_clean(str(key)): _cleaned(each) for key, each in value.items()}
    if isinstance(value, Sequence):
        return [_cleaned(each) for each in value]
    return value


def _clean(text: str) -> str:
    return text.replace("\0", "").encode(errors="replace").decode()


def _plain(value: object) -> object:
    """What orjson does not know by itself: mappings and sequences of other types."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence):
        return list(value)
    raise TypeError


def _digest(text: bytes) -> bytes:
    return blake3(text).digest(length=DIGEST_BYTES)
