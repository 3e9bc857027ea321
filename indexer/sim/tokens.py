"""The token zoo: how tokens describe themselves, and what a register should believe about each.

The belief stands beside the behaviour and is not computed from the code that is to be tested. It is what remains
after a token was asked with at most 50 million gas: a string of six megabytes costs more, so it fails.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from indexer.model import Address, Field
from indexer.sim.contracts import BURN, EMPTY, REVERT, Reply, abi_string, error_string, word

SYMBOL = bytes.fromhex("95d89b41")
NAME = bytes.fromhex("06fdde03")
DECIMALS = bytes.fromhex("313ce567")

ODD_SHARE = 0.1
BOMB_BYTES = 6_000_000
RAW_BYTES = 4096

_HEADS = ("Moon", "Iron", "Quiet", "Blue", "Turbo", "Velvet", "Lucky", "North", "Pixel", "Cosmic", "Amber", "Rapid")
_TAILS = ("Otter", "Fox", "Heron", "Comet", "Bean", "Lynx", "Frog", "Mango", "Whale", "Finch", "Badger", "Tulip")
_ENDINGS = ("", "", "", " Inu", " Coin", " Token", " AI", " DAO", " 2.0", " Finance")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facet:
    """One field: what the contract does when asked for it, and what should be believed in the end."""

    does: Reply
    believed: Field


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSpec:
    """One token. `kind` names its place in the zoo. `has_code` False: nobody lives at the address."""

    address: Address
    kind: str
    symbol: Facet
    name: Facet
    decimals: Facet
    has_code: bool = True

    def reply(self, data: bytes) -> Reply:
        """What it does with this call data. Functions it does not have revert without data."""
        facet = {SYMBOL: self.symbol, NAME: self.name, DECIMALS: self.decimals}.get(data[:4])
        return REVERT if facet is None else facet.does


def token(stream: Random) -> TokenSpec:
    """A new token; about one in ten is odd."""
    address = Address(stream.randbytes(20))
    if stream.random() >= ODD_SHARE:
        return _good(address, stream)
    kind = stream.choice(tuple(ODD))
    return ODD[kind](address, stream)


def plain(address: Address, symbol: str, name: str, decimals: int) -> TokenSpec:
    """A token that does everything right."""
    return TokenSpec(
        address=address,
        kind="good",
        symbol=said(symbol),
        name=said(name),
        decimals=counted(decimals),
    )


def said(text: str, believed: str | None = None) -> Facet:
    """Answers with this string; believed is the text without what should not be stored, the same by default."""
    data = abi_string(text.encode())
    return Facet(
        does=Reply(data=data),
        believed=Field(status="ok", text=text if believed is None else believed, raw=data[:RAW_BYTES]),
    )


def counted(decimals: int) -> Facet:
    """Answers with this number of decimals."""
    return Facet(does=Reply(data=word(decimals)), believed=Field(status="ok", number=decimals, raw=word(decimals)))


def absent(does: Reply) -> Facet:
    """Shows nothing: it reverts, burns its gas, or returns no bytes."""
    return Facet(does=does, believed=Field(status="absent", raw=does.data[:RAW_BYTES] or None))


def malformed(data: bytes) -> Facet:
    """Answers with bytes that are no such value."""
    return Facet(does=Reply(data=data), believed=Field(status="malformed", raw=data[:RAW_BYTES]))


def _names(stream: Random) -> tuple[str, str]:
    head, tail, ending = stream.choice(_HEADS), stream.choice(_TAILS), stream.choice(_ENDINGS)
    symbol = (head[: stream.randint(1, 3)] + tail[: stream.randint(2, 4)]).upper()
    return symbol, f"{head} {tail}{ending}"


def _good(address: Address, stream: Random, **other: Facet) -> TokenSpec:
    symbol, name = _names(stream)
    facets = {"symbol": said(symbol), "name": said(name), "decimals": counted(stream.choice((18, 18, 18, 9, 8, 6, 0)))}
    facets |= other
    return TokenSpec(
        address=address,
        kind="good",
        symbol=facets["symbol"],
        name=facets["name"],
        decimals=facets["decimals"],
    )


def _odd(kind: str, address: Address, stream: Random, **other: Facet) -> TokenSpec:
    spec = _good(address, stream, **other)
    return TokenSpec(address=address, kind=kind, symbol=spec.symbol, name=spec.name, decimals=spec.decimals)


def _bytes32(address: Address, stream: Random) -> TokenSpec:
    def short(text: str) -> Facet:
        data = text.encode().ljust(32, b"\0")
        return Facet(does=Reply(data=data), believed=Field(status="ok", text=text, raw=data))

    symbol, name = _names(stream)
    return _odd("bytes32", address, stream, symbol=short(symbol), name=short(name))


def _silent(address: Address, stream: Random) -> TokenSpec:
    return _odd("empty_return", address, stream, symbol=absent(EMPTY), name=absent(EMPTY), decimals=absent(EMPTY))


def _reverting(address: Address, stream: Random) -> TokenSpec:
    loud = Reply(data=error_string("no symbol"), reverts=True)
    return _odd("revert", address, stream, symbol=absent(loud), name=absent(REVERT))


def _bare(address: Address, stream: Random) -> TokenSpec:
    """A contract without any metadata function."""
    return _odd("no_metadata", address, stream, symbol=absent(REVERT), name=absent(REVERT), decimals=absent(REVERT))


def _nobody(address: Address, stream: Random) -> TokenSpec:
    del stream
    gone = Facet(does=EMPTY, believed=Field(status="no_code"))
    return TokenSpec(address=address, kind="no_code", symbol=gone, name=gone, decimals=gone, has_code=False)


def _huge_decimals(address: Address, stream: Random) -> TokenSpec:
    return _odd("decimals_1000", address, stream, decimals=malformed(word(1000)))


def _liar(address: Address, stream: Random) -> TokenSpec:
    return _odd("lying_length", address, stream, symbol=malformed(word(32) + word(2**256 - 1)))


_BOMB = Reply(data=abi_string(b"A" * BOMB_BYTES))


def _bomb(address: Address, stream: Random) -> TokenSpec:
    return _odd("return_bomb", address, stream, symbol=Facet(does=_BOMB, believed=Field(status="absent")))


def _burner(address: Address, stream: Random) -> TokenSpec:
    return _odd("gas_burner", address, stream, symbol=absent(BURN))


def _burner_of_all(address: Address, stream: Random) -> TokenSpec:
    return _odd("gas_burner_of_all", address, stream, symbol=absent(BURN), name=absent(BURN), decimals=absent(BURN))


def _nul(address: Address, stream: Random) -> TokenSpec:
    return _odd("nul", address, stream, symbol=said("NU\0LL", "NULL"), name=said("\0\0Nul Coin\0", "Nul Coin"))


def _hidden(address: Address, stream: Random) -> TokenSpec:
    symbol = said("US\u200bDC\u200d", "USDC")
    return _odd("zero_width", address, stream, symbol=symbol, name=said("USD\u202e Coin\ufeff", "USD Coin"))


def _html(address: Address, stream: Random) -> TokenSpec:
    script = "<script>alert(1)</script>"
    return _odd("html", address, stream, symbol=said("<b>X</b>"), name=said(script))


def _lines(address: Address, stream: Random) -> TokenSpec:
    return _odd("lines", address, stream, symbol=said("\tTWO\nLINES ", "TWO LINES"))


def _not_utf8(address: Address, stream: Random) -> TokenSpec:
    return _odd("invalid_utf8", address, stream, symbol=malformed(abi_string(b"\xc3\x28\xff")))


def _invisible(address: Address, stream: Random) -> TokenSpec:
    data = abi_string("\u200b\u200b\u2060".encode())
    return _odd("invisible", address, stream, symbol=Facet(does=Reply(data=data), believed=_seen_nothing(data)))


def _empty_string(address: Address, stream: Random) -> TokenSpec:
    data = abi_string(b"")
    return _odd("empty_string", address, stream, symbol=Facet(does=Reply(data=data), believed=_seen_nothing(data)))


def _seen_nothing(data: bytes) -> Field:
    return Field(status="absent", raw=data)


def _long(address: Address, stream: Random) -> TokenSpec:
    text = "LONG" * 100
    return _odd("long_name", address, stream, symbol=said(text, text[:64]), name=said(text, text[:256]))


ODD: dict[str, Callable[[Address, Random], TokenSpec]] = {
    "bytes32": _bytes32,
    "empty_return": _silent,
    "revert": _reverting,
    "no_metadata": _bare,
    "no_code": _nobody,
    "decimals_1000": _huge_decimals,
    "lying_length": _liar,
    "return_bomb": _bomb,
    "gas_burner": _burner,
    "gas_burner_of_all": _burner_of_all,
    "nul": _nul,
    "zero_width": _hidden,
    "html": _html,
    "lines": _lines,
    "invalid_utf8": _not_utf8,
    "invisible": _invisible,
    "empty_string": _empty_string,
    "long_name": _long,
}
