"""Text that contracts return, made safe to store, print and compare. The raw bytes are kept elsewhere."""

import unicodedata

SYMBOL_CODE_POINTS = 64
NAME_CODE_POINTS = 256

_CUT_BEFORE_NORMALISING = 4096
_WORD = 32

# Format characters (Cf) hide, reorder or join what is seen; these are all dropped, with the tags block,
# variation selectors and the fillers that Unicode calls letters but that show nothing.
_INVISIBLE = frozenset(
    [
        0x034F,
        0x115F,
        0x1160,
        0x17B4,
        0x17B5,
        0x180B,
        0x180C,
        0x180D,
        0x180E,
        0x180F,
        0x2800,
        0x3164,
        0xFFA0,
        *range(0xFE00, 0xFE10),
        *range(0xE0000, 0xE01F0),
    ],
)


def clean(text: str, limit: int) -> str | None:
    """NFC text of at most `limit` code points without control, format or invisible characters.

    White space is collapsed to single blanks and stripped. None if nothing is left.
    """
    kept = text[:_CUT_BEFORE_NORMALISING]
    if not (kept.isascii() and kept.isprintable()):  # nearly every token's text is both, and composed as it is
        kept = unicodedata.normalize("NFC", " ".join("".join(map(_visible, kept)).split()))
    return " ".join(kept.split())[:limit].strip() or None


def _visible(char: str) -> str:
    if char.isspace():
        return " "
    if ord(char) in _INVISIBLE or unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn"):
        return ""
    return char


def returned_text(raw: bytes) -> str | None:
    """The string in the return data of `symbol()` or `name()`. None: these bytes are no text.

    Accepts an ABI string (padded or not), the bytes32 of early tokens, and bare UTF-8 shorter than a word. An
    empty string is returned as such.
    """
    for candidate in (_abi_string(raw), _bytes32(raw), _bare(raw)):
        if candidate is not None:
            try:
                return candidate.decode("utf-8")
            except UnicodeDecodeError:
                return None
    return None


def _abi_string(raw: bytes) -> bytes | None:
    if len(raw) < 2 * _WORD:
        return None
    offset = int.from_bytes(raw[:_WORD], "big")
    if offset % _WORD or offset > len(raw) - _WORD:
        return None
    size = int.from_bytes(raw[offset : offset + _WORD], "big")
    start = offset + _WORD
    return raw[start : start + size] if size <= len(raw) - start else None


def _bytes32(raw: bytes) -> bytes | None:
    return raw.rstrip(b"\0") if len(raw) == _WORD else None


def _bare(raw: bytes) -> bytes | None:
    return raw if len(raw) < _WORD else None
