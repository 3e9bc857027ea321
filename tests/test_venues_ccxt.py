"""Any exchange that ccxt knows is one row: asked at whatever place, in one budget, no failure passed over."""

import json
from collections.abc import Iterator

import ccxt
import pytest

from indexer import venues
from indexer.errors import (
    AnswerTooLarge,
    BadAnswer,
    BadSetting,
    Banned,
    GeoBlocked,
    RateLimited,
    UnreadableRow,
    VenueUnavailable,
)
from indexer.known import parse_venues
from indexer.sim.venues.bybit import Bybit
from indexer.sim.venues.coinbase import Coinbase
from indexer.sim.venues.server import VenueServer
from indexer.sim.venues.spec import Asked, Told
from indexer.sim.venues.spec import json as answer
from indexer.venues import ccxt_client
from indexer.venues.ccxt_client import Client
from tests.asked import VENUES, session

ADAPTER = venues.load("ccxt_markets", "cex")


def spot(base: str, **more: str) -> dict:
    return {
        "alias": "",
        "baseCcy": base,
        "category": "1",
        "ctMult": "",
        "ctType": "",
        "ctVal": "",
        "ctValCcy": "",
        "expTime": "",
        "instId": f"{base}-USDT",
        "instType": "SPOT",
        "lever": "10",
        "listTime": "1548133413000",
        "lotSz": "0.00000001",
        "minSz": "0.00001",
        "optType": "",
        "quoteCcy": "USDT",
        "settleCcy": "",
        "stk": "",
        "state": "live",
        "tickSz": "0.1",
        "uly": "",
        "maxLmtSz": "9999999999",
        **more,
    }


def contract(kind: str, name: str, **more: str) -> dict:
    return {
        "alias": "",
        "baseCcy": "",
        "category": "1",
        "ctMult": "1",
        "ctType": "linear",
        "ctVal": "0.01",
        "ctValCcy": "BTC",
        "expTime": "",
        "instId": name,
        "instType": kind,
        "lever": "125",
        "quoteCcy": "",
        "listTime": "1611916828000",
        "lotSz": "1",
        "minSz": "1",
        "optType": "",
        "settleCcy": "USDT",
        "stk": "",
        "state": "live",
        "tickSz": "0.1",
        "uly": "BTC-USDT",
        **more,
    }


class Okx:
    """A third exchange, in its own shape, of which nothing but a row is known."""

    def __init__(self) -> None:
        self.name = "okx"
        self.faults: set[str] = set()
        inverse = {"ctType": "inverse", "uly": "BTC-USD", "settleCcy": "BTC", "ctVal": "100", "ctValCcy": "USD"}
        option = {"optType": "C", "stk": "100000", "expTime": "1798185600000", "ctType": "", "ctMult": "0.01"}
        self.rows = {
            "SPOT": [spot("BTC"), spot("EUR"), spot("OLD", state="suspend")],
            "SWAP": [contract("SWAP", "BTC-USDT-SWAP"), contract("SWAP", "BTC-USD-SWAP", **inverse)],
            "FUTURES": [contract("FUTURES", "BTC-USDT-261225", expTime="1798185600000")],
            "OPTION": [contract("OPTION", "BTC-USD-261225-100000-C", **inverse | option | {"ctVal": "1"})],
        }

    def answer(self, asked: Asked) -> Told:
        rows = self.rows[asked.query["instType"]]
        return answer({"code": "0", "msg": "", "data": [] if "ETH" in asked.query.get("uly", "") else rows})


@pytest.fixture
def okx() -> Okx:
    return Okx()


@pytest.fixture
def coinbase() -> Coinbase:
    return Coinbase()


@pytest.fixture
def server(okx: Okx, coinbase: Coinbase) -> Iterator[VenueServer]:
    running = VenueServer([okx, coinbase, Bybit()])
    running.start()
    yield running
    running.close()


def fetched(server: VenueServer, scope: str, **options):
    return ADAPTER.fetch(session("okx", server.url("okx")), scope, dict(VENUES["okx"].options) | options)


def listed(server: VenueServer, scope: str):
    return [ADAPTER.normalise(scope, raw, VENUES["okx"].options) for raw in fetched(server, scope).rows]


