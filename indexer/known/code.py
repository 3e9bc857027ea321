"""What codes of exchanges mean where the exchange does not say it: the facts of `codes.toml`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from indexer.known.rows import Row

_KEYS = frozenset({"venues", "code", "label", "name", "asset", "since", "until", "checked", "source"})
_CAIP19 = re.compile(r"[-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32}/[-a-z0-9]{3,8}:[-.%a-zA-Z0-9]{1,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """One meaning of one venue's code: `asset` in CAIP-19, from `since` until `until` (None: on).

    `label` is what people call the asset. Somebody last looked in `checked`.
    """

    venue: str
    code: str
    asset: str
    label: str
    since: datetime
    checked: datetime
    until: datetime | None = None
    name: str | None = None
    source: str = ""


def parse_codes(rows: Sequence[Mapping[str, Any]], source: str) -> tuple[Code, ...]:
    """Codes from rows of `[[code]]`, one for each of its venues. Raises BadSetting naming source, row, key, remedy."""
    codes: list[Code] = []
    for number, values in enumerate(rows, 1):
        row = Row(source=source, table="code", number=number, values=values)
        row.only(_KEYS)
        codes += [_code(row, venue) for venue in row.texts("venues")]
        for code in codes:
            if any(_overlap(code, other) for other in codes if other is not code):
                row.wrong("since", f"lets {code.venue}'s {code.code} mean two things at once", "correct the dates")
    return tuple(codes)


def _code(row: Row, venue: str) -> Code:
    asset = row.text("asset")
    if not _CAIP19.fullmatch(asset):
        row.wrong("asset", f"= {asset!r} is no CAIP-19", "write chain/asset, as in eip155:1/slip44:60")
    checked = _day(row, "checked")
    return Code(
        venue=venue,
        code=row.text("code"),
        asset=asset,
        label=row.text("label", row.text("code")),
        name=row.optional("name", row.text),
        since=row.optional("since", lambda key: _day(row, key)) or checked,
        until=row.optional("until", lambda key: _day(row, key)),
        checked=checked,
        source=row.text("source", row.source),
    )


def _day(row: Row, key: str) -> datetime:
    value = row.values.get(key)
    if type(value) is not date:
        row.wrong(key, f"= {value!r} is no day", "write one, unquoted, as in 2022-05-31")
    return datetime(value.year, value.month, value.day, tzinfo=UTC)


def _overlap(one: Code, other: Code) -> bool:
    if (one.venue, one.code) != (other.venue, other.code):
        return False
    return (one.until is None or other.since < one.until) and (other.until is None or one.since < other.until)
