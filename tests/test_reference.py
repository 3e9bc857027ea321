"""Identifiers of real lists are right by their own check digits, and places of listing exist in the standard's list."""

from collections import Counter
from importlib import import_module

import pyarrow.parquet as pq
import pytest

from indexer.known import venues
from indexer.venues.reading import identifier

pytestmark = pytest.mark.shared

COLUMNS = {
    "isin": ("isin", 14_765),
    "cusip": ("cusip", 5_975),
    "figi": ("figi", 19_334),
    "composite_figi": ("figi_composite", 20_506),
    "shareclass_figi": ("figi_share", 21_845),
}


@pytest.fixture(scope="module")
def instruments(shared):
    return pq.read_table(shared / "data/reference/instruments_isin_figi.parquet")


@pytest.fixture(scope="module")
def mics(shared):
    rows = pq.read_table(shared / "data/reference/iso10383_mic.parquet").to_pylist()
    return {row["mic"]: row for row in rows}


@pytest.mark.parametrize("column", COLUMNS)
def test_every_identifier_of_real_instruments_is_right(instruments, column):
    scheme, count = COLUMNS[column]
    told = [value for value in instruments[column].to_pylist() if value]
    wrong = [value for value in told if identifier(scheme, value) is None]
    assert (len(told), wrong) == (count, [])
    assert [identifier(scheme, value).value for value in told] == told


@pytest.mark.parametrize("column", COLUMNS)
def test_one_wrong_digit_is_told_from_a_right_one(instruments, column):
    scheme, _count = COLUMNS[column]
    told = [value for value in instruments[column].to_pylist() if value][:1_000]
    off = [value[:-1] + str((int(value[-1]) + 1) % 10) for value in told]
    assert not any(identifier(scheme, value) for value in off)


def test_a_north_american_isin_holds_its_cusip(instruments):
    rows = zip(instruments["isin"].to_pylist(), instruments["cusip"].to_pylist(), strict=True)
    both = [(isin, cusip) for isin, cusip in rows if isin and cusip and isin[:2] in {"US", "CA"}]
    assert len(both) == 4_309
    assert all(isin[2:11] == cusip for isin, cusip in both)


def test_every_place_of_listing_of_real_instruments_is_in_the_standards_list(instruments, mics):
    told = Counter(mic for mic in instruments["mic"].to_pylist() if mic)
    assert (len(told), told.total()) == (59, 65_922)
    assert set(told) <= set(mics)
    assert {mic for mic in told if mics[mic]["status"] == "expired"} == set()


def test_every_legal_entity_of_the_standards_list_is_right(mics):
    told = [row["lei"] for row in mics.values() if row["lei"]]
    assert len(told) == 2_064
    assert [value for value in told if identifier("lei", value) is None] == []


def test_every_place_of_listing_that_a_venue_writes_is_in_use(mics):
    told = {row.mic for row in venues() if row.mic}
    for name in ("alpaca", "ibkr", "schwab", "tradovate"):
        told |= set(import_module(f"indexer.venues.{name}")._MICS.values())
    assert {mic for mic in told if mics.get(mic, {}).get("status") != "active"} == set()
    assert len(told) > 15
