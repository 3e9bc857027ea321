"""Identifier schemes: the facts of `schemes.toml`, first of all who may pass its numbers on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from indexer.known.rows import Row
from indexer.known.venue import LICENCES, Licence

_KEYS = frozenset({"name", "title", "licence", "licence_note", "source"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """One way to name instruments or assets. `licence` as a venue's; `licence_note` says why."""

    name: str
    title: str
    licence: Licence
    licence_note: str = ""
    source: str = ""


def parse_schemes(rows: Sequence[Mapping[str, Any]], source: str) -> tuple[Scheme, ...]:
    """Schemes from rows of `[[scheme]]`. Raises BadSetting naming `source`, row, key and remedy."""
    schemes: dict[str, Scheme] = {}
    for number, values in enumerate(rows, 1):
        row = Row(source=source, table="scheme", number=number, values=values)
        row.only(_KEYS)
        name = row.name("name")
        if name in schemes:
            row.wrong("name", f"= {name!r} stands in another row too", "keep one row a scheme")
        schemes[name] = Scheme(
            name=name,
            title=row.text("title"),
            licence=cast("Licence", row.choice("licence", LICENCES)),
            licence_note=row.text("licence_note", ""),
            source=row.text("source", row.source),
        )
    return tuple(schemes.values())
