"""What a chain is made of, as far as this register cares. Bytes inside; hex exists only at the edges."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NewType

ChainId = NewType("ChainId", int)
Address = NewType("Address", bytes)  # 20 raw bytes
Hash32 = NewType("Hash32", bytes)  # 32 raw bytes

ADDRESS_BYTES = 20
HASH_BYTES = 32


def address(text: str) -> Address:
    """20 bytes from hex of any case, with or without 0x. Raises ValueError on any other length."""
    return Address(_raw(text, ADDRESS_BYTES, "address"))


def hash32(text: str) -> Hash32:
    """32 bytes from hex of any case, with or without 0x. Raises ValueError on any other length."""
    return Hash32(_raw(text, HASH_BYTES, "hash"))


def _raw(text: str, size: int, what: str) -> bytes:
    raw = bytes.fromhex(text[2:] if text[:2] in ("0x", "0X") else text)
    if len(raw) != size:
        message = f"not a {size}-byte {what}: {text!r}"
        raise ValueError(message)
    return raw


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRef:
    """A block as it is remembered: enough to notice a fork."""

    number: int
    hash: Hash32


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A block header as a node told it. `timestamp_s` is the chain's own clock (Unix seconds)."""

    number: int
    hash: Hash32
    parent_hash: Hash32
    timestamp_s: int

    @property
    def ref(self) -> BlockRef:
        """The part that is remembered."""
        return BlockRef(number=self.number, hash=self.hash)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heads:
    """What one endpoint calls latest, safe and finalized, read in one batch. None: it does not know the tag."""

    latest: Header
    safe: Header | None
    finalized: Header | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """One log of a canonical block. `timestamp_s` only where the node puts it into the log itself."""

    block_number: int
    block_hash: Hash32
    tx_hash: Hash32
    log_index: int
    address: Address
    topics: tuple[Hash32, ...]
    data: bytes
    timestamp_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFilter:
    """Whom to listen to. A node answers with the cross product; (address, topic0) pairs are picked afterwards."""

    addresses: Sequence[Address]
    topics: Sequence[Hash32]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFault:
    """A log that was not asked for, or is no log: why it was dropped, and its JSON cut to 1,000 characters."""

    reason: str
    excerpt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One batch, one endpoint: the logs of first..last, and the headers that say on which branch they are.

    `before` is the header of first-1, `last` of the last block, `finalized` of the endpoint's finalized block
    (None: it does not know the tag). `logs` are well-formed, inside the range and the filter, unique by
    (block, log index), sorted; everything else of the answer is in `faults`.
    """

    logs: tuple[Log, ...]
    before: Header
    last: Header
    finalized: Header | None
    faults: tuple[LogFault, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """An eth_call. `gas` None: the endpoint's own cap."""

    to: Address
    data: bytes
    gas: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeOf:
    """An eth_getCode."""

    address: Address


Question = Call | CodeOf


@dataclass(frozen=True, slots=True)
class Returned:
    """The call succeeded with these bytes (perhaps none)."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Reverted:
    """The call failed for a reason inside the chain, the same on every node. `data` is what it reverted with."""

    reason: str
    data: bytes = b""


Answer = Returned | Reverted
