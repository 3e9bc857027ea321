"""Calls packed into one, answers that cannot be believed, and neighbours that are not harmed."""

import contextlib
from dataclasses import dataclass, field

import pytest
from eth_abi.abi import decode, encode
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import BadAnswer
from indexer.evm import multicall
from indexer.flow.asking import Multicalls, ask_alone, ask_together
from indexer.model import Address, BlockRef, Call, CodeOf, Hash32, Returned, Reverted

AT = Address(b"\xca" * 20)
PIN = BlockRef(number=7, hash=Hash32(b"\x07" * 32))
calls = st.lists(
    st.builds(Call, to=st.binary(min_size=20, max_size=20).map(Address), data=st.binary(max_size=70)), max_size=6
)


@given(calls, st.integers(1, 10**7))
def test_packing_equals_the_abi(asked, gas):
    hexed = [("0x" + call.to.hex(), call.data) for call in asked]
    packed = multicall.limited(AT, asked, gas).data
    assert packed[4:] == encode(["(address,uint256,bytes)[]"], [[(to, gas, data) for to, data in hexed]])
    packed = multicall.unlimited(AT, asked).data
    assert packed[4:] == encode(["bool", "(address,bytes)[]"], [False, hexed])


@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=70)), max_size=6))
def test_reading_equals_the_abi(results):
    expected = [Returned(data) if ok else Reverted("reverted inside a multicall", data) for ok, data in results]
    told = encode(["uint256", "(bool,uint256,bytes)[]"], [1, [(ok, 9, data) for ok, data in results]])
    assert multicall.read_limited(told, len(results)) == expected
    told = encode(["(bool,bytes)[]"], [results])
    assert multicall.read_unlimited(told, len(results)) == expected


@given(st.binary(max_size=400), st.integers(0, 5))
def test_garbage_is_a_bad_answer_and_nothing_worse(data, count):
    for read in (multicall.read_limited, multicall.read_unlimited):
        with contextlib.suppress(BadAnswer):
            assert len(read(data, count)) == count


@dataclass
class Contracts:
    """A node whose contracts answer by the first byte of their address; one of them poisons any multicall."""

    poison: bytes = b"\xbb"
    asked: list[int] = field(default_factory=list)
    name: str = "contracts"

    def ask(self, questions, pin):
        assert pin == PIN
        self.asked.append(len(questions))
        return [self._answer(question) for question in questions]

    def _answer(self, question):
        if isinstance(question, CodeOf):
            return Returned(b"\x60")
        if question.to != AT:
            assert question.gas is not None, "asked alone, a call has its own gas"
            return self._one(question.to)
        if question.data[:4] != multicall.TRY_AGGREGATE:
            return Returned(b"")
        (_, inner) = decode(["bool", "(address,bytes)[]"], question.data[4:])
        targets = [bytes.fromhex(to[2:]) for to, _ in inner]
        if any(to[:1] == self.poison for to in targets):
            return Reverted("EVM error MemoryOOG")
        told = [self._one(to) for to in targets]
        return Returned(encode(["(bool,bytes)[]"], [[(isinstance(a, Returned), a.data) for a in told]]))

    def _one(self, to):
        return Reverted("out of gas") if to[:1] in (self.poison, b"\xee") else Returned(to[:1])


def asking(*firsts: int) -> list[Call]:
    return [Call(to=Address(bytes([first]) + bytes([i % 256]) * 19), data=b"sym!") for i, first in enumerate(firsts)]


def test_a_poisonous_call_costs_its_neighbours_nothing():
    node = Contracts()
    questions = asking(*[1] * 150, 0xBB, *[2] * 149)
    answers = ask_together(node, Multicalls(limited=None, unlimited=AT), questions, PIN)
    assert [a.data for a in answers if isinstance(a, Returned)] == [b"\x01"] * 150 + [b"\x02"] * 149
    assert isinstance(answers[150], Reverted)
    assert sum(node.asked) < 40


def test_a_failure_inside_a_multicall_is_asked_again_alone():
    node = Contracts()
    answers = ask_together(node, Multicalls(limited=None, unlimited=AT), asking(1, 0xEE, 3), PIN)
    assert answers == [Returned(b"\x01"), Reverted("out of gas"), Returned(b"\x03")]
    assert node.asked == [1, 1]


def test_something_else_at_the_address_of_a_multicall_is_noticed():
    node = Contracts()
    ways = Multicalls(limited=AT, unlimited=AT)
    assert ask_together(node, ways, asking(1, 2), PIN) == [Returned(b"\x01"), Returned(b"\x02")]


@pytest.mark.parametrize("ways", [Multicalls(limited=None, unlimited=None)])
def test_without_a_multicall_every_question_goes_alone(ways):
    node = Contracts()
    questions = [*asking(*range(1, 105)), CodeOf(address=AT)]
    assert ask_together(node, ways, questions, PIN) == ask_alone(Contracts(), questions, PIN)
    assert node.asked == [100, 5]