def test_each_scope_asks_for_its_own_kind_and_lists_it(server):
    assert [each.symbol for each in listed(server, "spot")] == ["BTC-USDT", "EUR-USDT", "OLD-USDT"]
    assert [asked.query["instType"] for _venue, asked in server.asked] == ["SPOT"]
    assert [each.symbol for each in listed(server, "linear")] == ["BTC-USDT-SWAP", "BTC-USDT-261225"]
    assert [each.symbol for each in listed(server, "inverse")] == ["BTC-USD-SWAP"]
    assert fetched(server, "linear").evidence == {"rows": 2, "of_other_scopes": {"inverse": 1}}
    (option,) = listed(server, "option")
    assert (str(option.strike), option.option_right, str(option.multiplier)) == ("100000", "call", "0.01")


def test_what_a_market_says_is_mapped_and_what_nobody_says_is_unknown(server):
    bitcoin, euro, old = listed(server, "spot")
    assert (bitcoin.status, bitcoin.venue_status, bitcoin.asset_class) == ("active", "live", "crypto")
    assert (str(bitcoin.rules.tick_size), str(bitcoin.rules.min_size)) == ("0.1", "0.00001")
    assert (bitcoin.display, bitcoin.birth, bitcoin.list_at.year) == ("BTC/USDT", "1548133413000", 2019)
    assert (euro.asset_class, old.status, old.venue_status) == ("fx", "halted", "suspend")
    swap, future = listed(server, "linear")
    assert (swap.inst_class, swap.asset_class, swap.expires_at) == ("perpetual", None, None)
    assert (future.inst_class, str(future.expires_on), future.payoff) == ("future", "2026-12-25", "linear")


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("geo_blocked", GeoBlocked),
        ("rate_limited", RateLimited),
        ("banned", Banned),
        ("unavailable", VenueUnavailable),
        ("html", BadAnswer),
        ("truncated", VenueUnavailable),
        ("unavailable@FUTURES", VenueUnavailable),
        ("html@FUTURES", BadAnswer),
    ],
)
def test_a_request_that_fails_fails_the_run(server, okx, fault, error):
    okx.faults.add(fault)
    with pytest.raises(error) as raised:
        fetched(server, "linear")
    assert type(raised.value) is error


def test_silence_ends_with_the_timeout(server, okx):
    okx.faults.add("hang")
    with pytest.raises(VenueUnavailable):
        ADAPTER.fetch(session("okx", server.url("okx"), timeout_s=0.3), "spot", VENUES["okx"].options)


def test_an_empty_list_is_not_complete(server, okx):
    okx.rows["SPOT"] = []
    snapshot = fetched(server, "spot")
    assert (list(snapshot.rows), snapshot.complete) == ([], False)


def test_a_failure_that_ccxt_passes_over_fails_the_run_all_the_same(server, coinbase):
    asked = session("coinbase", server.url("coinbase"))
    assert len(ADAPTER.fetch(asked, "linear", {"ccxt": "coinbase"}).rows) == len(coinbase.rows["future"])
    coinbase.faults.add("unavailable@product_type=FUTURE")
    swallowed = ccxt.coinbase({"enableRateLimit": False})
    swallowed.urls["api"] = {"rest": server.url("coinbase")}
    assert not [market for market in swallowed.fetch_markets() if market["type"] != "spot"]
    swallowed.close()
    with pytest.raises(VenueUnavailable):
        ADAPTER.fetch(asked, "linear", {"ccxt": "coinbase"})


@pytest.mark.parametrize(("limit", "most"), [("MOST_BODY_CHARACTERS", 500), ("MOST_ROWS", 2)])
def test_an_answer_larger_than_any_list_is_refused(server, monkeypatch, limit, most):
    monkeypatch.setattr(ccxt_client, limit, most)
    with pytest.raises(AnswerTooLarge):
        fetched(server, "spot")


def test_rows_of_one_unified_symbol_are_all_listed(server, coinbase):
    twin = coinbase.rows["future"][0] | {"product_id": "BTI-10JUL26-CDE"}
    coinbase.rows["future"] = [*coinbase.rows["future"], twin]
    rows = ADAPTER.fetch(session("coinbase", server.url("coinbase")), "linear", {"ccxt": "coinbase"}).rows
    shown = [row["symbol"] for row in rows]
    assert len(rows) == len(coinbase.rows["future"]) > len(set(shown))
    assert len({row["id"] for row in rows}) == len(rows)


