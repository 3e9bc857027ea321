"""Databento's rows: what is defined in the records of a day, and what is made of each.

Prices are whole billionths, and what nobody defined is the largest number of its type: both are told exactly, or not
at all.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from indexer.errors import AnswerTooLarge, UnreadableRow
from indexer.model import AssetClass, Details, Exercise, InstClass, Json, Listing, Rules, Settlement, Status
from indexer.venues.reading import day, identifiers, positive, required, text

MOST_ROWS = 500_000
UNDEFINED_PRICE = 2**63 - 1
UNDEFINED_TIME = 2**64 - 1
_BILLIONTHS = -9
_OSI_CHARS = 21
_PRICES = (
    "min_price_increment",
    "display_factor",
    "strike_price",
    "unit_of_measure_qty",
    "min_price_increment_amount",
    "price_ratio",
    "high_limit_price",
    "low_limit_price",
)
_UNDEFINED: Mapping[str, int] = {
    **dict.fromkeys(_PRICES, UNDEFINED_PRICE),
    **dict.fromkeys(("activation", "expiration"), UNDEFINED_TIME),
    **dict.fromkeys(("contract_multiplier", "original_contract_size", "min_lot_size_round_lot"), 2**31 - 1),
    **dict.fromkeys(("min_trade_vol", "max_trade_vol"), 2**32 - 1),
    "maturity_year": 2**16 - 1,
    **dict.fromkeys(("maturity_month", "maturity_day", "maturity_week"), 2**8 - 1),
}
_NUMBERS = (*_UNDEFINED, "instrument_id", "publisher_id", "underlying_id")
_WORDS = (
    "raw_symbol",
    "security_update_action",
    "instrument_class",
    "currency",
    "settl_currency",
    "secsubtype",
    "group",
    "exchange",
    "asset",
    "cfi",
    "security_type",
    "unit_of_measure",
    "underlying",
    "strike_price_currency",
    "match_algorithm",
    "user_defined_instrument",
)
_LEG_WORDS = ("leg_raw_symbol", "leg_instrument_class", "leg_side")
_LEG_NUMBERS = ("leg_index", "leg_ratio_qty_numerator", "leg_ratio_qty_denominator")
_KINDS: Mapping[str, tuple[AssetClass | None, InstClass | None]] = {
    "B": ("debt", "bond"),
    "C": (None, "option"),
    "P": (None, "option"),
    "F": (None, "future"),
    "I": ("index", "index"),
    "K": ("equity", None),  # shares and funds alike
    "M": (None, None),
    "S": (None, "future_spread"),
    "T": (None, "option_spread"),
    "X": ("fx", "spot"),
    "Y": ("commodity", "spot"),
}
_FUTURE_ON: Mapping[str, AssetClass] = {"S": "equity", "D": "debt", "N": "debt", "C": "fx", "I": "index"}
_OPTION_ON: Mapping[str, AssetClass] = {**_FUTURE_ON, "T": "commodity"}
_EXERCISES: Mapping[str, Exercise] = {"A": "american", "E": "european"}
_SETTLEMENTS: Mapping[str, Settlement] = {"P": "physical", "C": "cash"}
_MIC = re.compile(r"(?!DBEQ|CGIF)[A-Z0-9]{4}")
"""Databento writes words of its own in the same place."""

_CFI = re.compile(r"[A-Z]{6}")
_ATTRS = ("group", "asset", "security_type", "secsubtype", "unit_of_measure", "user_defined_instrument")
_ATTR_AMOUNTS = ("unit_of_measure_qty", "display_factor", "price_ratio")
_MASTER_STATUSES: Mapping[str, Status] = {"L": "active", "D": "delisted", "S": "halted"}
_MASTER_KINDS: Mapping[str, tuple[AssetClass, InstClass | None]] = {
    "EQS": ("equity", "stock"),
    "ETF": ("equity", "etf"),
    "MF": ("equity", "fund"),
    "DR": ("equity", "stock"),
    "WAR": ("equity", "warrant"),
}
_MASTER_ATTRS = ("security_type", "listing_group_id", "security_id", "issuer_id", "nasdaq_symbol", "local_code")
Raw = Mapping[str, object]


def folded(store: Iterable[Any], wanted: Sequence[str] = ()) -> tuple[list[Raw], Counter[str]]:
    """Records of one data set as rows, and how many records of each class were read.

    Of one symbol, activation and expiration the last record counts; legs told one a record come together. `wanted`
    are classes; empty: all. Raises AnswerTooLarge.
    """
    rows: dict[tuple[object, ...], dict[str, object]] = {}
    read: Counter[str] = Counter()
    for record in store:
        kind = str(record.instrument_class)
        read[kind] += 1
        if wanted and kind not in wanted:
            continue
        row = _row(record)
        key = (row["raw_symbol"], row.get("activation"), row.get("expiration"))
        before = rows.get(key, {})
        if int(str(before.get("publisher_id", row["publisher_id"]))) < int(str(row["publisher_id"])):
            continue
        legs = _legs(before) | _legs(row)
        rows[key] = row | ({"legs": [legs[index] for index in sorted(legs)]} if legs else {})
        if len(rows) > MOST_ROWS:
            raise AnswerTooLarge(f"more than {MOST_ROWS} definitions; name the classes that are wanted")
    return list(rows.values()), read


def _row(record: Any) -> dict[str, object]:  # noqa: ANN401 - a record of the client's, in Rust
    """What is defined of a record. When it was sent is left out: it says nothing of the instrument."""
    row: dict[str, object] = {name: str(getattr(record, name)) for name in _WORDS}
    numbers = ((name, int(getattr(record, name))) for name in _NUMBERS)
    row |= {name: number for name, number in numbers if number != _UNDEFINED.get(name)}
    if record.leg_count:
        words = {name: str(getattr(record, name)) for name in _LEG_WORDS}
        row["legs"] = [words | {name: int(getattr(record, name)) for name in _LEG_NUMBERS}]
    return row


def _legs(row: Raw) -> dict[int, Raw]:
    legs = row.get("legs")
    return {int(leg["leg_index"]): leg for leg in legs} if isinstance(legs, list) else {}


def definition(raw: Raw) -> Listing:
    """One definition, folded from its records. Raises UnreadableRow."""
    symbol, kind, cfi = required(raw, "raw_symbol"), text(raw, "instrument_class"), _cfi(raw)
    asset_class, inst_class = _KINDS.get(kind or "", (None, None))
    expires_at, begins_at = _moment(raw, "expiration"), _moment(raw, "activation")
    strike, exchange = _amount(raw, "strike_price"), text(raw, "exchange")
    if inst_class == "option" and (strike is None or expires_at is None):
        raise UnreadableRow("an option without strike or expiration")
    status, word = _status(text(raw, "security_update_action"))
    option = inst_class == "option"
    return Listing(
        symbol=symbol,
        stable_id=symbol if expires_at is None else f"{symbol}@{expires_at.date()}",
        status=status,
        venue_status=word,
        birth=begins_at.isoformat() if begins_at and expires_at is None else None,
        asset_class=asset_class or _about(inst_class, cfi),
        inst_class=inst_class or _fund_or_share(cfi),
        settle=text(raw, "settl_currency"),
        currency=text(raw, "currency"),
        underlying=text(raw, "underlying") or text(raw, "asset") if kind in {"C", "F", "P", "S", "T", "M"} else None,
        multiplier=positive(raw.get("contract_multiplier")) or _positive(raw, "unit_of_measure_qty"),
        expires_on=expires_at.date() if expires_at else None,
        expires_at=expires_at,
        strike=strike if option else None,
        option_right=("call" if kind == "C" else "put") if option else None,
        exercise=_EXERCISES.get(cfi[2]) if option and cfi else None,
        settlement=_settlement(inst_class, cfi),
        mic=exchange if exchange and _MIC.fullmatch(exchange) else None,
        exchange=exchange,
        list_at=begins_at,
        identifiers=identifiers(cfi=cfi, osi=_osi(raw) if option else None),
        rules=_rules(raw),
        attrs=_attrs(raw),
    )


def _status(action: str | None) -> tuple[Status, str | None]:
    """Adding and changing are messages, not states: which of the two came last says nothing."""
    if action in {"A", "M"}:
        return "active", None
    return ("delisted" if action == "D" else "unknown"), action


def _rules(raw: Raw) -> Rules:
    amount = _positive(raw, "min_price_increment_amount")
    return Rules(
        tick_size=_positive(raw, "min_price_increment"),
        lot_size=positive(raw.get("min_lot_size_round_lot")),
        min_size=positive(raw.get("min_trade_vol")),
        max_size=positive(raw.get("max_trade_vol")),
        more={} if amount is None else {"min_price_increment_amount": str(amount)},
    )


def _attrs(raw: Raw) -> dict[str, Json]:
    found: dict[str, Json] = {"class": text(raw, "instrument_class")}
    found |= {name: word for name in _ATTRS for word in [text(raw, name)] if word}
    found |= {name: str(number) for name in _ATTR_AMOUNTS for number in [_positive(raw, name)] if number}
    legs = _legs(raw).values()
    words = (*_LEG_WORDS, *_LEG_NUMBERS)
    told: list[Json] = [{name: word for name in words for word in [text(leg, name)] if word} for leg in legs]
    return found | ({"legs": told} if told else {})


def _cfi(raw: Raw) -> str | None:
    word = text(raw, "cfi")
    return word if word and _CFI.fullmatch(word) else None


def _about(inst_class: InstClass | None, cfi: str | None) -> AssetClass | None:
    """What a derivative is about, by ISO 10962."""
    if cfi is None:
        return None
    if inst_class == "future":
        return "commodity" if cfi.startswith("FC") else _FUTURE_ON.get(cfi[2]) if cfi.startswith("FF") else None
    return _OPTION_ON.get(cfi[3]) if inst_class == "option" and cfi.startswith("O") else None


def _settlement(inst_class: InstClass | None, cfi: str | None) -> Settlement | None:
    places: Mapping[InstClass | None, int] = {"future": 3, "option": 4}
    place = places.get(inst_class)
    return _SETTLEMENTS.get(cfi[place]) if cfi and place else None


def _fund_or_share(cfi: str | None) -> InstClass | None:
    if cfi is None:
        return None
    return "stock" if cfi.startswith("ES") else "etf" if cfi.startswith("CE") else None


def _osi(raw: Raw) -> str | None:
    """OPRA's symbols are written as OCC writes them."""
    symbol = raw.get("raw_symbol")
    well_formed = isinstance(symbol, str) and len(symbol) == _OSI_CHARS and raw.get("exchange") == "OPRA"
    return str(symbol) if well_formed else None


