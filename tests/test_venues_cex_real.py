"""Recorded answers of real exchanges, served again: the client and our reading of today lose no row of them."""

import gzip
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from indexer import venues
from indexer.errors import BadAnswer
from indexer.model import Listing, Rules
from indexer.sim.venues.server import VenueServer
from indexer.sim.venues.spec import Asked, Told
from indexer.sim.venues.spec import json as answer
from tests.asked import VENUES, session

pytestmark = pytest.mark.shared

OKX = "www_okx_com_api_v5_public_instruments_insttype_"
OKEX = "www_okex_com_api_v5_public_instruments_insttype_"
N = "nautilus/"
COUNTED = [
    # venue, scope, what is asked and what answers it, rows that the answers hold
    ("binance", "spot", {"/api/v3/exchangeInfo": "binance_spot_2021-04-17.json.gz"}, 1405),
    ("binance", "spot", {"/api/v3/exchangeInfo": "binance_spot_2021-08-14.json.gz"}, 1589),
    ("binance", "spot", {"/api/v3/exchangeInfo": f"{N}binance__exchange_info_response.json"}, 1),
    ("binance", "spot", {"/api/v3/exchangeInfo": f"{N}binance__http_spot_market_exchange_info.json"}, 2),
    ("binance", "linear", {"/fapi/v1/exchangeInfo": "binance_usdm_2021-04-17.json.gz"}, 113),
    ("binance", "linear", {"/fapi/v1/exchangeInfo": "binance_usdm_2021-07-22.json.gz"}, 122),
    ("binance", "linear", {"/fapi/v1/exchangeInfo": f"{N}binance__http_futures_market_exchange_info.json"}, 3),
    ("binance", "inverse", {"/dapi/v1/exchangeInfo": "binance_coinm_2021-04-17.json.gz"}, 36),
    ("binanceus", "spot", {"/api/v3/exchangeInfo": "binance_us_2021-04-17.json.gz"}, 109),
    ("binanceus", "spot", {"/api/v3/exchangeInfo": "binance_us_2021-08-14.json.gz"}, 117),
    ("coinbase", "spot", {"product_type=SPOT": f"{N}coinbase__http_products.json"}, 2),
    ("coinbase", "future", {"product_type=FUTURE": f"{N}coinbase__http_products_future.json"}, 2),
    ("coinbase_exchange", "spot", {"/products": "coinbase_2021-04-17.json.gz"}, 162),
    ("kraken", "spot", {"aclass_base=currency": "kraken_asset_pairs_2021-04-17.json.gz"}, 304),
    ("kraken", "spot", {"aclass_base=currency": f"{N}kraken__http_asset_pairs.json"}, 1),
    ("kraken", "tokenised", {"aclass_base=tokenized_asset": f"{N}kraken__http_asset_pairs_tokenized.json"}, 1),
    ("kraken", "future", {"/instruments": "kraken_futures_2021-04-17.json.gz"}, 27),
    ("kraken", "future", {"/instruments": f"{N}kraken__http_futures_instruments.json"}, 4),
    ("kraken", "future", {"/instruments": f"{N}kraken__http_futures_instrument_no_fee_schedule.json"}, 1),
    ("bybit", "spot", {"category=spot": f"{N}bybit__http_get_instruments_spot.json"}, 2),
    ("bybit", "spot", {"category=spot": f"{N}bybit__http_get_instruments_spot_xstocks.json"}, 1),
    ("bybit", "linear", {"category=linear": f"{N}bybit__http_get_instruments_linear.json"}, 2),
    ("bybit", "linear", {"category=linear": f"{N}bybit__http_get_instruments_linear_symbol_type.json"}, 1),
    ("bybit", "inverse", {"category=inverse": f"{N}bybit__http_get_instruments_inverse.json"}, 1),
    ("bybit", "inverse", {"category=inverse": f"{N}bybit__http_get_instruments_inverse_symbol_type.json"}, 1),
    ("bybit", "option", {"category=option": f"{N}bybit__http_get_instruments_option.json"}, 1),
    ("bybit", "option", {"category=option": f"{N}bybit__http_get_instruments_option_symbol_id.json"}, 1),
    ("okx", "spot", {"instType=SPOT": f"{OKEX}spot_2021-07-22.json.gz"}, 475),
    ("okx", "spot", {"instType=SPOT": f"{OKX}spot_2022-05-13.json.gz"}, 513),
    (
        "okx",
        "option",
        {
            "uly=BTC-USD": f"{OKEX}option_uly_b_2021-07-22.json.gz",
            "uly=ETH-USD": f"{OKEX}option_uly_e_2021-07-22.json.gz",
        },
        214 + 206,
    ),
    (
        "okx",
        "option",
        {
            "uly=BTC-USD": f"{OKX}option_uly_bt_2022-05-13.json.gz",
            "uly=ETH-USD": f"{OKX}option_uly_et_2022-05-13.json.gz",
        },
        346 + 350,
    ),
    ("kucoin", "spot", {"/symbols": "kucoin_2021-04-23.json.gz"}, 631),
    ("gateio", "spot", {"/spot/currency_pairs": "gateio_2021-04-17.json.gz"}, 1434),
    ("htx", "spot", {"/symbols": "huobi_2021-04-17.json.gz"}, 938),
]
OKX_CONTRACTS = [
    ({"SWAP": f"{OKEX}swap_2021-07-22.json.gz", "FUTURES": f"{OKEX}futures_2021-07-22.json.gz"}, 135 + 104),
    ({"SWAP": f"{OKX}swap_2022-05-13.json.gz", "FUTURES": f"{OKX}futures_2022-05-13.json.gz"}, 166 + 104),
]


