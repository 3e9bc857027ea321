"""Alpaca as it answers: assets of one status in one answer, option contracts in pages, for whoever shows a key."""

import uuid
from datetime import date, timedelta
from http import HTTPStatus
from random import Random

from indexer.sim.chance import chance
from indexer.sim.venues.spec import Asked, Told, Wire, json, struck

EXCHANGES = ("NASDAQ", "NYSE", "ARCA", "AMEX", "BATS", "OTC")
COINS = ("BTC", "ETH", "SOL", "LTC", "LINK", "AAVE", "UNI", "AVAX")
SHARES = 60
INACTIVE = 12
OPTIONABLE = 4
EXPIRIES = 3
STRIKES = 5
FRIDAY = 4
PAGE_ROWS = 20
"""At most so many contracts a page here, whatever `limit` says, so that small lists have several."""

TODAY = date(2026, 11, 20)
"""When a simulated broker lives unless it is told."""
_NEW_ROW = {"exchange": "TXSE", "status": "suspended", "class": "us_equity", "attributes": ["attribute_of_tomorrow"]}


class Alpaca:
    """Its rows are those of `/v2/assets` (scopes equity and crypto) and `/v2/options/contracts` (scope option).

    Faults of its own: `empty` (lists without rows), `new_enum` (one more asset, of words nobody has seen), `hole` (a
    page in the middle is empty though more follow), `circle` (the token of the next page is that of this one),
    `refused` (the key is not accepted).
    """

    name = "alpaca"

    def __init__(self, seed: int | str = 0, *, today: date = TODAY) -> None:
        stream = chance("alpaca", seed)
        self._friday = today + timedelta(days=(FRIDAY - today.weekday()) % 7)
        shares = [_share(stream, number) for number in range(SHARES)]
        self.rows: dict[str, list[Wire]] = {
            "equity": shares,
            "crypto": [_coin(stream, code, quote) for code in COINS for quote in ("USD", "USDT")],
            "option": [contract for share in shares[:OPTIONABLE] for contract in _chain(stream, share, self._friday)],
        }
        self.faults: set[str] = set()

    def answer(self, asked: Asked) -> Told:
        """Assets or a page of contracts."""
        if "apca-api-key-id" not in asked.headers or struck(self.faults, "refused", asked):
            return json({"code": 40110000, "message": "request is not authorized"}, HTTPStatus.UNAUTHORIZED)
        match asked.path:
            case "/v2/assets":
                return json([] if struck(self.faults, "empty", asked) else self._assets(asked))
            case "/v2/options/contracts":
                return json(self._page(asked))
        return json({"message": "Not Found"}, HTTPStatus.NOT_FOUND)

    def _assets(self, asked: Asked) -> list[Wire]:
        rows = [*self.rows["equity"], *self.rows["crypto"]]
        if struck(self.faults, "new_enum", asked):
            rows.append(_share(chance("alpaca", "new"), SHARES) | _NEW_ROW)
        status, kind = asked.query.get("status"), asked.query.get("asset_class", "us_equity")
        return [row for row in rows if row["class"] == kind and status in {None, row["status"], _as_told(row)}]

    def _page(self, asked: Asked) -> Wire:
        wanted = set(filter(None, asked.query.get("underlying_symbols", "").split(",")))
        until = asked.query.get("expiration_date_lte", self._friday.isoformat())
        rows = [
            row if asked.query.get("show_deliverables") == "true" else {**row, "deliverables": None}
            for row in self.rows["option"]
            if (not wanted or row["underlying_symbol"] in wanted) and row["expiration_date"] <= until
        ]
        if struck(self.faults, "empty", asked):
            rows = []
        first = int(asked.query.get("page_token") or 0)
        last = first + min(PAGE_ROWS, int(asked.query.get("limit", "100")))
        hole = first > 0 and struck(self.faults, "hole", asked)
        after = first if struck(self.faults, "circle", asked) else last
        return {
            "option_contracts": [] if hole else rows[first:last],
            "next_page_token": str(after) if after < len(rows) else None,
        }


