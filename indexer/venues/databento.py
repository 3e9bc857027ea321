"""Databento: what is defined in an exchange's data set on its last whole weekday; its security master, where paid for.

What a question costs is asked before it; above the operator's limit it is not asked.
"""

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from importlib.metadata import version
from io import BytesIO
from typing import Any, TypeVar

import requests
import zstandard
from databento.common.dbnstore import DBNStore
from databento.common.error import BentoError, BentoHttpError
from databento.historical.api.metadata import MetadataHttpAPI
from databento.historical.api.timeseries import TimeseriesHttpAPI
from databento.reference.api.security import SecurityMasterHttpAPI
from databento_dbn import DBNError

from indexer.errors import AnswerTooLarge, BadAnswer, BadSetting, Refused, VenueUnavailable
from indexer.model import Json, Listing, Snapshot
from indexer.ports import Session
from indexer.venues.databento_rows import MOST_ROWS, Raw, definition, folded, security
from indexer.venues.reading import day, decimal
from indexer.venues.spec import refusal

URL = "https://hist.databento.com"
ALL = "ALL_SYMBOLS"
MOST_USD = Decimal(1)
"""What one scope's list may cost, unless `options.most_usd` says otherwise."""

MOST_WEEKDAYS_BACK = 5
SATURDAY = 5
MOST_RECORDS = 2_000_000
MOST_WARNINGS = 5
LARGEST_MASTER_BYTES = 2 * 1024**3

T = TypeVar("T")


def fetch(session: Session, scope: str, options: Mapping[str, object]) -> Snapshot:
    """All that the data set of the scope defines, as it stands at the end of a day; or the whole security master.

    Raises Refused where it would cost more than `options.most_usd`.
    """
    kind, _, dataset = scope.partition(":")
    api = _Api(session, options)
    if kind == "definition" and dataset:
        return _definitions(api, dataset, options)
    if scope == "security":
        return _securities(api, options)
    raise BadSetting(f"{session.venue}: no scope {scope!r}; it has security, and definition:<data set>")


def normalise(scope: str, raw: Raw, options: Mapping[str, object]) -> Listing:  # noqa: ARG001 - as every venue's
    """One definition, folded from its records; or one row of the security master."""
    return security(raw) if scope == "security" else definition(raw)


class _Api:
    """Databento's clients by their parts: the whole one would turn every address into https."""

    def __init__(self, session: Session, options: Mapping[str, object]) -> None:
        key, url = session.secret("DATABENTO_API_KEY"), session.url("rest", str(options.get("url", URL)))
        self.session = session
        self.metadata = MetadataHttpAPI(key=key, gateway=url)
        self.timeseries = TimeseriesHttpAPI(key=key, gateway=url)
        self.master = SecurityMasterHttpAPI(key=key, gateway=url)
        for part in (self.metadata, self.timeseries, self.master):
            part.TIMEOUT = session.timeout_s  # type: ignore[assignment]  # it says int, and means seconds
        self.answers = 0
        self.warned: list[str] = []

    def ask(self, question: Callable[[], T]) -> T:
        """One answer, within the budget."""
        self.session.draw()
        told = self.read(question)
        self.answers += 1
        self.session.progress(self.answers, None)
        return told

    def read(self, source: Callable[[], T]) -> T:
        """What it gives, errors told apart. What the client or the server warns of is kept."""
        venue = self.session.venue
        try:
            with warnings.catch_warnings(record=True) as heard:
                warnings.simplefilter("always")
                told = source()
        except BentoHttpError as error:
            raise _refusal(venue, error) from None
        except (requests.exceptions.JSONDecodeError, DBNError, ValueError) as error:
            raise BadAnswer(f"{venue}: {type(error).__name__}") from None
        except requests.RequestException as error:
            raise VenueUnavailable(f"{venue}: {type(error).__name__}") from None
        except BentoError as error:
            broke_off = str(error).startswith("Error streaming")
            said = VenueUnavailable(f"{venue}: it broke off") if broke_off else BadAnswer(f"{venue}: no DBN")
            raise said from None
        self.warned += [str(each.message) for each in heard][: MOST_WARNINGS - len(self.warned)]
        return told


def _refusal(venue: str, error: BentoHttpError) -> Exception:
    status = error.http_status or 0
    if status == requests.codes.payment_required:
        return Refused(f"{venue}: HTTP 402; see to the account's billing, or list fewer data sets")
    headers = {name.lower(): value for name, value in error.headers.items()}
    return refusal(venue, status, headers.get("retry-after"))


