"""Alpaca: whole lists with the unmodified alpaca-py over real sockets, whatever the venue does to them."""

import json
from collections.abc import Iterator
from decimal import Decimal

import pytest

from indexer.errors import (
    BadAnswer,
    BadCredentials,
    BadSetting,
    Banned,
    Disabled,
    GeoBlocked,
    RateLimited,
    UnreadableRow,
    VenueUnavailable,
)
from indexer.known import venues
from indexer.sim.venues.alpaca import PAGE_ROWS, Alpaca
from indexer.sim.venues.server import VenueServer
from indexer.venues import alpaca, load
from tests.brokers import CANARY, golden, served, session, shown

(ROW,) = (row for row in venues() if row.name == "alpaca")
ASSET = {"id": "b0b6dd9d-8b9b-48a9-ba46-b9d54906e415", "class": "us_equity", "symbol": "AAPL", "status": "active"}
CONTRACT = {
    "id": "98359ef7-5124-49f3-85ea-5cf02df6defa",
    "symbol": "AAPL250620C00100000",
    "expiration_date": "2025-06-20",
    "underlying_symbol": "AAPL",
    "type": "call",
    "strike_price": "100",
}
SHARE = {"type": "equity", "symbol": "AAPL", "amount": "100"}


@pytest.fixture
def venue() -> Alpaca:
    return Alpaca(7)


@pytest.fixture
def server(venue: Alpaca) -> Iterator[VenueServer]:
    with served(venue) as running:
        yield running


def fetched(server: VenueServer, scope: str, *, timeout_s: float = 5.0, **options):
    return alpaca.fetch(session("alpaca", server.url("alpaca"), timeout_s=timeout_s), scope, options)


@pytest.mark.parametrize("case", golden("alpaca"), ids=lambda case: case["raw"]["symbol"])
def test_a_row_in_the_venues_shape_becomes_this_listing(case):
    assert shown(alpaca.normalise(case["scope"], case["raw"], case["options"])) == case["listing"]


def test_its_row_names_a_file_that_loads_and_scopes_that_it_lists(server):
    assert load(ROW.adapter, ROW.extra) is alpaca
    for scope in ROW.scopes:
        assert fetched(server, scope).complete
    with pytest.raises(BadSetting, match="no scope 'bond'"):
        fetched(server, "bond")


def test_active_and_inactive_assets_are_asked_for_by_name_and_none_is_lost(server, venue):
    told = fetched(server, "equity")
    assert sorted(row["id"] for row in told.rows) == sorted(row["id"] for row in venue.rows["equity"])
    assert (told.complete, told.pages, told.evidence["active"], told.evidence["inactive"]) == (True, 2, 48, 12)
    assert told.client.startswith("alpaca-py 0.")
    assert [asked.query for _name, asked in server.asked] == [
        {"status": "inactive", "asset_class": "us_equity"},
        {"status": "active", "asset_class": "us_equity"},
    ]
    statuses = [alpaca.normalise("equity", row, {}).status for row in told.rows]
    assert (statuses.count("active"), statuses.count("restricted")) == (48, 12)


def test_an_asset_told_under_both_statuses_is_one(server, venue):
    venue.rows["crypto"].append({**venue.rows["crypto"][0], "status": "inactive"})
    told = fetched(server, "crypto")
    assert len(told.rows) == len(venue.rows["crypto"]) - 1
    assert [row["status"] for row in told.rows if row["id"] == venue.rows["crypto"][0]["id"]] == ["active"]


def test_words_that_nobody_has_seen_lose_nothing(server, venue):
    venue.faults.add("new_enum")
    told = fetched(server, "equity")
    (new,) = [row for row in told.rows if row["exchange"] == "TXSE"]
    assert len(told.rows) == len(venue.rows["equity"]) + 1
    listing = alpaca.normalise("equity", new, {})
    assert (listing.status, listing.venue_status, listing.exchange, listing.mic) == (
        "unknown",
        "suspended",
        "TXSE",
        None,
    )


