"""Bybit: spot with tokenised shares, linear and inverse contracts, and options of all coins to their last page.

ccxt would list the first page of options of six coins, and take a tokenised share for a coin that bears its ticker.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from functools import partial

from indexer.errors import BadAnswer, BadSetting, UnreadableRow
from indexer.model import AssetClass, InstClass, Json, Listing, OptionRight, Payoff, Rules, Snapshot, Status
from indexer.ports import Session
from indexer.venues.ccxt_client import MOST_PAGES, Client, bought, label, opened, rows_at, words
from indexer.venues.reading import identifiers, moment_ms, positive, required, text

CATEGORIES = ("spot", "linear", "inverse", "option")
PAGE_ROWS = 1000
STATUSES: Mapping[str, Status] = {
    "PreLaunch": "pre_listing",
    "PendingOpen": "pre_listing",
    "Trading": "active",
    "Settling": "restricted",
    "Delivering": "restricted",
}
KINDS: Mapping[str, tuple[InstClass, Payoff]] = {
    "LinearPerpetual": ("perpetual", "linear"),
    "LinearFutures": ("future", "linear"),
    "InversePerpetual": ("perpetual", "inverse"),
    "InverseFutures": ("future", "inverse"),
}
ABOUT: Mapping[str, AssetClass] = {
    "": "crypto",
    "innovation": "crypto",
    "adventure": "crypto",
    "commodity": "commodity",
    "stock": "equity",
    "xstocks": "equity",
    "forex": "fx",
    "index": "index",
}
RIGHTS: Mapping[str, OptionRight] = {"Call": "call", "Put": "put"}
OPTION_PARTS = 4
"""`BTC-27DEC26-100000-C`, since 2025 with the coin that it settles in: no field of the row has the strike."""


def fetch(session: Session, scope: str, options: Mapping[str, object]) -> Snapshot:
    """Every page of every status asked for. Whole if each cursor came to its end."""
    if scope not in CATEGORIES:
        raise BadSetting(f"{session.venue} has no scope {scope}; write one of {', '.join(CATEGORIES)}")
    statuses = words(options, "statuses") if scope in {"linear", "inverse"} else ()
    rows: list[Mapping[str, object]] = []
    counts: dict[str, Json] = {}
    ended = True
    with opened(session, "bybit") as client:
        for status in statuses or ("",):
            listed, done = _pages(client, scope, status)
            counts[status or "listed"] = len(listed)
            ended = ended and done
            now = {text(row, "symbol") for row in listed} - {None}
            rows = [
                row for row in rows if text(row, "symbol") not in now
            ] + listed  # what began meanwhile, as it is now
        evidence: dict[str, Json] = {"cursors_ended": ended, "by_status": counts, "rows": len(rows)}
        whole = ended and bool(counts.get("listed", len(rows)))
        return Snapshot(rows=rows, complete=whole, evidence=evidence, client=client.name, pages=client.answers)


def _pages(client: Client, category: str, status: str) -> tuple[list[Mapping[str, object]], bool]:
    """All rows, and whether the cursor came to its end: a page without rows or a cursor seen before is none."""
    asked: dict[str, object] = {"category": category}
    if category != "spot":
        asked["limit"] = PAGE_ROWS
    if category == "option":
        asked["baseCoin"] = "All"
    if status:
        asked["status"] = status
    rows: list[Mapping[str, object]] = []
    seen: set[str] = set()
    for _page in range(MOST_PAGES):
        told = client.ask(partial(client.api.public_get_v5_market_instruments_info, dict(asked)))
        page = rows_at(told, "result", "list")
        if text(told["result"], "category") not in {None, category}:
            raise BadAnswer(f"bybit: asked for {category}, told of {text(told['result'], 'category')}")
        rows += page
        cursor = text(told["result"], "nextPageCursor")
        if cursor is None:
            return rows, True
        if not page or cursor in seen:
            return rows, False
        seen.add(cursor)
        asked["cursor"] = cursor
    return rows, False


def normalise(scope: str, raw: Mapping[str, object], options: Mapping[str, object]) -> Listing:
    """One symbol. Raises UnreadableRow."""
    if scope == "spot":
        return _spot(raw, options)
    return _option(raw) if scope == "option" else _contract(raw)


def _spot(raw: Mapping[str, object], options: Mapping[str, object]) -> Listing:
    symbol, word = required(raw, "symbol"), text(raw, "status")
    base, quote, zone = required(raw, "baseCoin"), required(raw, "quoteCoin"), text(raw, "symbolType") or ""
    share = zone == "xstocks"
    return Listing(
        symbol=symbol,
        stable_id=symbol,
        status=_status(word, None),
        venue_status=word,
        asset_class=bought(base, options) if ABOUT.get(zone) == "crypto" else ABOUT.get(zone),
        inst_class="tokenised_share" if share else "spot",
        display=label(base, quote),
        base=base,
        quote=quote,
        tracks=base if share else None,
        multiplier=positive(raw.get("xstockMultiplier")) if share else None,
        identifiers=identifiers(bybit=raw.get("symbolId")),
        rules=_rules(raw),
        attrs={"symbol_type": zone or None},
    )


def _contract(raw: Mapping[str, object]) -> Listing:
    symbol, word = required(raw, "symbol"), text(raw, "status")
    base, quote, settle = required(raw, "baseCoin"), required(raw, "quoteCoin"), text(raw, "settleCoin")
    kind, payoff = KINDS.get(text(raw, "contractType") or "", (None, None))
    ends, zone = moment_ms(raw.get("deliveryTime")), text(raw, "symbolType") or ""
    expires = ends if kind == "future" else None
    day = expires.date() if expires else None
    return Listing(
        symbol=symbol,
        stable_id=symbol,
        birth=_birth(raw),
        status=_status(word, kind),
        venue_status=word,
        asset_class=ABOUT.get(zone),
        inst_class=kind,
        display=label(base, quote, settle, day),
        base=base,
        quote=quote,
        settle=settle,
        underlying=base,
        payoff=payoff,
        expires_on=day,
        expires_at=expires,
        list_at=moment_ms(raw.get("launchTime")),
        delist_at=ends if kind == "perpetual" else None,
        identifiers=identifiers(bybit=raw.get("symbolId")),
        rules=_rules(raw),
        attrs={"symbol_type": zone or None},
    )


def _option(raw: Mapping[str, object]) -> Listing:
    symbol, word, base = required(raw, "symbol"), text(raw, "status"), required(raw, "baseCoin")
    quote, settle = required(raw, "quoteCoin"), text(raw, "settleCoin")
    expires, right = moment_ms(raw.get("deliveryTime")), RIGHTS.get(text(raw, "optionsType") or "")
    strike = _strike(symbol)
    if expires is None or right is None or strike is None:
        raise UnreadableRow(f"{symbol}: an option without strike, right or delivery")
    return Listing(
        symbol=symbol,
        stable_id=symbol,
        birth=_birth(raw),
        status=_status(word, "option"),
        venue_status=word,
        asset_class="crypto",
        inst_class="option",
        display=label(base, quote, settle, expires.date(), strike, right),
        base=base,
        quote=quote,
        settle=settle,
        underlying=base,
        payoff="linear",
        expires_on=expires.date(),
        expires_at=expires,
        strike=strike,
        option_right=right,
        exercise="european",
        settlement="cash",
        list_at=moment_ms(raw.get("launchTime")),
        identifiers=identifiers(bybit=raw.get("symbolId")),
        rules=_rules(raw),
    )


def _strike(symbol: str) -> Decimal | None:
    parts = symbol.split("-")
    return positive(parts[2]) if len(parts) >= OPTION_PARTS else None


def _birth(raw: Mapping[str, object]) -> str | None:
    launched: datetime | None = moment_ms(raw.get("launchTime"))
    return None if launched is None else text(raw, "launchTime")


def _status(word: str | None, kind: InstClass | None) -> Status:
    if word == "Closed":
        return "expired" if kind in {"future", "option"} else "delisted"
    return STATUSES.get(word or "", "unknown")


def _rules(raw: Mapping[str, object]) -> Rules:
    price, lot = _part(raw, "priceFilter"), _part(raw, "lotSizeFilter")
    return Rules(
        tick_size=positive(price.get("tickSize")),
        lot_size=positive(lot.get("qtyStep")) or positive(lot.get("basePrecision")),
        min_size=positive(lot.get("minOrderQty")),
        max_size=positive(lot.get("maxLimitOrderQty")) or positive(lot.get("maxOrderQty")),
        min_notional=positive(lot.get("minNotionalValue")) or positive(lot.get("minOrderAmt")),
        max_notional=positive(lot.get("maxOrderAmt")),
        more={"max_leverage": text(_part(raw, "leverageFilter"), "maxLeverage")},
    )


def _part(raw: Mapping[str, object], key: str) -> Mapping[str, object]:
    part = raw.get(key)
    return part if isinstance(part, Mapping) else {}
