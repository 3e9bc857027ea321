"""Charles Schwab: instruments by sweeps of prefixes, option chains by expiry, through schwab-py with a login of ours.

There is no list to ask for: symbols are searched by pattern, and a pattern that finds too much is refused or cut off.
A login's refresh token lives for seven days; then a person has to log in again.
"""

import string
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from http import HTTPStatus
from importlib.metadata import version

from indexer.errors import BadAnswer, BadSetting, UnreadableRow
from indexer.model import AssetClass, Details, Exercise, InstClass, Json, Listing, OptionRight, Snapshot
from indexer.ports import Session
from indexer.venues.reading import day, decimal, flag, identifiers, moment_iso, moment_ms, positive, required, text
from indexer.venues.schwab_login import DAY_S, Api, Client, opened

LETTERS = (*string.ascii_uppercase, *string.digits, "[^ A-Z0-9]")
"""Every symbol without a space starts with one of these; options are those with spaces."""

REST, ALONE = "[^ ]*", "{1}"
MOST_DEPTH = 5
MOST_QUESTIONS = 10_000
USUAL_CAP = 500
BATCH = 100
OSI_ROOT, OSI_LENGTH = 6, 21
_MICS = {
    "NASDAQ": "XNAS",
    "NYSE": "XNYS",
    "NYSE Arca": "ARCX",
    "NYSE American": "XASE",
    "AMEX": "XASE",
    "BATS": "BATS",
}
_KINDS: Mapping[str, tuple[AssetClass | None, InstClass | None]] = {
    "EQUITY": ("equity", None),  # shares, rights and warrants alike; the subtype of a quote tells
    "ETF": ("equity", "etf"),
    "MUTUAL_FUND": (None, "fund"),
    "INDEX": ("index", "index"),
    "BOND": ("debt", "bond"),
    "FOREX": ("fx", "spot"),
    "FUTURE": (None, "future"),
}
_SUBTYPES: Mapping[str, InstClass] = {
    "COE": "stock",
    "PRF": "stock",
    "ADR": "stock",
    "GDR": "stock",
    "ETF": "etf",
    "CEF": "fund",
    "UIT": "fund",
    "WAR": "warrant",
}
_RIGHTS: Mapping[str | None, OptionRight] = {"CALL": "call", "PUT": "put"}
_EXERCISE: Mapping[str | None, Exercise] = {"A": "american", "E": "european"}
_SIDES = ("callExpDateMap", "putExpDateMap")
NOTHING = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND)
Row = Mapping[str, object]


def fetch(session: Session, scope: str, options: Mapping[str, object]) -> Snapshot:
    """All instruments that sweeps of prefixes find; or the option chains of `options.underlyings`."""
    if scope not in {"instrument", "option"}:
        raise BadSetting(f"{session.venue}: no scope {scope!r}; it has instrument, option")
    with opened(session, options) as oauth:
        api = Api(session, oauth)
        rows, whole, evidence = (_instruments if scope == "instrument" else _options)(api, options)
        evidence["login_age_days"] = api.standing.age_s // DAY_S
        if api.standing.says:
            evidence["warning"] = api.standing.says
        return Snapshot(
            rows=rows,
            complete=whole,
            evidence=evidence,
            client=f"schwab-py {version('schwab-py')}",
            pages=api.answers,
        )


def normalise(scope: str, raw: Row, options: Mapping[str, object]) -> Listing:  # noqa: ARG001 - as every venue's
    """One instrument with its details, or one contract of a chain."""
    return _contract(raw) if scope == "option" else _instrument(raw)


def contracts(chain: Row) -> list[Row]:
    """The contracts of a chain, each with the keys that it hangs below and what the chain says of its underlying."""
    found: list[Row] = []
    for side in _SIDES:
        for expiration, strikes in _items(chain.get(side)):
            for strike, listed in _items(strikes):
                where = {"underlying": chain.get("symbol"), "isIndex": chain.get("isIndex")}
                where |= {"expiration": expiration, "strike": strike}
                found += [where | {"contract": each} for each in listed] if isinstance(listed, list) else []
    return found


def _items(told: object) -> Iterable[tuple[str, object]]:
    return told.items() if isinstance(told, dict) else ()


def _instruments(api: Api, options: Mapping[str, object]) -> tuple[Sequence[Row], bool, dict[str, Json]]:
    cap = options.get("cap")
    sweep = _Sweep(api, cap if isinstance(cap, int) else USUAL_CAP)
    sweep.run()
    found, evidence = sweep.found, sweep.evidence()
    if options.get("details", True):
        found, evidence["without_quote"] = _detailed(api, found)
    return list(found.values()), bool(found) and not sweep.cut_off, evidence


