"""How the command line says things: lines that fit a terminal, and spans of time."""

import textwrap


def folded(text: str, width: int, indent: str = "") -> list[str]:
    """`text` in lines of at most `width` columns, broken between words; all but the first begin with `indent`.

    A word that is longer than a line stays whole: it may have to be copied.
    """
    return textwrap.wrap(text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def span(seconds: float) -> str:
    """As a person would say it, by the largest unit: 3 days, 1 hour."""
    for size, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            return _count(int(seconds // size), name)
    return _count(int(seconds), "second")


def _count(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"
