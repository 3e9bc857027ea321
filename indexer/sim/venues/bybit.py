"""A simulated Bybit: one address, four categories, pages by cursor for all but spot."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import ClassVar

from indexer.sim.venues.exchange import SHARES, Exchange, expiries, utc
from indexer.sim.venues.spec import Asked, Told, Wire, json, struck

PATH = "/v5/market/instruments-info"
MOST_PAGE_ROWS = 1000
OPTION_COINS = {"BTC": 100_000, "ETH": 4_000, "SOL": 150, "HYPE": 40}
USUAL_OPTION_COIN = "BTC"
STRIKES = 8
QUOTES = ("USDT", "USDC", "EUR", "BTC")


class Bybit(Exchange):
    """Scopes `spot`, `linear`, `inverse`, `option`. `page_rows`: the most that one page holds.

    Own faults, from the second page on: `empty_page` (no rows, but a cursor), `error_page` (an error inside status
    200), `same_cursor` (the second page for ever).
    """

    name = "bybit"
    ids: ClassVar[Mapping[str, str]] = dict.fromkeys(("spot", "linear", "inverse", "option"), "symbol")
    words: ClassVar[Mapping[str, str]] = dict.fromkeys(("spot", "linear", "inverse", "option"), "status")
    page_rows = MOST_PAGE_ROWS

    def answer(self, asked: Asked) -> Told:
        """Instruments of a category and status; options of one coin unless all are asked for."""
        scope = asked.query.get("category", "")
        if asked.path != PATH or scope not in self.ids:
            return json({"retCode": 10001, "retMsg": "no such path", "result": {}}, HTTPStatus.NOT_FOUND)
        rows = [row for row in self.listed(scope, asked) if _wanted(row, scope, asked)]
        if scope == "spot":
            return _told(scope, rows, "")
        first = int(asked.query.get("cursor", "0").removeprefix("page").partition(":")[0] or 0)
        if first and struck(self.faults, "error_page", asked):
            return json({"retCode": 10016, "retMsg": "Server error.", "result": {}, "time": self.at_ms})
        if first and struck(self.faults, "empty_page", asked):
            return _told(scope, [], f"page{first + 1}")
        last = first + min(int(asked.query.get("limit", "500")), self.page_rows)
        if first and struck(self.faults, "same_cursor", asked):
            return _told(scope, rows[first:last], f"page{first}")
        return _told(scope, rows[first:last], f"page{last}" if last < len(rows) else "")

    def new(self, scope: str, base: str, born_ms: int) -> Wire:
        """A pair with USDT, or a perpetual."""
        return _spot(base, "USDT") if scope == "spot" else _contract(base, born_ms, inverse=scope == "inverse")

    def _first(self, scope: str, size: int) -> list[Wire]:
        if scope == "spot":
            shares = [_spot(share, "USDT", share=True) for share in SHARES]
            pairs = ((coin, quote) for quote in QUOTES for coin in self.coins(size) if coin != quote)
            chosen = [pair for pair, _number in zip(pairs, range(size - len(shares)), strict=False)]
            return [*shares, *(_spot(base, quote) for base, quote in chosen)]
        if scope == "option":
            return self._options()[:size]
        inverse = scope == "inverse"
        coins = self.coins(max(size // 10, 3) if inverse else size // 2)
        rows = [_contract(coin, self.born(scope, coin), inverse=inverse) for coin in coins]
        dated = [(coin, ends) for coin in coins[:2] for ends in expiries(self.at_ms)]
        rows += [_contract(coin, self.born(scope, coin), inverse=inverse, ends_ms=ends) for coin, ends in dated]
        return rows if inverse else [*rows, _contract("NEXT", self.at_ms) | {"status": "PreLaunch"}]

    def _options(self) -> list[Wire]:
        return [
            _option(coin, ends, around + around // 20 * step, right, self.born("option", coin, ends))
            for ends in expiries(self.at_ms)
            for step in range(-STRIKES, STRIKES)
            for coin, around in OPTION_COINS.items()
            for right in ("Call", "Put")
        ]


def _wanted(row: Wire, scope: str, asked: Asked) -> bool:
    coin, status = asked.query.get("baseCoin", USUAL_OPTION_COIN), asked.query.get("status")
    if scope == "option" and coin not in {"All", row["baseCoin"]}:
        return False
    return bool(row["status"] != "PreLaunch" if status is None else row["status"] == status)


def _told(scope: str, rows: list[Wire], cursor: str) -> Told:
    result = {"category": scope, "list": rows, "nextPageCursor": cursor}
    return json({"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": 1})


def _spot(base: str, quote: str, *, share: bool = False) -> Wire:
    row: Wire = {
        "symbol": base + quote,
        "baseCoin": base,
        "quoteCoin": quote,
        "innovation": "0",
        "status": "Trading",
        "marginTrading": "none" if share else "utaOnly",
        "lotSizeFilter": {
            "basePrecision": "0.0001",
            "quotePrecision": "0.000001",
            "minOrderQty": "0.001",
            "maxOrderQty": "100000",
            "minOrderAmt": "5",
            "maxOrderAmt": "1000000",
        },
        "priceFilter": {"tickSize": "0.0001"},
    }
    return row | ({"symbolType": "xstocks", "xstockMultiplier": "0.1"} if share else {"symbolType": ""})


def _contract(coin: str, born_ms: int, *, inverse: bool = False, ends_ms: int | None = None) -> Wire:
    quote, kind = ("USD", "Inverse") if inverse else ("USDT", "Linear")
    day = "" if ends_ms is None else f"-{utc(ends_ms):%d%b%y}".upper()
    return {
        "symbol": f"{coin}{quote}{day}",
        "contractType": f"{kind}{'Perpetual' if ends_ms is None else 'Futures'}",
        "status": "Trading",
        "baseCoin": coin,
        "quoteCoin": quote,
        "settleCoin": coin if inverse else quote,
        "launchTime": str(born_ms),
        "deliveryTime": str(ends_ms or 0),
        "deliveryFeeRate": "",
        "priceScale": "4",
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "50.00", "leverageStep": "0.01"},
        "priceFilter": {"minPrice": "0.0001", "maxPrice": "199999.9998", "tickSize": "0.0001"},
        "lotSizeFilter": {
            "maxOrderQty": "1190.000",
            "minOrderQty": "0.001",
            "qtyStep": "0.001",
            "postOnlyMaxOrderQty": "1190.000",
            "minNotionalValue": "5",
        },
        "unifiedMarginTrade": True,
        "fundingInterval": 480,
        "symbolType": "",
    }


def _option(coin: str, ends_ms: int, strike: int, right: str, born_ms: int) -> Wire:
    return {
        "symbol": f"{coin}-{utc(ends_ms):%-d%b%y}-{strike}-{right[0]}-USDT".upper(),
        "status": "Trading",
        "baseCoin": coin,
        "quoteCoin": "USDT",
        "settleCoin": "USDT",
        "optionsType": right,
        "launchTime": str(born_ms),
        "deliveryTime": str(ends_ms),
        "deliveryFeeRate": "0.00015",
        "priceFilter": {"minPrice": "5", "maxPrice": "110000", "tickSize": "5"},
        "lotSizeFilter": {"maxOrderQty": "500", "minOrderQty": "0.01", "qtyStep": "0.01"},
    }