class _Sweep:
    """All symbols, prefix by prefix: one that finds too much is asked again letter by letter.

    A prefix, what follows it letter by letter, and the prefix alone are together all that the prefix stands for; so
    where every last question was answered below the cap, nothing is missing.
    """

    def __init__(self, api: Api, cap: int) -> None:
        self._api, self._cap = api, cap
        self.found: dict[str, Row] = {}
        self.questions = self.refined = self.cut_off = self.options = 0

    def run(self) -> None:
        """Until no question is left, or too many were asked."""
        waiting: list[tuple[tuple[str, ...], str]] = [((letter,), REST) for letter in reversed(LETTERS)]
        while waiting:
            if self.questions >= MOST_QUESTIONS:
                self.cut_off += len(waiting)
                return
            pieces, tail = waiting.pop()
            if self._ask("".join(pieces) + tail):
                continue
            if tail == ALONE or len(pieces) >= MOST_DEPTH:
                self.cut_off += 1
                continue
            self.refined += 1
            waiting += [((*pieces, letter), REST) for letter in reversed(LETTERS)]
            waiting.append((pieces, ALONE))

    def evidence(self) -> dict[str, Json]:
        """Why it is thought whole."""
        counts: dict[str, Json] = {"questions": self.questions, "refined": self.refined, "cut_off": self.cut_off}
        return counts | {"cap": self._cap, "options_left_out": self.options}

    def _ask(self, pattern: str) -> bool:
        """Keep what it finds. False where there may be more. Raises BadAnswer where it refuses them all."""
        self.questions += 1
        search = Client.Instrument.Projection.SYMBOL_REGEX
        told = self._api.ask(lambda client: client.get_instruments(pattern, search), *NOTHING)
        if told is None:
            if self.questions > MOST_DEPTH and not self._api.answers:
                raise BadAnswer(f"{self._api.venue}: it refuses even {pattern!r}")
            return False
        rows = _rows(self._api.venue, told)
        for number, row in enumerate(rows):
            if row.get("assetType") == "OPTION":
                self.options += 1
            else:
                self.found[text(row, "symbol") or f"{pattern} {number}"] = row
        return len(rows) < self._cap


def _rows(venue: str, told: Row) -> Sequence[Row]:
    """The instruments of an answer; nothing found is told as nothing at all."""
    rows = told.get("instruments", [] if not told else None)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadAnswer(f"{venue}: no list of instruments")
    return rows


def _detailed(api: Api, found: Mapping[str, Row]) -> tuple[dict[str, Row], int]:
    """The rows with `fundamental` and `quote` (its kind, no prices) where there are any, and how many have no quote."""
    symbols = [symbol for symbol in found if " " not in symbol and "," not in symbol]
    rows: dict[str, Row] = dict(found)
    quoted = 0
    for first in range(0, len(symbols), BATCH):
        batch = symbols[first : first + BATCH]
        basic, quotes = _fundamentals(api, batch), _quotes(api, batch)
        for symbol in batch:
            quote = quotes.get(symbol)
            parts = {"fundamental": basic.get(symbol), "quote": quote if isinstance(quote, dict) else None}
            quoted += parts["quote"] is not None
            rows[symbol] = {**found[symbol], **{word: part for word, part in parts.items() if part is not None}}
    return rows, len(rows) - quoted


def _fundamentals(api: Api, symbols: Sequence[str]) -> dict[str | None, object]:
    basic = Client.Instrument.Projection.FUNDAMENTAL
    told = api.ask(lambda client: client.get_instruments(symbols, basic), *NOTHING)
    return {text(row, "symbol"): row.get("fundamental") for row in _rows(api.venue, told or {})}


def _quotes(api: Api, symbols: Sequence[str]) -> Row:
    """By symbol; only what they refer to, no prices."""
    wanted = [Client.Quote.Fields.REFERENCE]
    return api.ask(lambda client: client.get_quotes(symbols, fields=wanted), *NOTHING) or {}


def _options(api: Api, options: Mapping[str, object]) -> tuple[Sequence[Row], bool, dict[str, Json]]:
    underlyings = options.get("underlyings")
    if not isinstance(underlyings, list | tuple) or not underlyings:
        raise BadSetting(f"{api.venue}: there is no list of all options; name options.underlyings")
    rows: dict[str, Row] = {}
    expiries = unknown = gaps = 0
    for underlying in map(str, underlyings):
        days = _expiries(api, underlying)
        unknown += not days
        expiries += len(days)
        for expiry, left in days.items():
            found, counted = _chain(api, underlying, expiry)
            gaps += (not found and left > 0) or counted not in {None, len(found)}
            rows |= {_name(row) or f"{underlying} {expiry} {number}": row for number, row in enumerate(found)}
    evidence: dict[str, Json] = {"underlyings": len(underlyings), "underlyings_without_options": unknown}
    evidence |= {"expiries": expiries, "expiries_told_in_part": gaps}
    return list(rows.values()), bool(rows) and not unknown and not gaps, evidence


