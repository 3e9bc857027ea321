"""Reading a venue's raw row: exact, or None; what identity needs is there, or the row is unreadable."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation

from stdnum import cusip, figi, isin, lei
from stdnum.exceptions import ValidationError

from indexer.errors import UnreadableRow
from indexer.model import Identifier

MOST_TEXT = 512
MOST_DIGITS = 60
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST, _LATEST = datetime(1970, 1, 2, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_FIGI = ("figi", "figi_composite", "figi_share")
_CHECKS = {"isin": isin, "cusip": cusip, "lei": lei} | dict.fromkeys(_FIGI, figi)


def text(raw: Mapping[str, object], key: str) -> str | None:
    """A text or a whole number as text; None where it is absent, empty or something else. Cut to 512 characters."""
    value = raw.get(key)
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value).replace("\0", "").strip()[:MOST_TEXT] or None


def required(raw: Mapping[str, object], key: str) -> str:
    """A text that identity needs. Raises UnreadableRow where it is absent."""
    value = text(raw, key)
    if value is None:
        raise UnreadableRow(f"{key} is missing")
    return value


def flag(raw: Mapping[str, object], key: str) -> bool | None:
    """True or false, also as the words that JSON writers use for it."""
    value = raw.get(key)
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(str(value).lower()) if isinstance(value, str) else None


def decimal(value: object) -> Decimal | None:
    """Exactly this number; a float is what its shortest text says. None for anything that is no finite number."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    try:
        number = value if isinstance(value, Decimal) else Decimal(str(value).strip())
    except InvalidOperation:
        return None
    if not number.is_finite() or len(number.as_tuple().digits) > MOST_DIGITS or abs(number.adjusted()) > MOST_DIGITS:
        return None
    return number


def positive(value: object) -> Decimal | None:
    """`decimal`, where venues write 0 for having no such limit or step."""
    number = decimal(value)
    return number if number is not None and number > 0 else None


def moment_ms(value: object) -> datetime | None:
    """A moment in milliseconds since 1970, UTC; None for 0 and for what lies before 1970-01-02 or after 2200."""
    number = decimal(value)
    if number is None or not 0 < number < Decimal(10) ** 14:
        return None
    return _sensible(_EPOCH + timedelta(milliseconds=int(number)))


def moment_iso(value: object) -> datetime | None:
    """A moment as ISO 8601 writes it, in UTC; without an offset it is taken for UTC. None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        told = datetime.fromisoformat(value.strip())
    except ValueError:
        return None
    return _sensible(told.replace(tzinfo=UTC) if told.tzinfo is None else told.astimezone(UTC))


def day(value: object) -> date | None:
    """A day as YYYY-MM-DD or YYYYMMDD. None for anything else."""
    if not isinstance(value, str | int) or isinstance(value, bool):
        return None
    try:
        return date.fromisoformat(str(value).strip()[:10])
    except ValueError:
        return None


def identifier(scheme: str, value: object) -> Identifier | None:
    """An identifier in its compact form; None where it is absent or its check digit is wrong. CUSIPs keep zeros."""
    if not isinstance(value, str | int) or isinstance(value, bool) or not str(value).strip():
        return None
    word = str(value).strip()
    check = _CHECKS.get(scheme)
    if check is None:
        return Identifier(scheme=scheme, value=word[:MOST_TEXT])
    if scheme == "cusip":
        word = word.zfill(9)  # whoever passed it through a number lost them
    try:
        return Identifier(scheme=scheme, value=str(check.validate(word)))
    except ValidationError:
        return None


def identifiers(**told: object) -> tuple[Identifier, ...]:
    """Those of them that are there and right, by scheme."""
    found = (identifier(scheme, value) for scheme, value in sorted(told.items()))
    return tuple(each for each in found if each is not None)


def _sensible(moment: datetime) -> datetime | None:
    return moment if _EARLIEST <= moment < _LATEST else None
