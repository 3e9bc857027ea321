"""A simulated Coinbase Advanced Trade: one list of products, by type, in pages where they are many."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import ClassVar

from indexer.sim.venues.exchange import Exchange, expiries, iso, utc
from indexer.sim.venues.spec import Asked, Told, Wire, json

PATH = "/api/v3/brokerage/market/products"
TYPES = {"SPOT": "spot", "FUTURE": "future"}
QUOTES = ("USD", "EUR", "GBP", "BTC")
CODES = {"BTC": "BIT", "ETH": "ET", "SOL": "SOL", "XRP": "XRP"}


class Coinbase(Exchange):
    """Scopes `spot` and `future`. `page_rows`: how many products one answer holds; None: all."""

    name = "coinbase"
    ids: ClassVar[Mapping[str, str]] = {"spot": "product_id", "future": "product_id"}
    words: ClassVar[Mapping[str, str]] = {"spot": "status", "future": "status"}
    page_rows: int | None = None

    def answer(self, asked: Asked) -> Told:
        """Products of a type, from `offset`."""
        scope = TYPES.get(asked.query.get("product_type", "SPOT"))
        if asked.path != PATH or scope is None:
            return json({"error": "NOT_FOUND", "message": "no such path"}, HTTPStatus.NOT_FOUND)
        rows, whole = self.listed(scope, asked), len(self.rows[scope])
        first = int(asked.query.get("offset", "0"))
        last = len(rows) if self.page_rows is None else first + self.page_rows
        pagination = None if self.page_rows is None else {"has_next": last < len(rows), "next_cursor": ""}
        count = 0 if not rows else whole  # a list that lost rows still tells how many there were
        return json({"products": rows[first:last], "num_products": count, "pagination": pagination})

    def new(self, scope: str, base: str, born_ms: int) -> Wire:
        """A pair with USD, or a future of three months."""
        if scope == "spot":
            return _spot(base, "USD", born_ms, "online")
        return _future(base, base, expiries(born_ms)[1], funding=False)

    def _first(self, scope: str, size: int) -> list[Wire]:
        if scope == "future":
            rows = []
            for coin, code in CODES.items():
                rows += [_future(coin, code, ends, funding=False) for ends in expiries(self.at_ms)]
                rows.append(_future(coin, f"{code}P", expiries(self.at_ms, (1600,))[0], funding=True))
            return rows
        pairs = ((coin, quote) for quote in QUOTES for coin in self.coins(size) if coin != quote)
        chosen = [pair for pair, _number in zip(pairs, range(size - 1), strict=False)]
        rows = [_spot(base, quote, self.born(base, quote), self._word(base, quote)) for base, quote in chosen]
        alias = _spot("BTC", "USDC", self.born("BTC"), "online")
        return [*rows, alias | {"alias": "BTC-USD"}]

    def _word(self, *of: str) -> str:
        return self.dice("word", *of).choices(("online", "delisted"), (95, 5))[0]


def _spot(base: str, quote: str, born_ms: int, status: str) -> Wire:
    return {
        "product_id": f"{base}-{quote}",
        "price": "1.25",
        "volume_24h": "11005.02",
        "base_increment": "0.01",
        "quote_increment": "0.0001",
        "quote_min_size": "1",
        "quote_max_size": "5000000",
        "base_min_size": "0.01",
        "base_max_size": "900000",
        "base_name": base.title(),
        "quote_name": quote,
        "is_disabled": False,
        "new": False,
        "status": status,
        "cancel_only": False,
        "limit_only": False,
        "post_only": False,
        "trading_disabled": status == "delisted",
        "auction_mode": False,
        "product_type": "SPOT",
        "quote_currency_id": quote,
        "base_currency_id": base,
        "alias": "",
        "alias_to": [],
        "view_only": False,
        "price_increment": "0.0001",
        "display_name": f"{base}-{quote}",
        "product_venue": "CBE",
        "new_at": iso(born_ms),
    }


def _future(coin: str, code: str, ends_ms: int, *, funding: bool) -> Wire:
    name = f"{coin} PERP" if funding else f"{coin} {utc(ends_ms):%d %b %y}".upper()
    details = {
        "venue": "cde",
        "contract_code": code,
        "contract_expiry": iso(ends_ms),
        "contract_size": "0.01",
        "contract_root_unit": coin,
        "group_description": f"nano {coin} {'Perp ' if funding else ''}Futures",
        "contract_expiry_type": "EXPIRING",
        "contract_display_name": name,
        "time_to_expiry_ms": "148491060811",
        "non_crypto": False,
        "twenty_four_by_seven": True,
        "funding_interval": "3600s" if funding else None,
        "open_interest": "183283",
        "futures_asset_type": "FUTURES_ASSET_TYPE_CRYPTO",
    }
    return _spot("", "USD", ends_ms, "") | {
        "product_id": f"{code}-{utc(ends_ms):%d%b%y}-CDE".upper(),
        "product_type": "FUTURE",
        "product_venue": "FCM",
        "display_name": name,
        "new_at": None,
        "base_increment": "1",
        "base_min_size": "1",
        "price_increment": "5",
        "future_product_details": details,
    }