def test_contracts_are_read_to_the_last_page_with_what_they_deliver_and_of_every_expiry(server, venue):
    told = fetched(server, "option")
    assert [row["id"] for row in told.rows] == [row["id"] for row in venue.rows["option"]]
    assert told.pages == -(-len(venue.rows["option"]) // PAGE_ROWS) > 3
    assert (told.complete, told.evidence["cursor_exhausted"]) == (True, True)
    listings = [alpaca.normalise("option", row, {}) for row in told.rows]
    assert len({listing.expires_on for listing in listings}) == 3
    adjusted = [listing for listing in listings if listing.adjusted]
    assert len(adjusted) == 4
    assert all(listing.symbol.startswith(f"{listing.underlying}1") for listing in adjusted)


def test_contracts_of_the_wanted_underlyings_only(server, venue):
    wanted = sorted({row["underlying_symbol"] for row in venue.rows["option"]})[:2]
    told = fetched(server, "option", underlyings=wanted)
    assert {row["underlying_symbol"] for row in told.rows} == set(wanted)


def test_an_empty_page_with_a_next_one_is_not_the_end_but_no_whole_list_either(server, venue):
    venue.faults.add(f"hole@page_token={PAGE_ROWS}")
    told = fetched(server, "option")
    assert len(told.rows) == len(venue.rows["option"]) - PAGE_ROWS
    assert (told.complete, told.evidence["empty_pages"]) == (False, 1)


def test_pages_that_go_in_circles_are_no_list(server, venue):
    venue.faults.add("circle")
    with pytest.raises(BadAnswer, match="the same page"):
        fetched(server, "option")
    assert len(server.asked) == 2


@pytest.mark.parametrize("scope", ["equity", "option"])
def test_an_empty_list_is_no_complete_one(server, venue, scope):
    venue.faults.add("empty")
    told = fetched(server, scope)
    assert (told.rows, told.complete) == ((), False)


@pytest.mark.parametrize(
    ("fault", "error", "retry_after_s"),
    [
        ("geo_blocked", GeoBlocked, None),
        ("rate_limited", RateLimited, 30.0),
        ("banned", Banned, 120.0),
        ("unavailable", VenueUnavailable, None),
        ("html", BadAnswer, None),
        ("truncated", VenueUnavailable, None),
        ("refused", BadCredentials, None),
    ],
)
@pytest.mark.parametrize(("scope", "part"), [("equity", "status=active"), ("option", "page_token=20")])
def test_a_failure_on_the_way_is_told_and_no_half_list_kept(server, venue, scope, part, fault, error, retry_after_s):
    venue.faults.add(f"{fault}@{part}")
    with pytest.raises(error) as caught:
        fetched(server, scope)
    assert type(caught.value) is error
    assert getattr(caught.value, "retry_after_s", None) == retry_after_s
    assert CANARY not in repr(caught.value)
    assert len(server.asked) == 2, "the client has a loop of its own for what it thinks is passing"


def test_silence_is_waited_for_no_longer_than_the_timeout(server, venue):
    venue.faults.add("hang")
    with pytest.raises(VenueUnavailable, match="ReadTimeout"):
        fetched(server, "equity", timeout_s=0.2)


def test_nobody_there_is_unavailable():
    with pytest.raises(VenueUnavailable):
        alpaca.fetch(session("alpaca", "http://127.0.0.1:9"), "equity", {})


def test_without_keys_nothing_is_asked(server):
    with pytest.raises(Disabled, match="APCA_API_KEY_ID is not set"):
        alpaca.fetch(session("alpaca", server.url("alpaca"), keys=False), "equity", {})
    assert not server.asked


@pytest.mark.parametrize(("scope", "whole"), [("equity", ASSET), ("option", CONTRACT)])
def test_a_row_without_its_identity_is_unreadable(scope, whole):
    alpaca.normalise(scope, whole, {})
    needed = {"id", "symbol"} if scope == "equity" else set(CONTRACT)
    for key in needed:
        with pytest.raises(UnreadableRow):
            alpaca.normalise(scope, {name: value for name, value in whole.items() if name != key}, {})


@pytest.mark.parametrize(
    ("delivered", "adjusted"),
    [
        (None, None),
        ([], None),
        ([SHARE], False),
        ([SHARE | {"amount": "150"}], True),
        ([SHARE | {"symbol": "NEWC"}], True),
        ([SHARE | {"amount": "0", "delayed_settlement": True}], True),
        ([SHARE, SHARE | {"type": "cash"}], True),
        ([{"type": "cash", "symbol": "USD", "amount": "5000"}], True),
    ],
)
def test_a_contract_is_adjusted_by_what_it_delivers_never_by_its_root(delivered, adjusted):
    contract = CONTRACT | {"deliverables": delivered, "root_symbol": "AAPL7"}
    assert alpaca.normalise("option", contract, {}).adjusted is adjusted


def test_a_strike_is_exact_and_a_symbol_of_another_shape_is_no_osi():
    listing = alpaca.normalise("option", CONTRACT | {"strike_price": "4.0125", "symbol": "AAPL-X"}, {})
    assert listing.strike == Decimal("4.0125")
    assert [each.scheme for each in listing.identifiers] == ["alpaca"]


@pytest.mark.shared
def test_real_assets_are_read_without_a_loss(shared):
    rows = json.loads((shared / "data/broker/alpaca/assets_real_rows.json").read_text())
    listings = [alpaca.normalise("equity", row, ROW.options) for row in rows]
    assert [(each.symbol, each.mic, each.status, each.currency) for each in listings] == [
        ("NVDA", "XNAS", "active", "USD"),
        ("AAPL", "XNAS", "active", "USD"),
        ("AMD", "XNAS", "active", "USD"),
    ]
    assert len({each.stable_id for each in listings}) == len(rows) == 3
    assert all("has_options" in each.attrs["attributes"] for each in listings)
