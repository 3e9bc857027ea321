"""Interactive Brokers over its Web API, through ibind: shares by exchange, futures by root, pairs, option contracts.

Nothing there lists everything: exchanges, roots, currencies and underlyings are the operator's. A user has one
brokerage session at a time; one that a person holds is never taken away.
"""

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from http import HTTPStatus
from importlib.metadata import version
from typing import TypeVar

from ibind import IbkrClient
from ibind.oauth.oauth1a import OAuth1aConfig
from ibind.support.errors import ExternalBrokerError

from indexer.errors import (
    AnswerTooLarge,
    BadAnswer,
    BadCredentials,
    BadSetting,
    GazetteerError,
    NeedsReauth,
    UnreadableRow,
    VenueUnavailable,
)
from indexer.model import Details, InstClass, Json, Listing, OptionRight, Rules, Snapshot
from indexer.ports import Session
from indexer.venues.reading import day, decimal, identifiers, positive, required, text
from indexer.venues.spec import refusal

URL = "https://api.ibkr.com/v1/api"
SECDEF_BATCH = 100
ROOTS_BATCH = 20
MOST_ROWS = 200_000
MOST_MONTHS = 36
MOST_QUESTIONS = 50_000
_SECRETS = {
    "access_token": "IBIND_OAUTH1A_ACCESS_TOKEN",
    "access_token_secret": "IBIND_OAUTH1A_ACCESS_TOKEN_SECRET",
    "consumer_key": "IBIND_OAUTH1A_CONSUMER_KEY",
    "dh_prime": "IBIND_OAUTH1A_DH_PRIME",
    "encryption_key": "IBIND_OAUTH1A_ENCRYPTION_KEY",
    "signature_key": "IBIND_OAUTH1A_SIGNATURE_KEY",
}
_MICS = {
    "NASDAQ": "XNAS", "NYSE": "XNYS", "ARCA": "ARCX", "AMEX": "XASE", "BATS": "BATS", "LSE": "XLON", "IBIS": "XETR",
    "SBF": "XPAR", "AEB": "XAMS", "EBS": "XSWX", "TSE": "XTSE", "TSEJ": "XTKS", "SEHK": "XHKG", "ASX": "XASX",
    "CME": "XCME", "CBOT": "XCBT", "NYMEX": "XNYM", "COMEX": "XCEC", "EUREX": "XEUR",
}  # fmt: skip
_KINDS: Mapping[str, InstClass] = {
    "COMMON": "stock",
    "ADR": "stock",
    "PREFERRED": "stock",
    "REIT": "stock",
    "ETF": "etf",
}
_RIGHTS: Mapping[str, OptionRight] = {"C": "call", "P": "put"}
Row = Mapping[str, object]
T = TypeVar("T")

for _logger in ("ibind", "ibind_fh"):  # it logs every address and every refused answer whole
    logging.getLogger(_logger).setLevel(logging.CRITICAL)


def fetch(session: Session, scope: str, options: Mapping[str, object]) -> Snapshot:
    """What the scope holds of the exchanges, roots, currencies or underlyings that `options` name."""
    lists: Mapping[str, Callable[[_Api, Mapping[str, object]], Snapshot]] = {
        "stock": _stocks,
        "future": _futures,
        "fx": _pairs,
        "option": _contracts,
    }
    if scope not in lists:
        raise BadSetting(f"{session.venue}: no scope {scope!r}; it has {', '.join(lists)}")
    with closing(_Api(session, options, brokerage=scope in {"fx", "option"})) as api:
        return lists[scope](api, options)


def normalise(scope: str, raw: Row, options: Mapping[str, object]) -> Listing:  # noqa: ARG001 - as every venue's
    """One share, future, currency pair or option contract."""
    makers = {"stock": _stock, "future": _future, "fx": _pair, "option": _contract}
    return makers[scope](raw)


