"""Tradovate: futures by products, maturities and contracts, over its JSON API; no client for it is maintained.

It refuses within HTTP 200: a penalty ticket has to be waited for and sent again, a captcha needs a person, errors of
business stand in the answer. A login lasts 80 minutes and may be asked for five times an hour, so it is kept.
"""

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from http import HTTPStatus

import httpx

from indexer.errors import (
    AnswerTooLarge,
    BadAnswer,
    BadCredentials,
    BadSetting,
    Banned,
    NeedsReauth,
    RateLimited,
    UnreadableRow,
    VenueUnavailable,
)
from indexer.model import Json, Listing, Rules, Snapshot, Status
from indexer.ports import Session
from indexer.venues.reading import identifiers, moment_iso, positive, required, text
from indexer.venues.spec import refusal

LIVE_URL = "https://live.tradovateapi.com/v1"
APP = {"appId": "gazetteer", "appVersion": "1.0"}
PRODUCTS = "Futures"
BATCH = 100
MOST_ROWS = 200_000
MOST_TEXT = 200

MOST_PENALTIES = 3
LONGEST_PENALTY_S = 60.0
"""Waited for in place, up to this; what is longer is asked again by the venue's queue."""

SHUT_OUT_S = 3600.0
"""After 429 or 423 whatever is asked within the hour makes it longer."""

RENEW_BEFORE_S = 900.0
LEAST_LEFT_S = 60.0
_STATUSES: Mapping[str, Status] = {"ReadyToTrade": "active", "Inactive": "restricted"}
_MICS = {"CME": "XCME", "CBOT": "XCBT", "NYMEX": "XNYM", "COMEX": "XCEC", "EUREX": "XEUR"}
_KEPT = ("contractGroupId", "priceFormat", "priceFormatType", "expirationMonth", "firstIntentDate", "underlyingId")
Row = Mapping[str, object]


def fetch(session: Session, scope: str, options: Mapping[str, object]) -> Snapshot:
    """Every contract of every maturity of every future, joined with its maturity, product, currency and exchange."""
    if scope != "future":
        raise BadSetting(f"{session.venue}: no scope {scope!r}; it has future")
    with closing(_Api(session, str(options.get("url", LIVE_URL)))) as api:
        listed = api.rows("/product/list")
        currencies, exchanges = api.rows("/currency/list"), api.rows("/exchange/list")
        products = [row for row in listed if row.get("productType") == PRODUCTS]
        maturities = api.dependents("/contractMaturity/ldeps", products, "productId")
        contracts = api.dependents("/contract/ldeps", maturities, "contractMaturityId")
    evidence: dict[str, Json] = {
        "products": len(products),
        "products_of_other_types": len(listed) - len(products),
        "maturities": len(maturities),
        "products_without_maturities": len(products) - len({row["productId"] for row in maturities}),
        "empty_batches": api.empty_batches,
    }
    return Snapshot(
        rows=_joined(contracts, _by_id(maturities), _by_id(products), _by_id(currencies), _by_id(exchanges)),
        complete=bool(contracts) and not api.empty_batches,
        evidence=evidence,
        client=f"httpx {httpx.__version__}",
        pages=api.answers,
    )


def normalise(scope: str, raw: Row, options: Mapping[str, object]) -> Listing:  # noqa: ARG001 - as every venue's
    """One contract with what is known of its maturity and product."""
    contract, maturity, product = (_part(raw, name) for name in ("contract", "maturity", "product"))
    if not contract:
        raise UnreadableRow("a row without a contract")
    word = text(contract, "status") or text(product, "status")
    exchange, expires_at = text(_part(raw, "exchange"), "name"), moment_iso(maturity.get("expirationDate"))
    return Listing(
        symbol=required(contract, "name"),
        stable_id=required(contract, "id"),
        status=_STATUSES.get(word or "", "unknown"),
        venue_status=word,
        inst_class="future",
        display=text(product, "description"),
        currency=text(_part(raw, "currency"), "name"),
        underlying=text(product, "name"),
        multiplier=positive(product.get("valuePerPoint")),
        expires_on=expires_at.date() if expires_at else None,
        expires_at=expires_at,
        mic=_MICS.get(exchange or ""),
        exchange=exchange,
        identifiers=identifiers(tradovate=contract.get("id")),
        rules=Rules(tick_size=positive(product.get("tickSize")) or positive(contract.get("providerTickSize"))),
        attrs={word: told for word in _KEPT for told in [text(product, word) or text(maturity, word)] if told},
    )


