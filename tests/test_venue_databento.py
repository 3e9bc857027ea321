"""Databento: every version of its records, exact numbers, what a list may cost, and all ways in which it breaks off."""

import json
from collections.abc import Iterator
from decimal import Decimal

import databento_dbn as dbn
import pyarrow.parquet as pq
import pytest
import zstandard
from databento.common.dbnstore import DBNStore

from indexer.errors import (
    AnswerTooLarge,
    BadAnswer,
    BadCredentials,
    BadSetting,
    Banned,
    Disabled,
    GeoBlocked,
    RateLimited,
    Refused,
    UnreadableRow,
    VenueUnavailable,
)
from indexer.known import venues
from indexer.sim.venues.databento import Databento
from indexer.sim.venues.server import VenueServer
from indexer.venues import databento, databento_rows, load
from tests.brokers import CANARY, golden, served, session, shown

(ROW,) = (row for row in venues() if row.name == "databento")
CME, NASDAQ = "definition:GLBX.MDP3", "definition:XNAS.ITCH"


@pytest.fixture
def venue() -> Databento:
    return Databento(7)


@pytest.fixture
def server(venue: Databento) -> Iterator[VenueServer]:
    with served(venue) as running:
        yield running


def fetched(server: VenueServer, scope: str = CME, options: dict | None = None, *, timeout_s: float = 5.0):
    told = session("databento", server.url("databento"), timeout_s=timeout_s)
    return databento.fetch(told, scope, options or {})


def paths(server: VenueServer) -> list[str]:
    return [asked.path.rpartition(".")[2] for _name, asked in server.asked]


@pytest.mark.parametrize("case", golden("databento"), ids=lambda case: case["listing"]["symbol"])
def test_a_row_in_the_venues_shape_becomes_this_listing(case):
    assert shown(databento.normalise(case["scope"], case["raw"], case["options"])) == case["listing"]


@pytest.mark.parametrize("scope", [CME, NASDAQ, "security"])
def test_every_row_comes_back_as_it_was_defined(server, venue, scope):
    assert load(ROW.adapter, ROW.extra) is databento
    told = fetched(server, scope)
    assert list(told.rows) == venue.rows[scope]
    assert told.complete
    assert told.client.startswith("databento 0.")
    assert len({databento.normalise(scope, row, {}).stable_id for row in told.rows}) == len(told.rows)


def test_a_day_is_asked_for_whole_after_its_price(server):
    told = fetched(server)
    assert paths(server) == ["get_dataset_range", "get_record_count", "get_cost", "get_range"]
    assert told.evidence == {
        "day": "2026-11-19",
        "records_promised": 14,
        "records_read": 14,
        "usd": "0.000014",
        "classes_read": {"C": 4, "F": 4, "P": 4, "S": 2},
        "classes": [],
    }
    body = server.asked[-1][1].body.decode()
    assert "symbols=ALL_SYMBOLS" in body
    assert "schema=definition" in body


def test_holidays_and_weekends_are_gone_back_over(server, venue):
    venue.today = venue.today.replace(day=22)  # a Sunday
    venue.faults.add("holiday:2026-11-20")
    assert fetched(server).evidence["day"] == "2026-11-19"
    assert paths(server).count("get_record_count") == 2


def test_days_without_anything_are_no_whole_list_and_cost_nothing(server, venue):
    venue.faults.add("empty")
    told = fetched(server)
    assert (list(told.rows), told.complete) == ([], False)
    assert paths(server).count("get_record_count") == databento.MOST_WEEKDAYS_BACK
    assert "get_cost" not in paths(server)


def test_only_the_classes_that_are_wanted_are_kept_and_the_others_counted(server):
    told = fetched(server, options={"classes": {"GLBX.MDP3": ["F"]}})
    assert told.complete
    assert {row["instrument_class"] for row in told.rows} == {"F"}
    assert told.evidence["classes_read"] == {"C": 4, "F": 4, "P": 4, "S": 2}


@pytest.mark.parametrize(("most", "costs"), [(1, "1000000"), ("0.000013", "0.000014")])
def test_what_costs_more_than_is_allowed_is_not_asked_for(server, venue, most, costs):
    if most == 1:
        venue.faults.add("costly")
    with pytest.raises(Refused, match=rf"cost {costs}.* US dollars, options.most_usd allows {most}"):
        fetched(server, options={"most_usd": most})
    assert "get_range" not in paths(server)
    assert fetched(server, options={"most_usd": 2_000_000}).complete


