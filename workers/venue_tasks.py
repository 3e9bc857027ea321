"""Celery's view of venues: one task, one run of one scope, whatever became of earlier wake-ups."""

import logging
from dataclasses import asdict

from indexer.errors import BadSetting, DatabaseUnavailable
from indexer.flow import sameness
from indexer.flow.coins import Taken
from indexer.flow.discover import Ran
from indexer.flow.enrich import Enriched
from indexer.flow.turns import Failed
from workers import sources, wiring
from workers.app import app

log = logging.getLogger("gazetteer.venues")

TELL_EVERY = 10
"""Requests between two lines about a long run."""
FIGURES = ("new", "changed", "reborn", "delisted", "expired", "missing")


@app.task(name="venue.discover")  # type: ignore[untyped-decorator]  # celery has no types
def discover_scope(venue: str, scope: str) -> None:
    """One scope of one venue, if it is due and nobody reads it just now."""
    _run(venue, scope)


@app.task(name="venue.enrich")  # type: ignore[untyped-decorator]  # celery has no types
def enrich_listings(venue: str, scope: str) -> None:
    """One source of what others' lists do not carry. `scope` is its only one."""
    _run(venue, scope)


@app.task(name="venue.coins")  # type: ignore[untyped-decorator]  # celery has no types
def read_coins(venue: str, scope: str) -> None:
    """One list of coins. `scope` is its only one."""
    _run(venue, scope)


@app.task(name="assets.relate")  # type: ignore[untyped-decorator]  # celery has no types
def relate() -> None:
    """Assets as listings and lists of coins say them now; nothing, where nobody said anything new."""
    try:
        done = sameness.relate(wiring.db(), wiring.clock)
    except DatabaseUnavailable as error:
        log.warning("database away", extra={"error": str(error)})
        return
    if isinstance(done, sameness.Related):
        log.info("assets related", extra=asdict(done))


def _run(venue: str, scope: str) -> None:
    try:
        row = wiring.venue(venue)
    except BadSetting as error:
        log.info("venue not listed", extra={"venue": venue, "why": str(error)})
        return

    def told(done: int, total: int | None) -> None:
        if done % TELL_EVERY == 0:
            log.info("reading", extra={"venue": venue, "scope": scope, "requests": done, "of": total})

    try:
        done = sources.run(row, scope, "resolve", told)
    except DatabaseUnavailable as error:
        log.warning("database away", extra={"venue": venue, "error": str(error)})
        return
    _tell(venue, scope, done)


def _tell(venue: str, scope: str, done: sources.Outcome) -> None:
    """What came of it, as one event; nothing where there was nothing to do."""
    where = {"venue": venue, "scope": scope}
    if isinstance(done, Failed):
        log.warning("venue failed", extra=where | {"error": done.error, "why": done.reason})
    elif isinstance(done, Ran):
        counts = {name: getattr(done.applied, name) for name in FIGURES}
        log.info("venue read", extra=where | {"status": done.applied.status} | counts)
    elif isinstance(done, Taken):
        log.info("coins read", extra=where | {"names": done.names, "doubt": done.doubt})
    elif isinstance(done, Enriched) and done.asked:
        counts = {"asked": done.asked, "missed": done.missed, "identifiers": done.identifiers}
        log.info("listings enriched", extra=where | counts)