class _Api:
    """ibind with one login, one request after another, each within the budget and the timeout."""

    def __init__(self, session: Session, options: Mapping[str, object], *, brokerage: bool) -> None:
        self._session = session
        self._by_gateway = options.get("login") == "gateway"
        self._client = self._connected(session.url("rest", str(options.get("url", URL))), options)
        self.answers = 0
        if brokerage and not self._by_gateway:
            self._open_brokerage()

    def close(self) -> None:
        """Give up its connections. The session at the broker stays: somebody else may use it."""
        self._client.close_session()

    def rows(self, question: str, *facts: object, **more: object) -> list[Row]:
        """One answer that is a list of rows."""
        return self.listed(self.ask(question, *facts, **more))

    def listed(self, told: object) -> list[Row]:
        """These rows. Raises BadAnswer where they are none."""
        if not isinstance(told, list) or not all(isinstance(row, dict) for row in told):
            raise BadAnswer(f"{self._session.venue}: no list of rows")
        if len(told) > MOST_ROWS:
            raise AnswerTooLarge(f"{self._session.venue}: {len(told)} rows in one answer")
        return told

    def by_name(self, question: str, *facts: object, **more: object) -> Row:
        """One answer that is named parts."""
        told = self.ask(question, *facts, **more)
        if not isinstance(told, dict):
            raise BadAnswer(f"{self._session.venue}: no answer by names")
        return told

    def ask(self, question: str, *facts: object, **more: object) -> object:
        """One answer as JSON; `question` is the client's name for it."""
        self._session.draw()
        told: object = self._heard(lambda: getattr(self._client, question)(*facts, **more)).data
        self.answers += 1
        self._session.progress(self.answers, None)
        if isinstance(told, dict) and told.get("error"):
            raise BadAnswer(f"{self._session.venue}: it answered with an error")
        return told

    def definitions(self, conids: Sequence[str]) -> dict[str, Row]:
        """What is known of these contracts, by their ids; of some nothing is."""
        found: dict[str, Row] = {}
        for first in range(0, len(conids), SECDEF_BATCH):
            batch = list(conids[first : first + SECDEF_BATCH])
            told = self.by_name("security_definition_by_conid", batch)
            rows = self.listed(told.get("secdef"))
            if not rows:
                raise BadAnswer(f"{self._session.venue}: no definition of any of {len(batch)} contracts")
            found |= {str(row["conid"]): row for row in rows if row.get("conid") is not None}
        return found

    def _connected(self, url: str, options: Mapping[str, object]) -> IbkrClient:
        usual = {
            "url": f"{url}/",
            "timeout": self._session.timeout_s,
            "max_retries": 0,
            "use_session": True,
            "auto_register_shutdown": False,
        }
        if self._by_gateway:
            return IbkrClient(**usual, cacert=options.get("cacert") or False, use_oauth=False)
        secrets = {name: self._session.secret(variable) for name, variable in _SECRETS.items()}
        config = OAuth1aConfig(
            **secrets,
            oauth_rest_url=f"{url}/",
            encryption_key_fp=None,
            signature_key_fp=None,
            init_oauth=True,
            init_brokerage_session=False,
            maintain_oauth=False,
            shutdown_oauth=False,
        )
        self._session.draw()
        try:
            return self._heard(lambda: IbkrClient(**usual, use_oauth=True, oauth_config=config))
        except (ValueError, TypeError, AttributeError, RuntimeError):
            said = "the OAuth keys do not fit together; make them anew on the broker's page"
            raise BadCredentials(f"{self._session.venue}: {said}") from None
        except KeyError:
            raise BadAnswer(f"{self._session.venue}: a login without a token") from None

    def _open_brokerage(self) -> None:
        told = self.by_name("initialize_brokerage_session", compete=False)
        if told.get("competing") is True or told.get("authenticated") is not True:
            raise VenueUnavailable(f"{self._session.venue}: another session of this user holds the connection")

    def _heard(self, question: Callable[[], T]) -> T:
        """What comes back, refusals told apart."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the gateway on one's own machine certifies itself
                return question()
        except TimeoutError:
            raise VenueUnavailable(f"{self._session.venue}: no answer in time") from None
        except ExternalBrokerError as error:
            raise self._refusal(error) from None

    def _refusal(self, error: ExternalBrokerError) -> GazetteerError:
        venue, status = self._session.venue, error.status_code
        if status is None:
            garbled = isinstance(error.__cause__, ValueError)
            return BadAnswer(f"{venue}: no JSON") if garbled else VenueUnavailable(f"{venue}: it broke off")
        if status == HTTPStatus.UNAUTHORIZED and self._by_gateway:
            return NeedsReauth(f"{venue}: nobody is logged in at the gateway; open its page in a browser and log in")
        response = getattr(error.__cause__, "response", None)
        return refusal(venue, status, None if response is None else response.headers.get("Retry-After"))


def _stocks(api: _Api, options: Mapping[str, object]) -> Snapshot:
    """Everything that may be traded on these exchanges, each once, with its definition."""
    found: dict[str, Row] = {}
    counts: dict[str, Json] = {}
    for exchange in _names(options, "exchanges"):
        rows = api.rows("all_conids_by_exchange", exchange)
        counts[exchange] = len(rows)
        found |= {str(row.get("conid")): row for row in rows if str(row.get("conid")) not in found}
    known = api.definitions(list(found))
    evidence: dict[str, Json] = {"exchanges": counts, "contracts": len(found), "undefined": len(found) - len(known)}
    rows = [{**row, "secdef": known.get(conid)} for conid, row in found.items()]
    return _snapshot(api, rows, evidence, complete=bool(counts) and all(counts.values()))


def _futures(api: _Api, options: Mapping[str, object]) -> Snapshot:
    """Every contract of these roots that has not expired, with its definition."""
    roots = _names(options, "roots")
    found: dict[str, Row] = {}
    counts: dict[str, Json] = {}
    for first in range(0, len(roots), ROOTS_BATCH):
        batch = roots[first : first + ROOTS_BATCH]
        told = api.by_name("security_future_by_symbol", batch)
        for root in batch:
            rows = api.listed(told.get(root, []))
            counts[root] = len(rows)
            found |= {str(row.get("conid")): {**row, "root": root} for row in rows}
    known = api.definitions(list(found))
    rows = [{**row, "secdef": known.get(conid)} for conid, row in found.items()]
    evidence: dict[str, Json] = {"roots": counts, "undefined": len(found) - len(known)}
    return _snapshot(api, rows, evidence, complete=bool(counts) and all(counts.values()))


def _pairs(api: _Api, options: Mapping[str, object]) -> Snapshot:
    """Every pair that one of these currencies is in, each once."""
    found: dict[str, Row] = {}
    counts: dict[str, Json] = {}
    for currency in _names(options, "currencies"):
        told = api.by_name("currency_pairs", currency)
        rows = api.listed(told.get(currency, []))
        counts[currency] = len(rows)
        found |= {str(row.get("conid")): row for row in rows}
    evidence: dict[str, Json] = {"currencies": counts}
    return _snapshot(api, list(found.values()), evidence, complete=bool(counts) and all(counts.values()))


def _contracts(api: _Api, options: Mapping[str, object]) -> Snapshot:
    """Every contract of the next `options.months` months of these underlyings: each strike and right is asked for."""
    underlyings, told_months = options.get("underlyings"), decimal(options.get("months", MOST_MONTHS))
    months_each = min(int(told_months or 0), MOST_MONTHS)
    found: dict[str, Row] = {}
    counts: dict[str, Json] = {}
    for symbol, conid in dict(underlyings if isinstance(underlyings, dict) else {}).items():
        for month in _months(api, str(symbol), str(conid))[:months_each]:
            rows = _of_month(api, str(conid), month)
            counts[f"{symbol} {month}"] = len(rows)
            found |= {str(row.get("conid")): {**row, "underlying": symbol, "underlyingConid": conid} for row in rows}
    evidence: dict[str, Json] = {"months": counts}
    return _snapshot(api, list(found.values()), evidence, complete=bool(counts) and all(counts.values()))


def _months(api: _Api, symbol: str, conid: str) -> list[str]:
    """The months that options on it expire in; whoever does not ask for it first is told no strikes."""
    for row in api.rows("search_contract_by_symbol", symbol):
        if str(row.get("conid")) == conid:
            sections = row.get("sections")
            parts = sections if isinstance(sections, list) else []
            months = [str(part.get("months") or "") for part in parts if part.get("secType") == "OPT"]
            return [month for told in months for month in told.split(";") if month]
    raise BadAnswer(f"no {symbol} with the id {conid}; see to options.underlyings")


def _of_month(api: _Api, conid: str, month: str) -> list[Row]:
    strikes = api.by_name("search_strikes_by_conid", conid, "OPT", month)
    found: list[Row] = []
    for right, name in (("C", "call"), ("P", "put")):
        told = strikes.get(name)
        for strike in told if isinstance(told, list) else []:
            if api.answers >= MOST_QUESTIONS:
                raise AnswerTooLarge(f"more than {MOST_QUESTIONS} questions; ask for fewer months or underlyings")
            asked = {"strike": str(strike), "right": right}
            found += api.rows("search_secdef_info_by_conid", conid, "OPT", month, **asked)
    return found


def _snapshot(api: _Api, rows: Sequence[Row], evidence: dict[str, Json], *, complete: bool) -> Snapshot:
    client = f"ibind {version('ibind')}"
    return Snapshot(rows=rows, complete=complete and bool(rows), evidence=evidence, client=client, pages=api.answers)


def _names(options: Mapping[str, object], key: str) -> list[str]:
    told = options.get(key)
    return [str(each) for each in told] if isinstance(told, list | tuple) else []


def _stock(raw: Row) -> Listing:
    known = _known(raw)
    exchange, kind = text(known, "listingExchange") or text(raw, "exchange"), text(known, "type")
    return Listing(
        symbol=text(known, "ticker") or required(raw, "ticker"),
        stable_id=required(raw, "conid"),
        status="active",
        asset_class="equity",
        inst_class=_KINDS.get(kind or ""),
        display=text(known, "name"),
        currency=text(known, "currency"),
        mic=_MICS.get(exchange or ""),
        exchange=exchange,
        identifiers=identifiers(conid=raw.get("conid")),
        rules=_rules(known),
        details=Details(company_name=text(known, "name"), sector=text(known, "sector"), industry=text(known, "group")),
        attrs={name: word for name in ("type", "countryCode") for word in [text(known, name)] if word},
    )


def _future(raw: Row) -> Listing:
    known, expires_on = _known(raw), day(raw.get("expirationDate"))
    if expires_on is None:
        raise UnreadableRow("a future without its expiration")
    exchange, kept = text(known, "listingExchange"), ("underlyingConid", "ltd")
    return Listing(
        symbol=required(raw, "symbol"),
        stable_id=required(raw, "conid"),
        status="active",
        inst_class="future",
        display=text(known, "fullName") or text(known, "name"),
        currency=text(known, "currency"),
        underlying=text(raw, "root") or text(raw, "symbol"),
        multiplier=positive(known.get("multiplier")),
        expires_on=expires_on,
        mic=_MICS.get(exchange or ""),
        exchange=exchange,
        identifiers=identifiers(conid=raw.get("conid")),
        rules=_rules(known),
        attrs={name: word for name in kept for word in [text(raw, name)] if word},
    )


def _pair(raw: Row) -> Listing:
    symbol = required(raw, "symbol")
    base, _, quote = symbol.partition(".")
    if not base or not quote:
        raise UnreadableRow(f"{symbol} is no pair")
    return Listing(
        symbol=symbol,
        stable_id=required(raw, "conid"),
        status="active",
        asset_class="fx",
        inst_class="spot",
        base=base,
        quote=quote,
        currency=quote,
        identifiers=identifiers(conid=raw.get("conid")),
    )


def _contract(raw: Row) -> Listing:
    strike, expires_on = decimal(raw.get("strike")), day(raw.get("maturityDate"))
    right, kept = _RIGHTS.get(text(raw, "right") or ""), ("tradingClass", "underlyingConid")
    if strike is None or expires_on is None or right is None:
        raise UnreadableRow("a contract without strike, expiry or right")
    return Listing(
        symbol=required(raw, "symbol"),
        stable_id=required(raw, "conid"),
        status="active",
        inst_class="option",
        display=" ".join(word for name in ("desc1", "desc2") for word in [text(raw, name)] if word) or None,
        currency=text(raw, "currency"),
        underlying=text(raw, "underlying"),
        multiplier=positive(raw.get("multiplier")),
        expires_on=expires_on,
        strike=strike,
        option_right=right,
        exchange=text(raw, "exchange"),
        identifiers=identifiers(conid=raw.get("conid")),
        attrs={name: word for name in kept for word in [text(raw, name)] if word},
    )


def _known(raw: Row) -> Row:
    known = raw.get("secdef")
    return known if isinstance(known, dict) else {}


def _rules(known: Row) -> Rules:
    """One step for all prices is the tick; several are kept beside it."""
    told = known.get("incrementRules")
    steps = [step for step in told if isinstance(step, dict)] if isinstance(told, list) else []
    ladder: list[Json] = [[str(step.get("lowerEdge")), str(step.get("increment"))] for step in steps]
    tick = positive(steps[0].get("increment")) if len(steps) == 1 else None
    return Rules(tick_size=tick, more={"increments": ladder} if len(ladder) > 1 else {})
