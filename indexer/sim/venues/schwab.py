"""Charles Schwab as it answers: patterns instead of lists, chains by expiry, and logins that a person has to make."""

import base64
import re
import time
from datetime import date, timedelta
from http import HTTPStatus
from random import Random
from urllib.parse import parse_qs

import orjson

from indexer.sim.chance import chance
from indexer.sim.venues.spec import Asked, Told, Wire, json, struck

ACCESS_S = 1800
SHORTEST_PATTERN = 4
SYMBOLS = 120
OPTIONABLE = 3
EXPIRIES = 3
STRIKES = 4
TODAY = date(2026, 11, 20)
KINDS = (
    ("EQUITY", "COE", "NASDAQ"),
    ("EQUITY", "COE", "NYSE"),
    ("EQUITY", "ADR", "NYSE"),
    ("COLLECTIVE_INVESTMENT", "ETF", "NYSE Arca"),
    ("EQUITY", "WAR", "NASDAQ"),
    ("MUTUAL_FUND", "OEF", "Mutual Fund"),
)
ODD = (("$SPX", "INDEX", None, "Index"), ("BRK/B", "EQUITY", "COE", "NYSE"), ("A", "EQUITY", "COE", "NYSE"))
_DEAD = {
    "error": "unsupported_token_type",
    "error_description": '400 Bad Request: "{"error_description":"Exception while authenticating refresh token '
    '[tokenDigest=x, tokenGenerationTime=1]","error":"refresh_token_authentication_error"}"',
}
_TOO_LARGE = {"errors": [{"status": "400", "title": "Bad Request", "detail": "The result set is too large."}]}
_TOO_SHORT = {"errors": [{"status": "400", "title": "Bad Request", "detail": "Symbol length should be atleast : 4"}]}


class Schwab:
    """Its rows are instruments with `fundamental` and `quote` (told where those are asked for), and chains' contracts.

    A pattern that finds more than `most` is refused, options (whose symbols have spaces) counted. `refresh` is the one
    refresh token that is good, `access` are the tokens that are; every renewal makes both anew. Faults of its own:
    `dead` (no refresh token is good), `capped` (cut off at `most` instead of refused), `refuses_patterns`, `empty`,
    `hollow` (a chain of fewer contracts than it says), `unknown_app`, `tokenless` (a login without its tokens),
    `no_details` (neither fundamentals nor quotes).
    """

    name = "schwab"

    def __init__(self, seed: int | str = 0, *, today: date = TODAY) -> None:
        stream = chance("schwab", seed)
        self._chance = chance("schwab", seed, "logins")
        instruments = [_instrument(stream, number) for number in range(SYMBOLS)]
        instruments += [_row(symbol, kind, sub, exchange, "") for symbol, kind, sub, exchange in ODD]
        shares = list(dict.fromkeys(row["symbol"] for row in instruments if row["assetType"] == "EQUITY"))[:OPTIONABLE]
        self.rows: dict[str, list[Wire]] = {
            "instrument": list({row["symbol"]: row for row in instruments}.values()),
            "option": [row for symbol in shares for row in _options(stream, symbol, today)],
        }
        self.faults: set[str] = set()
        self.most = 12
        self.refresh = ""
        self.access: set[str] = set()
        self.code = "C0.code"

    def login(self, created_s: float | None = None, *, lasts_s: int = ACCESS_S) -> bytes:
        """What is kept after a person has logged in, `created_s` seconds after 1970."""
        now_s = int(time.time())
        token = self._issued() | {"expires_at": now_s + lasts_s}
        return orjson.dumps({"creation_timestamp": now_s if created_s is None else int(created_s), "token": token})

    def answer(self, asked: Asked) -> Told:
        """A login, or what a login may ask for."""
        if asked.path == "/v1/oauth/token":
            return self._token(asked)
        if asked.headers.get("authorization", "").removeprefix("Bearer ") not in self.access:
            return json({"errors": [{"status": 401, "title": "Unauthorized"}]}, HTTPStatus.UNAUTHORIZED)
        tellers = {
            "/instruments": self._instruments,
            "/quotes": self._quotes,
            "/expirationchain": self._expiries,
            "/chains": self._chain,
        }
        tell = tellers.get(asked.path.removeprefix("/marketdata/v1"))
        return tell(asked) if tell else Told(status=HTTPStatus.NOT_FOUND)

    def _issued(self) -> Wire:
        words = [f"{self._chance.getrandbits(128):032x}" for _each in range(2)]
        self.refresh = words[1]
        self.access.add(words[0])
        token = {"access_token": words[0], "refresh_token": words[1], "id_token": "x"}
        return token | {"expires_in": ACCESS_S, "token_type": "Bearer", "scope": "api"}

    def _token(self, asked: Asked) -> Told:
        form = {name: values[0] for name, values in parse_qs(asked.body.decode()).items()}
        basic = base64.b64decode(asked.headers.get("authorization", "").removeprefix("Basic "))
        if not basic or struck(self.faults, "unknown_app", asked):
            return json({"error": "invalid_client", "error_description": "Unauthorized"}, HTTPStatus.UNAUTHORIZED)
        good = form.get("refresh_token") == self.refresh or form.get("code") == self.code
        if not good or struck(self.faults, "dead", asked):
            return json(_DEAD, HTTPStatus.BAD_REQUEST)
        if struck(self.faults, "tokenless", asked):
            return json({"message": "Later."})
        return json(self._issued())

    def _instruments(self, asked: Asked) -> Told:
        wanted = asked.query.get("symbol", "")
        if asked.query.get("projection") == "fundamental":
            found = [row for row in self.rows["instrument"] if row["symbol"] in wanted.split(",")]
            if struck(self.faults, "no_details", asked):
                return Told(status=HTTPStatus.NOT_FOUND)
            return json({"instruments": [_plain(row) | {"fundamental": row["fundamental"]} for row in found]})
        if len(wanted) < SHORTEST_PATTERN or struck(self.faults, "refuses_patterns", asked):
            return json(_TOO_SHORT, HTTPStatus.BAD_REQUEST)
        options = [_plain(_row(row["contract"]["symbol"], "OPTION", None, "OPR", "")) for row in self.rows["option"]]
        found = [_plain(row) for row in self.rows["instrument"]] + options
        found = [row for row in found if re.fullmatch(wanted, row["symbol"])]
        if struck(self.faults, "empty", asked) or not found:
            return json({})
        if len(found) > self.most and not struck(self.faults, "capped", asked):
            return json(_TOO_LARGE, HTTPStatus.BAD_REQUEST)
        return json({"instruments": found[: self.most]})

    def _quotes(self, asked: Asked) -> Told:
        if struck(self.faults, "no_details", asked):
            return Told(status=HTTPStatus.NOT_FOUND)
        wanted = asked.query.get("symbols", "").split(",")
        quotes = {row["symbol"]: row["quote"] for row in self.rows["instrument"] if row["quote"]}
        missing = [symbol for symbol in wanted if symbol not in quotes]
        told = {symbol: quotes[symbol] for symbol in wanted if symbol in quotes}
        return json(told | ({"errors": {"invalidSymbols": missing}} if missing else {}))

    def _expiries(self, asked: Asked) -> Told:
        mine = [row for row in self.rows["option"] if row["underlying"] == asked.query.get("symbol")]
        days = sorted({row["expiration"] for row in mine})
        told = {
            "status": "SUCCESS",
            "expirationList": [
                {
                    "expirationDate": each[:10],
                    "daysToExpiration": int(each[11:]),
                    "expirationType": "S",
                    "settlementType": "P",
                    "optionRoots": asked.query.get("symbol"),
                    "standard": True,
                }
                for each in days
            ],
        }
        return json(told)

    def _chain(self, asked: Asked) -> Told:
        first, last = asked.query.get("fromDate", ""), asked.query.get("toDate", "9")
        symbol = asked.query.get("symbol")
        mine = [
            row
            for row in self.rows["option"]
            if row["underlying"] == symbol and first <= row["expiration"][:10] <= last
        ]
        sides: dict[str, Wire] = {"CALL": {}, "PUT": {}}
        for row in mine[:-1] if struck(self.faults, "hollow", asked) else mine:
            strikes = sides[row["contract"]["putCall"]].setdefault(row["expiration"], {})
            strikes.setdefault(row["strike"], []).append(row["contract"])
        told = {
            "symbol": symbol,
            "status": "SUCCESS" if mine else "FAILED",
            "isIndex": False,
            "numberOfContracts": len(mine),
            "callExpDateMap": sides["CALL"],
            "putExpDateMap": sides["PUT"],
        }
        return json(told)


