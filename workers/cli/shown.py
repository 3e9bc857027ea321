"""Rows for people: a table, CSV or JSON, in which no text can act on a terminal or a spreadsheet.

Symbols and names of tokens are written by strangers: control, format and invisible characters are escaped, and a
cell that a spreadsheet would run is defused.
"""

import csv
import io
import json
import unicodedata
from collections.abc import Iterable, Sequence

from rich.cells import cell_len

NULL = "-"
_ESCAPED = frozenset(["Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"])
_RUNS = ("=", "+", "-", "@", "\t", "\r", "\n")


def safe(text: str) -> str:
    """`text` with every character that is not shown as itself written as its escape."""
    return "".join(_escaped(char) if unicodedata.category(char) in _ESCAPED else char for char in text)


def table(columns: Sequence[str], rows: Sequence[Sequence[str | None]], right: frozenset[int] = frozenset()) -> str:
    """A table with one blank between columns; the columns of `right` are set to the right. NULL is a dash."""
    cells = [
        [safe(name) for name in columns],
        *([NULL if cell is None else safe(cell) for cell in row] for row in rows),
    ]
    widths = [max(cell_len(row[at]) for row in cells) for at in range(len(columns))]
    head, *body = [
        "  ".join(_set(cell, widths[at], at in right) for at, cell in enumerate(row)).rstrip() for row in cells
    ]
    return "\n".join([head, "  ".join("-" * width for width in widths), *body])


def comma_separated(
    columns: Sequence[str], rows: Iterable[Sequence[str | None]], numbers: frozenset[int] = frozenset()
) -> str:
    """CSV with a header; NULL is an empty cell. Outside of `numbers`, what a spreadsheet would run gets a quote."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([_defused(name) for name in columns])
    for row in rows:
        writer.writerow(
            ["" if cell is None else safe(cell) if at in numbers else _defused(cell) for at, cell in enumerate(row)]
        )
    return out.getvalue()


def json_text(value: object, *, indent: int | None = None) -> str:
    """JSON in ASCII, so that no character of it acts on a terminal. What JSON does not know is written as text."""
    return json.dumps(value, default=str, indent=indent)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode() if ord(char) > 0x7F or char in "\t\n\r" else f"\\x{ord(char):02x}"  # noqa: PLR2004


def _set(cell: str, width: int, right: bool) -> str:
    blank = " " * (width - cell_len(cell))
    return blank + cell if right else cell + blank


def _defused(cell: str) -> str:
    return safe(f"'{cell}" if cell.startswith(_RUNS) else cell)
