"""A simulated Kraken: pairs by asset class, keyed by their own names, and the instruments of its futures exchange."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import ClassVar

from indexer.sim.venues.exchange import SHARES, Exchange, expiries, iso, utc
from indexer.sim.venues.spec import Asked, Told, Wire, json, struck

PAIRS_PATH, FUTURES_PATH = "/0/public/AssetPairs", "/derivatives/api/v3/instruments"
CLASSES = {"currency": "spot", "tokenized_asset": "tokenised"}
QUOTES = ("ZUSD", "ZEUR", "ZGBP", "XXBT", "USDT")
OLD = {"BTC": "XXBT", "ETH": "XETH", "XRP": "XXRP", "LTC": "XLTC", "ETC": "XETC", "DOGE": "XXDG"}
SHORT = {"ZUSD": "USD", "ZEUR": "EUR", "ZGBP": "GBP", "XXBT": "XBT", "XXDG": "XDG"}
ISINS = ("GB00J62YGL67", "GB00BQ84K502", "GB00BQSB1140")


class Kraken(Exchange):
    """Scopes `spot`, `tokenised`, `future`. Own fault: `busy`, an error inside an answer of status 200."""

    name = "kraken"
    ids: ClassVar[Mapping[str, str]] = {"spot": "pair", "tokenised": "pair", "future": "symbol"}
    words: ClassVar[Mapping[str, str]] = {"spot": "status", "tokenised": "status", "future": "type"}

    def answer(self, asked: Asked) -> Told:
        """Pairs, those of tokenised shares only if asked for; or instruments."""
        if asked.path == FUTURES_PATH:
            if struck(self.faults, "busy", asked):
                return json({"result": "error", "error": "Server Error", "serverTime": iso(self.at_ms)})
            rows = self.listed("future", asked)
            return json({"result": "success", "instruments": rows, "serverTime": iso(self.at_ms)})
        scope = CLASSES.get(asked.query.get("aclass_base", "currency"))
        if asked.path != PAIRS_PATH or scope is None:
            return json({"error": ["EGeneral:Unknown method"]}, HTTPStatus.NOT_FOUND)
        if struck(self.faults, "busy", asked):
            return json({"error": ["EService:Unavailable"]})
        pairs = {
            row.get("pair", ""): {key: row[key] for key in row if key != "pair"} for row in self.listed(scope, asked)
        }
        return json({"error": [], "result": pairs})

    def new(self, scope: str, base: str, born_ms: int) -> Wire:
        """A pair with dollars, or a perpetual."""
        if scope == "future":
            return _contract("PF", base, born_ms)
        return _pair(base, "ZUSD", "online", share=scope == "tokenised")

    def _first(self, scope: str, size: int) -> list[Wire]:
        if scope == "tokenised":
            return [_pair(f"{share}x", "ZUSD", "online", share=True) for share in SHARES]
        if scope == "future":
            return self._contracts(size // 3)
        coins = [OLD.get(coin, coin) for coin in self.coins(size)]
        pairs = ((coin, quote) for quote in QUOTES for coin in coins if coin != quote)
        chosen = [pair for pair, _number in zip(pairs, range(size), strict=False)]
        return [_pair(base, quote, self._word(base, quote)) for base, quote in chosen]

    def _contracts(self, number: int) -> list[Wire]:
        old = [_contract("PI", coin, self.born("PI", coin)) for coin in ("XBT", "ETH", "XRP")]
        for row, isin in zip(old, ISINS, strict=True):
            row["isin"] = isin
        dated = [
            _contract("FI", coin, self.born("FI", coin, ends), ends)
            for coin in ("XBT", "ETH")
            for ends in expiries(self.at_ms)
        ]
        share = _contract("PF", "AAPLx", self.born("AAPLx")) | {"isin": "US0378331005"}
        coins = self.coins(number)[: number - len(old) - len(dated) - 1]
        return [*old, *dated, share, *(_contract("PF", coin, self.born("PF", coin)) for coin in coins)]

    def _word(self, *of: str) -> str:
        return self.dice("word", *of).choices(("online", "cancel_only", "reduce_only"), (94, 3, 3))[0]


def _pair(base: str, quote: str, status: str, *, share: bool = False) -> Wire:
    short, priced = SHORT.get(base, base.removeprefix("X") if base in OLD.values() else base), SHORT.get(quote, quote)
    return {
        "pair": base + quote if base in OLD.values() else short + priced,
        "altname": short + priced,
        "wsname": f"{short}/{priced}",
        "aclass_base": "tokenized_asset" if share else "currency",
        "base": base,
        "aclass_quote": "currency",
        "quote": quote,
        "lot": "unit",
        "cost_decimals": 5,
        "pair_decimals": 4,
        "lot_decimals": 8,
        "lot_multiplier": 1,
        "leverage_buy": [2, 3],
        "leverage_sell": [2, 3],
        "fees": [[0, 0.4], [10000, 0.35]],
        "fees_maker": [[0, 0.25], [10000, 0.2]],
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": "0.5",
        "costmin": "0.5",
        "tick_size": "0.0001",
        "status": status,
        "execution_venue": "international",
    }


def _contract(prefix: str, coin: str, born_ms: int, ends_ms: int | None = None) -> Wire:
    inverse = prefix.endswith("I")
    row: Wire = {
        "symbol": f"{prefix}_{coin}USD" if ends_ms is None else f"{prefix}_{coin}USD_{utc(ends_ms):%y%m%d}",
        "type": "futures_inverse" if inverse else "flexible_futures",
        "tickSize": 0.5 if inverse else 1e-05,
        "contractSize": 1,
        "tradeable": True,
        "impactMidSize": 1.5,
        "maxPositionSize": 16000.0,
        "openingDate": iso(born_ms),
        "marginLevels": [{"numNonContractUnits": 0.0, "initialMargin": 0.02, "maintenanceMargin": 0.01}],
        "fundingRateCoefficient": 24,
        "maxRelativeFundingRate": 0.0025,
        "contractValueTradePrecision": 0 if inverse else 2,
        "postOnly": False,
        "mtf": True,
        "base": "BTC" if coin == "XBT" else coin,
        "quote": "USD",
        "pair": f"{'BTC' if coin == 'XBT' else coin}:USD",
    }
    if inverse:
        row["underlying"] = f"rr_{coin.lower()}usd"
    return row if ends_ms is None else row | {"lastTradingTime": iso(ends_ms)}
