"""Tradovate as it answers: entities that hang on entities, for whoever logged in; refusals within HTTP 200."""

from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus

import orjson

from indexer.sim.chance import chance
from indexer.sim.venues.spec import Asked, Told, Wire, json, struck

LOGIN_S = 80 * 60
TODAY = date(2026, 11, 20)
MONTHS = 4
LETTERS = "FGHJKMNQUVXZ"
CURRENCIES = [{"id": 1, "name": "USD", "symbol": "$"}, {"id": 2, "name": "EUR", "symbol": "E"}]
EXCHANGES = [{"id": 1, "name": "CME"}, {"id": 2, "name": "NYMEX"}, {"id": 3, "name": "EUREX"}]
FUTURES = (
    ("ES", "E-Mini S&P 500", 1, 1, 50, 0.25),
    ("MES", "Micro E-mini S&P 500", 1, 1, 5, 0.25),
    ("NQ", "E-mini NASDAQ-100", 1, 1, 20, 0.25),
    ("CL", "Crude Oil", 2, 1, 1000, 0.01),
    ("6E", "Euro FX", 1, 1, 125000, 0.00005),
    ("FDAX", "DAX", 3, 2, 25, 1),
)
OTHER = {
    "id": 990,
    "name": "GEX",
    "productType": "Spread",
    "description": "A spread",
    "currencyId": 1,
    "exchangeId": 1,
}
_REFUSED = {"errorText": "Incorrect username or password. Please try again, noting that passwords are case-sensitive."}


class Tradovate:
    """Its rows are contracts, joined with maturity, product, currency and exchange; each part is told where it hangs.

    Faults of its own: `penalty` (a ticket first, to be shown `penalty_s` later), `captcha`, `limited` (429, no body),
    `locked` (423), `refused` (a login that is not accepted, within 200), `expired` (no login is good for anything),
    `violations` (a business error within 200), `empty` (lists without rows), `astray` (dependents of somebody else).
    `logins` are good; whoever takes one out ends it early.
    """

    name = "tradovate"

    def __init__(self, seed: int | str = 0, *, today: date = TODAY) -> None:
        self._chance = chance("tradovate", seed)
        self.rows: dict[str, list[Wire]] = {
            "future": [row for number in range(len(FUTURES)) for row in _months(number, _quarters(today))]
        }
        self.faults: set[str] = set()
        self.logins: set[str] = set()
        self.penalty_s = 1.0
        self._tickets: set[str] = set()

    def answer(self, asked: Asked) -> Told:
        """A login, a list, or what hangs on others."""
        refused = self._refused(asked)
        if refused is not None:
            return refused
        if asked.path.startswith("/auth/"):
            return json(_REFUSED if struck(self.faults, "refused", asked) else self._login())
        rows = self._rows(asked)
        return Told(status=HTTPStatus.NOT_FOUND) if rows is None else json(rows)

    def _refused(self, asked: Asked) -> Told | None:
        for word, status in (("limited", HTTPStatus.TOO_MANY_REQUESTS), ("locked", HTTPStatus.LOCKED)):
            if struck(self.faults, word, asked):
                return Told(status=status)
        penalty = self._penalty(asked)
        if penalty is not None:
            return json(penalty)
        bearer = asked.headers.get("authorization", "").removeprefix("Bearer ")
        known = bearer in self.logins and not struck(self.faults, "expired", asked)
        if not known and asked.path != "/auth/accesstokenrequest":
            return json({"errorText": "Expired Access Token"}, HTTPStatus.UNAUTHORIZED)
        if struck(self.faults, "violations", asked):
            return json({"violations": [{"description": "masterids should be specified"}]})
        return None

    def _penalty(self, asked: Asked) -> Wire | None:
        if struck(self.faults, "captcha", asked):
            return {"p-ticket": "ticket-for-people", "p-time": 19, "p-captcha": True}
        if not struck(self.faults, "penalty", asked):
            return None
        body = orjson.loads(asked.body) if asked.body else {}
        if {body.get("p-ticket"), asked.query.get("p-ticket")} & self._tickets:
            return None
        ticket = f"ticket-{len(self._tickets)}"
        self._tickets.add(ticket)
        return {"p-ticket": ticket, "p-time": self.penalty_s, "p-captcha": False}

    def _login(self) -> Wire:
        token = f"{self._chance.getrandbits(128):032x}"
        self.logins.add(token)
        ends = datetime.now(UTC) + timedelta(seconds=LOGIN_S)
        return {
            "accessToken": token,
            "expirationTime": ends.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "userStatus": "Active",
            "userId": 15460,
            "name": "sim",
            "hasLive": True,
        }

    def _rows(self, asked: Asked) -> list[Wire] | None:
        if struck(self.faults, "empty", asked):
            return []
        masters = {int(each) for each in asked.query.get("masterids", "").split(",") if each}
        if struck(self.faults, "astray", asked):
            masters = {row["product"]["id"] for row in self.rows["future"]}
        products, maturities, contracts = (
            _parts(self.rows["future"], part) for part in ("product", "maturity", "contract")
        )
        return {
            "/product/list": [*products, OTHER],
            "/currency/list": CURRENCIES,
            "/exchange/list": EXCHANGES,
            "/contractMaturity/ldeps": [row for row in maturities if row["productId"] in masters],
            "/contract/ldeps": [row for row in contracts if row["contractMaturityId"] in masters],
        }.get(asked.path)


def _parts(rows: list[Wire], part: str) -> list[Wire]:
    return list({row[part]["id"]: row[part] for row in rows}.values())


def _months(number: int, quarters: list[date]) -> list[Wire]:
    name, description, exchange, currency, point, tick = FUTURES[number]
    product = {
        "id": 700 + number,
        "name": name,
        "currencyId": currency,
        "productType": "Futures",
        "description": description,
        "exchangeId": exchange,
        "contractGroupId": 1 + number % 3,
        "riskDiscountContractGroupId": 1,
        "status": "ReadyToTrade",
        "valuePerPoint": point,
        "priceFormatType": "Decimal",
        "priceFormat": 2,
        "tickSize": tick,
    }
    rows = []
    for month, ends in enumerate(quarters):
        maturity = {
            "id": 46000 + 100 * number + month,
            "productId": product["id"],
            "expirationMonth": 100 * ends.year + ends.month,
            "expirationDate": f"{ends.isoformat()}T13:30Z",
            "isFront": month == 0,
        }
        contract = {
            "id": 2710000 + 100 * number + month,
            "name": f"{name}{LETTERS[ends.month - 1]}{ends.year % 10}",
            "contractMaturityId": maturity["id"],
            "status": "ReadyToTrade",
            "providerTickSize": tick,
        }
        joined = {"contract": contract, "maturity": maturity, "product": product}
        rows.append(joined | {"currency": CURRENCIES[currency - 1], "exchange": EXCHANGES[exchange - 1]})
    return rows


def _quarters(today: date) -> list[date]:
    """The third Fridays of the next quarters' last months."""
    firsts = [date(today.year + number // 4, 3 * (number % 4) + 3, 1) for number in range(MONTHS + 4)]
    fridays = [first + timedelta(days=(4 - first.weekday()) % 7 + 14) for first in firsts]
    return [friday for friday in fridays if friday >= today][:MONTHS]
