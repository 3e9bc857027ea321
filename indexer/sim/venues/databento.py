"""Databento as it answers: a day's definitions as DBN, what they would cost, and the security master as lines."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

import databento_dbn as dbn
import orjson
import zstandard

from indexer.sim.chance import chance
from indexer.sim.venues.spec import Asked, Told, Wire, json, struck

TODAY = date(2026, 11, 20)
DAY_NS = 86_400 * 10**9
BILLION = 10**9
QUARTERS = 4
LETTERS = "FGHJKMNQUVXZ"
USD_A_RECORD = Decimal("0.000001")
PROMISED_TOO_MANY = 3
CUT_BYTES = 100
CLASS_AT = 487
"""Where the class stands in a record of the third version."""
_ENUMS: dict[str, Any] = {
    "instrument_class": dbn.InstrumentClass,
    "security_update_action": dbn.SecurityUpdateAction,
    "match_algorithm": dbn.MatchAlgorithm,
    "user_defined_instrument": dbn.UserDefinedInstrument,
    "leg_instrument_class": dbn.InstrumentClass,
    "leg_side": dbn.Side,
}
_NEEDED = {"min_price_increment": dbn.UNDEF_PRICE, "display_factor": dbn.UNDEF_PRICE}


class Databento:
    """Its rows are definitions of `definition:<data set>` as their fields, and rows of the security master.

    Faults of its own: `refused` (401), `unpaid` (402), `empty` (a day, or a master, without records), `short` (more is
    promised than comes), `costly`, `warned`, `new_class` (a class that nobody knows yet), `cut` (DBN that breaks off
    within a record, though the answer is whole), `no_dbn`.
    """

    name = "databento"

    def __init__(self, seed: int | str = 0, *, today: date = TODAY) -> None:
        dice = chance("databento", seed)
        self.today = today
        self.rows: dict[str, list[Wire]] = {
            "definition:GLBX.MDP3": _futures(today),
            "definition:XNAS.ITCH": [_share(number) for number in range(dice.randint(20, 40))],
            "security": [_security(number) for number in range(dice.randint(20, 40))],
        }
        self.faults: set[str] = set()

    def answer(self, asked: Asked) -> Told:
        """Whoever has a key is told; what comes is compressed."""
        refused = self._refusal(asked)
        if refused is not None:
            return refused
        question = {**asked.query, **dict(parse_qsl(asked.body.decode()))}
        if asked.path.endswith("get_dataset_range"):
            return json({"start": "2010-06-06T00:00:00.000000000Z", "end": f"{self.today}T00:00:00.000000000Z"})
        rows = self._asked_for(asked, question)
        if rows is None:
            return json({"detail": f"No such data set or path: {asked.path}"}, HTTPStatus.UNPROCESSABLE_ENTITY)
        if asked.path.endswith("get_record_count"):
            return json(len(rows) + PROMISED_TOO_MANY * struck(self.faults, "short", asked))
        if asked.path.endswith("get_cost"):
            return json(1e6 if struck(self.faults, "costly", asked) else float(len(rows) * USD_A_RECORD))
        return Told(headers=self._headers(asked), body=zstandard.compress(self._body(asked, question, rows)))

    def _refusal(self, asked: Asked) -> Told | None:
        if struck(self.faults, "refused", asked) or not asked.headers.get("authorization", "").startswith("Basic "):
            detail = {"case": "auth_authentication_failed", "message": "Authentication failed.", "docs": ""}
            return json({"detail": detail}, HTTPStatus.UNAUTHORIZED)
        if struck(self.faults, "unpaid", asked):
            return json({"detail": "A payment is due."}, HTTPStatus.PAYMENT_REQUIRED)
        return Told(body=b"no data at all") if struck(self.faults, "no_dbn", asked) else None

    def _asked_for(self, asked: Asked, question: dict[str, str]) -> list[Wire] | None:
        """The rows of this data set on that day, a record each. On weekends nothing is defined."""
        if asked.path.endswith("security_master.get_last"):
            return [] if struck(self.faults, "empty", asked) else self.rows["security"]
        rows = self.rows.get(f"definition:{question.get('dataset')}")
        start = question.get("start")
        if rows is None or start is None or not start[:10]:
            return None
        quiet = date.fromisoformat(start[:10]).weekday() > 4 or start[:10] in self._holidays()  # noqa: PLR2004
        return [] if quiet or struck(self.faults, "empty", asked) else [record for row in rows for record in _told(row)]

    def _holidays(self) -> set[str]:
        return {fault.removeprefix("holiday:") for fault in self.faults if fault.startswith("holiday:")}

    def _headers(self, asked: Asked) -> dict[str, str]:
        warned = '["Warning: some days of this data set are degraded."]'
        return {"X-Warning": warned} if struck(self.faults, "warned", asked) else {}

    def _body(self, asked: Asked, question: dict[str, str], rows: list[Wire]) -> bytes:
        if asked.path.endswith("security_master.get_last"):
            return b"\n".join(map(orjson.dumps, rows))
        start = int(datetime.fromisoformat(question["start"][:10]).replace(tzinfo=UTC).timestamp()) * BILLION
        records = [_record(row, start) for row in rows]
        if struck(self.faults, "new_class", asked):
            records[0] = _of_new_class(records[0])
        told = _head(question["dataset"], start) + b"".join(records)
        return told[:-CUT_BYTES] if struck(self.faults, "cut", asked) else told


def _head(dataset: str, start: int) -> bytes:
    return bytes(
        dbn.Metadata(
            dataset=dataset,
            start=start,
            end=start + DAY_NS,
            stype_in=dbn.SType("raw_symbol"),
            stype_out=dbn.SType("instrument_id"),
            schema=dbn.Schema("definition"),
            symbols=["ALL_SYMBOLS"],
            partial=[],
            not_found=[],
            mappings=[],
        )
    )


def _told(row: Wire) -> list[Wire]:
    """A record for each leg; one where there is none."""
    fields = {name: value for name, value in row.items() if name != "legs"}
    legs = row.get("legs", [])
    return [fields | leg | {"leg_count": len(legs)} for leg in legs] or [fields]


def _record(row: Wire, at: int) -> bytes:
    fields = {name: _ENUMS[name](value) if name in _ENUMS else value for name, value in row.items()}
    return bytes(dbn.InstrumentDefMsg(**_NEEDED | fields, ts_event=at, ts_recv=at))


def _of_new_class(record: bytes) -> bytes:
    return record[:CLASS_AT] + b"?" + record[CLASS_AT + 1 :]


_WORDS = (
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
)


def _row(symbol: str, kind: str, number: int, **more: object) -> Wire:
    fixed = {"raw_symbol": symbol, "security_update_action": "A", "instrument_class": kind, "match_algorithm": "F"}
    numbers = {"publisher_id": 1, "instrument_id": number, "underlying_id": 0, "user_defined_instrument": "N"}
    return dict.fromkeys(_WORDS, "") | fixed | numbers | more


def _share(number: int) -> Wire:
    listed = {"exchange": "XNAS", "group": "pxnas-1", "secsubtype": "Z ", "min_lot_size_round_lot": 100}
    return _row(f"SH{number:03}", "K", 5000 + number, publisher_id=2, display_factor=100_000 * BILLION, **listed)


def _futures(today: date) -> list[Wire]:
    rows: list[Wire] = []
    quarters = _quarters(today)
    for number, (year, month) in enumerate(quarters):
        symbol = f"ES{LETTERS[month - 1]}{year % 10}"
        ends = _third_friday(year, month)
        begins = ends - 2 * 365 * DAY_NS
        dated = {"expiration": ends, "activation": begins, "maturity_year": year, "maturity_month": month}
        usual = {"currency": "USD", "exchange": "XCME", "group": "ES", "asset": "ES", "unit_of_measure": "IPNT"}
        size = {"unit_of_measure_qty": 50 * BILLION, "min_trade_vol": 1, "max_trade_vol": 3000}
        tick = {"min_price_increment": BILLION // 4, "display_factor": BILLION // 100}
        future = dated | usual | size | tick
        rows.append(_row(symbol, "F", 100 + number, **future, cfi="FFIXSX", security_type="FUT"))
        for right in "CP":
            told = {"strike_price": (6000 + 25 * number) * BILLION, "strike_price_currency": "USD"}
            more = told | {"underlying": symbol, "cfi": f"O{right}AFPS", "security_type": "OOF"}
            rows.append(_row(f"{symbol} {right}{6000 + 25 * number}", right, 200 + 2 * number, **future | more))
    return [*rows, _spread(rows[0], rows[3])]


def _spread(near: Wire, far: Wire) -> Wire:
    legs = [
        {
            "leg_index": index,
            "leg_raw_symbol": leg["raw_symbol"],
            "leg_instrument_class": "F",
            "leg_side": side,
            "leg_ratio_qty_numerator": 1,
            "leg_ratio_qty_denominator": 1,
        }
        for index, (leg, side) in enumerate([(near, "B"), (far, "A")])
    ]
    told = {name: near[name] for name in ("expiration", "activation", "currency", "exchange", "group", "asset")}
    name = f"{near['raw_symbol']}-{far['raw_symbol']}"
    return _row(name, "S", 300, **told, cfi="FMIXSX", security_type="FUT", legs=legs)


def _security(number: int) -> Wire:
    body = f"{number:06}10"
    return {
        "ts_record": "2026-11-01T00:00:00Z",
        "ts_effective": "2026-11-01T00:00:00Z",
        "listing_id": f"L-{number}",
        "listing_group_id": f"G-{number}",
        "security_id": f"S-{number}",
        "issuer_id": f"I-{number}",
        "listing_status": "D" if number % 10 == 0 else "L",
        "listing_date": "2001-02-03",
        "delisting_date": "2020-02-03" if number % 10 == 0 else None,
        "issuer_name": f"Issuer {number}",
        "security_type": "EQS",
        "security_description": f"Ordinary shares of issuer {number}",
        "exchange": "USNASD",
        "operating_mic": "XNAS",
        "symbol": f"SH{number:03}",
        "nasdaq_symbol": f"SH{number:03}",
        "us_code": f"{body}{_cusip_digit(body)}",
        "trading_currency": "USD",
        "lot_size": 100,
    }


def _cusip_digit(body: str) -> int:
    """The check digit of a CUSIP: every other digit counts twice, digits are summed."""
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(body)]
    return -sum(part // 10 + part % 10 for part in doubled) % 10


def _quarters(today: date) -> list[tuple[int, int]]:
    months = [(today.year + number // 4, 3 * (number % 4) + 3) for number in range(QUARTERS + 4)]
    return [(year, month) for year, month in months if (year, month) >= (today.year, today.month)][:QUARTERS]


def _third_friday(year: int, month: int) -> int:
    first = datetime(year, month, 1, 13, 30, tzinfo=UTC)
    friday = first + timedelta(days=(4 - first.weekday()) % 7 + 14)
    return int(friday.timestamp()) * BILLION