def test_codes_are_the_venues_and_not_those_that_ccxt_makes_of_them():
    api = ccxt.kraken()
    renamed = {"LUNA": api.safe_currency_code("LUNA"), "XXBT": api.safe_currency_code("XXBT")}
    assert renamed == {"LUNA": "LUNC", "XXBT": "BTC"}
    kraken = VENUES["kraken"]
    pair = {"pair": "LUNAUSD", "base": "LUNA", "quote": "ZUSD"}
    assert venues.load("kraken", "cex").normalise("spot", pair, kraken.options).base == "LUNA"


def test_an_option_without_a_strike_is_unreadable():
    with pytest.raises(UnreadableRow, match="without strike"):
        ADAPTER.normalise("option", {"id": "X", "type": "option", "optionType": "call", "expiry": 1798185600000}, {})


def test_significant_digits_are_no_step():
    raw = {"id": "X", "type": "spot", "precision": {"price": 5, "amount": 2}}
    places = ADAPTER.normalise("spot", raw | {"precisionMode": ccxt.DECIMAL_PLACES}, {}).rules
    assert (str(places.tick_size), str(places.lot_size)) == ("0.00001", "0.01")
    assert ADAPTER.normalise("spot", raw | {"precisionMode": ccxt.SIGNIFICANT_DIGITS}, {}).rules.tick_size is None


def test_an_exchange_that_ccxt_does_not_know_is_a_wrong_setting():
    for name in ("moonex", "Exchange", "errors"):
        with pytest.raises(BadSetting, match=r"knows no exchange .*; correct options\.ccxt"):
            ADAPTER.fetch(session("okx", "http://127.0.0.1:9"), "spot", {"ccxt": name})


def test_every_row_of_an_exchange_names_one_that_ccxt_knows():
    named = {venue.name: venue.options["ccxt"] for venue in VENUES.values() if "ccxt" in venue.options}
    assert {name for name, exchange in named.items() if exchange not in ccxt.exchanges} == set()
    for venue in VENUES.values():
        if venue.adapter == "ccxt_markets":
            assert set(venue.scopes) <= set(ADAPTER.SCOPES)
            assert set(venue.options.get("settings", {})) <= set(venue.scopes)


def addresses(value: object) -> list[str]:
    if isinstance(value, dict):
        return [url for below in value.values() for url in addresses(below)]
    return [value] if isinstance(value, str) else []


def test_every_exchange_of_ccxt_may_be_asked_at_another_place():
    class Elsewhere:
        venue = "any"
        timeout_s = 1.0

        def url(self, name: str, usual: str) -> str:
            assert name
            assert usual.count("/") == 2, "a host without a path"
            return "http://127.0.0.1:9"

    unplaced = {}
    for name in ccxt.exchanges:
        client = Client(Elsewhere(), name)
        left = [url for url in addresses(client.api.urls["api"]) if not url.startswith("http://127.0.0.1:9")]
        if left:
            unplaced[name] = left
        client.close()
    assert unplaced == {}


def test_a_new_exchange_is_one_row_and_a_golden_payload(server):
    row = {
        "name": "newex",
        "title": "New Exchange",
        "kind": "cex",
        "adapter": "ccxt_markets",
        "extra": "cex",
        "licence": "public",
        "every_s": 300,
        "scopes": ["spot"],
        "per_s": 1,
        "burst": 4,
        "options": {"ccxt": "okx", "settings": {"spot": {"fetchMarkets": {"types": ["spot"]}}}},
    }
    (venue,) = parse_venues([row], "gazetteer.toml")
    adapter = venues.load(venue.adapter, venue.extra)
    snapshot = adapter.fetch(session(venue.name, server.url("okx")), venue.scopes[0], venue.options)
    assert json.dumps(list(snapshot.rows)), "rows can be kept as they came"
    assert len([adapter.normalise("spot", raw, venue.options) for raw in snapshot.rows]) == 3
