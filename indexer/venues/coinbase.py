"""Coinbase Advanced Trade: products for spot, and the futures of its derivatives exchanges, each asked for by itself.

ccxt asks for both at once and lists none of the futures, without a word, where that request fails.
"""

from collections.abc import Mapping
from functools import partial

from indexer.errors import BadSetting
from indexer.model import AssetClass, InstClass, Json, Listing, Rules, Snapshot, Status
from indexer.ports import Session
from indexer.venues.ccxt_client import MOST_PAGES, bought, label, opened, rows_at
from indexer.venues.reading import decimal, flag, moment_iso, positive, required, text

PRODUCT_TYPES = {"spot": "SPOT", "future": "FUTURE"}
STATUSES: Mapping[str, Status] = {
    "online": "active",
    "offline": "halted",
    "internal": "restricted",
    "delisted": "delisted",
}
ABOUT: Mapping[str, AssetClass] = {
    "FUTURES_ASSET_TYPE_CRYPTO": "crypto",
    "FUTURES_ASSET_TYPE_ENERGY": "commodity",
    "FUTURES_ASSET_TYPE_METALS": "commodity",
    "FUTURES_ASSET_TYPE_STOCKS": "equity",
}


def fetch(session: Session, scope: str, options: Mapping[str, object]) -> Snapshot:  # noqa: ARG001 - a venue's shape
    """All products of a type. Whole if they are as many as `num_products` says and no page is announced."""
    if scope not in PRODUCT_TYPES:
        raise BadSetting(f"{session.venue} has no scope {scope}; write one of {', '.join(PRODUCT_TYPES)}")
    rows: list[Mapping[str, object]] = []
    more, count = True, None
    with opened(session, "coinbase") as client:
        while more and client.answers < MOST_PAGES:
            asked: dict[str, object] = {"product_type": PRODUCT_TYPES[scope]}
            if rows:
                asked["offset"] = len(rows)
            told = client.ask(partial(client.api.v3_public_get_brokerage_market_products, asked))
            page = rows_at(told, "products")
            rows += page
            count = decimal(told.get("num_products"))
            more = _has_next(told) or (count is not None and count > len(rows))
            if not page:
                break
        evidence: dict[str, Json] = {
            "num_products": None if count is None else str(count),
            "more_announced": more,
            "rows": len(rows),
        }
        whole = bool(rows) and not more and count is not None
        return Snapshot(rows=rows, complete=whole, evidence=evidence, client=client.name, pages=client.answers)


def _has_next(told: Mapping[str, object]) -> bool:
    pagination = told.get("pagination")
    return isinstance(pagination, Mapping) and flag(pagination, "has_next") is True


def normalise(scope: str, raw: Mapping[str, object], options: Mapping[str, object]) -> Listing:
    """One product. Raises UnreadableRow."""
    return _future(raw) if scope == "future" else _spot(raw, options)


def _spot(raw: Mapping[str, object], options: Mapping[str, object]) -> Listing:
    product, word = required(raw, "product_id"), text(raw, "status")
    base, quote = required(raw, "base_currency_id"), required(raw, "quote_currency_id")
    return Listing(
        symbol=product,
        stable_id=product,
        status=_status(raw, STATUSES.get(word or "", "unknown")),
        venue_status=word,
        asset_class=bought(base, options),
        inst_class="spot",
        display=label(base, quote),
        base=base,
        quote=quote,
        tradable=_tradable(raw),
        list_at=moment_iso(raw.get("new_at")),
        rules=_rules(raw),
        attrs={"alias": text(raw, "alias"), "product_venue": text(raw, "product_venue")},
    )


def _future(raw: Mapping[str, object]) -> Listing:
    product, word, quote = required(raw, "product_id"), text(raw, "status"), required(raw, "quote_currency_id")
    told = raw.get("future_product_details")
    details: Mapping[str, object] = told if isinstance(told, Mapping) else {}
    expires, root = moment_iso(details.get("contract_expiry")), text(details, "contract_root_unit")
    kind = _kind(details)
    day = expires.date() if expires else None
    return Listing(
        symbol=product,
        stable_id=product,
        birth=text(details, "contract_expiry"),
        status=_status(raw, "active" if word is None else STATUSES.get(word, "unknown")),
        venue_status=word,
        asset_class=ABOUT.get(text(details, "futures_asset_type") or ""),
        inst_class=kind,
        display=label(root, quote, quote, day if kind == "future" else None),
        quote=quote,
        settle=quote,
        underlying=root,
        multiplier=positive(details.get("contract_size")),
        payoff="linear",
        expires_on=day,
        expires_at=expires,
        tradable=_tradable(raw),
        list_at=moment_iso(raw.get("new_at")),
        rules=_rules(raw),
        attrs={
            "contract_code": text(details, "contract_code"),
            "contract_venue": text(details, "venue"),
            "product_venue": text(raw, "product_venue"),
            "name": text(raw, "display_name"),
        },
    )


def _kind(details: Mapping[str, object]) -> InstClass:
    """What pays funding is a perpetual, also where its contract is written to end in some years."""
    endless = text(details, "contract_expiry_type") == "PERPETUAL" or text(details, "funding_interval") is not None
    return "perpetual" if endless else "future"


def _status(raw: Mapping[str, object], by_word: Status) -> Status:
    """The word, held back by the flags: futures have no word, so the flags alone speak."""
    if by_word != "active":
        return by_word
    if flag(raw, "is_disabled") or flag(raw, "trading_disabled"):
        return "halted"
    held = ("cancel_only", "limit_only", "post_only", "auction_mode")
    return "restricted" if any(flag(raw, key) for key in held) else "active"


def _tradable(raw: Mapping[str, object]) -> bool | None:
    view_only = flag(raw, "view_only")
    return None if view_only is None else not view_only


def _rules(raw: Mapping[str, object]) -> Rules:
    return Rules(
        tick_size=positive(raw.get("price_increment")),
        lot_size=positive(raw.get("base_increment")),
        min_size=positive(raw.get("base_min_size")),
        max_size=positive(raw.get("base_max_size")),
        min_notional=positive(raw.get("quote_min_size")),
        max_notional=positive(raw.get("quote_max_size")),
        more={"quote_increment": text(raw, "quote_increment")},
    )