class Recorded:
    """Answers what was recorded to whom asks for it, an empty list to the rest."""

    def __init__(self, folder: Path, name: str, answers: Mapping[str, str]) -> None:
        self.name = name
        self.rows: dict[str, list[dict]] = {}
        self.faults: set[str] = set()
        self._bodies = {part: body(folder / file) for part, file in answers.items()}

    def answer(self, asked: Asked) -> Told:
        told = next((body for part, body in self._bodies.items() if asked.says(part)), None)
        return answer([]) if told is None else Told(headers={"Content-Type": "application/json"}, body=told)


def body(file: Path) -> bytes:
    return gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()


def listings(folder: Path, name: str, scope: str, answers: Mapping[str, str]) -> list[Listing]:
    row = VENUES[name]
    adapter = venues.load(row.adapter, row.extra)
    server = VenueServer([Recorded(folder, name, answers)])
    server.start()
    try:
        snapshot = adapter.fetch(session(name, server.url(name)), scope, row.options)
    finally:
        server.close()
    assert snapshot.complete == bool(snapshot.rows)
    return [adapter.normalise(scope, raw, row.options) for raw in snapshot.rows]


@pytest.fixture(scope="module")
def cex(shared: Path) -> Path:
    return shared / "data" / "cex"


@pytest.mark.parametrize(
    ("name", "scope", "answers", "rows"), COUNTED, ids=[f"{each[0]}-{next(iter(each[2].values()))}" for each in COUNTED]
)
def test_every_row_of_a_recorded_list_is_a_listing(cex, name, scope, answers, rows):
    read = listings(cex, name, scope, answers)
    assert len(read) == rows
    assert len({each.stable_id for each in read}) == rows
    assert all(each.base and each.quote for each in read if each.inst_class == "spot")
    assert None not in {each.inst_class for each in read}
    if scope == "option":
        assert all(each.strike and each.option_right and each.expires_at for each in read)


@pytest.mark.parametrize(("files", "rows"), OKX_CONTRACTS, ids=["2021", "2022"])
def test_contracts_that_come_in_one_answer_are_each_of_one_scope(cex, files, rows):
    answers = {f"instType={kind}": file for kind, file in files.items()}
    linear, inverse = (listings(cex, "okx", scope, answers) for scope in ("linear", "inverse"))
    assert len(linear) + len(inverse) == rows
    assert ({each.payoff for each in linear}, {each.payoff for each in inverse}) == ({"linear"}, {"inverse"})
    assert all((each.expires_at is None) == (each.inst_class == "perpetual") for each in (*linear, *inverse))


def test_an_option_of_okx_is_of_as_much_as_its_own_row_says(cex):
    answers = {
        "uly=BTC-USD": f"{OKX}option_uly_bt_2022-05-13.json.gz",
        "uly=ETH-USD": f"{OKX}option_uly_et_2022-05-13.json.gz",
    }
    read = listings(cex, "okx", "option", answers)
    assert {(each.underlying, str(each.multiplier)) for each in read} == {("BTC", "0.1"), ("ETH", "1")}


def test_what_the_lists_of_2021_are_about_is_told(cex):
    spot = listings(cex, "binance", "spot", {"/api/v3": "binance_spot_2021-04-17.json.gz"})
    assert Counter(each.status for each in spot) == {"active": 1038, "halted": 367}
    assert {each.base for each in spot if each.asset_class == "fx"} == {"AUD", "EUR", "GBP"}
    linear = listings(cex, "binance", "linear", {"/fapi/v1": "binance_usdm_2021-04-17.json.gz"})
    assert Counter(each.inst_class for each in linear) == {"perpetual": 111, "future": 2}
    assert [each.symbol for each in linear if each.status == "pre_listing"] == ["BTCSTUSDT"]
    assert {each.asset_class for each in linear if each.symbol == "DEFIUSDT"} == {"index"}
    kraken = listings(cex, "kraken", "future", {"/instruments": "kraken_futures_2021-04-17.json.gz"})
    assert Counter(each.inst_class for each in kraken) == {"perpetual": 5, "future": 12, "index": 10}


def test_an_answer_of_a_retired_shape_is_refused_and_not_taken_for_an_empty_list(cex):
    with pytest.raises(BadAnswer):
        listings(cex, "bybit", "inverse", {"/v5": "bybit_v2_symbols_2021-04-17.json.gz"})
    with pytest.raises(BadAnswer):
        listings(cex, "okx", "spot", {"/": "www_okex_com_api_spot_v3_instruments_2021-04-17.json.gz"})


