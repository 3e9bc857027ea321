"""Reading one row of a TOML table, so that a wrong value is named by file, row, key and remedy."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from indexer.errors import BadSetting
from indexer.evm.checksum import from_checksum
from indexer.model import Address, Hash32, hash32

T = TypeVar("T")

MOST_INTEGER = 2**63 - 1
MOST_SECONDS = 86_400
_NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,63}")
_HASH_TEXT = re.compile(r"0x[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row: `table` and `number` (from 1) say where it stands in `source`. Every reader raises BadSetting."""

    source: str
    table: str
    number: int
    values: Mapping[str, Any]

    def only(self, keys: frozenset[str]) -> None:
        """Refuse keys that nobody reads: most are typing errors."""
        for key in self.values:
            if key not in keys:
                self.wrong(key, "is not a known key", f"remove it, or use one of {', '.join(sorted(keys))}")

    def wrong(self, key: str, what: str, remedy: str) -> NoReturn:
        """Raise BadSetting about `key`."""
        label = self.values.get("dex") or self.values.get("name") or self.values.get("address") or "unnamed"
        message = f"{self.source}: [[{self.table}]] row {self.number} ({label}): {key} {what}; {remedy}"
        raise BadSetting(message)

    def text(self, key: str, default: str | None = None) -> str:
        """A text; required where there is no default."""
        value = self._required(key, default, "a text in quotes")
        if not isinstance(value, str):
            self.wrong(key, f"= {value!r} is no text", "put it in quotes")
        return value

    def name(self, key: str) -> str:
        """A name that goes into queues, file names and natural keys."""
        value = self.text(key)
        if not _NAME.fullmatch(value):
            self.wrong(key, f"= {value!r} is no name", "use at most 64 of a-z, 0-9 and _")
        return value

    def integer(self, key: str, default: int | None = None, *, least: int = 0, most: int = MOST_INTEGER) -> int:
        """A whole number in least..most; required where there is no default."""
        value = self._required(key, default, f"a whole number of {least} to {most}")
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.wrong(key, f"= {value!r} is out of bounds", f"write a whole number of {least} to {most}, unquoted")
        return value

    def seconds(self, key: str) -> float:
        """A duration above 0 and of at most a day, in seconds."""
        value = self._required(key, None, "seconds, as in 0.25")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MOST_SECONDS:
            remedy = f"write seconds above 0, at most {MOST_SECONDS}, unquoted, as in 0.25"
            self.wrong(key, f"= {value!r} is no duration", remedy)
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        """`true` or `false`."""
        value = self.values.get(key, default)
        if not isinstance(value, bool):
            self.wrong(key, f"= {value!r} is no flag", "write true or false, unquoted")
        return value

    def choice(self, key: str, choices: tuple[str, ...], default: str | None = None) -> str:
        """One of a few words."""
        value = self.text(key, default)
        if value not in choices:
            self.wrong(key, f"= {value!r} is none of the choices", f"write one of {', '.join(choices)}")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts, empty where it is absent."""
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.wrong(key, f"= {value!r} is no list of texts", 'write it as ["...", "..."]')
        return tuple(value)

    def address(self, key: str) -> Address:
        """20 bytes from `0x` and 40 hex digits; mixed case has to be a right EIP-55 checksum."""
        return self._hex(key, from_checksum, "write 0x and 40 hex digits, in lower case or with a right checksum")

    def hash(self, key: str) -> Hash32:
        """32 bytes from `0x` and 64 hex digits."""
        if not _HASH_TEXT.fullmatch(self.text(key)):
            self.wrong(key, f"= {self.text(key)!r} is no hash", "write 0x and 64 hex digits")
        return hash32(self.text(key))

    def optional(self, key: str, read: Callable[[str], T]) -> T | None:
        """`read(key)`, or None where the key is absent."""
        return read(key) if key in self.values else None

    def _hex(self, key: str, read: Callable[[str], T], remedy: str) -> T:
        try:
            return read(self.text(key))
        except ValueError as error:
            self.wrong(key, f"is wrong: {error}", remedy)

    def _required(self, key: str, default: object, remedy: str) -> Any:  # noqa: ANN401 - what TOML holds there
        value = self.values.get(key, default)
        if value is None:
            self.wrong(key, "is missing", f"add {key} = {remedy}")
        return value
