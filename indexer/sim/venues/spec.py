"""What a simulated venue is: rows in its own wire shape, and faults that may be switched on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Protocol

import orjson

Wire = dict[str, Any]
"""One row, as the venue sends it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request. `path` starts with a slash, without the venue's prefix; headers are in lower case."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def says(self, part: str) -> bool:
        """Whether this part stands in its path, or in its query as `key=value` in the order that it came."""
        return part in "?".join((self.path, "&".join(f"{key}={value}" for key, value in self.query.items())))


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One answer."""

    status: int = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Simulated(Protocol):
    """One venue. `rows` hold what it lists, by scope; whoever changes them puts a new list in the old one's place.

    A fault is a word, or `word@part`: then it strikes only requests that say this part. Words that the server knows:
    `geo_blocked`, `rate_limited`, `banned`, `unavailable`, `html`, `truncated`, `hang`; the others are the venue's own.
    """

    name: str
    rows: dict[str, list[Wire]]
    faults: set[str]

    def answer(self, asked: Asked) -> Told:
        """What an honest venue says, but for its own faults."""
        ...


def json(value: object, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None) -> Told:
    """An answer in JSON."""
    return Told(
        status=status, headers={"Content-Type": "application/json"} | dict(headers or {}), body=orjson.dumps(value)
    )


def struck(faults: set[str], word: str, asked: Asked) -> bool:
    """Whether this fault is on, and strikes this request."""
    return any(
        name == word and (not at or asked.says(part)) for name, at, part in (each.partition("@") for each in faults)
    )
