"""Alpaca: US shares, coins and option contracts, through alpaca-py with raw rows.

Its models would lose a whole list to one word they do not know, and some fields of every option contract; its own
loops for pages and retries, and its lack of a timeout, are not used either.
"""

import warnings
from collections.abc import Mapping, Sequence
from contextlib import closing
from importlib.metadata import version
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from indexer.errors import AnswerTooLarge, BadAnswer, BadSetting, UnreadableRow, VenueUnavailable
from indexer.model import AssetClass, InstClass, Json, Listing, OptionRight, Rules, Snapshot, Status
from indexer.ports import Session
from indexer.venues.reading import day, decimal, flag, identifiers, positive, required, text
from indexer.venues.spec import refusal

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # it imports its streams, which nobody uses here
    from alpaca.common.exceptions import APIError
    from alpaca.trading.client import TradingClient

PAPER_URL = "https://paper-api.alpaca.markets"
"""Lists the same as the live one, and every account has keys for it. `options.url` names another."""

STATUSES = ("inactive", "active")
"""Without a filter nobody says which come. Whatever changes in between is told by the second."""

PAGE_ROWS = 10_000
MOST_PAGES = 300
MOST_ROWS = 500_000
LAST_EXPIRY = "2199-12-31"
"""Unasked, contracts are told up to the coming weekend only."""

SHARES_A_CONTRACT = 100
OSI_TAIL = 15
OSI_ROOT = 6
_CLASSES = {"equity": "us_equity", "crypto": "crypto", "perpetual": "crypto_perp"}
_KINDS: Mapping[str, tuple[AssetClass | None, InstClass | None]] = {
    "us_equity": ("equity", None),  # share, fund or note: it does not say
    "crypto": ("crypto", "spot"),
    "crypto_perp": ("crypto", "perpetual"),
}
_STATUSES: Mapping[str, Status] = {"active": "active", "inactive": "restricted"}
_MICS = {"NASDAQ": "XNAS", "NYSE": "XNYS", "ARCA": "ARCX", "NYSEARCA": "ARCX", "AMEX": "XASE", "BATS": "BATS"}
_ORDER_WORDS = (
    "borrow_status",
    "easy_to_borrow",
    "fractionable",
    "maintenance_margin_requirement",
    "margin_requirement_long",
    "margin_requirement_short",
    "marginable",
    "shortable",
)
_CONTRACT_WORDS = ("root_symbol", "size", "underlying_asset_id")
_DELIVERED = ("type", "symbol", "amount", "allocation_percentage", "settlement_type", "settlement_method")


def fetch(session: Session, scope: str, options: Mapping[str, object]) -> Snapshot:
    """All assets of the scope's class, of every status; or all active option contracts of `options.underlyings`."""
    if scope != "option" and scope not in _CLASSES:
        raise BadSetting(f"{session.venue}: no scope {scope!r}; it has option, {', '.join(_CLASSES)}")
    with closing(_Api(session, str(options.get("url", PAPER_URL)))) as api:
        return _contracts(api, options) if scope == "option" else _assets(api, _CLASSES[scope])


def normalise(scope: str, raw: Mapping[str, object], options: Mapping[str, object]) -> Listing:
    """One asset, or one option contract."""
    return _contract(raw, options) if scope == "option" else _asset(raw, options)