def _definitions(api: _Api, dataset: str, options: Mapping[str, object]) -> Snapshot:
    """Of the last weekday that is there whole, or of one of the days before where that one was a holiday."""
    venue, classes = api.session.venue, options.get("classes")
    wanted = classes.get(dataset, ()) if isinstance(classes, dict) else ()
    first, counted = _last_day(api, dataset)
    evidence: dict[str, Json] = {"day": str(first), "records_promised": counted}
    if not counted:
        return _snapshot(api, [], evidence, complete=False)
    if counted > MOST_RECORDS:
        raise AnswerTooLarge(f"{venue}: {counted} records of {dataset} in a day")
    asked = _query(dataset, first)
    evidence["usd"] = str(_paid(api, asked, options))
    store: DBNStore = api.ask(lambda: api.timeseries.get_range(**asked))
    rows, read = api.read(lambda: folded(store, [str(each) for each in wanted]))
    evidence |= {"records_read": read.total(), "classes_read": dict(sorted(read.items())), "classes": list(wanted)}
    return _snapshot(api, rows, evidence, complete=bool(rows) and read.total() == counted and not api.warned)


def _query(dataset: str, first: date) -> dict[str, Any]:
    last = first + timedelta(days=1)
    return {"dataset": dataset, "symbols": ALL, "schema": "definition", "start": first, "end": last}


def _last_day(api: _Api, dataset: str) -> tuple[date, int]:
    """The last whole weekday on which anything was defined, and in how many records."""
    for first in _weekdays(api, dataset):
        counted = _count(api, _query(dataset, first))
        if counted:
            break
    return first, counted


def _weekdays(api: _Api, dataset: str) -> list[date]:
    """The last whole weekdays of a data set, the newest first. On other days few things are defined anew."""
    told: object = api.ask(lambda: api.metadata.get_dataset_range(dataset))
    end = day(told.get("end")) if isinstance(told, dict) else None
    if end is None:
        raise BadAnswer(f"{api.session.venue}: no range of {dataset}")
    days = (end - timedelta(days=back) for back in range(1, 2 * MOST_WEEKDAYS_BACK))
    return [each for each in days if each.weekday() < SATURDAY][:MOST_WEEKDAYS_BACK]


def _count(api: _Api, asked: Mapping[str, Any]) -> int:
    told = api.ask(lambda: api.metadata.get_record_count(**asked))
    counted = decimal(told)
    if counted is None or counted < 0:
        raise BadAnswer(f"{api.session.venue}: no count of records")
    return int(counted)


def _paid(api: _Api, asked: Mapping[str, Any], options: Mapping[str, object]) -> Decimal:
    """What it costs in dollars. Raises Refused where that is more than is allowed."""
    cost = decimal(api.ask(lambda: api.metadata.get_cost(**asked)))
    if cost is None or cost < 0:
        raise BadAnswer(f"{api.session.venue}: no cost told")
    most = decimal(options.get("most_usd", MOST_USD))
    if most is None or cost > most:
        raise Refused(
            f"{api.session.venue}: the definitions of {asked['dataset']} cost {cost} US dollars, options.most_usd"
            f" allows {most}; raise it in this venue's row in gazetteer.toml, or take the scope out of it"
        )
    return cost


def _securities(api: _Api, options: Mapping[str, object]) -> Snapshot:
    """The latest row of each listing, read by ourselves: the client's table makes numbers of CUSIPs."""
    countries = options.get("countries")
    query = {
        "symbols": ALL,
        "stype_in": "raw_symbol",
        "countries": ",".join(map(str, countries)) if isinstance(countries, list) and countries else None,
        "allocate_isins": False,  # True spends the plan's quota
        "compression": "zstd",
    }
    url = f"{api.master._base_url}.get_last"  # noqa: SLF001 - what is public returns a table
    response = api.ask(lambda: api.master._post(url=url, data=query, basic_auth=True))  # noqa: SLF001
    rows = _lines(api.session.venue, response.content)
    return _snapshot(api, rows, {"answers": "one, without pages"}, complete=bool(rows) and not api.warned)


def _lines(venue: str, body: bytes) -> list[Raw]:
    try:
        with zstandard.ZstdDecompressor().stream_reader(BytesIO(body), read_across_frames=True) as reader:
            plain = reader.read(LARGEST_MASTER_BYTES)
        rows = [json.loads(line, parse_float=str) for line in plain.splitlines() if line.strip()]
    except (zstandard.ZstdError, ValueError):
        raise BadAnswer(f"{venue}: no lines of JSON") from None
    if not all(isinstance(row, dict) for row in rows):
        raise BadAnswer(f"{venue}: a line that is no row")
    if len(rows) > MOST_ROWS or len(plain) == LARGEST_MASTER_BYTES:
        raise AnswerTooLarge(f"{venue}: more than {MOST_ROWS} securities; name options.countries")
    return rows


def _snapshot(api: _Api, rows: Sequence[Raw], evidence: dict[str, Json], *, complete: bool) -> Snapshot:
    told: dict[str, Json] = evidence | ({"warnings": list(api.warned)} if api.warned else {})
    client = f"databento {version('databento')}"
    return Snapshot(rows=rows, complete=complete, evidence=told, client=client, pages=api.answers)
