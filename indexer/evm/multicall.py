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
_CUT_SHORT = "multicall answer is cut short"


def limited(to: Address, calls: Sequence[Call], gas_each: int) -> Call:
    """One call of the Uniswap multicall; each inner call gets at most `gas_each`."""
    before_data = _uint(gas_each) + _uint(3 * _WORD)
    return Call(to=to, data=LIMITED + _uint(_WORD) + _array(_items(calls, before_data)))


def unlimited(to: Address, calls: Sequence[Call]) -> Call:
    """One call of Multicall3.tryAggregate(false, ...)."""
    return Call(to=to, data=TRY_AGGREGATE + _uint(0) + _uint(2 * _WORD) + _array(_items(calls, _uint(2 * _WORD))))


def _items(calls: Sequence[Call], before_data: bytes) -> list[bytes]:
    """Each call's tuple. The same few questions are put to many tokens, so what follows an address is made once."""
    tails = {data: before_data + _bytes(data) for data in {call.data for call in calls}}
    return [_address(call.to) + tails[call.data] for call in calls]


def read_limited(data: bytes, count: int) -> list[Returned | Reverted]:
    """Inner answers of `limited`. Raises BadAnswer if the bytes are not an answer to `count` calls."""
    return _results(data, _number(data, _WORD), count, return_at=2 * _WORD)


def read_unlimited(data: bytes, count: int) -> list[Returned | Reverted]:
    """Inner answers of `unlimited`. Raises BadAnswer if the bytes are not an answer to `count` calls."""
    return _results(data, _number(data, 0), count, return_at=_WORD)


def _results(data: bytes, array: int, count: int, return_at: int) -> list[Returned | Reverted]:
    """Offsets count from where the list, or the item, begins. An answer may hold any lie about its own length."""
    told = _number(data, array)
    if told != count:
        message = f"multicall answered {told} results to {count} calls"
        raise BadAnswer(message)
    start = array + _WORD
    results: list[Returned | Reverted] = []
    for at in range(start, start + count * _WORD, _WORD):
        item = start + _number(data, at)
        begin = item + _number(data, item + return_at) + _WORD
        end = begin + _number(data, begin - _WORD)
        if end > len(data):
            raise BadAnswer(_CUT_SHORT)
        inner = data[begin:end]
        results.append(Returned(inner) if _number(data, item) else Reverted("reverted inside a multicall", inner))
    return results


def _number(data: bytes, at: int) -> int:
    word = data[at : at + _WORD]
    if len(word) != _WORD:
        raise BadAnswer(_CUT_SHORT)
    return int.from_bytes(word, "big")


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
