"""OpenFIGI as it answers: jobs by ISIN, CUSIP or ticker, and what it knows of each, which may be several listings."""

from http import HTTPStatus

import orjson

from indexer.sim.chance import chance
from indexer.sim.venues.spec import Asked, Told, Wire, json, struck

JOBS_WITHOUT_KEY = 5
JOBS_WITH_KEY = 100
RETRY_AFTER_S = 6
EXCHANGES = (("UW", "XNAS"), ("UN", "XNYS"))
LETTERS = "BCDFGHJKLMNPQRSTVWXYZ"
_KINDS = {"ID_ISIN": "isin", "ID_CUSIP": "cusip", "TICKER": "ticker"}
_TOLD = (
    "figi",
    "name",
    "ticker",
    "exchCode",
    "compositeFIGI",
    "securityType",
    "marketSector",
    "shareClassFIGI",
    "securityType2",
    "securityDescription",
)


class OpenFigi:
    """Its rows are listings with the identifiers that they are found by, which are never told.

    Faults of its own: `limited` (429 with its own header), `no_jobs` (errors instead of data), `short` (fewer results
    than jobs).
    """

    name = "openfigi"

    def __init__(self, seed: int | str = 0) -> None:
        dice = chance("openfigi", seed)
        self.rows: dict[str, list[Wire]] = {"figi": [_row(number) for number in range(dice.randint(20, 40))]}
        self.faults: set[str] = set()

    def add(self, ticker: str, mic: str, *, isin: str | None = None, cusip: str | None = None) -> Wire:
        """One more listing."""
        row = _row(1000 + len(self.rows["figi"]))
        row |= {"ticker": ticker, "micCode": mic, "isin": isin, "cusip": cusip, "securityDescription": ticker}
        self.rows["figi"] = [*self.rows["figi"], row]
        return row

    def answer(self, asked: Asked) -> Told:
        """A result for each job, in their order; too many jobs are too many."""
        if struck(self.faults, "limited", asked):
            return Told(status=HTTPStatus.TOO_MANY_REQUESTS, headers={"ratelimit-reset": str(RETRY_AFTER_S)})
        if asked.path != "/v3/mapping":
            return Told(status=HTTPStatus.NOT_FOUND)
        jobs = orjson.loads(asked.body)
        most = JOBS_WITH_KEY if "x-openfigi-apikey" in asked.headers else JOBS_WITHOUT_KEY
        if len(jobs) > most:
            return Told(status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        if struck(self.faults, "no_jobs", asked):
            return json([{"error": "Invalid idValue format"} for _ in jobs])
        told = [self._told(job) for job in jobs]
        return json(told[:-1] if struck(self.faults, "short", asked) else told)

    def _told(self, job: Wire) -> Wire:
        name, mic = _KINDS.get(job["idType"]), job.get("micCode")
        if name is None:
            return {"error": f"Invalid idType {job['idType']}"}
        rows = [row for row in self.rows["figi"] if row.get(name) == job["idValue"] and mic in {None, row["micCode"]}]
        if not rows:
            return {"warning": "No identifier found."}
        return {"data": [{key: row.get(key) for key in _TOLD} for row in rows]}


def _row(number: int) -> Wire:
    exchange, mic = EXCHANGES[number % len(EXCHANGES)]
    return {
        "figi": _figi(3 * number),
        "name": f"ISSUER {number} INC",
        "ticker": f"S{number:03}",
        "exchCode": exchange,
        "compositeFIGI": _figi(3 * number + 1),
        "securityType": "Common Stock",
        "marketSector": "Equity",
        "shareClassFIGI": _figi(3 * number + 2),
        "securityType2": "Common Stock",
        "securityDescription": f"S{number:03}",
        "micCode": mic,
        "isin": None,
        "cusip": None,
    }


def _figi(number: int) -> str:
    """A FIGI with its check digit: letters count from 10 on, every other character twice, digits are summed."""
    letters = ""
    for _ in range(8):
        number, place = divmod(number, len(LETTERS))
        letters = LETTERS[place] + letters
    body = f"BBG{letters}"
    values = [int(char, 36) * (1 + place % 2) for place, char in enumerate(body)]
    return f"{body}{-sum(value // 10 + value % 10 for value in values) % 10}"
