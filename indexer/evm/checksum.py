"""EIP-55: the case of the letters of a hex address is its checksum."""

from indexer.evm.abi import keccak
from indexer.model import Address, address

_UPPER_FROM = 8


def to_checksum(value: bytes) -> str:
    """`0x` and 40 hex digits with the checksum in their case."""
    digits = value.hex()
    marks = keccak(digits.encode("ascii")).hex()
    return "0x" + "".join(
        digit.upper() if int(mark, 16) >= _UPPER_FROM else digit for digit, mark in zip(digits, marks, strict=False)
    )


def from_checksum(text: str) -> Address:
    """20 bytes from `0x` and 40 hex digits, all lower, all upper, or with a right checksum. Raises ValueError."""
    if text[:2] not in ("0x", "0X"):
        message = f"an address starts with 0x: {text!r}"
        raise ValueError(message)
    value = address(text)
    digits = text[2:]
    if digits not in (digits.lower(), digits.upper()) and to_checksum(value)[2:] != digits:
        message = f"the checksum in the case of its letters is wrong: {text!r} (right: {to_checksum(value)})"
        raise ValueError(message)
    return value