class _Api:
    """One login, one request after another, refusals of every kind told apart."""

    def __init__(self, session: Session, usual: str) -> None:
        self._session = session
        self._who: dict[str, str] = {
            "name": session.secret("TRADOVATE_NAME"),
            "password": session.secret("TRADOVATE_PASSWORD"),
            "cid": session.secret("TRADOVATE_CID"),
            "sec": session.secret("TRADOVATE_SECRET"),
        }
        self._http = httpx.Client(base_url=session.url("rest", usual), timeout=session.timeout_s)
        self._bearer: str | None = None
        self.answers = 0
        self.empty_batches = 0

    def close(self) -> None:
        """Give up its connections."""
        self._http.close()

    def rows(self, path: str, query: Mapping[str, str] | None = None) -> Sequence[Row]:
        """A list of entities. A login that the venue ended early is asked for anew, once."""
        if self._bearer is None:
            self._bearer = self._login(self._session.token())
        try:
            told = self._asked("GET", path, query or {}, None, self._bearer)
        except BadCredentials:
            self._bearer = self._log_in(self._session.token())
            told = self._asked("GET", path, query or {}, None, self._bearer)
        if not isinstance(told, list) or not all(isinstance(row, dict) for row in told):
            raise BadAnswer(f"{self._session.venue}: no list at {path}")
        if len(told) > MOST_ROWS:
            raise AnswerTooLarge(f"{self._session.venue}: {len(told)} rows at {path}")
        return told

    def dependents(self, path: str, masters: Sequence[Row], key: str) -> Sequence[Row]:
        """What hangs on these, a hundred of them in one question. Raises BadAnswer for what hangs on others."""
        ids = list(_by_id(masters))
        found: list[Row] = []
        for first in range(0, len(ids), BATCH):
            batch = ids[first : first + BATCH]
            rows = self.rows(path, {"masterids": ",".join(map(str, batch))})
            if any(row.get(key) not in batch for row in rows):
                raise BadAnswer(f"{self._session.venue}: {path} told of others than it was asked for")
            self.empty_batches += not rows
            found += rows
        return found

    def _login(self, kept: bytes | None) -> str:
        """The kept login, renewed where it ends soon; a new one where none is left."""
        bearer, left_s = _kept(kept)
        if bearer is None or left_s < LEAST_LEFT_S:
            return self._log_in(kept)
        if left_s > RENEW_BEFORE_S:
            return bearer
        try:
            told = self._asked("GET", "/auth/renewaccesstoken", {}, None, bearer)
        except BadCredentials:
            return self._log_in(kept)
        return self._keep(told, kept)

    def _log_in(self, kept: bytes | None) -> str:
        told = self._asked("POST", "/auth/accesstokenrequest", {}, self._who | APP, None)
        return self._keep(told, kept)

    def _keep(self, told: object, kept: bytes | None) -> str:
        """Whoever kept one first is followed: a user has few sessions at a time."""
        words = told if isinstance(told, dict) else {}
        new = json.dumps({word: words.get(word) for word in ("accessToken", "expirationTime")}).encode()
        bearer, _left_s = _kept(new)
        if bearer is None:
            raise BadAnswer(f"{self._session.venue}: a login without a token")
        if self._session.keep_token(new, kept):
            return bearer
        return _kept(self._session.token())[0] or bearer

    def _asked(
        self, method: str, path: str, query: Mapping[str, str], body: Mapping[str, str] | None, bearer: str | None
    ) -> object:
        """One answer. Penalties are served: the same question again, with the ticket, after its time."""
        ticket: dict[str, str] = {}
        wait_s = 0.0
        for _attempt in range(MOST_PENALTIES):
            if body is None:
                told = self._sent(method, path, {**query, **ticket}, None, bearer)
            else:
                told = self._sent(method, path, query, {**body, **ticket}, bearer)
            if not isinstance(told, dict):
                return told
            if "p-ticket" not in told:
                return self._agreed(told, path)
            wait_s = self._penalty_s(told)
            time.sleep(wait_s)
            ticket = {"p-ticket": str(told["p-ticket"])}
        raise RateLimited(f"{self._session.venue}: penalty after penalty at {path}", retry_after_s=wait_s)

    def _sent(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, str] | None,
        bearer: str | None,
    ) -> object:
        self._session.draw()
        headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {bearer}"} if bearer else {})
        try:
            response = self._http.request(method, path, params=query, json=body, headers=headers)
        except httpx.HTTPError as error:
            raise VenueUnavailable(f"{self._session.venue}: {type(error).__name__}") from None
        if response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            raise RateLimited(f"{self._session.venue}: HTTP 429", retry_after_s=SHUT_OUT_S)
        if response.status_code == HTTPStatus.LOCKED:
            raise Banned(f"{self._session.venue}: HTTP 423, too many refused logins", retry_after_s=SHUT_OUT_S)
        if not response.is_success:
            raise refusal(self._session.venue, response.status_code, response.headers.get("Retry-After"))
        self.answers += 1
        self._session.progress(self.answers, None)
        try:
            return response.json()
        except ValueError:
            raise BadAnswer(f"{self._session.venue}: no JSON at {path}") from None

    def _penalty_s(self, told: Row) -> float:
        """How long to wait. Raises NeedsReauth for a captcha, RateLimited for more than a minute."""
        venue = self._session.venue
        if told.get("p-captcha"):
            raise NeedsReauth(f"{venue} asks for a captcha: log in on its site in a browser, then wait an hour")
        wait_s = float(positive(told.get("p-time")) or 0)
        if wait_s > LONGEST_PENALTY_S:
            raise RateLimited(f"{venue}: a penalty of {wait_s:.0f} s", retry_after_s=wait_s)
        return wait_s

    def _agreed(self, told: Row, path: str) -> Row:
        """The answer, unless it is a refusal in the form of one."""
        said = text(told, "errorText") or _violations(told.get("violations"))
        if said is None:
            return told
        refused = BadCredentials if path.startswith("/auth/") else BadAnswer
        raise refused(f"{self._session.venue}: {said[:MOST_TEXT]}")