def _expiries(api: Api, underlying: str) -> dict[date, int]:
    """The days on which options of it expire, and how many days are left until then."""
    told = api.ask(lambda client: client.get_option_expiration_chain(underlying), *NOTHING)
    listed = (told or {}).get("expirationList", [])
    if not isinstance(listed, list):
        raise BadAnswer(f"{api.venue}: no list of expiries")
    days: dict[date, int] = {}
    for each in listed:
        expiry = day(each.get("expirationDate")) if isinstance(each, dict) else None
        if expiry is None:
            raise BadAnswer(f"{api.venue}: an expiry without a day")
        left = each.get("daysToExpiration")
        days[expiry] = left if isinstance(left, int) else 0
    return days


def _chain(api: Api, underlying: str, expiry: date) -> tuple[list[Row], object]:
    """The contracts of one expiry and the venue's own count of them. A large underlying's whole chain is refused."""
    every = {"contract_type": Client.Options.ContractType.ALL, "option_type": Client.Options.Type.ALL}
    told = api.ask(
        lambda client: client.get_option_chain(underlying, from_date=expiry, to_date=expiry, **every), *NOTHING
    )
    return contracts(told or {}), (told or {}).get("numberOfContracts")


def _instrument(raw: Row) -> Listing:
    symbol, kind = required(raw, "symbol"), text(raw, "assetType")
    quote, fundamental = _part(raw, "quote"), _part(raw, "fundamental")
    asset_class, inst_class = _KINDS.get(kind or "") or _KINDS.get(text(quote, "assetMainType") or "", (None, None))
    subtype = text(quote, "assetSubType") or text(raw, "assetSubType")
    name = text(raw, "description")
    return Listing(
        symbol=symbol,
        stable_id=symbol,
        status="active" if quote else "unknown",
        asset_class=asset_class,
        inst_class=_SUBTYPES.get(subtype or "", inst_class),
        display=name,
        mic=_MICS.get(text(raw, "exchange") or ""),
        exchange=text(raw, "exchange"),
        identifiers=identifiers(schwab=symbol, cusip=raw.get("cusip")),
        details=Details(
            company_name=name if _SUBTYPES.get(subtype or "") == "stock" else None,
            market_cap=positive(fundamental.get("marketCap")),
        ),
        attrs={word: told for word, told in (("asset_type", kind), ("asset_sub_type", subtype)) if told},
    )


def _contract(raw: Row) -> Listing:
    told, expiration = _part(raw, "contract"), text(raw, "expiration") or ""
    strike, right, expires_on = decimal(told.get("strikePrice")), _RIGHTS.get(text(told, "putCall")), day(expiration)
    if strike is None or right is None or expires_on is None:
        raise UnreadableRow("a contract without strike, expiry or right")
    symbol, ends = required(told, "symbol"), told.get("expirationDate")
    delivered = told.get("optionDeliverablesList")
    units = [_delivered(each) for each in delivered if isinstance(each, dict)] if isinstance(delivered, list) else []
    shares = any(each["assetType"] == "STOCK" for each in units)
    about_index = flag(told, "isIndexOption") or flag(raw, "isIndex")
    words = ("expirationType", "settlementType", "optionRoot")
    return Listing(
        symbol=symbol,
        stable_id=symbol,
        status="active",
        asset_class="index" if about_index else "equity" if shares else None,
        inst_class="option",
        display=text(told, "description"),
        underlying=text(raw, "underlying"),
        multiplier=positive(told.get("multiplier")),
        expires_on=expires_on,
        expires_at=moment_iso(ends) or moment_ms(ends),
        strike=strike,
        option_right=right,
        exercise=_EXERCISE.get(text(told, "exerciseType")),
        settlement="physical" if shares else None,
        adjusted=flag(told, "nonStandard"),
        exchange=text(told, "exchangeName"),
        identifiers=identifiers(schwab=symbol, osi=symbol if _is_osi(symbol) else None),
        attrs={word: said for word in words for said in [text(told, word)] if said}
        | ({"deliverables": units} if units else {}),
    )


def _delivered(each: Row) -> dict[str, Json]:
    number = decimal(each.get("deliverableUnits"))
    words: dict[str, Json] = {word: text(each, word) for word in ("symbol", "assetType")}
    return words | {"deliverableUnits": None if number is None else f"{number.normalize():f}"}


def _is_osi(symbol: str) -> bool:
    tail = symbol[OSI_ROOT:]
    return len(symbol) == OSI_LENGTH and tail[:6].isdigit() and tail[6] in "CP" and tail[7:].isdigit()


def _name(row: Row) -> str | None:
    return text(_part(row, "contract"), "symbol")


def _part(raw: Row, name: str) -> Row:
    part = raw.get(name)
    return part if isinstance(part, dict) else {}
