"""Interactive Brokers' Web API as it answers: contracts by exchange, root, currency or strike, for whoever may ask."""

import hmac
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from hashlib import sha1, sha256
from http import HTTPStatus
from urllib.parse import quote_plus, unquote_plus

from indexer.sim.chance import chance
from indexer.sim.venues.spec import Asked, Told, Wire, json, struck

TODAY = date(2026, 11, 20)
TOKEN_S = 86_400
EXCHANGES = ("NASDAQ", "NYSE")
ROOTS = (("ES", "E-mini S&P 500", 50, "CME", 0.25), ("CL", "Light Sweet Crude Oil", 1000, "NYMEX", 0.01))
CURRENCIES = ("USD", "EUR", "GBP", "JPY", "CHF")
UNDERLYING, UNDERLYING_ID = "AAPL", 265598
STRIKES = (190.0, 192.5, 195.0)
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
GENERATOR = 2
_BASE = "/v1/api/"


@dataclass(slots=True, kw_only=True)
class OAuth:
    """What the broker knows of a user's keys. `secret` is the access token's, in plain; `prime` is hexadecimal.

    `root` is the address that requests are signed for, with a slash at its end; without one signatures are not read.
    """

    consumer_key: str
    access_token: str
    secret: bytes
    prime: str
    private: int = 0xABCDEF0123456789
    root: str = ""
    tokens: set[bytes] = field(default_factory=set)

    def live_token(self, challenge: str) -> Wire:
        """The broker's half of the exchange, and proof that both halves make the same token."""
        prime = int(self.prime, 16)
        shared = pow(int(challenge, 16), self.private, prime)
        token = hmac.digest(shared.to_bytes(shared.bit_length() // 8 + 1), self.secret, sha1)
        self.tokens.add(token)
        return {
            "diffie_hellman_response": f"{pow(GENERATOR, self.private, prime):x}",
            "live_session_token_signature": hmac.new(token, self.consumer_key.encode(), sha1).hexdigest(),
            "live_session_token_expiration": TOKEN_S * 1000,
        }

    def signed(self, asked: Asked, words: Wire) -> bool:
        """Whether a live token signed this request."""
        if words.get("oauth_token") != self.access_token or words.get("oauth_consumer_key") != self.consumer_key:
            return False
        if not self.root:
            return bool(self.tokens)
        signature = b64decode(unquote_plus(words.get("oauth_signature", "")))
        facts = sorted((name, word) for name, word in words.items() if name not in {"realm", "oauth_signature"})
        url = self.root + asked.path.removeprefix(_BASE)
        parts = (asked.method, quote_plus(url), quote_plus("&".join(f"{name}={word}" for name, word in facts)))
        text = "&".join(parts).encode()
        return any(hmac.compare_digest(hmac.digest(token, text, sha256), signature) for token in self.tokens)


class Ibkr:
    """Its rows are what the adapter joins: contracts, each with its definition where one is asked for.

    Faults of its own: `unauthorised` (401), `no_bridge` (no brokerage session), `competing` (somebody else's), `error`
    (an error within 200), `empty` (lists without rows), `undefined` (no definitions), `wrong_proof` (a live token that
    is not ours).
    """

    name = "ibkr"

    def __init__(self, seed: int | str = 0, *, today: date = TODAY, oauth: OAuth | None = None) -> None:
        dice = chance("ibkr", seed)
        self.oauth = oauth
        self.brokerage = False
        self.rows: dict[str, list[Wire]] = {
            "stock": [_stock(number, EXCHANGES[number % 2]) for number in range(dice.randint(220, 260))],
            "future": [row for place in range(len(ROOTS)) for row in _futures(place, today)],
            "fx": _pairs(),
            "option": _contracts(today),
        }
        self.faults: set[str] = set()
        self._searched = False

    def answer(self, asked: Asked) -> Told:
        """Whoever is logged in is told; `iserver` only within a brokerage session."""
        path = asked.path.removeprefix(_BASE)
        if struck(self.faults, "unauthorised", asked):
            return Told(status=HTTPStatus.UNAUTHORIZED)
        if self.oauth is not None:
            login = self._login(self.oauth, path, asked)
            if login is not None:
                return login
        if struck(self.faults, "error", asked):
            return json({"error": "Service is restarting", "statusCode": 503})
        if path == "iserver/auth/ssodh/init":
            self.brokerage = not struck(self.faults, "competing", asked)
            return json({"authenticated": self.brokerage, "competing": not self.brokerage, "connected": True})
        bridged = self.brokerage or self.oauth is None
        if path.startswith("iserver/") and (not bridged or struck(self.faults, "no_bridge", asked)):
            return json({"error": "Bad Request: no bridge", "statusCode": 400}, HTTPStatus.BAD_REQUEST)
        told = self._told(path, asked)
        return Told(status=HTTPStatus.NOT_FOUND) if told is None else json(told)

    def _login(self, oauth: OAuth, path: str, asked: Asked) -> Told | None:
        """A live token for whoever asks for one, a refusal for whoever did not sign with one."""
        words = _authorization(asked.headers.get("authorization", ""))
        if path != "oauth/live_session_token":
            return None if oauth.signed(asked, words) else Told(status=HTTPStatus.UNAUTHORIZED)
        told = oauth.live_token(words["diffie_hellman_challenge"])
        wrong = {"live_session_token_signature": "0" * 40} if struck(self.faults, "wrong_proof", asked) else {}
        return json(told | wrong)

    def _told(self, path: str, asked: Asked) -> object:
        query, empty = asked.query, struck(self.faults, "empty", asked)
        rows: dict[str, list[Wire]] = {} if empty else self.rows
        stocks, futures, pairs = rows.get("stock", []), rows.get("future", []), rows.get("fx", [])
        if path == "trsrv/secdef":
            wanted = set(query.get("conids", "").split(","))
            defined = [] if struck(self.faults, "undefined", asked) else [row["secdef"] for row in stocks + futures]
            return {"secdef": [row for row in defined if str(row["conid"]) in wanted]}
        if path == "trsrv/all-conids":
            return [_without(row, "secdef") for row in stocks if row["exchange"] == query.get("exchange")]
        if path == "trsrv/futures":
            wanted = set(query.get("symbols", "").split(","))
            return {
                root: [_without(row, "secdef", "root") for row in futures if row["root"] == root] for root in wanted
            }
        if path == "iserver/currency/pairs":
            currency = query.get("currency", "")
            return {currency: [row for row in pairs if currency in row["symbol"].split(".")]}
        return self._options(path, query, rows.get("option", []))

    def _options(self, path: str, query: Mapping[str, str], rows: Sequence[Wire]) -> object:
        """Strikes of an underlying that was searched for before, then the contracts of each."""
        if path == "iserver/secdef/search":
            self._searched = True
            months = ";".join(dict.fromkeys(_month(row) for row in rows))
            parts = [{"secType": "STK"}, {"secType": "OPT", "months": months, "exchange": "SMART;AMEX"}]
            told = {"conid": str(UNDERLYING_ID), "symbol": UNDERLYING, "companyName": "APPLE INC", "sections": parts}
            other = told | {"conid": "38708077", "description": "MEXI", "sections": [{"secType": "STK"}]}
            return [other, told] if query.get("symbol") == UNDERLYING else []
        if query.get("conid") != str(UNDERLYING_ID) or not self._searched:
            return {"call": [], "put": []} if path == "iserver/secdef/strikes" else []
        of_month = [row for row in rows if _month(row) == query.get("month")]
        if path == "iserver/secdef/strikes":
            return {
                name: sorted({row["strike"] for row in of_month if row["right"] == right})
                for name, right in (("call", "C"), ("put", "P"))
            }
        if path != "iserver/secdef/info":
            return None
        strike, right = query.get("strike"), query.get("right")
        of_strike = [row for row in of_month if (str(row["strike"]), row["right"]) == (strike, right)]
        return [_without(row, "underlying", "underlyingConid") for row in of_strike]


def _authorization(header: str) -> Wire:
    """The words of an OAuth header, as they stand between quotation marks."""
    pairs = (part.strip().partition("=") for part in header.removeprefix("OAuth ").split(","))
    return {name: word.strip('"') for name, _, word in pairs}


def _without(row: Wire, *names: str) -> Wire:
    return {name: value for name, value in row.items() if name not in names}


def _stock(number: int, exchange: str) -> Wire:
    ticker = f"S{number:03}"
    conid = 4000 + number
    kind = ("COMMON", "ETF", "ADR", "NOTE")[number % 4]
    secdef = {
        "conid": conid,
        "currency": "USD",
        "name": f"ISSUER {number} INC",
        "assetClass": "STK",
        "type": kind,
        "ticker": ticker,
        "listingExchange": exchange,
        "countryCode": "US",
        "sector": "Technology" if kind == "COMMON" else None,
        "sectorGroup": "Computers" if kind == "COMMON" else None,
        "group": "Computers" if kind == "COMMON" else None,
        "hasOptions": number % 3 == 0,
        "isUS": True,
        "allExchanges": f"{exchange},CBOE,BATS",
        "incrementRules": [{"lowerEdge": 0.0, "increment": 0.01}],
    }
    return {"ticker": ticker, "conid": conid, "exchange": exchange, "secdef": secdef}


def _futures(place: int, today: date) -> list[Wire]:
    root, name, multiplier, exchange, tick = ROOTS[place]
    rows = []
    for number, ends in enumerate(_fridays(today, 3)):
        conid = 495512500 + 100 * place + number
        secdef = {
            "conid": conid,
            "currency": "USD",
            "name": name,
            "fullName": f"{root} {MONTHS[ends.month - 1].title()}{ends:%d}'{ends:%y}",
            "assetClass": "FUT",
            "ticker": root,
            "listingExchange": exchange,
            "multiplier": float(multiplier),
            "undConid": 11004968 + place,
            "expiry": f"{ends:%Y%m%d}",
            "incrementRules": [{"lowerEdge": 0.0, "increment": tick}],
        }
        told = {"symbol": root, "conid": conid, "underlyingConid": 11004968 + place}
        dated = {"expirationDate": int(f"{ends:%Y%m%d}"), "ltd": int(f"{ends - timedelta(days=1):%Y%m%d}")}
        rows.append(told | dated | {"root": root, "secdef": secdef})
    return rows


def _pairs() -> list[Wire]:
    ordered = [(base, quote) for place, base in enumerate(CURRENCIES) for quote in CURRENCIES[place + 1 :]]
    return [
        {"symbol": f"{base}.{quote}", "conid": 12087790 + number, "ccyPair": quote}
        for number, (base, quote) in enumerate(ordered)
    ]


def _contracts(today: date) -> list[Wire]:
    rows: list[Wire] = []
    for ends in _fridays(today, 2):
        for strike in STRIKES:
            for right, word in (("C", "Call"), ("P", "Put")):
                told = {
                    "conid": 600000 + len(rows),
                    "symbol": UNDERLYING,
                    "secType": "OPT",
                    "exchange": "SMART",
                    "listingExchange": None,
                    "right": right,
                    "strike": strike,
                    "currency": "USD",
                    "cusip": None,
                    "desc1": UNDERLYING,
                    "desc2": f"{MONTHS[ends.month - 1]} {ends:%d} '{ends:%y} {strike:g} {word}",
                    "maturityDate": f"{ends:%Y%m%d}",
                    "multiplier": "100",
                    "tradingClass": UNDERLYING,
                    "validExchanges": "SMART,AMEX,CBOE",
                }
                rows.append(told | {"underlying": UNDERLYING, "underlyingConid": UNDERLYING_ID})
    return rows


def _month(row: Wire) -> str:
    ends = row["maturityDate"]
    return f"{MONTHS[int(ends[4:6]) - 1]}{ends[2:4]}"


def _fridays(today: date, count: int) -> list[date]:
    """The third Fridays of the next months."""
    firsts = [
        date(today.year + (today.month - 1 + n) // 12, (today.month - 1 + n) % 12 + 1, 1) for n in range(count + 1)
    ]
    fridays = [first + timedelta(days=(4 - first.weekday()) % 7 + 14) for first in firsts]
    return [friday for friday in fridays if friday >= today][:count]
