"""What tokens answer, and what is made of it."""

import gzip
import json
import unicodedata

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from indexer.evm import erc20
from indexer.evm.dialogue import together
from indexer.evm.text import NAME_CODE_POINTS, SYMBOL_CODE_POINTS, clean
from indexer.model import Address, CodeOf, Returned, Reverted

TOKEN = Address(b"\x11" * 20)
GONE = Reverted("execution reverted")


def string(text: str | bytes) -> Returned:
    return Returned(encode(["bytes"], [text.encode() if isinstance(text, str) else text]))


def number(value: int) -> Returned:
    return Returned(value.to_bytes(32, "big"))


def described(symbol, name, decimals, code=b"\x60") -> erc20.Described:
    def ask(questions):
        return [Returned(code)] if isinstance(questions[0], CodeOf) else [symbol, name, decimals]

    return together([erc20.describe(TOKEN)], ask)[0]


def test_a_thousand_tokens_cost_one_round_trip():
    rounds = []

    def ask(questions):
        rounds.append(len(questions))
        return [string("USDC"), string("USD Coin"), number(6)] * (len(questions) // 3)

    tokens = together([erc20.describe(TOKEN) for _ in range(1000)], ask)
    assert rounds == [3000]
    assert {(t.symbol.text, t.name.text, t.decimals.number, t.settled) for t in tokens} == {
        ("USDC", "USD Coin", 6, True)
    }


@pytest.mark.parametrize(
    ("answer", "status", "text"),
    [
        (string("WETH"), "ok", "WETH"),
        (Returned(b"MKR".ljust(32, b"\0")), "ok", "MKR"),
        (Returned(encode(["bytes"], [b"DAI"])[:-29]), "ok", "DAI"),
        (Returned(b"ABC"), "ok", "ABC"),
        (string("A\x00B\n"), "ok", "AB"),
        (string("U\u200bSD\u202eC"), "ok", "USDC"),
        (string("  two\t words "), "ok", "two words"),
        (string("e\u0301"), "ok", "\u00e9"),
        (string("x" * 10_000), "ok", "x" * SYMBOL_CODE_POINTS),
        (string("<b>=cmd()</b>"), "ok", "<b>=cmd()</b>"),
        (string(""), "absent", None),
        (string("\u200b\u2800"), "absent", None),
        (Returned(bytes(32)), "absent", None),
        (Returned(b""), "absent", None),
        (GONE, "absent", None),
        (Reverted("execution reverted", bytes.fromhex("556f1830")), "absent", None),
        (string(b"\xff\x00\xfeA"), "malformed", None),
        (Returned(b"\xff" * 32), "malformed", None),
        (Returned((32).to_bytes(32, "big") + b"\xff" * 32), "malformed", None),
        (Returned(b"\xff" * 64), "malformed", None),
    ],
)
def test_a_symbol_is_what_was_said_or_nothing(answer, status, text):
    field = erc20.text_field(answer, SYMBOL_CODE_POINTS)
    assert (field.status, field.text) == (status, text)
    assert field.raw == (answer.data[: erc20.RAW_BYTES] or None)


@pytest.mark.parametrize(
    ("answer", "status", "value"),
    [
        (number(18), "ok", 18),
        (number(0), "ok", 0),
        (number(255), "ok", 255),
        (number(256), "malformed", None),
        (number(2**256 - 1), "malformed", None),
        (Returned(b"\x12"), "malformed", None),
        (Returned(bytes(64)), "malformed", None),
        (Returned(b""), "absent", None),
        (GONE, "absent", None),
    ],
)
def test_decimals_are_never_guessed(answer, status, value):
    field = erc20.number_field(answer)
    assert (field.status, field.number) == (status, value)


def test_no_contract_is_told_apart_from_a_silent_one():
    nothing = Returned(b"")
    assert described(nothing, nothing, nothing, code=b"").symbol.status == "no_code"
    assert described(nothing, nothing, nothing, code=b"\x60").symbol.status == "absent"
    assert described(GONE, GONE, number(6), code=b"").decimals.number == 6


@given(st.lists(st.none() | st.binary(max_size=300), min_size=3, max_size=3), st.binary(max_size=3))
def test_no_answer_can_break_it(answers, code):
    told = [GONE if answer is None else Returned(answer) for answer in answers]
    token = described(*told, code=code)
    for field in (token.symbol, token.name):
        assert (field.text is not None) == (field.status == "ok")
    assert (token.decimals.number is not None) == (token.decimals.status == "ok")


@given(st.text(max_size=400))
def test_cleaned_text_is_safe_to_store_and_to_print(text):
    cleaned = clean(text, NAME_CODE_POINTS)
    if cleaned is not None:
        assert cleaned == cleaned.strip() == unicodedata.normalize("NFC", cleaned)
        assert 0 < len(cleaned) <= NAME_CODE_POINTS
        assert not any(unicodedata.category(char) in ("Cc", "Cf", "Cs") for char in cleaned)
        assert clean(cleaned, NAME_CODE_POINTS) == cleaned
        cleaned.encode("utf-8")


EXCHANGE = "0x2c4bd064b998838076fa341a83d007fc2fa50957"


@pytest.mark.shared
def test_every_recorded_return_is_read_without_loss(shared):
    rows = json.loads(gzip.decompress((shared / "data/tokens/erc20_metadata_raw_returns.json.gz").read_bytes()))
    seen = 0
    for row in rows:
        if row["address"] == EXCHANGE:  # of Uniswap V1: it answers everything with 4,096 bytes, which are no such value
            seen += 1
            continue
        data = bytes.fromhex((row["returndata"] or "0x")[2:])
        answer = Returned(data) if row["success"] else Reverted("recorded failure", data)
        if row["call"] == "decimals":
            told = "ok" if len(data) == 32 else "malformed" if data else "absent"
            assert erc20.number_field(answer).status == (told if row["success"] else "absent"), row
        elif row["call"] in ("symbol", "name"):
            field = erc20.text_field(answer, NAME_CODE_POINTS)
            expected = (
                "ok" if row["success"] and data.strip(b"\0").strip() and len(data) in range(1, 4096) else "absent"
            )
            assert field.status in (expected, "absent"), row
        seen += 1
    assert seen == len(rows) == 2114
