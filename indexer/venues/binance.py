"""Binance: spot, USD-margined, coin-margined and options, each one list in one answer.

The rows are the venue's own. ccxt would leave options out, take `active` of them for unknown, and rename codes.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from indexer.errors import BadSetting, UnreadableRow
from indexer.model import AssetClass, InstClass, Json, Listing, OptionRight, Payoff, Rules, Snapshot, Status
from indexer.ports import Session
from indexer.venues.ccxt_client import bought, label, opened, rows_at
from indexer.venues.reading import decimal, flag, moment_ms, positive, required, text

ENDPOINTS = {
    "spot": ("public_get_exchangeinfo", "symbols"),
    "linear": ("fapipublic_get_exchangeinfo", "symbols"),
    "inverse": ("dapipublic_get_exchangeinfo", "symbols"),
    "option": ("eapipublic_get_exchangeinfo", "optionSymbols"),
}
NEVER = datetime(2100, 1, 1, tzinfo=UTC)
"""Perpetuals are delivered in December 2100; one with an earlier day was announced to end."""

STATUSES: Mapping[str, Status] = {
    "TRADING": "active",
    "PRE_TRADING": "pre_listing",
    "PENDING_TRADING": "pre_listing",
    "POST_TRADING": "restricted",
    "END_OF_DAY": "halted",
    "HALT": "halted",
    "BREAK": "halted",
    "AUCTION_MATCH": "restricted",
    "CANCEL_ONLY": "restricted",
    "PRE_DELIVERING": "restricted",
    "DELIVERING": "restricted",
    "DELIVERED": "expired",
    "PRE_SETTLE": "restricted",
    "SETTLING": "restricted",
}
ABOUT: Mapping[str, AssetClass] = {
    "COIN": "crypto",
    "PREMARKET": "crypto",
    "INDEX": "index",
    "EQUITY": "equity",
    "COMMODITY": "commodity",
}
RIGHTS: Mapping[str, OptionRight] = {"CALL": "call", "PUT": "put"}


def fetch(session: Session, scope: str, options: Mapping[str, object]) -> Snapshot:
    """The whole list in one answer; it tells no count of its own, so an empty one is no list."""
    if scope not in ENDPOINTS:
        raise BadSetting(f"{session.venue} has no scope {scope}; write one of {', '.join(ENDPOINTS)}")
    endpoint, key = ENDPOINTS[scope]
    with opened(session, str(options.get("ccxt", "binance"))) as client:
        told = client.ask(getattr(client.api, endpoint))
        rows = rows_at(told, key)
        evidence: dict[str, Json] = {"list": key, "server_time_ms": text(told, "serverTime"), "rows": len(rows)}
        return Snapshot(rows=rows, complete=bool(rows), evidence=evidence, client=client.name, pages=client.answers)


def normalise(scope: str, raw: Mapping[str, object], options: Mapping[str, object]) -> Listing:
    """One symbol. Raises UnreadableRow."""
    if scope == "spot":
        return _spot(raw, options)
    return _option(raw) if scope == "option" else _contract(scope, raw)


def _spot(raw: Mapping[str, object], options: Mapping[str, object]) -> Listing:
    symbol, word = required(raw, "symbol"), text(raw, "status")
    base, quote = required(raw, "baseAsset"), required(raw, "quoteAsset")
    return Listing(
        symbol=symbol,
        stable_id=symbol,
        status=STATUSES.get(word or "", "unknown"),
        venue_status=word,
        asset_class=bought(base, options),
        inst_class="spot",
        display=label(base, quote),
        base=base,
        quote=quote,
        tradable=flag(raw, "isSpotTradingAllowed"),
        rules=_rules(raw),
    )


def _contract(scope: str, raw: Mapping[str, object]) -> Listing:
    symbol, word = required(raw, "symbol"), text(raw, "status") or text(raw, "contractStatus")
    base, quote, settle = required(raw, "baseAsset"), required(raw, "quoteAsset"), text(raw, "marginAsset")
    ends = moment_ms(raw.get("deliveryDate"))
    ends = None if ends is None or ends >= NEVER else ends
    kind = _kind(raw, ends)
    expires = ends if kind == "future" else None
    day = expires.date() if expires else None
    return Listing(
        symbol=symbol,
        stable_id=symbol,
        birth=text(raw, "onboardDate"),
        status=_contract_status(word, kind),
        venue_status=word,
        asset_class=ABOUT.get(text(raw, "underlyingType") or ""),
        inst_class=kind,
        display=label(base, quote, settle, day),
        base=base,
        quote=quote,
        settle=settle,
        underlying=base,
        multiplier=positive(raw.get("contractSize")),
        payoff=_payoff(scope, base, quote, settle),
        expires_on=day,
        expires_at=expires,
        list_at=moment_ms(raw.get("onboardDate")),
        delist_at=ends if kind == "perpetual" else None,
        rules=_rules(raw),
        attrs={"pair": text(raw, "pair")},
    )


def _kind(raw: Mapping[str, object], ends: datetime | None) -> InstClass | None:
    """By its contract type; one that has none yet is a perpetual if it is delivered in 2100."""
    word = text(raw, "contractType") or ""
    if "PERPETUAL" in word:
        return "perpetual"
    if "QUARTER" in word or "MONTH" in word or "WEEK" in word:
        return "future"
    return "perpetual" if not word and ends is None and raw.get("deliveryDate") is not None else None


def _contract_status(word: str | None, kind: InstClass | None) -> Status:
    if word == "CLOSE":
        return "expired" if kind == "future" else "delisted"
    return STATUSES.get(word or "", "unknown")


def _payoff(scope: str, base: str, quote: str, settle: str | None) -> Payoff | None:
    if scope == "inverse":
        return "inverse" if settle == base else None
    return "linear" if settle == quote else None


def _option(raw: Mapping[str, object]) -> Listing:
    symbol, word, quote = required(raw, "symbol"), text(raw, "status"), required(raw, "quoteAsset")
    strike, right = positive(raw.get("strikePrice")), RIGHTS.get(text(raw, "side") or "")
    expires, index = moment_ms(raw.get("expiryDate")), required(raw, "underlying")
    if strike is None or right is None or expires is None:
        raise UnreadableRow(f"{symbol}: an option without strike, side or expiry")
    base = index.removesuffix(quote) or None
    return Listing(
        symbol=symbol,
        stable_id=symbol,
        status=STATUSES.get(word or "", "unknown"),
        venue_status=word,
        asset_class="crypto",
        inst_class="option",
        display=label(base, quote, quote, expires.date(), strike, right),
        base=base,
        quote=quote,
        settle=quote,
        underlying=base,
        multiplier=positive(raw.get("unit")),
        payoff="linear",
        expires_on=expires.date(),
        expires_at=expires,
        strike=strike,
        option_right=right,
        exercise="european",
        settlement="cash",
        rules=_rules(raw),
        attrs={"index": index},
    )


def _rules(raw: Mapping[str, object]) -> Rules:
    """From its filters. Those that follow the price by themselves (MARKET_LOT_SIZE, price bounds) are left out."""
    told = raw.get("filters")
    filters = (
        {text(each, "filterType"): each for each in told if isinstance(each, Mapping)} if isinstance(told, list) else {}
    )
    price, lot = filters.get("PRICE_FILTER", {}), filters.get("LOT_SIZE", {})
    notional = filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL") or {}
    band = filters.get("PERCENT_PRICE", {})
    more = {name: band.get(name) for name in ("multiplierUp", "multiplierDown")}
    return Rules(
        tick_size=positive(price.get("tickSize")),
        lot_size=positive(lot.get("stepSize")),
        min_size=positive(lot.get("minQty")),
        max_size=positive(lot.get("maxQty")),
        min_notional=positive(notional.get("minNotional", notional.get("notional"))),
        max_notional=positive(notional.get("maxNotional")),
        more={f"price_{name}": value for name, value in more.items() if isinstance(value, str) and decimal(value)},
    )