def test_a_single_product_of_coinbase_is_the_row_that_it_is_in_the_list(cex):
    (single,) = (json.loads(body(cex / f"{N}coinbase__http_product.json")),)
    adapter = venues.load("coinbase", "cex")
    listed = json.loads(body(cex / f"{N}coinbase__http_products.json"))["products"][0]
    assert adapter.normalise("spot", single, {}) == adapter.normalise("spot", listed, {})


def test_markets_of_all_kinds_in_one_answer_are_each_of_one_scope(cex):
    answers = {"/public/products": "api_phemex_com_exchange_public_cfg_v2_products_2021-07-03.json.gz"}
    by_scope = {scope: listings(cex, "phemex", scope, answers) for scope in ("spot", "linear", "inverse")}
    assert {scope: len(read) for scope, read in by_scope.items()} == {"spot": 30, "linear": 36, "inverse": 1}
    (inverse,) = by_scope["inverse"]
    assert (inverse.symbol, inverse.base, inverse.settle) == ("BTCUSD", "BTC", "BTC"), "not the id beside it"


def identity(listing: Listing) -> Listing:
    return replace(listing, rules=Rules())


@pytest.mark.parametrize(
    ("name", "scope", "path", "files"),
    [
        ("binance", "spot", "/api/v3", ("binance_spot_2021-04-17.json.gz", "binance_spot_2021-08-14.json.gz")),
        ("binanceus", "spot", "/api/v3", ("binance_us_2021-04-17.json.gz", "binance_us_2021-08-14.json.gz")),
        ("binance", "linear", "/fapi/v1", ("binance_usdm_2021-04-17.json.gz", "binance_usdm_2021-07-22.json.gz")),
        ("okx", "spot", "instType=SPOT", (f"{OKEX}spot_2021-07-22.json.gz", f"{OKX}spot_2022-05-13.json.gz")),
    ],
)
def test_what_changed_between_two_dates_is_what_changed_between_the_files(cex, name, scope, path, files):
    """The fields of a row that are mapped to identity, here by hand; all others are rules, or noise."""
    mapped = {
        "binance": (
            *("status", "contractStatus", "baseAsset", "quoteAsset", "marginAsset", "isSpotTradingAllowed"),
            *("contractType", "deliveryDate", "onboardDate", "underlyingType", "pair", "contractSize"),
        ),
        "okx": ("state", "baseCcy", "quoteCcy", "listTime"),
    }
    keys, key = mapped["okx" if name == "okx" else "binance"], "instId" if name == "okx" else "symbol"
    raw_before, raw_after = (
        {row[key]: row for row in (told.get("symbols") or told["data"])}
        for told in (json.loads(body(cex / file)) for file in files)
    )
    before, after = ({each.stable_id: each for each in listings(cex, name, scope, {path: file})} for file in files)
    assert before.keys() - after.keys() == raw_before.keys() - raw_after.keys()
    assert after.keys() - before.keys() == raw_after.keys() - raw_before.keys()
    both = before.keys() & after.keys()
    changed = {one for one in both if identity(before[one]) != identity(after[one])}
    assert changed == {
        one for one in both if any(raw_before[one].get(field) != raw_after[one].get(field) for field in keys)
    }


def test_a_symbol_that_a_later_coin_bears_has_another_birth(cex):
    files = (f"{OKEX}spot_2021-07-22.json.gz", f"{OKX}spot_2022-05-13.json.gz")
    before, after = (
        {each.symbol: each for each in listings(cex, "okx", "spot", {"instType=SPOT": file})} for file in files
    )
    both = before.keys() & after.keys()
    assert {one for one in both if before[one].birth != after[one].birth} == {"BTT-USDT", "MEME-USDT", "MOF-USDT"}


def test_filter_noise_is_no_change_of_identity(cex):
    files = ("binance_spot_2021-04-17.json.gz", "binance_spot_2021-08-14.json.gz")
    raw_before, raw_after = ({row["symbol"]: row for row in json.loads(body(cex / file))["symbols"]} for file in files)
    before, after = (
        {each.symbol: each for each in listings(cex, "binance", "spot", {"/api/v3": file})} for file in files
    )
    touched = {one: [key for key in raw if raw[key] != raw_after[one].get(key)] for one, raw in raw_before.items()}
    noisy = {one for one, keys in touched.items() if keys}
    assert (len(noisy), all("filters" in touched[one] for one in noisy)) == (1084, True)
    moved = {one for one in noisy if identity(before[one]) != identity(after[one])}
    assert (len(moved), {tuple(touched[one]) for one in moved}) == (25, {("status", "filters")})
    assert len([one for one in noisy if touched[one] == ["filters"]]) == 1044
    assert sum(before[one].rules != after[one].rules for one in before) < len(noisy) // 2, (
        "most noise is not even a rule"
    )
    assert (len(after.keys() - before.keys()), before.keys() - after.keys()) == (184, set())
