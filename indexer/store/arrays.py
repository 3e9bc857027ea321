"""Lists on their way to Postgres. A batch travels as a few long arrays, so how they are written is most of the cost.

psycopg asks a dumper for every element and looks with two regular expressions at what it said; for bytes, whole
numbers and plain text the whole array can be written at once, to the same effect.
"""

from typing import Any

from psycopg.types.array import ListDumper
from sqlalchemy import Engine, event

_NONE = type(None)


class ArrayDumper(ListDumper):
    """Writes one-dimensional arrays of one of the three kinds itself, all others as psycopg does."""

    def dump(self, obj: list[Any]) -> Any:  # noqa: ANN401 - psycopg's own: bytes-like or None
        """The array as Postgres reads it, with None as NULL."""
        kinds = set(map(type, obj))
        holes = _NONE in kinds
        kinds.discard(_NONE)
        if kinds == {bytes}:
            return _quoted([None if item is None else rf"\\x{item.hex()}" for item in obj], holes)
        if kinds == {int}:
            return ("{" + ",".join(["NULL" if item is None else str(item) for item in obj]) + "}").encode()
        if kinds == {str}:
            words = [None if item is None else item.replace("\\", "\\\\").replace('"', '\\"') for item in obj]
            whole = _quoted(words, holes)
            if b"\0" not in whole and self._plain:
                return whole
        return super().dump(obj)

    @property
    def _plain(self) -> bool:
        return self._tx.encoding == "utf-8"


def _quoted(words: list[str | None], holes: bool) -> bytes:
    if holes:
        return ("{" + ",".join(["NULL" if word is None else f'"{word}"' for word in words]) + "}").encode()
    return ('{"' + '","'.join(words) + '"}').encode()  # type: ignore[arg-type]  # there is no hole


def install(db: Engine) -> None:
    """Every connection of this engine writes arrays so."""

    def teach(connection: Any, _record: object) -> None:  # noqa: ANN401 - a connection of the driver
        connection.adapters.register_dumper(list, ArrayDumper)

    event.listen(db, "connect", teach)
