"""Many calls in one eth_call: the Uniswap multicall (a gas limit a call) and Multicall3 (no limit a call).

Layouts (ABI):
  UniswapInterfaceMulticall.multicall((address target, uint256 gasLimit, bytes callData)[])
      -> (uint256 blockNumber, (bool success, uint256 gasUsed, bytes returnData)[])
  Multicall3.tryAggregate(bool requireSuccess, (address target, bytes callData)[])
      -> (bool success, bytes returnData)[]

The block number inside the answer is never used: on Arbitrum it is the L1 block.
"""

from collections.abc import Sequence

from indexer.errors import BadAnswer
from indexer.model import Address, Call, Returned, Reverted

LIMITED = bytes.fromhex("1749e1e3")  # multicall((address,uint256,bytes)[])
TRY_AGGREGATE = bytes.fromhex("bce38bd7")  # tryAggregate(bool,(address,bytes)[])

_WORD = 32
_TRUE = (1).to_bytes(_WORD, "big")


def limited(to: Address, calls: Sequence[Call], gas_each: int) -> Call:
    """One call of the Uniswap multicall; each inner call gets at most `gas_each`."""
    items = [_address(call.to) + _uint(gas_each) + _uint(3 * _WORD) + _bytes(call.data) for call in calls]
    return Call(to=to, data=LIMITED + _uint(_WORD) + _array(items))


def unlimited(to: Address, calls: Sequence[Call]) -> Call:
    """One call of Multicall3.tryAggregate(false, ...)."""
    items = [_address(call.to) + _uint(2 * _WORD) + _bytes(call.data) for call in calls]
    return Call(to=to, data=TRY_AGGREGATE + _uint(0) + _uint(2 * _WORD) + _array(items))


def read_limited(data: bytes, count: int) -> list[Returned | Reverted]:
    """Inner answers of `limited`. Raises BadAnswer if the bytes are not an answer to `count` calls."""
    words = _Words(data)
    return _results(words, words.offset(0, _WORD), count, return_at=2)


def read_unlimited(data: bytes, count: int) -> list[Returned | Reverted]:
    """Inner answers of `unlimited`. Raises BadAnswer if the bytes are not an answer to `count` calls."""
    words = _Words(data)
    return _results(words, words.offset(0, 0), count, return_at=1)


def _results(words: "_Words", array: int, count: int, return_at: int) -> list[Returned | Reverted]:
    if words.uint(array) != count:
        message = f"multicall answered {words.uint(array)} results to {count} calls"
        raise BadAnswer(message)
    start = array + _WORD
    results: list[Returned | Reverted] = []
    for index in range(count):
        item = words.offset(start, index * _WORD)
        data = words.bytes(words.offset(item, return_at * _WORD))
        results.append(Returned(data) if words.uint(item) else Reverted("reverted inside a multicall", data))
    return results


class _Words:
    """Bounds-checked reading: an answer may hold any lie about its own length."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def uint(self, at: int) -> int:
        if at + _WORD > len(self._data):
            message = "multicall answer is cut short"
            raise BadAnswer(message)
        return int.from_bytes(self._data[at : at + _WORD], "big")

    def offset(self, start: int, at: int) -> int:
        """Where the dynamic part that is pointed to from `start + at` begins; offsets count from `start`."""
        return start + min(self.uint(start + at), len(self._data))

    def bytes(self, at: int) -> bytes:
        size = self.uint(at)
        if size > len(self._data) - at - _WORD:
            message = "multicall answer is cut short"
            raise BadAnswer(message)
        return self._data[at + _WORD : at + _WORD + size]


def _uint(value: int) -> bytes:
    return value.to_bytes(_WORD, "big")


def _address(value: bytes) -> bytes:
    return value.rjust(_WORD, b"\0")


def _bytes(value: bytes) -> bytes:
    return _uint(len(value)) + value + bytes(-len(value) % _WORD)


def _array(items: Sequence[bytes]) -> bytes:
    heads, at = [], len(items) * _WORD
    for item in items:
        heads.append(_uint(at))
        at += len(item)
    return _uint(len(items)) + b"".join(heads) + b"".join(items)
