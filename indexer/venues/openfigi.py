"""OpenFIGI: the FIGI of a listing by its ISIN, its CUSIP, or its ticker where it is listed; through openfigi-client.

It tells a FIGI of the listing, of its country and of its share class. Each is taken only where all that it tells
agrees: one ISIN stands for many listings, but for one share class.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from http import HTTPStatus

import httpx
import msgspec
from openfigi_client import MappingJob, OpenFigiSync

from indexer.errors import BadAnswer, Disabled, GazetteerError, VenueUnavailable
from indexer.model import Identifier, Learned, Sought
from indexer.ports import Session
from indexer.venues.reading import identifier
from indexer.venues.spec import refusal

URL = "https://api.openfigi.com"
JOBS_WITHOUT_KEY = 5
"""What the server takes today; its client still believes in ten."""

JOBS_WITH_KEY = 100
MOST_RESULTS = 10_000
TICKER = "TICKER"
_TICKER = re.compile(r"[A-Z0-9]{1,12}")
"""Others are written in many ways: a dot here is a slash there."""

_SCHEMES = {"figi": "figi", "figi_composite": "composite_figi", "figi_share": "share_class_figi"}


def look_up(session: Session, sought: Sequence[Sought], options: Mapping[str, object]) -> Iterator[Learned]:
    """The FIGIs of these, as many in one question as are allowed. Whoever cannot be asked for is not known."""
    key = _key(session)
    size = JOBS_WITHOUT_KEY if key is None else JOBS_WITH_KEY
    asked = [(each, job) for each in sought for job in [_job(each)] if job is not None]
    known = {each.natural_key for each, _ in asked}
    yield from (Learned(natural_key=each.natural_key) for each in sought if each.natural_key not in known)
    url = session.url("rest", str(options.get("url", URL)))
    with closing(_Client(session, url, key)) as client:
        for first in range(0, len(asked), size):
            batch = asked[first : first + size]
            told = client.answers([job for _, job in batch])
            for (each, job), results in zip(batch, told, strict=True):
                found = _agreed(results, each.symbol if job.id_type == TICKER else None)
                yield Learned(natural_key=each.natural_key, identifiers=found)
            session.progress(first + len(batch), len(asked))


class _Client(OpenFigiSync):  # type: ignore[misc]  # it has no types
    """As it comes, but for its connections: these are kept, end in time, and say how long to wait."""

    def __init__(self, session: Session, url: str, key: str | None) -> None:
        super().__init__(api_key=key)
        self.BASE_URL = f"{url}/"
        self._session = session
        self._http = httpx.Client(timeout=session.timeout_s)

    def answers(self, jobs: Sequence[MappingJob]) -> list[Sequence[Mapping[str, object]]]:
        """What is told of each job; nothing of what is unknown there."""
        self._session.draw()
        venue = self._session.venue
        try:
            told = self.map(list(jobs))
        except (msgspec.MsgspecError, ValueError, TypeError):
            raise BadAnswer(f"{venue}: no results by jobs") from None
        if len(told) != len(jobs) or any(len(getattr(each, "data", ())) > MOST_RESULTS for each in told):
            raise BadAnswer(f"{venue}: {len(told)} results of {len(jobs)} jobs")
        return [[result.to_dict() for result in getattr(each, "data", ())] for each in told]

    def close(self) -> None:
        """Give up its connections."""
        self._http.close()

    def _request(self, method: str, url: str, headers: dict[str, str], data: bytes | None = None) -> httpx.Response:
        venue = self._session.venue
        try:
            response = self._http.request(method, url, headers=headers, content=data)
        except httpx.HTTPError as error:
            raise VenueUnavailable(f"{venue}: {type(error).__name__}") from None
        if response.status_code != HTTPStatus.OK:
            raise _refusal(venue, response)
        return response


def _refusal(venue: str, response: httpx.Response) -> GazetteerError:
    waits = response.headers.get("Retry-After") or response.headers.get("ratelimit-reset")
    return refusal(venue, response.status_code, waits)


def _key(session: Session) -> str | None:
    """Who has none is served too, only slower."""
    try:
        return session.secret("OPENFIGI_API_KEY")
    except Disabled:
        return None


def _job(sought: Sought) -> MappingJob | None:
    """What to ask: by the surest name that it has, where it is listed."""
    told = {"mic_code": sought.mic} if sought.mic else {}
    for scheme, kind in (("isin", "ID_ISIN"), ("cusip", "ID_CUSIP")):
        if scheme in sought.identifiers:
            return MappingJob(id_type=kind, id_value=sought.identifiers[scheme], **told)
    if sought.mic and sought.asset_class == "equity" and _TICKER.fullmatch(sought.symbol):
        return MappingJob(id_type=TICKER, id_value=sought.symbol, market_sec_des="Equity", **told)
    return None


def _agreed(results: Sequence[Mapping[str, object]], ticker: str | None) -> tuple[Identifier, ...]:
    """The FIGIs that all results agree upon. None, where one bears another ticker than was asked for."""
    if ticker is not None and any(result.get("ticker") != ticker for result in results):
        return ()
    found: list[Identifier] = []
    for scheme, name in _SCHEMES.items():
        values = {result.get(name) for result in results}
        checked = identifier(scheme, values.pop()) if len(values) == 1 else None
        if checked is not None:
            found.append(checked)
    return tuple(found)
