"""What tokens say is kept with its status; a negative is believed only from a final block, asked again alone."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexer.evm import erc20
from indexer.model import NATIVE, BlockRef, Field, Returned, Reverted, Token
from indexer.store import tokens
from tests.lab import register
from tests.lab.announcing import announce, rows, settle
from tests.lab.register import ETHEREUM, NOW, WETH, block_hash, made_token, named

ABSENT = Field(status="absent")
NO_CODE = Field(status="no_code")


@pytest.fixture
def tx(db):
    """A transaction on a register whose tip and anchor are block 1,000. Rolled back."""
    with db.connect() as connection, connection.begin():
        register.begin(connection)
        yield connection


def pinned(token, number, **changes):
    return replace(token, pin=BlockRef(number=number, hash=block_hash(number)), **changes)


def silent(address, number, *, provisional=True, field=ABSENT):
    """A token that says nothing at this block."""
    return pinned(
        replace(named(address, "?"), symbol=field, name=field, decimals=field), number, provisional=provisional
    )


def seen(tx, *addresses):
    return tokens.seen(tx, ETHEREUM.id, addresses, NOW)


def to_ask(tx, address):
    ((found, again),) = tokens.to_ask(tx, ETHEREUM.id, [address])
    assert found == address
    return again


def events(tx, address):
    query = "select kind, block_number from gazetteer.events where subject = :address order by tx, id"
    return [tuple(row) for row in rows(tx, query, address=address)]


def row(tx, address):
    (found,) = rows(tx, "select * from gazetteer.tokens where address = :address", address=address)
    return found


def test_a_token_is_asked_once_however_often_it_is_seen(tx):
    one, two = made_token(1), made_token(2)
    assert seen(tx, one, two, one) == sorted([one, two])
    assert seen(tx, one) == []
    tokens.write(tx, [named(one, "ONE")], NOW)
    assert seen(tx, one) == []
    assert (row(tx, two).symbol_status, row(tx, two).decimals) == ("pending", None)


def test_the_native_currency_is_known_and_never_asked(tx):
    assert seen(tx, NATIVE) == []
    assert row(tx, NATIVE).symbol == ETHEREUM.native_symbol


def test_a_token_without_code_is_asked_again_when_it_is_seen_again(tx):
    one = made_token(1)
    seen(tx, one)
    tokens.write(tx, [silent(one, 1_001, provisional=False, field=NO_CODE)], NOW)
    assert seen(tx, one) == [one]
    assert not to_ask(tx, one)


def test_an_absent_field_is_not_asked_again_once_it_is_final(tx):
    one = made_token(1)
    seen(tx, one)
    tokens.write(tx, [silent(one, 1_001, provisional=False)], NOW)
    assert seen(tx, one) == []


def test_a_token_is_asked_again_only_while_its_negative_is_provisional(tx):
    one = made_token(1)
    seen(tx, one)
    assert not to_ask(tx, one)
    tokens.write(tx, [silent(one, 1_003)], NOW)
    assert to_ask(tx, one)
    tokens.write(tx, [silent(one, 1_003, provisional=False)], NOW)
    assert not to_ask(tx, one)


def test_the_newest_mention_of_a_token_is_that_of_its_pools_that_are_there(tx):
    one, two = made_token(1), made_token(2)
    there = [announce(1, 1_002), announce(2, 1_004), replace(announce(3, 1_006), token0=WETH, token1=one)]
    settle(tx, 1_001, 1_010, there)
    assert tokens.mentioned(tx, ETHEREUM.id, [one, two, WETH]) == {one: 1_006, two: 1_004, WETH: 1_006}
    settle(tx, 1_001, 1_010, there[:1])
    assert tokens.mentioned(tx, ETHEREUM.id, [one, two], lock=True) == {one: 1_002, two: 0}


def test_the_first_answer_is_told_and_another_one_is_told_as_a_change(tx):
    one = made_token(1)
    seen(tx, one)
    told = [
        (named(one, "ONE"), 1_001),
        (named(one, "ONE"), 1_002),
        (named(one, "TWO"), 1_003),
        (replace(named(one, "TWO"), decimals=Field(status="absent")), 1_004),
        (replace(named(one, "TWO"), decimals=Field(status="malformed", raw=b"x")), 1_005),
    ]
    for token, number in told:
        assert tokens.write(tx, [pinned(token, number)], NOW) == 1
    assert events(tx, one) == [
        ("token.resolved", 1_001),
        ("token.changed", 1_003),
        ("token.changed", 1_004),
        ("token.changed", 1_005),
    ]
    assert (row(tx, one).pin_number, row(tx, one).decimals, row(tx, one).decimals_raw) == (1_005, None, b"x")


def test_a_confirmed_negative_that_says_the_same_is_no_change(tx):
    one = made_token(1)
    seen(tx, one)
    tokens.write(tx, [silent(one, 1_001)], NOW)
    tokens.write(tx, [silent(one, 1_010, provisional=False)], NOW)
    assert events(tx, one) == [("token.resolved", 1_001)]
    assert not row(tx, one).provisional


def test_a_token_that_nobody_announced_is_not_written(tx):
    assert tokens.write(tx, [named(made_token(9), "NINE")], NOW) == 0
    assert rows(tx, "select 1 from gazetteer.events") == []


def test_the_moment_of_the_first_answer_stays(tx):
    one = made_token(1)
    seen(tx, one)
    tokens.write(tx, [named(one, "ONE")], register.NOW)
    tokens.write(tx, [named(one, "TWO")], register.NOW.replace(year=2030))
    assert row(tx, one).resolved_at == register.NOW


def test_seeing_a_settled_token_writes_nothing(tx):
    settle(tx, 1_001, 1_002, [announce(1, 1_001)])
    tokens.write(tx, [named(made_token(1), "ONE"), named(WETH, "WETH")], NOW)
    before = rows(tx, "select xmin, ctid, * from gazetteer.tokens order by address")
    settle(tx, 1_003, 1_004, [announce(2, 1_003)])
    after = rows(tx, "select xmin, ctid, * from gazetteer.tokens order by address")
    assert [one for one in after if one.address != made_token(2)] == before


ANSWERS = st.one_of(
    st.builds(Returned, st.binary(max_size=200)),
    st.builds(Returned, st.binary(min_size=32, max_size=32)),
    st.builds(
        lambda data: Returned((32).to_bytes(32, "big") + len(data).to_bytes(32, "big") + data), st.binary(max_size=300)
    ),
    st.builds(Reverted, st.text(max_size=10), st.binary(max_size=100)),
)


def _told(field):
    return field.text, field.status, field.raw


def described(address, answers, code):
    dialogue = erc20.describe(address)
    try:
        dialogue.send(None)
        dialogue.send(answers)
        dialogue.send([Returned(code)])
    except StopIteration as end:
        return end.value
    raise AssertionError("it asks on and on")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(garbage=st.lists(st.tuples(ANSWERS, ANSWERS, ANSWERS, st.binary(max_size=3)), min_size=1, max_size=6))
def test_whatever_tokens_answer_never_fails_the_batch(db, garbage):
    with db.connect() as tx, tx.begin():
        register.begin(tx)
        told = []
        for number, (symbol, name, decimals, code) in enumerate(garbage):
            answer = described(made_token(number), (symbol, name, decimals), code)
            told.append(
                Token(
                    chain_id=ETHEREUM.id,
                    address=made_token(number),
                    symbol=answer.symbol,
                    name=answer.name,
                    decimals=answer.decimals,
                    pin=BlockRef(number=1_001, hash=block_hash(1_001)),
                    provisional=not answer.settled,
                )
            )
        good = named(made_token(99), "GOOD")
        seen(tx, *(token.address for token in told), good.address)
        assert tokens.write(tx, [*told, good], NOW) == len(told) + 1
        for token in told:
            kept = row(tx, token.address)
            assert (kept.symbol, kept.name, kept.decimals) == (
                token.symbol.text,
                token.name.text,
                token.decimals.number,
            )
        assert row(tx, good.address).symbol == "GOOD"
        tx.get_transaction().rollback()
