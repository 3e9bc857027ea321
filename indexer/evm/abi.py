"""Words of event data and topics, read with every bit checked, and the hashes that name events and calls.

Hot decoding cuts 32-byte words at known offsets; each reader refuses a word whose padding is not what the ABI
says, where eth_abi in strict mode would refuse it too.
"""

import sha3

from indexer.errors import UndecodableLog
from indexer.model import Address, Hash32, Log
from indexer.model.chain import ADDRESS_BYTES, HASH_BYTES

WORD = 32
SELECTOR_BYTES = 4
_PAD = bytes(WORD - ADDRESS_BYTES)
_ZERO_WORD = bytes(WORD)
_TRUE_WORD = (1).to_bytes(WORD, "big")
_MOST_BITS = 256


def keccak(data: bytes) -> Hash32:
    """Keccak-256, the chain's hash (not SHA3-256)."""
    return Hash32(sha3.keccak_256(data).digest())


def topic(signature: str) -> Hash32:
    """topic0 of an event from its canonical signature, as in `PairCreated(address,address,address,uint256)`."""
    return keccak(signature.encode("ascii"))


def selector(signature: str) -> bytes:
    """The first 4 bytes of a call, from the function's canonical signature."""
    return keccak(signature.encode("ascii"))[:SELECTOR_BYTES]


def expect(log: Log, topics: int, words: int) -> None:
    """Raises UndecodableLog unless the log has exactly this many topics (topic0 counts) and words of data."""
    if len(log.topics) != topics or len(log.data) != words * WORD:
        message = (
            f"{len(log.topics)} topics and {len(log.data)} bytes of data, "
            f"where the layout has {topics} topics and {words * WORD} bytes"
        )
        raise UndecodableLog(message)


def address_at(data: bytes, at: int) -> Address:
    """The address in the word at byte `at`; 20 zero bytes are one. Raises UndecodableLog on dirty padding."""
    word = _word(data, at)
    if word[: len(_PAD)] != _PAD:
        raise _dirty("address", word)
    return Address(word[len(_PAD) :])


def contract_at(data: bytes, at: int) -> Address:
    """An address that has to be somebody's. Raises UndecodableLog on dirty padding and on 20 zero bytes."""
    word = _word(data, at)
    if word == _ZERO_WORD:
        message = "the zero address stands where a contract has to"
        raise UndecodableLog(message)
    if word[: len(_PAD)] != _PAD:
        raise _dirty("address", word)
    return Address(word[len(_PAD) :])


def uint_at(data: bytes, at: int, bits: int = _MOST_BITS) -> int:
    """An unsigned number of at most `bits`. Raises UndecodableLog where it is greater."""
    word = _word(data, at)
    value = int.from_bytes(word, "big")
    if value >> bits:
        raise _dirty(f"uint{bits}", word)
    return value


def int_at(data: bytes, at: int, bits: int = _MOST_BITS) -> int:
    """A signed number of at most `bits`, sign-extended. Raises UndecodableLog where it is not."""
    word = _word(data, at)
    value = int.from_bytes(word, "big", signed=True)
    bound = 1 << (bits - 1)
    if not -bound <= value < bound:
        raise _dirty(f"int{bits}", word)
    return value


def bool_at(data: bytes, at: int) -> bool:
    """A flag. Raises UndecodableLog on anything but 0 and 1."""
    word = _word(data, at)
    if word not in (_ZERO_WORD, _TRUE_WORD):
        raise _dirty("bool", word)
    return word == _TRUE_WORD


def encode_address(value: bytes) -> bytes:
    """One word: 12 zero bytes and the address."""
    return _PAD + value


def encode_int(value: int) -> bytes:
    """One word, big-endian, two's complement where negative."""
    return value.to_bytes(WORD, "big", signed=value < 0)


def _word(data: bytes, at: int) -> bytes:
    word = data[at : at + WORD]
    if len(word) != HASH_BYTES:
        message = f"the data ends inside the word at byte {at}"
        raise UndecodableLog(message)
    return word


def _dirty(kind: str, word: bytes) -> UndecodableLog:
    return UndecodableLog(f"0x{word.hex()} is no {kind}")
