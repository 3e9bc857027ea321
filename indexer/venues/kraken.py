"""Kraken: pairs of coins, pairs of tokenised shares (which are listed only if asked for), and its futures exchange."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from functools import partial

from indexer.errors import BadAnswer, BadSetting
from indexer.model import AssetClass, Identifier, InstClass, Json, Listing, Payoff, Rules, Snapshot, Status
from indexer.ports import Session
from indexer.venues.ccxt_client import MOST_ROWS, Client, bought, label, opened, rows_at
from indexer.venues.reading import decimal, flag, identifiers, moment_iso, positive, required, text

ASSET_CLASSES = {"spot": "currency", "tokenised": "tokenized_asset"}
SCOPES = (*ASSET_CLASSES, "future")
STATUSES: Mapping[str, Status] = {
    "online": "active",
    "cancel_only": "restricted",
    "post_only": "restricted",
    "limit_only": "restricted",
    "reduce_only": "restricted",
    "maintenance": "halted",
    "work_in_progress": "pre_listing",
    "delisted": "delisted",
}
PAYOFFS: Mapping[str, Payoff] = {
    "futures_inverse": "inverse",
    "futures_vanilla": "linear",
    "flexible_futures": "linear",
}
OWN_ISIN = "GB"
"""Where its contracts are numbered; another country's ISIN on one of them is of the share that it follows."""


def fetch(session: Session, scope: str, options: Mapping[str, object]) -> Snapshot:  # noqa: ARG001 - a venue's shape
    """The whole list in one answer, which says itself whether it succeeded."""
    if scope not in SCOPES:
        raise BadSetting(f"{session.venue} has no scope {scope}; write one of {', '.join(SCOPES)}")
    with opened(session, "krakenfutures" if scope == "future" else "kraken") as client:
        rows, evidence = _futures(client) if scope == "future" else _pairs(client, ASSET_CLASSES[scope])
        evidence["rows"] = len(rows)
        return Snapshot(rows=rows, complete=bool(rows), evidence=evidence, client=client.name, pages=client.answers)


def _pairs(client: Client, asset_class: str) -> tuple[list[Mapping[str, object]], dict[str, Json]]:
    """Each pair with its key in the answer as `pair`."""
    told = client.ask(partial(client.api.public_get_assetpairs, {"aclass_base": asset_class}))
    pairs = told.get("result") if isinstance(told, Mapping) else None
    if not isinstance(pairs, Mapping) or len(pairs) > MOST_ROWS or told.get("error"):
        raise BadAnswer("kraken: no pairs in the answer")
    rows: list[Mapping[str, object]] = []
    for key, pair in pairs.items():
        if not isinstance(pair, Mapping):
            raise BadAnswer(f"kraken: {key} is no pair")
        rows.append({"pair": key, **pair})
    return rows, {"errors": 0, "aclass_base": asset_class}


def _futures(client: Client) -> tuple[list[Mapping[str, object]], dict[str, Json]]:
    told = client.ask(client.api.public_get_instruments)
    rows = rows_at(told, "instruments")
    if text(told, "result") != "success":
        raise BadAnswer("kraken: instruments without success")
    return rows, {"result": "success", "server_time": text(told, "serverTime")}


def normalise(scope: str, raw: Mapping[str, object], options: Mapping[str, object]) -> Listing:
    """One pair or contract. Raises UnreadableRow."""
    return _contract(raw) if scope == "future" else _pair(scope, raw, options)


def _pair(scope: str, raw: Mapping[str, object], options: Mapping[str, object]) -> Listing:
    key, word = required(raw, "pair"), text(raw, "status")
    base, quote = required(raw, "base"), required(raw, "quote")
    share = scope == "tokenised" or text(raw, "aclass_base") == "tokenized_asset"
    return Listing(
        symbol=text(raw, "altname") or key,
        stable_id=key,
        status=STATUSES.get(word or "", "unknown"),
        venue_status=word,
        asset_class="equity" if share else bought(base, options),
        inst_class="tokenised_share" if share else "spot",
        display=text(raw, "wsname") or label(base, quote),
        base=base,
        quote=quote,
        tracks=_tracked(base) if share else None,
        rules=_pair_rules(raw),
        attrs={"execution_venue": text(raw, "execution_venue")},
    )