class _Patient(HTTPAdapter):
    """Waits so long for an answer, and no longer."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__()
        self._timeout_s = timeout_s

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:  # noqa: ANN401
        """As ever, within the timeout."""
        return super().send(request, *args, **kwargs | {"timeout": self._timeout_s})


class _Api:
    """alpaca-py, one request after another, each within the budget and the timeout."""

    def __init__(self, session: Session, usual: str) -> None:
        self._session = session
        self._client = TradingClient(
            session.secret("APCA_API_KEY_ID"),
            session.secret("APCA_API_SECRET_KEY"),
            raw_data=True,
            url_override=session.url("rest", usual),
        )
        for scheme in ("https://", "http://"):
            self._client._session.mount(scheme, _Patient(session.timeout_s))  # noqa: SLF001 - it has no timeout else
        self._client._retry = 0  # noqa: SLF001 - it would sleep for nine seconds; the venue's queue knows better
        self.venue = session.venue
        self.pages = 0

    def get(self, path: str, query: Mapping[str, str]) -> object:
        """One answer, as JSON."""
        self._session.draw()
        try:
            told: object = self._client.get(path, dict(query))
        except APIError as error:
            response = error.response
            raise refusal(self.venue, error.status_code or 0, response.headers.get("Retry-After")) from None
        except requests.exceptions.JSONDecodeError:
            raise BadAnswer(f"{self.venue}: an answer that is no JSON") from None
        except requests.RequestException as error:
            raise VenueUnavailable(f"{self.venue}: {type(error).__name__}") from None
        self.pages += 1
        self._session.progress(self.pages, None)
        return told

    def close(self) -> None:
        """Give up its connections."""
        self._client._session.close()  # noqa: SLF001 - nor for their end


def _assets(api: _Api, asset_class: str) -> Snapshot:
    found: dict[str, Mapping[str, object]] = {}
    counts: dict[str, Json] = {}
    for status in STATUSES:
        rows = _rows(api.venue, api.get("/assets", {"status": status, "asset_class": asset_class}))
        counts[status] = len(rows)
        found |= {str(row.get("id") or f"{status} {number}"): row for number, row in enumerate(rows)}
    return Snapshot(
        rows=tuple(found.values()),
        complete=bool(counts["active"]),
        evidence={**counts, "answers": "one for each status, without pages"},
        client=_client(),
        pages=api.pages,
    )


def _contracts(api: _Api, options: Mapping[str, object]) -> Snapshot:
    query = {
        "status": "active",
        "limit": str(PAGE_ROWS),
        "show_deliverables": "true",
        "expiration_date_lte": LAST_EXPIRY,
    }
    underlyings = options.get("underlyings")
    if isinstance(underlyings, Sequence) and underlyings:
        query["underlying_symbols"] = ",".join(str(symbol) for symbol in underlyings)
    rows: list[Mapping[str, object]] = []
    tokens: set[str] = set()
    exhausted, holes = False, 0
    while not exhausted and api.pages < MOST_PAGES and len(rows) < MOST_ROWS:
        page = api.get("/options/contracts", query)
        if not isinstance(page, dict):
            raise BadAnswer(f"{api.venue}: a page of contracts that is none")
        found = _rows(api.venue, page.get("option_contracts"))
        rows += found
        token = page.get("next_page_token")
        exhausted, holes = not token, holes + (not found)
        if token in tokens:
            raise BadAnswer(f"{api.venue}: the same page again and again")
        tokens.add(str(token))
        query["page_token"] = str(token)
    return Snapshot(
        rows=tuple(rows),
        complete=exhausted and bool(rows) and not holes,
        evidence={"pages": api.pages, "cursor_exhausted": exhausted, "empty_pages": holes},
        client=_client(),
        pages=api.pages,
    )


def _rows(venue: str, told: object) -> list[Mapping[str, object]]:
    if not isinstance(told, list) or not all(isinstance(row, dict) for row in told):
        raise BadAnswer(f"{venue}: no list of rows")
    if len(told) > MOST_ROWS:
        raise AnswerTooLarge(f"{venue}: {len(told)} rows in one answer")
    return told


def _client() -> str:
    return f"alpaca-py {version('alpaca-py')}"


def _asset(raw: Mapping[str, object], options: Mapping[str, object]) -> Listing:
    symbol, word, kind = required(raw, "symbol"), text(raw, "status"), text(raw, "class")
    asset_class, inst_class = _KINDS.get(kind or "", (None, None))
    base, _, quote = symbol.partition("/") if kind == "crypto" else ("", "", "")
    attributes = raw.get("attributes")
    return Listing(
        symbol=symbol,
        stable_id=required(raw, "id"),
        status=_STATUSES.get(word or "", "unknown"),
        venue_status=word,
        asset_class=asset_class,
        inst_class=inst_class,
        display=text(raw, "name"),
        base=base if quote else None,
        quote=quote or None,
        currency=_currency(options) if kind == "us_equity" else None,
        mic=_MICS.get(text(raw, "exchange") or ""),
        exchange=text(raw, "exchange"),
        tradable=flag(raw, "tradable"),
        identifiers=identifiers(alpaca=raw.get("id"), cusip=raw.get("cusip")),
        rules=Rules(
            tick_size=positive(raw.get("price_increment")),
            lot_size=positive(raw.get("min_trade_increment")),
            min_size=positive(raw.get("min_order_size")),
            more={word: _told(raw[word]) for word in _ORDER_WORDS if raw.get(word) is not None},
        ),
        attrs={"class": kind}
        | ({"attributes": sorted(str(each) for each in attributes)} if isinstance(attributes, list) else {}),
    )


def _contract(raw: Mapping[str, object], options: Mapping[str, object]) -> Listing:
    strike, expires_on, right = decimal(raw.get("strike_price")), day(raw.get("expiration_date")), _right(raw)
    if strike is None or expires_on is None or right is None:
        raise UnreadableRow("a contract without strike, expiry or right")
    symbol, word, style = required(raw, "symbol"), text(raw, "status"), text(raw, "style")
    told = raw.get("deliverables")
    delivered = [each for each in told if isinstance(each, dict)] if isinstance(told, list) else []
    kinds = {each.get("type") for each in delivered}
    underlying = required(raw, "underlying_symbol")
    return Listing(
        symbol=symbol,
        stable_id=required(raw, "id"),
        status=_STATUSES.get(word or "", "unknown"),
        venue_status=word,
        asset_class="equity" if "equity" in kinds else None,
        inst_class="option",
        display=text(raw, "name"),
        currency=_currency(options),
        underlying=underlying,
        multiplier=positive(raw.get("multiplier")),
        expires_on=expires_on,
        strike=strike,
        option_right=right,
        exercise="american" if style == "american" else "european" if style == "european" else None,
        settlement="physical" if "equity" in kinds else "cash" if kinds == {"cash"} else None,
        adjusted=_adjusted(delivered, underlying),
        tradable=flag(raw, "tradable"),
        identifiers=identifiers(alpaca=raw.get("id"), osi=_osi(symbol)),
        rules=Rules(more={"ppind": _told(raw["ppind"])} if raw.get("ppind") is not None else {}),
        attrs={word: told for word in _CONTRACT_WORDS for told in [text(raw, word)] if told}
        | ({"deliverables": [_delivered(each) for each in delivered]} if delivered else {}),
    )


def _adjusted(delivered: Sequence[Mapping[str, object]], underlying: str) -> bool | None:
    """Whether exercise brings anything but 100 shares of the underlying. The root's name says nothing."""
    if not delivered:
        return None
    first = delivered[0]
    plain = first.get("type") == "equity" and text(first, "symbol") == underlying
    return not (len(delivered) == 1 and plain and decimal(first.get("amount")) == SHARES_A_CONTRACT)


def _delivered(each: Mapping[str, object]) -> dict[str, Json]:
    return {"delayed_settlement": flag(each, "delayed_settlement"), **{word: text(each, word) for word in _DELIVERED}}


def _right(raw: Mapping[str, object]) -> OptionRight | None:
    rights: Mapping[str | None, OptionRight] = {"call": "call", "put": "put"}
    return rights.get(text(raw, "type"))


def _osi(symbol: str) -> str | None:
    """The root is filled up to six; Alpaca leaves that out."""
    root, tail = symbol[:-OSI_TAIL], symbol[-OSI_TAIL:]
    well_formed = 0 < len(root) <= OSI_ROOT and tail[:6].isdigit() and tail[6] in "CP" and tail[7:].isdigit()
    return f"{root:<{OSI_ROOT}}{tail}" if well_formed else None


def _currency(options: Mapping[str, object]) -> str | None:
    """What the venue's row states for everything but coins: the rows themselves name no currency."""
    return text(options, "currency")


def _told(value: object) -> Json:
    return value if isinstance(value, bool | int | str) else str(value)
