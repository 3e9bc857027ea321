"""Raw values of venues' rows are read exactly, or not at all."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import UnreadableRow
from indexer.model import Identifier, natural_key
from indexer.venues import reading


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("0.00000100", Decimal("0.00000100")),
        (0.1, Decimal("0.1")),
        (7, Decimal(7)),
        ("1e-8", Decimal("1e-8")),
        ("NaN", None),
        ("Infinity", None),
        (True, None),
        ("", None),
        (None, None),
        ("1,5", None),
        ("1e999999", None),
    ],
)
def test_a_number_is_exact_or_none(value, number):
    assert reading.decimal(value) == number


def test_zero_is_no_limit():
    assert reading.positive("0.000") is None
    assert reading.positive("0.001") == Decimal("0.001")


@given(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers())))
def test_no_value_makes_reading_raise(value):
    for read in (reading.decimal, reading.moment_ms, reading.moment_iso, reading.day):
        read(value)
    reading.identifier("isin", value)
    reading.identifiers(cusip=value, conid=value)


def test_moments_are_in_utc_and_nonsense_is_none():
    assert reading.moment_ms(1569398400123) == datetime(2019, 9, 25, 8, 0, 0, 123000, tzinfo=UTC)
    assert reading.moment_ms(0) is None
    assert reading.moment_ms("4133404800000") == datetime(2100, 12, 25, 8, tzinfo=UTC)
    assert reading.moment_iso("2025-12-26T16:00:00Z") == datetime(2025, 12, 26, 16, tzinfo=UTC)
    assert reading.moment_iso("2025-12-26T16:00:00+02:00") == datetime(2025, 12, 26, 14, tzinfo=UTC)
    assert reading.day("20251226") == reading.day("2025-12-26") == date(2025, 12, 26)


def test_a_wrong_check_digit_is_no_identifier():
    assert reading.identifier("isin", "US0378331005") == Identifier(scheme="isin", value="US0378331005")
    assert reading.identifier("isin", "US0378331006") is None
    assert reading.identifier("cusip", 37833100) == Identifier(scheme="cusip", value="037833100")
    assert reading.identifier("figi", "BBG000B9XRY4") == Identifier(scheme="figi", value="BBG000B9XRY4")
    assert reading.identifiers(isin="nonsense", conid=265598) == (Identifier(scheme="conid", value="265598"),)


def test_what_identity_needs_is_there_or_the_row_is_unreadable():
    assert reading.required({"id": 5}, "id") == "5"
    with pytest.raises(UnreadableRow, match="id is missing"):
        reading.required({"id": ""}, "id")


def test_a_bar_in_an_id_cannot_forge_another_natural_key():
    assert natural_key("a", "b", "c|d", 0) != natural_key("a", "b|c", "d", 0)
    assert natural_key("a", "b", "c|d", 0) == "v1|a|b|c%7Cd|0"
    assert natural_key("a", "b", "c%7Cd", 0) == "v1|a|b|c%257Cd|0"
