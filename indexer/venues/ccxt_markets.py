"""Any exchange that ccxt knows, by one row: `options.ccxt` names its class.

A row is ccxt's market as it was parsed, with the venue's own row below `info`. Base, quote and settle are the venue's
codes (`baseId`), because ccxt renames some, but where that id is plainly not of this code; its symbol is only shown.
"""

from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from math import prod
from typing import Any

import ccxt

from indexer.errors import BadSetting, UnreadableRow
from indexer.model import AssetClass, InstClass, Json, Listing, OptionRight, Payoff, Rules, Snapshot, Status
from indexer.ports import Session
from indexer.venues.ccxt_client import bought, opened, rows_at, words
from indexer.venues.reading import decimal, flag, moment_ms, positive, required, text

SCOPES = ("spot", "linear", "inverse", "option", "other")
KINDS: Mapping[str, InstClass] = {
    "spot": "spot",
    "margin": "spot",
    "swap": "perpetual",
    "future": "future",
    "option": "option",
    "index": "index",
}
RIGHTS: Mapping[str, OptionRight] = {"call": "call", "put": "put"}
MOST_PLACES = 30
STATUS_KEYS = ("status", "state", "trade_status", "tradeStatus", "symbolStatus")


def fetch(session: Session, scope: str, options: Mapping[str, object]) -> Snapshot:
    """The markets of a scope. Those of other scopes that came along are counted in the evidence, under theirs.

    What is whole can be told only by there being any: of an exchange that nobody read closely nothing better is known.
    """
    if scope not in SCOPES:
        raise BadSetting(f"{session.venue} has no scope {scope}; write one of {', '.join(SCOPES)}")
    settings, params = _below(options, "settings", scope), _below(options, "params", scope)
    with opened(session, str(options.get("ccxt", session.venue)), settings) as client:
        told = client.ask(partial(client.api.fetch_markets, params))
        rows: list[Mapping[str, object]] = []
        elsewhere: dict[str, int] = {}
        for market in rows_at({"markets": told}, "markets"):
            belongs = scope_of(market)
            if belongs == scope:
                rows.append({**market, "codes": _codes(client.api, market), "precisionMode": client.api.precisionMode})
            else:
                elsewhere[belongs] = elsewhere.get(belongs, 0) + 1
        evidence: dict[str, Json] = {"rows": len(rows), "of_other_scopes": dict(sorted(elsewhere.items()))}
        return Snapshot(rows=rows, complete=bool(rows), evidence=evidence, client=client.name, pages=client.answers)


def _below(options: Mapping[str, object], key: str, scope: str) -> dict[str, Any]:
    table = options.get(key)
    below = table.get(scope) if isinstance(table, Mapping) else None
    return dict(below) if isinstance(below, Mapping) else {}


def _codes(api: Any, market: Mapping[str, object]) -> dict[str, object]:  # noqa: ANN401 - ccxt has no types
    """The venue's codes. Some classes put another side's id beside a code: then only ccxt's code is known."""
    codes: dict[str, object] = {}
    for side in ("base", "quote", "settle"):
        own, code = text(market, f"{side}Id"), text(market, side)
        codes[side] = own if own is not None and api.safe_currency_code(own) == code else code
    return codes


def scope_of(market: Mapping[str, object]) -> str:
    """Every market is of one scope: contracts that are not inverse are linear, quanto ones too."""
    kind = text(market, "type")
    if kind in {"spot", "margin"}:
        return "spot"
    if kind == "option":
        return "option"
    if kind in {"swap", "future"}:
        return "inverse" if flag(market, "inverse") else "linear"
    return "other"


