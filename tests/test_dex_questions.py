"""What a pool is asked when its announcement left something open."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.dex import ALL, BY_NAME
from indexer.evm.dialogue import together
from indexer.known import factories
from indexer.model import Call, PoolAnswers, PoolKey, Returned, Reverted

POOL = PoolKey(b"\x61" * 20)
TICK_SPACING = bytes.fromhex("d0c93a7c")  # tickSpacing()
ASKING = [dex for dex in ALL if dex.questions is not None]
asking = pytest.mark.parametrize("dex", ASKING, ids=lambda dex: dex.name)


def factory_of(dex):
    return next(factory for factory in factories() if factory.protocol == dex.name)


def answers(dex, answer) -> PoolAnswers:
    asked = []

    def ask(questions):
        asked.extend(questions)
        return [answer]

    (told,) = together([dex.questions(POOL, factory_of(dex))], ask)
    assert asked == [Call(to=POOL, data=TICK_SPACING)]
    return told


def test_only_algebra_asks():
    assert [dex.name for dex in ASKING] == ["algebra_v1", "algebra_v1_9", "algebra_integral"]


@asking
@pytest.mark.parametrize("spacing", [1, 60, -5, 2**23 - 1])
def test_a_pool_tells_its_tick_spacing_and_nothing_about_its_fee(dex, spacing):
    word = spacing.to_bytes(32, "big", signed=True)
    assert answers(dex, Returned(word)) == PoolAnswers(tick_spacing=spacing)


@asking
@given(st.one_of(st.builds(Reverted, st.text(), st.binary(max_size=40)), st.builds(Returned, st.binary(max_size=70))))
def test_an_answer_that_is_no_tick_spacing_is_unknown(dex, answer):
    told = answers(dex, answer).tick_spacing
    value = int.from_bytes(answer.data, "big", signed=True)
    good = isinstance(answer, Returned) and len(answer.data) == 32 and -(2**23) <= value < 2**23
    assert told == (value if good else None)


@asking
@pytest.mark.parametrize("data", [b"", bytes(31), bytes(33), bytes(64), b"\x01" + bytes(31)])
def test_an_answer_of_another_size_or_with_a_dirty_word_is_unknown(dex, data):
    assert answers(dex, Returned(data)) == PoolAnswers()


def test_a_thousand_pools_share_one_round_trip():
    rounds = []

    def ask(questions):
        rounds.append(len(questions))
        return [Returned((60).to_bytes(32, "big"))] * len(questions)

    dex = BY_NAME["algebra_integral"]
    told = together([dex.questions(POOL, factory_of(dex)) for _ in range(1000)], ask)
    assert rounds == [1000]
    assert told == [PoolAnswers(tick_spacing=60)] * 1000
