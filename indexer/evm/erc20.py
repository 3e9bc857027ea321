"""How an ERC-20 describes itself, including the ones that do it wrong."""

from collections.abc import Sequence
from dataclasses import dataclass

from indexer.evm.dialogue import Dialogue
from indexer.evm.text import NAME_CODE_POINTS, SYMBOL_CODE_POINTS, clean, returned_text
from indexer.model import Address, Answer, Call, CodeOf, Field, Returned

SYMBOL = bytes.fromhex("95d89b41")  # symbol()
NAME = bytes.fromhex("06fdde03")  # name()
DECIMALS = bytes.fromhex("313ce567")  # decimals()

RAW_BYTES = 4096
MOST_DECIMALS = 255
_WORD = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """The three fields of one token, as answered at one block."""

    symbol: Field
    name: Field
    decimals: Field

    @property
    def settled(self) -> bool:
        """Whether nothing negative is in it, so that it need not be asked again."""
        return all(field.status == "ok" for field in (self.symbol, self.name, self.decimals))


def describe(token: Address) -> Dialogue[Described]:
    """Ask for symbol, name and decimals; where none was answered, ask whether there is a contract at all."""
    symbol, name, decimals = yield (
        Call(to=token, data=SYMBOL),
        Call(to=token, data=NAME),
        Call(to=token, data=DECIMALS),
    )
    if not any(_told(answer) for answer in (symbol, name, decimals)):
        (code,) = yield (CodeOf(address=token),)
        if code == Returned(b""):
            return Described(**dict.fromkeys(("symbol", "name", "decimals"), Field(status="no_code")))
    return Described(
        symbol=text_field(symbol, SYMBOL_CODE_POINTS),
        name=text_field(name, NAME_CODE_POINTS),
        decimals=number_field(decimals),
    )


def text_field(answer: Answer, limit: int) -> Field:
    """`ok`: cleaned text. `absent`: it reverted or showed nothing. `malformed`: it returned bytes that are no text."""
    if not _told(answer):
        return Field(status="absent", raw=answer.data[:RAW_BYTES] or None)
    raw = answer.data[:RAW_BYTES]
    text = returned_text(answer.data)
    if text is None:
        return Field(status="malformed", raw=raw)
    cleaned = clean(text, limit)
    return Field(status="ok" if cleaned else "absent", text=cleaned, raw=raw)


def number_field(answer: Answer) -> Field:
    """`ok` for one word of at most 255; `malformed` for anything else; never a default."""
    if not _told(answer):
        return Field(status="absent", raw=answer.data[:RAW_BYTES] or None)
    value = int.from_bytes(answer.data, "big") if len(answer.data) == _WORD else MOST_DECIMALS + 1
    raw = answer.data[:RAW_BYTES]
    return Field(status="ok", number=value, raw=raw) if value <= MOST_DECIMALS else Field(status="malformed", raw=raw)


def _told(answer: Answer) -> bool:
    return isinstance(answer, Returned) and bool(answer.data)


def questions_of(tokens: Sequence[Address]) -> list[Dialogue[Described]]:
    """One dialogue a token."""
    return [describe(token) for token in tokens]