def test_fewer_records_than_were_promised_are_no_whole_list(server, venue):
    venue.faults.add("short")
    told = fetched(server)
    assert len(told.rows) == len(venue.rows[CME])
    assert (told.complete, told.evidence["records_promised"]) == (False, 17)


def test_a_record_that_breaks_off_is_no_whole_list(server, venue):
    venue.faults.add("cut")
    told = fetched(server)
    assert (told.complete, told.evidence["records_read"]) == (False, 13)
    assert "truncated" in told.evidence["warnings"][0]


def test_a_warning_of_the_server_is_evidence_against_the_list(server, venue):
    venue.faults.add("warned@get_range")
    told = fetched(server)
    assert (told.complete, told.evidence["warnings"]) == (False, ["some days of this data set are degraded."])


def test_a_class_that_nobody_knows_loses_no_row(server, venue):
    venue.faults.add("new_class")
    told = fetched(server)
    assert len(told.rows) == len(venue.rows[CME])
    first = databento.normalise(CME, told.rows[0], {})
    assert (first.inst_class, first.attrs["class"]) == (None, "?")


def test_what_a_data_set_deletes_is_delisted_and_the_last_word_counts(server, venue):
    first = venue.rows[CME][0]
    venue.rows[CME] = [first, first | {"security_update_action": "M"}, first | {"security_update_action": "D"}]
    (row,) = fetched(server).rows
    listing = databento.normalise(CME, row, {})
    assert (listing.status, listing.venue_status) == ("delisted", "D")
    venue.rows[CME].append(first)
    (row,) = fetched(server).rows
    assert databento.normalise(CME, row, {}).status == "active"


def test_a_symbol_that_comes_back_ten_years_later_is_another_one(server, venue):
    first = venue.rows[CME][0]
    later = first | {"expiration": first["expiration"] + 3652 * 86_400 * 10**9}
    venue.rows[CME] = [first, later]
    ids = [databento.normalise(CME, row, {}).stable_id for row in fetched(server).rows]
    assert ids == ["ESZ6@2026-12-18", "ESZ6@2036-12-17"]


def test_too_many_rows_are_too_many(server, monkeypatch):
    monkeypatch.setattr(databento_rows, "MOST_ROWS", 3)
    with pytest.raises(AnswerTooLarge, match="name the classes"):
        fetched(server)
    monkeypatch.setattr(databento, "MOST_RECORDS", 3)
    with pytest.raises(AnswerTooLarge, match="14 records"):
        fetched(server)


def test_a_cusip_keeps_its_zeros_and_no_quota_of_isins_is_spent(server):
    told = fetched(server, "security")
    (cusip,) = databento.normalise("security", told.rows[1], {}).identifiers
    assert (cusip.scheme, cusip.value) == ("cusip", "000001107")
    assert "allocate_isins=False" in server.asked[-1][1].body.decode()


def test_an_empty_master_is_no_whole_one(server, venue):
    venue.faults.add("empty")
    assert not fetched(server, "security").complete


@pytest.mark.parametrize(
    ("fault", "error", "retry_after_s"),
    [
        ("geo_blocked", GeoBlocked, None),
        ("rate_limited", RateLimited, 30.0),
        ("banned", Banned, 120.0),
        ("unavailable", VenueUnavailable, None),
        ("truncated", VenueUnavailable, None),
        ("html", BadAnswer, None),
        ("no_dbn", BadAnswer, None),
        ("refused", BadCredentials, None),
        ("unpaid", Refused, None),
    ],
)
@pytest.mark.parametrize(
    ("scope", "part"), [(CME, "get_dataset_range"), (CME, "get_cost"), (CME, "get_range"), ("security", "get_last")]
)
def test_a_refusal_is_told_apart_and_no_half_list_kept(server, venue, scope, part, fault, error, retry_after_s):
    venue.faults.add(f"{fault}@{part}")
    with pytest.raises(error) as caught:
        fetched(server, scope)
    assert type(caught.value) is error
    assert getattr(caught.value, "retry_after_s", None) == retry_after_s
    assert CANARY not in repr(caught.value)
    assert paths(server)[-1] == part


def test_silence_is_waited_for_no_longer_than_the_timeout(server, venue):
    venue.faults.add("hang@get_range")
    with pytest.raises(VenueUnavailable, match="ReadTimeout"):
        fetched(server, timeout_s=0.2)


