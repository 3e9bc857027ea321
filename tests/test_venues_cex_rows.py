"""Rows of exchanges as they are sent, and what is made of them: exact, or unknown."""

import json
from dataclasses import MISSING, fields
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from indexer import venues
from indexer.errors import UnreadableRow
from indexer.model import Identifier, Listing, Rules
from tests.asked import VENUES

GOLDEN = Path(__file__).parent / "golden" / "venues"
EXCHANGES = ("binance", "bybit", "coinbase", "kraken")


def told(thing: Listing | Rules) -> dict:
    """What it says, without what it leaves unsaid, as JSON."""
    said: dict = {}
    for field in fields(thing):
        value = getattr(thing, field.name)
        if field.default is not MISSING and value == field.default:
            continue
        if isinstance(value, Decimal | date):
            said[field.name] = str(value)
        elif isinstance(value, Rules):
            said[field.name] = told(value)
        elif field.name == "identifiers":
            said[field.name] = {each.scheme: each.value for each in value}
        elif isinstance(value, dict):
            if stated := {key: each for key, each in value.items() if each is not None}:
                said[field.name] = stated
        else:
            said[field.name] = value
    return said


def listing(name: str, scope: str, raw: dict) -> Listing:
    row = VENUES[name]
    return venues.load(row.adapter, row.extra).normalise(scope, raw, row.options)


CASES = [
    pytest.param(name, case, id=f"{name}-{case['scope']}-{number}")
    for name in EXCHANGES
    for number, case in enumerate(json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8")))
]


@pytest.mark.parametrize(("name", "case"), CASES)
def test_a_row_is_read_as_it_was_once_read_by_eye(name, case):
    assert told(listing(name, case["scope"], case["raw"])) == case["listing"]


@pytest.mark.parametrize(("name", "case"), CASES)
def test_what_moves_by_itself_changes_no_listing(name, case):
    noise = {
        "price": "1",
        "volume_24h": "2",
        "mid_market_price": "3",
        "best_bid_price": "4",
        "impactMidSize": 5,
        "permissionSets": [["SPOT", "TRD_GRP_009"]],
        "orderTypes": ["LIMIT"],
        "fees": [[0, 1]],
        "marginLevels": [],
        "alias_to": ["A-B"],
        "fundingInterval": 60,
        "maintMarginPercent": "6",
    }
    assert told(listing(name, case["scope"], case["raw"] | noise)) == case["listing"]


@pytest.mark.parametrize(("name", "case"), CASES)
def test_a_row_that_lost_a_field_is_read_without_it_or_is_unreadable(name, case):
    for key in case["raw"]:
        for wrong in (None, "", [], {}, "\0"):
            try:
                read = listing(name, case["scope"], case["raw"] | {key: wrong})
            except UnreadableRow:
                continue
            assert read.symbol
            assert read.stable_id


@pytest.mark.parametrize(
    ("name", "scope", "raw"),
    [
        ("binance", "spot", {"symbol": "BTCUSDT", "baseAsset": "BTC"}),
        ("binance", "option", {"symbol": "A", "underlying": "AUSDT", "quoteAsset": "USDT", "side": "CALL"}),
        ("bybit", "option", {"symbol": "BTC-X-Y", "baseCoin": "BTC", "quoteCoin": "USD", "optionsType": "Call"}),
        ("coinbase", "spot", {"product_id": "BTC-USD", "quote_currency_id": "USD"}),
        ("kraken", "spot", {"pair": "XXBTZUSD", "base": "XXBT"}),
        ("kraken", "future", {"symbol": "PI_XBTUSD"}),
    ],
)
def test_a_row_that_says_less_than_identity_needs_is_unreadable(name, scope, raw):
    with pytest.raises(UnreadableRow):
        listing(name, scope, raw)


@pytest.mark.parametrize(
    ("name", "scope", "field", "words"),
    [
        ("binance", "spot", "status", {"TRADING": "active", "BREAK": "halted", "HALT": "halted", "X": "unknown"}),
        ("binance", "spot", "status", {"PRE_TRADING": "pre_listing", "END_OF_DAY": "halted", None: "unknown"}),
        ("coinbase", "spot", "status", {"online": "active", "delisted": "delisted", "new": "unknown"}),
        ("kraken", "spot", "status", {"online": "active", "post_only": "restricted", "maintenance": "halted"}),
        ("bybit", "linear", "status", {"PreLaunch": "pre_listing", "Settling": "restricted", "Closed": "delisted"}),
    ],
)
def test_a_venues_word_is_kept_and_what_it_means_beside_it(name, scope, field, words):
    case = next(case for at, case in (param.values for param in CASES) if at == name and case["scope"] == scope)
    for word, status in words.items():
        read = listing(name, scope, case["raw"] | {field: word})
        assert (read.status, read.venue_status) == (status, word)


def test_a_closed_perpetual_is_delisted_and_a_closed_future_expired():
    perpetual, future = (CASES[number].values[1]["raw"] for number in (2, 5))
    assert listing("binance", "linear", perpetual | {"status": "CLOSE"}).status == "delisted"
    assert listing("binance", "linear", future | {"status": "CLOSE"}).status == "expired"


def test_a_future_that_comes_nearer_is_the_same_as_before():
    future = CASES[5].values[1]["raw"]
    assert listing("binance", "linear", future) == listing(
        "binance", "linear", future | {"contractType": "CURRENT_QUARTER"}
    )


def test_the_isin_of_a_share_is_not_that_of_a_contract_about_it():
    about = {param.values[1]["raw"].get("symbol"): param.values[1]["raw"] for param in CASES}
    own = listing("kraken", "future", about["PI_XBTUSD"])
    foreign = listing("kraken", "future", about["PF_AAPLxUSD"])
    assert own.identifiers == (Identifier(scheme="isin", value="GB00J62YGL67"),)
    assert (foreign.identifiers, foreign.attrs["underlying_isin"]) == ((), "US0378331005")


def test_one_symbol_in_two_scopes_and_two_onboard_dates_are_told_apart():
    spot, linear = CASES[0].values[1]["raw"], CASES[2].values[1]["raw"]
    assert spot["symbol"] == linear["symbol"]
    later = listing("binance", "linear", linear | {"onboardDate": 1782864000000})
    assert later.stable_id == listing("binance", "linear", linear).stable_id
    assert later.birth != listing("binance", "linear", linear).birth