def _tracked(base: str) -> str | None:
    """Its tokens bear the ticker of the share that they follow, and an `x`."""
    return base.removesuffix("x") if base.endswith("x") and len(base) > 1 else None


def _pair_rules(raw: Mapping[str, object]) -> Rules:
    return Rules(
        tick_size=positive(raw.get("tick_size")) or _places(raw.get("pair_decimals")),
        lot_size=_places(raw.get("lot_decimals")),
        min_size=positive(raw.get("ordermin")),
        min_notional=positive(raw.get("costmin")),
        more={
            "leverage_buy": _most(raw.get("leverage_buy")),
            "leverage_sell": _most(raw.get("leverage_sell")),
            "long_position_limit": text(raw, "long_position_limit"),
            "short_position_limit": text(raw, "short_position_limit"),
        },
    )


def _places(value: object) -> Decimal | None:
    """A step by its number of places after the point; negative for tens, hundreds."""
    places = decimal(value)
    return Decimal(1).scaleb(-int(places)) if places is not None and abs(places) <= 30 else None  # noqa: PLR2004


def _most(value: object) -> str | None:
    numbers = [number for each in value if (number := decimal(each)) is not None] if isinstance(value, list) else []
    return str(max(numbers)) if numbers else None


def _contract(raw: Mapping[str, object]) -> Listing:
    symbol, word = required(raw, "symbol"), required(raw, "type")
    ends = moment_iso(raw.get("lastTradingTime"))
    base, quote, payoff = text(raw, "base"), text(raw, "quote"), PAYOFFS.get(word)
    settle = base if payoff == "inverse" else None  # of several currencies, or of one that the row does not name
    kind, day = _kind(word, ends), ends.date() if ends else None
    named, foreign = _numbered(raw)
    return Listing(
        symbol=symbol,
        stable_id=symbol.upper(),  # the case of its symbols changed once, and says nothing
        birth=text(raw, "openingDate"),
        status=_contract_status(raw, kind),
        venue_status=None if flag(raw, "tradeable") is None else f"tradeable: {str(flag(raw, 'tradeable')).lower()}",
        asset_class=_about(base, kind),
        inst_class=kind,
        display=label(base, quote, settle or quote, day),
        base=base,
        quote=quote,
        settle=settle,
        underlying=base,
        multiplier=positive(raw.get("contractSize")),
        payoff=payoff,
        expires_on=day,
        expires_at=ends,
        tradable=flag(raw, "tradeable"),
        list_at=moment_iso(raw.get("openingDate")),
        identifiers=named,
        rules=_contract_rules(raw),
        attrs={"type": word, "index": text(raw, "underlying"), "underlying_isin": foreign},
    )


def _kind(word: str, ends: datetime | None) -> InstClass | None:
    if word.endswith("index"):
        return "index"
    if word not in PAYOFFS:
        return None
    return "perpetual" if ends is None else "future"


def _about(base: str | None, kind: InstClass | None) -> AssetClass | None:
    if base is None:
        return "index" if kind == "index" else None
    return "equity" if _tracked(base) else "crypto"


def _contract_status(raw: Mapping[str, object], kind: InstClass | None) -> Status:
    """It has no word. An index is never traded, and is none the less alive."""
    tradeable = flag(raw, "tradeable")
    if tradeable is None or kind is None:
        return "unknown"
    if kind == "index":
        return "active"
    if not tradeable:
        return "halted"
    return "restricted" if flag(raw, "postOnly") else "active"


def _numbered(raw: Mapping[str, object]) -> tuple[tuple[Identifier, ...], str | None]:
    """Its own ISIN, and one that is of what it follows: that would make a share of a contract."""
    found = identifiers(isin=raw.get("isin"))
    if found and not found[0].value.startswith(OWN_ISIN):
        return (), found[0].value
    return found, None


def _contract_rules(raw: Mapping[str, object]) -> Rules:
    return Rules(
        tick_size=positive(raw.get("tickSize")),
        lot_size=_places(raw.get("contractValueTradePrecision")),
        max_size=positive(raw.get("maxPositionSize")),
    )
