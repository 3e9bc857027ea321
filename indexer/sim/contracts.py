"""What a simulated contract does when it is called: answer, revert, burn its gas, or return far too much."""

from dataclasses import dataclass
from typing import Protocol

WORD = 32
TICK_SPACING = bytes.fromhex("d0c93a7c")  # tickSpacing()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """`data` is returned, or reverted with where `reverts`. `burns`: it loops until its gas is gone."""

    data: bytes = b""
    reverts: bool = False
    burns: bool = False


class Contract(Protocol):
    """Whoever lives at an address, or is said to."""

    @property
    def has_code(self) -> bool:
        """False: nobody lives there."""
        ...

    def reply(self, data: bytes) -> Reply:
        """What it does with this call data."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedPool:
    """A pool that says its tick spacing, or, where that is None, has no such function."""

    tick_spacing: int | None
    has_code: bool = True

    def reply(self, data: bytes) -> Reply:
        """What it does with this call data."""
        if data[:4] == TICK_SPACING and self.tick_spacing is not None:
            return Reply(data=word(self.tick_spacing))
        return REVERT


EMPTY = Reply()
REVERT = Reply(reverts=True)
BURN = Reply(burns=True)


def word(value: int) -> bytes:
    """One ABI word, two's complement where negative."""
    return value.to_bytes(WORD, "big", signed=value < 0)


def left_padded(value: bytes) -> bytes:
    """An address as an ABI word."""
    return value.rjust(WORD, b"\0")


def abi_bytes(value: bytes) -> bytes:
    """The tail of a dynamic `bytes` or `string`: its length, itself, and padding to whole words."""
    return word(len(value)) + value + bytes(-len(value) % WORD)


def abi_string(value: bytes) -> bytes:
    """The return data of a function that returns one string."""
    return word(WORD) + abi_bytes(value)


def error_string(reason: str) -> bytes:
    """Revert data of `require(false, reason)`."""
    return bytes.fromhex("08c379a0") + abi_string(reason.encode())
