"""Just enough of an EVM to be harmed like one: gas, the 63/64 rule, memory that costs quadratically, multicalls.

A call passes on at most 63/64 of the gas that is left (EIP-150). Memory costs 3 gas a word plus words**2 / 512.
So a neighbour that burns its gas, or returns megabytes, can make a whole multicall fail, as on a real node.

Layouts (ABI):
  UniswapInterfaceMulticall.multicall((address,uint256,bytes)[]) -> (uint256, (bool,uint256,bytes)[])
  Multicall3.tryAggregate(bool,(address,bytes)[]) -> (bool,bytes)[]
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from indexer.model import Address
from indexer.sim.contracts import WORD, Reply, abi_bytes, error_string, word

MULTICALL = bytes.fromhex("1749e1e3")
TRY_AGGREGATE = bytes.fromhex("bce38bd7")

INTRINSIC_GAS = 21_000
CALLDATA_GAS_A_BYTE = 8  # between the 4 of a zero byte and the 16 of any other
COLD_ACCOUNT_GAS = 2_600
FRAME_GAS = 700
LOOP_GAS = 1_200
COPY_GAS_A_WORD = 3
MOST_CALLS = 10_000

Lookup = Callable[[Address, bytes], Reply | None]
"""What the contract at this address does with this call data; None: there is no contract."""


class OutOfGas(Exception):
    """The outermost frame has no gas left, so nothing of the call remains."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a call ended. `data`: returned, or reverted with."""

    ok: bool
    data: bytes
    gas_used: int
    out_of_gas: bool = False


@dataclass(slots=True)
class _Frame:
    """Gas and memory of a frame that calls others."""

    left: int
    memory_bytes: int = 0

    def spend(self, gas: int) -> None:
        if gas > self.left:
            raise OutOfGas
        self.left -= gas

    def grow(self, size: int) -> None:
        before = memory_gas(self.memory_bytes)
        self.memory_bytes += size
        self.spend(memory_gas(self.memory_bytes) - before + COPY_GAS_A_WORD * _words(size))

    def passed_on(self, limit: int | None) -> int:
        most = self.left - self.left // 64
        return most if limit is None else min(limit, most)


@dataclass(frozen=True, slots=True)
class _Inner:
    to: Address
    data: bytes
    gas: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One chain's contracts as they are at one block."""

    lookup: Lookup
    uniswap_multicall: Address | None
    multicall3: Address | None

    def call(self, to: Address, data: bytes, gas: int) -> Outcome:
        """An eth_call with this much gas."""
        intrinsic = INTRINSIC_GAS + CALLDATA_GAS_A_BYTE * len(data)
        if gas < intrinsic:
            return Outcome(ok=False, data=b"", gas_used=gas, out_of_gas=True)
        if to == self.uniswap_multicall and data[:4] == MULTICALL:
            return self._multicall(data[4:], gas, gas - intrinsic)
        if to == self.multicall3 and data[:4] == TRY_AGGREGATE:
            return self._try_aggregate(data[4:], gas, gas - intrinsic)
        return self._inner(to, data, gas - intrinsic)

    def _inner(self, to: Address, data: bytes, gas: int) -> Outcome:
        reply = self.lookup(to, data)
        if reply is None:
            return Outcome(ok=True, data=b"", gas_used=min(COLD_ACCOUNT_GAS, gas))
        cost = COLD_ACCOUNT_GAS + FRAME_GAS + memory_gas(len(reply.data))
        if reply.burns or cost > gas:
            return Outcome(ok=False, data=b"", gas_used=gas, out_of_gas=True)
        return Outcome(ok=not reply.reverts, data=reply.data, gas_used=cost)

    def _multicall(self, args: bytes, gas: int, usable: int) -> Outcome:
        def program(frame: _Frame) -> bytes:
            items = [_Inner(*item) for item in _limited_calls(args)]
            results = [
                word(out.ok) + word(out.gas_used) + word(3 * WORD) + abi_bytes(out.data)
                for out in self._each(frame, items)
            ]
            return word(0) + word(2 * WORD) + _array(results)

        return _run(program, gas, usable)

    def _try_aggregate(self, args: bytes, gas: int, usable: int) -> Outcome:
        def program(frame: _Frame) -> bytes:
            items = [_Inner(to, data, None) for to, data in _unlimited_calls(args)]
            outs = self._each(frame, items)
            if _uint(args, 0) and not all(out.ok for out in outs):
                raise _Refused("Multicall3: call failed")
            return word(WORD) + _array([word(out.ok) + word(2 * WORD) + abi_bytes(out.data) for out in outs])

        return _run(program, gas, usable)

    def _each(self, frame: _Frame, items: Sequence[_Inner]) -> list[Outcome]:
        outs: list[Outcome] = []
        for item in items:
            frame.spend(LOOP_GAS)
            frame.grow(len(item.data))
            out = self._inner(item.to, item.data, frame.passed_on(item.gas))
            frame.spend(out.gas_used)
            frame.grow(len(out.data))
            outs.append(out)
        return outs


class _Refused(Exception):
    """The multicall contract itself reverted."""


def _run(program: Callable[[_Frame], bytes], gas: int, usable: int) -> Outcome:
    frame = _Frame(usable)
    try:
        answer = program(frame)
        frame.grow(len(answer))
    except OutOfGas:
        return Outcome(ok=False, data=b"", gas_used=gas, out_of_gas=True)
    except _Refused as refused:
        return Outcome(ok=False, data=error_string(str(refused)), gas_used=gas - frame.left)
    except (IndexError, ValueError):
        return Outcome(ok=False, data=b"", gas_used=gas - frame.left)
    return Outcome(ok=True, data=answer, gas_used=gas - frame.left)


def memory_gas(size: int) -> int:
    """What it costs to have used this many bytes of memory."""
    words = _words(size)
    return 3 * words + words * words // 512


def _words(size: int) -> int:
    return (size + WORD - 1) // WORD


def _limited_calls(args: bytes) -> list[tuple[Address, bytes, int]]:
    return [
        (Address(args[item + 12 : item + WORD]), _tail(args, item, 2), _uint(args, item + WORD))
        for item in _items(args, _uint(args, 0))
    ]


def _unlimited_calls(args: bytes) -> list[tuple[Address, bytes]]:
    return [(Address(args[item + 12 : item + WORD]), _tail(args, item, 1)) for item in _items(args, _uint(args, WORD))]


def _items(args: bytes, array: int) -> list[int]:
    """Where each tuple of the dynamic array at `array` begins."""
    count, start = _uint(args, array), array + WORD
    if count > MOST_CALLS:
        raise ValueError(count)
    return [start + _uint(args, start + index * WORD) for index in range(count)]


def _tail(args: bytes, item: int, place: int) -> bytes:
    at = item + _uint(args, item + place * WORD)
    size = _uint(args, at)
    if at + WORD + size > len(args):
        raise IndexError(at)
    return args[at + WORD : at + WORD + size]


def _uint(data: bytes, at: int) -> int:
    if at + WORD > len(data):
        raise IndexError(at)
    return int.from_bytes(data[at : at + WORD], "big")


def _array(items: Sequence[bytes]) -> bytes:
    heads: list[bytes] = []
    at = len(items) * WORD
    for item in items:
        heads.append(word(at))
        at += len(item)
    return word(len(items)) + b"".join(heads) + b"".join(items)
