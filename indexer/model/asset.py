"""What names an asset: who says so, of which code, and how surely."""

from dataclasses import dataclass
from datetime import datetime

Name = tuple[str, str]
"""A scheme of `known/schemes.toml`, and the value in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One name of what a code means, as `source` says it.

    The code is `venue`'s; of nobody's (`venue` is empty) it is the source's own id. `label` is what people call it.
    Only what is written by hand is dated: it held from `since` until `until` (None: on), and was looked at in
    `checked`. A list that is read is as of its reading.
    """

    source: str
    code: str
    scheme: str
    value: str
    confidence: float
    venue: str = ""
    label: str | None = None
    name: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    checked: datetime | None = None