def _kept(token: bytes | None) -> tuple[str | None, float]:
    """The bearer of a kept login and for how many seconds it is still good."""
    try:
        told = json.loads(token or b"{}")
    except ValueError:
        return None, 0.0
    if not isinstance(told, dict):
        return None, 0.0
    ends = moment_iso(told.get("expirationTime"))
    left_s = (ends - datetime.now(UTC)).total_seconds() if ends else 0.0
    return text(told, "accessToken"), left_s


def _violations(told: object) -> str | None:
    if not isinstance(told, list) or not told:
        return None
    return "; ".join(text(each, "description") or "a violation" for each in told if isinstance(each, dict))


def _by_id(rows: Sequence[Row]) -> dict[object, Row]:
    return {row["id"]: row for row in rows if isinstance(row.get("id"), int)}


def _joined(
    contracts: Sequence[Row],
    maturities: Mapping[object, Row],
    products: Mapping[object, Row],
    currencies: Mapping[object, Row],
    exchanges: Mapping[object, Row],
) -> list[Row]:
    rows: list[Row] = []
    for contract in contracts:
        maturity = maturities[contract["contractMaturityId"]]
        product = products[maturity["productId"]]
        currency, exchange = currencies.get(product.get("currencyId")), exchanges.get(product.get("exchangeId"))
        names = {"currency": currency, "exchange": exchange}
        rows.append({"contract": contract, "maturity": maturity, "product": product, **names})
    return rows


def _part(raw: Row, name: str) -> Row:
    part = raw.get(name)
    return part if isinstance(part, dict) else {}