def _as_told(row: Wire) -> str:
    """A status that no filter names is told to whoever asks for active ones."""
    return row["status"] if row["status"] in {"active", "inactive"} else "active"


def _id(stream: Random) -> str:
    return str(uuid.UUID(int=stream.getrandbits(128), version=4))


def _ticker(stream: Random, number: int) -> str:
    return "".join(stream.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=3)) + chr(ord("A") + number % 26)


def _share(stream: Random, number: int) -> Wire:
    active = number < SHARES - INACTIVE or number >= SHARES
    symbol = _ticker(stream, number)
    return {
        "id": _id(stream),
        "class": "us_equity",
        "exchange": EXCHANGES[number % len(EXCHANGES)],
        "symbol": symbol,
        "name": f"{symbol.title()} Corporation Common Stock",
        "status": "active" if active else "inactive",
        "tradable": active,
        "marginable": True,
        "maintenance_margin_requirement": 30 if active else 100,
        "margin_requirement_long": "30" if active else "100",
        "margin_requirement_short": "30" if active else "100",
        "shortable": active,
        "easy_to_borrow": active,
        "borrow_status": "easy_to_borrow",
        "fractionable": active,
        "attributes": ["fractional_eh_enabled", "has_options"] if number < OPTIONABLE else [],
    }


def _coin(stream: Random, code: str, quote: str) -> Wire:
    return {
        "id": _id(stream),
        "class": "crypto",
        "exchange": "CRYPTO",
        "symbol": f"{code}/{quote}",
        "name": f"{code} / {quote}",
        "status": "active",
        "tradable": True,
        "marginable": False,
        "maintenance_margin_requirement": 100,
        "shortable": False,
        "easy_to_borrow": False,
        "fractionable": True,
        "attributes": [],
        "min_order_size": "0.0001",
        "min_trade_increment": "0.000000001",
        "price_increment": "0.01",
    }


def _chain(stream: Random, share: Wire, first: date) -> list[Wire]:
    middle = stream.randrange(20, 400, 5)
    days = [first + timedelta(weeks=4 * number) for number in range(EXPIRIES)]
    strikes = [middle + 5 * (number - STRIKES // 2) for number in range(STRIKES)]
    rows = [
        _contract(stream, share, share["symbol"], expires, strike, kind)
        for expires in days
        for strike in strikes
        for kind in ("call", "put")
    ]
    adjusted = _contract(stream, share, f"{share['symbol']}1", days[0], strikes[0], "call")
    adjusted["deliverables"].append(
        adjusted["deliverables"][0] | {"type": "cash", "symbol": "USD", "amount": "12.5", "settlement_type": "T+1"},
    )
    return [*rows, adjusted]


def _contract(stream: Random, share: Wire, root: str, expires: date, strike: int, kind: str) -> Wire:
    return {
        "id": _id(stream),
        "symbol": f"{root}{expires:%y%m%d}{kind[0].upper()}{strike * 1000:08d}",
        "name": f"{share['symbol']} {expires:%b %d %Y} {strike} {kind.title()}",
        "status": "active",
        "tradable": True,
        "expiration_date": expires.isoformat(),
        "root_symbol": root,
        "underlying_symbol": share["symbol"],
        "underlying_asset_id": share["id"],
        "type": kind,
        "style": "american",
        "strike_price": str(strike),
        "multiplier": "100",
        "size": "100",
        "open_interest": str(stream.randrange(5000)),
        "open_interest_date": "2026-11-18",
        "close_price": f"{stream.randrange(1, 2000) / 100:.2f}",
        "close_price_date": "2026-11-18",
        "ppind": True,
        "deliverables": [
            {
                "type": "equity",
                "symbol": share["symbol"],
                "asset_id": share["id"],
                "amount": "100",
                "allocation_percentage": "100",
                "settlement_type": "T+2",
                "settlement_method": "CCC",
                "delayed_settlement": False,
            },
        ],
    }


def optionable(seed: int | str) -> tuple[str, ...]:
    """The shares of this seed that have options."""
    return tuple(sorted({contract["underlying_symbol"] for contract in Alpaca(seed).rows["option"]}))