def normalise(scope: str, raw: Mapping[str, object], options: Mapping[str, object]) -> Listing:
    """One market. Raises UnreadableRow."""
    symbol, kind = required(raw, "id"), KINDS.get(text(raw, "type") or "")
    codes = _part(raw, "codes")
    base = text(codes, "base")
    strike, right = positive(raw.get("strike")), RIGHTS.get(text(raw, "optionType") or "")
    expires = moment_ms(raw.get("expiry"))
    if kind == "option" and (strike is None or right is None or expires is None):
        raise UnreadableRow(f"{symbol}: an option without strike, right or expiry")
    share = bool(flag(raw, "stock"))
    return Listing(
        symbol=symbol,
        stable_id=symbol,
        birth=_birth(raw),
        status=_status(raw),
        venue_status=_word(raw),
        asset_class="equity" if share else _about(scope, base, options),
        inst_class="tokenised_share" if share and kind == "spot" else kind,
        display=text(raw, "symbol"),
        base=base,
        quote=text(codes, "quote"),
        settle=text(codes, "settle"),
        underlying=base if scope in {"linear", "inverse", "option"} else None,
        multiplier=_multiplier(raw, options),
        payoff=_payoff(raw),
        expires_on=expires.date() if expires else None,
        expires_at=expires,
        strike=strike if kind == "option" else None,
        option_right=right if kind == "option" else None,
        list_at=moment_ms(raw.get("created")),
        rules=_rules(raw),
    )


def _multiplier(raw: Mapping[str, object], options: Mapping[str, object]) -> Decimal | None:
    """What ccxt says, or the product of the venue's own fields that `options.multiplier` names, where ccxt is wrong."""
    factors = [positive(_part(raw, "info").get(key)) for key in words(options, "multiplier")]
    if not factors or raw.get("contractSize") is None:
        return positive(raw.get("contractSize"))
    known = [factor for factor in factors if factor is not None]
    return prod(known, start=Decimal(1)) if len(known) == len(factors) else None


def _about(scope: str, base: str | None, options: Mapping[str, object]) -> AssetClass | None:
    """A contract may be about anything (shares, metals): nobody says."""
    return bought(base, options) if scope == "spot" else None


def _birth(raw: Mapping[str, object]) -> str | None:
    """When it was opened: OKX lists BTT-USDT anew when BTT became another coin. Else when a contract ends."""
    return text(raw, "created") or text(raw, "expiry")


def _status(raw: Mapping[str, object]) -> Status:
    active = flag(raw, "active")
    if active is None:
        return "unknown"
    return "active" if active else "halted"


def _word(raw: Mapping[str, object]) -> str | None:
    info = raw.get("info")
    if not isinstance(info, Mapping):
        return None
    return next((word for key in STATUS_KEYS if (word := text(info, key)) is not None), None)


def _payoff(raw: Mapping[str, object]) -> Payoff | None:
    if flag(raw, "quanto"):
        return "quanto"
    if flag(raw, "inverse"):
        return "inverse"
    return "linear" if flag(raw, "linear") else None


def _rules(raw: Mapping[str, object]) -> Rules:
    precision, limits = _part(raw, "precision"), _part(raw, "limits")
    amount, cost = _part(limits, "amount"), _part(limits, "cost")
    return Rules(
        tick_size=_step(precision.get("price"), raw.get("precisionMode")),
        lot_size=_step(precision.get("amount"), raw.get("precisionMode")),
        min_size=positive(amount.get("min")),
        max_size=positive(amount.get("max")),
        min_notional=positive(cost.get("min")),
        max_notional=positive(cost.get("max")),
    )


def _step(value: object, mode: object) -> Decimal | None:
    """A step is told as itself or as a number of places; significant digits are no step."""
    if mode == ccxt.TICK_SIZE:
        return positive(value)
    number = decimal(value)
    if mode != ccxt.DECIMAL_PLACES or number is None or abs(number) > MOST_PLACES:
        return None
    return Decimal(1).scaleb(-int(number))


def _part(raw: Mapping[str, object], key: str) -> Mapping[str, object]:
    part = raw.get(key)
    return part if isinstance(part, Mapping) else {}
