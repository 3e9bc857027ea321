"""What a simulated contract does when it is called: answer, revert, burn its gas, or return far too much."""

from dataclasses import dataclass

WORD = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """`data` is returned, or reverted with where `reverts`. `burns`: it loops until its gas is gone."""

    data: bytes = b""
    reverts: bool = False
    burns: bool = False


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
