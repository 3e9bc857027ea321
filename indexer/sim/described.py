"""Tokens as somebody recorded them, and what a register should believe of what they answer.

Where the bytes of an answer were recorded, these are answered; where only the text or the number was, its ABI
encoding is. What nobody wrote down is made up from the address: a symbol, a name, 18 decimals; of tokens of which
nothing at all is known every eighth reverts at everything, and every eighth is no contract.

The belief is read from the bytes by eth_abi and by the Unicode character database, apart from the register's readers.
"""

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError

from indexer.model import Address, Field
from indexer.sim.contracts import EMPTY, REVERT, WORD, Reply, abi_string, word
from indexer.sim.tokens import RAW_BYTES, Facet, TokenSpec

SYMBOL_LENGTH = 64
NAME_LENGTH = 256
USUAL_DECIMALS = 18
ODD_EVERY = 8
FIELDS = ("symbol", "name", "decimals")

_BLANK_LETTERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_SELECTORS = ((0x180B, 0x180F), (0xFE00, 0xFE0F), (0xE0000, 0xE01EF))
"""Letters and marks that Unicode does not call invisible, and that show nothing: fillers, variation selectors, tags."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedToken:
    """One record; None: nobody wrote it down. `returned` are recorded answers by field, which count before all."""

    address: Address
    symbol: str | None = None
    name: str | None = None
    decimals: int | None = None
    returned: Mapping[str, Reply]

    @property
    def made_up(self) -> tuple[str, ...]:
        """The fields that nobody wrote down."""
        return tuple(name for name in FIELDS if getattr(self, name) is None and name not in self.returned)

    def spec(self) -> TokenSpec:
        """The token as it answers."""
        symbol, name = f"T{self.address.hex()[:6].upper()}", f"Token {self.address.hex()[:12]}"
        stand_ins = {"symbol": abi_string(symbol.encode()), "name": abi_string(name.encode())}
        stand_ins["decimals"] = word(USUAL_DECIMALS)
        if len(self.made_up) == len(FIELDS) and self.address[-1] % ODD_EVERY == 0:
            return _spec(self.address, "mute", dict.fromkeys(FIELDS, REVERT))
        if len(self.made_up) == len(FIELDS) and self.address[-1] % ODD_EVERY == 1:
            return _nobody(self.address)
        replies = {name: Reply(data=data) for name, data in stand_ins.items()}
        replies |= {name: _told(getattr(self, name)) for name in FIELDS if getattr(self, name) is not None}
        return _spec(self.address, "recorded", replies | dict(self.returned))


def _told(value: str | int) -> Reply:
    return Reply(data=abi_string(value.encode()) if isinstance(value, str) else word(value))


def _nobody(address: Address) -> TokenSpec:
    gone = Facet(does=EMPTY, believed=Field(status="no_code"))
    return TokenSpec(address=address, kind="no_code", symbol=gone, name=gone, decimals=gone, has_code=False)


def _spec(address: Address, kind: str, replies: Mapping[str, Reply]) -> TokenSpec:
    return TokenSpec(
        address=address,
        kind=kind,
        symbol=_facet(replies["symbol"], lambda data: _text(data, SYMBOL_LENGTH)),
        name=_facet(replies["name"], lambda data: _text(data, NAME_LENGTH)),
        decimals=_facet(replies["decimals"], _number),
    )


def _facet(reply: Reply, believed: Callable[[bytes], Field]) -> Facet:
    """What remains of an answer: of a revert or of no bytes, that there is nothing."""
    if reply.reverts or not reply.data:
        return Facet(does=reply, believed=Field(status="absent", raw=reply.data[:RAW_BYTES] or None))
    return Facet(does=reply, believed=believed(reply.data))


def _number(data: bytes) -> Field:
    raw = data[:RAW_BYTES]
    if len(data) != WORD or any(data[:-1]):
        return Field(status="malformed", raw=raw)
    return Field(status="ok", number=data[-1], raw=raw)


def _text(data: bytes, length: int) -> Field:
    """A string, the 32 bytes that early tokens return in its place, or fewer bytes that are its text."""
    raw = data[:RAW_BYTES]
    try:
        if len(data) > WORD:
            (told,) = decode(["string"], data, strict=False)
        else:
            told = data.rstrip(b"\0").decode() if len(data) == WORD else data.decode()
    except (DecodingError, UnicodeDecodeError, OverflowError):
        return Field(status="malformed", raw=raw)
    text = shown(told, length)
    return Field(status="ok", text=text, raw=raw) if text else Field(status="absent", raw=raw)


def shown(text: str, length: int) -> str:
    """What a reader sees of a text: no controls, nothing invisible, single blanks, composed, cut to `length`."""
    words = "".join(" " if char.isspace() else char for char in text if char.isspace() or _seen(char)).split()
    return unicodedata.normalize("NFC", " ".join(words))[:length].strip()


def _seen(char: str) -> bool:
    if unicodedata.category(char).startswith("C") or char in _BLANK_LETTERS:
        return False
    return not any(first <= ord(char) <= last for first, last in _SELECTORS)
