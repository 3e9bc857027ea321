"""Venues: the facts of `venues.toml`, and of rows of the same shape in gazetteer.toml."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from indexer.known.rows import Row

VenueKind = Literal["cex", "broker", "data"]
Licence = Literal["public", "personal", "restricted"]

KINDS: tuple[VenueKind, ...] = ("cex", "broker", "data")
LICENCES: tuple[Licence, ...] = ("public", "personal", "restricted")
MOST_BURST = 100_000
MOST_SCOPES = 64
MOST_PER_S = 10_000
TIMEOUT_S = 10.0
LIMIT_S = 120.0
_SCOPE = re.compile(r"[a-z][a-z0-9_]{0,31}(:[A-Za-z0-9_.-]{1,31})?")
_SECRET = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_MIC = re.compile(r"[A-Z0-9]{4}")
_KEYS = frozenset(
    {
        "name",
        "title",
        "kind",
        "adapter",
        "extra",
        "mic",
        "licence",
        "licence_note",
        "every_s",
        "scopes",
        "per_s",
        "burst",
        "secrets",
        "timeout_s",
        "limit_s",
        "enabled",
        "lists",
        "options",
        "source",
    },
)


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueRow:
    """One venue. `adapter` is its file in `indexer/venues`, `extra` what to install for it.

    Each of `scopes` is listed every `every_s` seconds; all requests together stay below `per_s`, after a `burst`.
    A request may take `timeout_s`, all of a scope `limit_s`.
    Without all of `secrets` (variables) it is disabled; a public one needs none. `licence` says who may be shown what
    it lists: anybody (`public`), whoever has the account (`personal`), nobody without a contract (`restricted`).
    `options` are the adapter's own. One that `lists` nothing knows more of what others list, and is asked for that.
    """

    name: str
    title: str
    kind: VenueKind
    adapter: str
    extra: str
    licence: Licence
    every_s: float
    scopes: tuple[str, ...]
    per_s: float
    burst: int
    licence_note: str = ""
    mic: str | None = None
    secrets: tuple[str, ...] = ()
    timeout_s: float = TIMEOUT_S
    limit_s: float = LIMIT_S
    enabled: bool = True
    lists: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""

    @property
    def names_coins(self) -> bool:
        """Whether it is a list of coins, and of nothing that is traded: its row says how to read it."""
        return not self.lists and "coins" in self.options


def parse_venues(rows: Sequence[Mapping[str, Any]], source: str) -> tuple[VenueRow, ...]:
    """Venues from rows of `[[venue]]`. Raises BadSetting naming `source`, row, key and remedy."""
    venues: dict[str, VenueRow] = {}
    for number, values in enumerate(rows, 1):
        row = Row(source=source, table="venue", number=number, values=values)
        venue = _venue(row)
        if venue.name in venues:
            row.wrong("name", f"= {venue.name!r} stands in another row too", "give each venue its own name")
        venues[venue.name] = venue
    return tuple(venues.values())


def _venue(row: Row) -> VenueRow:
    row.only(_KEYS)
    return VenueRow(
        name=row.name("name"),
        title=row.text("title"),
        kind=cast("VenueKind", row.choice("kind", KINDS)),
        adapter=row.name("adapter"),
        extra=row.name("extra"),
        licence=cast("Licence", row.choice("licence", LICENCES)),
        licence_note=row.text("licence_note", ""),
        every_s=row.seconds("every_s"),
        scopes=_scopes(row),
        per_s=_rate(row),
        burst=row.integer("burst", least=1, most=MOST_BURST),
        mic=row.optional("mic", lambda key: _mic(row, key)),
        secrets=_matching(row, "secrets", _SECRET, "variables of A-Z, 0-9 and _"),
        timeout_s=row.optional("timeout_s", row.seconds) or TIMEOUT_S,
        limit_s=row.optional("limit_s", row.seconds) or LIMIT_S,
        enabled=row.flag("enabled", True),
        lists=row.flag("lists", True),
        options=_options(row),
        source=row.text("source", row.source),
    )


def _scopes(row: Row) -> tuple[str, ...]:
    scopes = _matching(row, "scopes", _SCOPE, "words as spot, or future:CME")
    if not 0 < len(scopes) <= MOST_SCOPES or len(set(scopes)) < len(scopes):
        row.wrong("scopes", f"= {list(scopes)!r} is no list of scopes", f"write 1 to {MOST_SCOPES}, each once")
    return scopes


def _matching(row: Row, key: str, pattern: re.Pattern[str], what: str) -> tuple[str, ...]:
    words = row.texts(key)
    for word in words:
        if not pattern.fullmatch(word):
            row.wrong(key, f"holds {word!r}", f"write {what}")
    return words


def _rate(row: Row) -> float:
    value = row.values.get("per_s")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MOST_PER_S:
        remedy = f"write requests a second above 0, at most {MOST_PER_S}, unquoted, as in 0.5"
        row.wrong("per_s", f"= {value!r} is no rate", remedy)
    return float(value)


def _mic(row: Row, key: str) -> str:
    value = row.text(key)
    if not _MIC.fullmatch(value):
        row.wrong(key, f"= {value!r} is no MIC of ISO 10383", "write 4 of A-Z and 0-9, or leave it out")
    return value


def _options(row: Row) -> Mapping[str, Any]:
    value = row.values.get("options", {})
    if not isinstance(value, dict):
        row.wrong("options", f"= {value!r} is no table", "write the options below [venue.options]")
    return value
