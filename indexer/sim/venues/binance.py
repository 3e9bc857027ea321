"""A simulated Binance: four lists at four addresses, each in one answer."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import ClassVar

from indexer.sim.venues.exchange import Exchange, expiries, utc
from indexer.sim.venues.spec import Asked, Told, Wire, json

NEVER_MS = 4_133_404_800_000
PATHS = {
    "/api/v3/exchangeInfo": "spot",
    "/fapi/v1/exchangeInfo": "linear",
    "/dapi/v1/exchangeInfo": "inverse",
    "/eapi/v1/exchangeInfo": "option",
}
QUOTES = ("USDT", "USDC", "BTC", "TRY")
OPTION_COINS = {"BTC": 100_000, "ETH": 4_000, "BNB": 900}
STRIKES = 8


class Binance(Exchange):
    """Scopes `spot`, `linear`, `inverse`, `option`."""

    name = "binance"
    ids: ClassVar[Mapping[str, str]] = dict.fromkeys(("spot", "linear", "inverse", "option"), "symbol")
    words: ClassVar[Mapping[str, str]] = {
        "spot": "status",
        "linear": "status",
        "inverse": "contractStatus",
        "option": "status",
    }

    def answer(self, asked: Asked) -> Told:
        """`exchangeInfo` of the four."""
        scope = PATHS.get(asked.path)
        if scope is None:
            return json({"code": -1000, "msg": "no such path"}, HTTPStatus.NOT_FOUND)
        key = "optionSymbols" if scope == "option" else "symbols"
        return json({"timezone": "UTC", "serverTime": self.at_ms, "rateLimits": [], key: self.listed(scope, asked)})

    def new(self, scope: str, base: str, born_ms: int) -> Wire:
        """A pair with USDT, or a perpetual."""
        if scope == "spot":
            return _spot(base, "USDT", "TRADING")
        return _contract(base, "BTC" if scope == "inverse" else "USDT", born_ms, scope)

    def _first(self, scope: str, size: int) -> list[Wire]:
        if scope == "spot":
            pairs = ((coin, quote) for quote in QUOTES for coin in self.coins(size) if coin != quote)
            chosen = [pair for pair, _number in zip(pairs, range(size), strict=False)]
            return [_spot(base, quote, self._word(base, quote)) for base, quote in chosen]
        if scope == "option":
            return self._options(size // 3)
        coins = self.coins(size // 2 if scope == "linear" else max(size // 10, 2))
        quote = "USDT" if scope == "linear" else "USD"
        rows = [_contract(coin, quote, self.born(scope, coin), scope) for coin in coins]
        dated = [(coin, ends) for coin in coins[:2] for ends in expiries(self.at_ms)[1:]]
        return rows + [_contract(coin, quote, self.born(scope, coin, ends), scope, ends) for coin, ends in dated]

    def _word(self, *of: str) -> str:
        return self.dice("word", *of).choices(("TRADING", "BREAK", "PENDING_TRADING"), (90, 9, 1))[0]

    def _options(self, number: int) -> list[Wire]:
        rows = []
        for coin, around in OPTION_COINS.items():
            for ends in expiries(self.at_ms):
                for step in range(-STRIKES, STRIKES):
                    strike = around + around // 20 * step
                    rows += [_option(coin, ends, strike, side) for side in ("CALL", "PUT")]
        return rows[:number]


def _filters(tick: str, step: str, notional: Wire) -> list[Wire]:
    return [
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.00", "tickSize": tick},
        {"filterType": "LOT_SIZE", "minQty": step, "maxQty": "9000.00000000", "stepSize": step},
        {"filterType": "MARKET_LOT_SIZE", "minQty": "0.00000000", "maxQty": "112.21108820", "stepSize": "0.00000000"},
        notional,
    ]


def _spot(base: str, quote: str, status: str) -> Wire:
    notional = {"filterType": "NOTIONAL", "minNotional": "5.00000000", "maxNotional": "9000000.00000000"}
    return {
        "symbol": base + quote,
        "status": status,
        "baseAsset": base,
        "baseAssetPrecision": 8,
        "quoteAsset": quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"],
        "icebergAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": _filters("0.00010000", "0.01000000", notional),
        "permissions": [],
        "permissionSets": [["SPOT", "TRD_GRP_004"]],
    }


def _contract(base: str, quote: str, born_ms: int, scope: str, ends_ms: int | None = None) -> Wire:
    quote = "USD" if scope == "inverse" else quote
    pair = base + quote
    perpetual = pair if scope == "linear" else f"{pair}_PERP"
    row: Wire = {
        "symbol": perpetual if ends_ms is None else f"{pair}_{utc(ends_ms):%y%m%d}",
        "pair": pair,
        "contractType": "PERPETUAL" if ends_ms is None else "CURRENT_QUARTER",
        "deliveryDate": NEVER_MS if ends_ms is None else ends_ms,
        "onboardDate": born_ms,
        "maintMarginPercent": "2.5000",
        "baseAsset": base,
        "quoteAsset": quote,
        "marginAsset": quote if scope == "linear" else base,
        "pricePrecision": 4,
        "quantityPrecision": 2,
        "underlyingType": "COIN",
        "underlyingSubType": ["Layer-1"],
        "filters": _filters("0.0001", "0.01", {"filterType": "MIN_NOTIONAL", "notional": "5"}),
    }
    return row | ({"status": "TRADING"} if scope == "linear" else {"contractStatus": "TRADING", "contractSize": 10})


def _option(coin: str, ends_ms: int, strike: int, side: str) -> Wire:
    filters = [
        {"filterType": "PRICE_FILTER", "minPrice": "0.1", "maxPrice": "20000", "tickSize": "0.1"},
        {"filterType": "LOT_SIZE", "minQty": "0.01", "maxQty": "1000", "stepSize": "0.01"},
    ]
    return {
        "symbol": f"{coin}-{utc(ends_ms):%y%m%d}-{strike}-{side[0]}",
        "underlying": f"{coin}USDT",
        "side": side,
        "strikePrice": f"{strike}.00000000",
        "expiryDate": ends_ms,
        "unit": 1,
        "quoteAsset": "USDT",
        "minQty": "0.01",
        "maxQty": "1000",
        "priceScale": 1,
        "quantityScale": 2,
        "filters": filters,
        "status": "TRADING",
    }