def test_without_a_key_or_a_scope_nothing_is_asked(server):
    with pytest.raises(Disabled, match="DATABENTO_API_KEY is not set"):
        databento.fetch(session("databento", server.url("databento"), keys=False), CME, {})
    with pytest.raises(BadSetting, match="no scope 'future'"):
        fetched(server, "future")
    assert not server.asked


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"raw_symbol": "A C1", "instrument_class": "C", "expiration": 1_700_000_000 * 10**9},
        {"raw_symbol": "A C1", "instrument_class": "C", "strike_price": 10**9},
        {"raw_symbol": "A C1", "instrument_class": "P", "strike_price": 2**63 - 1, "expiration": 2**64 - 1},
    ],
)
def test_a_row_without_its_identity_is_unreadable(raw):
    with pytest.raises(UnreadableRow):
        databento.normalise(CME, raw, {})


def test_prices_are_exact_and_the_undefined_is_unknown():
    raw = {"raw_symbol": "X", "instrument_class": "F", "min_price_increment": 1, "unit_of_measure_qty": 2**63 - 1}
    listing = databento.normalise(CME, raw, {})
    assert (listing.rules.tick_size, listing.multiplier) == (Decimal("1E-9"), None)


def records(path):
    """The records of a file: with its head as the client reads them, without one as the version in its name says."""
    if ".frag" not in path.name:
        return DBNStore.from_bytes(path.read_bytes())
    version = next((int(word[1]) for word in path.name.split(".") if word in {"v1", "v2", "v3"}), 1)
    decoder = dbn.DBNDecoder(
        has_metadata=False, input_version=version, upgrade_policy=dbn.VersionUpgradePolicy.UPGRADE_TO_V3
    )
    body = path.read_bytes()
    if path.suffix == ".zst":
        body = zstandard.ZstdDecompressor().stream_reader(body, read_across_frames=True).read()
    decoder.write(body)
    return decoder.decode()


@pytest.mark.shared
def test_real_files_of_every_version_are_read_without_a_loss(shared):
    files = sorted((shared / "data/broker/databento").glob("*definition*.dbn*"))
    assert len(files) == 22
    versions = set()
    for path in files:
        told = list(records(path))
        rows, read = databento_rows.folded(told)
        assert read.total() == len(told) > 0, path.name
        keys = {(record.raw_symbol, record.activation, record.expiration) for record in told}
        assert len(rows) == len(keys), path.name
        listings = [databento.normalise("definition:real", row, {}) for row in rows]
        assert {listing.symbol for listing in listings} == {record.raw_symbol for record in told}
        if ".frag" not in path.name:
            versions.add(DBNStore.from_bytes(path.read_bytes()).metadata.version)
    assert versions == {1, 2, 3}


@pytest.mark.shared
def test_real_definitions_say_what_the_client_prints(shared):
    names = ("nautilus_test_data.definition.option", "nautilus_definition-glbx-es-fut", "nautilus_definition-opra")
    for name in names:
        path = shared / f"data/broker/databento/{name}.dbn.zst"
        told = list(DBNStore.from_bytes(path.read_bytes()))
        rows, _read = databento_rows.folded(told)
        by_symbol = {record.raw_symbol: record for record in told}
        for row in rows:
            listing, record = databento.normalise("definition:real", row, {}), by_symbol[row["raw_symbol"]]
            assert str(listing.expires_on) == str(record.pretty_expiration)[:10]
            if listing.strike is not None:
                assert float(listing.strike) == record.pretty_strike_price
            if listing.rules.tick_size is not None:
                assert float(listing.rules.tick_size) == record.pretty_min_price_increment


@pytest.mark.shared
def test_venues_of_real_publishers_become_mics_only_where_they_are_some(shared):
    told = json.loads((shared / "data/broker/databento/publishers.json").read_text())
    known = set(pq.read_table(shared / "data/reference/iso10383_mic.parquet")["mic"].to_pylist())
    younger = {"24EQ", "IEXO", "MXTO", "TXSE"}  # than the list
    found = set()
    for row in told:
        raw = {"raw_symbol": "X", "instrument_class": "K", "exchange": row["venue"]}
        listing = databento.normalise(f"definition:{row['dataset']}", raw, {})
        assert listing.exchange == row["venue"]
        found.add(listing.mic)
    assert found - {None} <= known | younger
    assert {row["venue"] for row in told} & (known | younger) <= found