def _plain(row: Wire) -> Wire:
    return {word: told for word, told in row.items() if word not in {"fundamental", "quote"}}


def _instrument(stream: Random, number: int) -> Wire:
    kind, sub, exchange = KINDS[number % len(KINDS)]
    symbol = "".join(stream.choices("ABCDEFG", k=1 + number % 4)) + ("W" if sub == "WAR" else "")
    return _row(symbol, kind, sub, exchange, f"{symbol.title()} Corp")


def _row(symbol: str, kind: str, sub: str | None, exchange: str, name: str) -> Wire:
    row: Wire = {"symbol": symbol, "description": name or symbol, "exchange": exchange, "assetType": kind}
    row["fundamental"] = {"symbol": symbol, "marketCap": 1_000_000.0 * len(symbol), "peRatio": 17.5, "beta": 0.0}
    row["quote"] = {
        "assetMainType": kind,
        "symbol": symbol,
        "reference": {"description": name, "exchangeName": exchange},
    }
    row["quote"] |= {"assetSubType": sub} if sub else {}
    return row


def _options(stream: Random, symbol: str, today: date) -> list[Wire]:
    middle = stream.randrange(20, 300, 5)
    rows = []
    for number in range(EXPIRIES):
        days = 28 * number
        for step in range(STRIKES):
            strike = middle + 2.5 * step
            rows += [_option(symbol, today, days, strike, side, adjusted=False) for side in ("CALL", "PUT")]
    return [*rows, _option(symbol, today, 0, middle, "CALL", adjusted=True)]


def _option(symbol: str, today: date, days: int, strike: float, side: str, *, adjusted: bool) -> Wire:
    expires = today + timedelta(days=days)
    root = f"{symbol}1" if adjusted else symbol
    contract = {
        "putCall": side,
        "symbol": f"{root:<6}{expires:%y%m%d}{side[0]}{round(strike * 1000):08d}",
        "description": f"{symbol} {expires:%m/%d/%Y} {strike:.2f} {side[0]}",
        "exchangeName": "OPR",
        "bid": 1.1,
        "ask": 1.2,
        "strikePrice": strike,
        "expirationDate": f"{expires.isoformat()}T21:00:00.000+00:00",
        "expirationType": "S",
        "multiplier": 100.0,
        "settlementType": "P",
        "isIndexOption": None,
        "exerciseType": "A",
        "optionRoot": root,
        "nonStandard": adjusted,
        "optionDeliverablesList": [
            {"symbol": symbol, "assetType": "STOCK", "deliverableUnits": 50.0 if adjusted else 100.0},
        ],
    }
    where = {"underlying": symbol, "isIndex": False, "expiration": f"{expires.isoformat()}:{days}"}
    return where | {"strike": str(float(strike)), "contract": contract}