def _amount(raw: Raw, name: str) -> Decimal | None:
    """A price in billionths, exactly. Nothing where it is undefined."""
    value = raw.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or value == UNDEFINED_PRICE:
        return None
    exact = Decimal(value).scaleb(_BILLIONTHS).normalize()
    return exact.quantize(Decimal(1)) if exact == exact.to_integral_value() else exact


def _positive(raw: Raw, name: str) -> Decimal | None:
    return positive(_amount(raw, name))


def _moment(raw: Raw, name: str) -> datetime | None:
    """A time in nanoseconds, cut to microseconds. Nothing where it is undefined."""
    value = raw.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < UNDEFINED_TIME:
        return None
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=value // 1000)
    except OverflowError:
        return None


def security(raw: Raw) -> Listing:
    """One row of the security master. Raises UnreadableRow."""
    word, kind = text(raw, "listing_status"), text(raw, "security_type")
    asset_class, inst_class = _MASTER_KINDS.get(kind or "", (None, None))
    mic = text(raw, "operating_mic")
    return Listing(
        symbol=text(raw, "symbol") or text(raw, "local_code") or required(raw, "nasdaq_symbol"),
        stable_id=required(raw, "listing_id"),
        status=_MASTER_STATUSES.get(word or "", "unknown"),
        venue_status=word,
        asset_class=asset_class,
        inst_class=inst_class,
        display=text(raw, "security_description"),
        currency=text(raw, "trading_currency"),
        mic=mic if mic and _MIC.fullmatch(mic) else None,
        exchange=text(raw, "exchange"),
        list_at=_midnight(raw, "listing_date"),
        delist_at=_midnight(raw, "delisting_date"),
        identifiers=identifiers(
            isin=raw.get("isin"),
            cusip=raw.get("us_code"),
            figi=raw.get("figi"),
            figi_composite=raw.get("bbg_comp_id"),
            lei=raw.get("lei"),
            cik=raw.get("cik"),
            cfi=_cfi(raw),
        ),
        rules=Rules(lot_size=positive(raw.get("lot_size"))),
        details=Details(company_name=text(raw, "issuer_name")),
        attrs={name: word for name in _MASTER_ATTRS for word in [text(raw, name)] if word},
    )


def _midnight(raw: Raw, name: str) -> datetime | None:
    told = day(raw.get(name))
    return None if told is None else datetime(told.year, told.month, told.day, tzinfo=UTC)
