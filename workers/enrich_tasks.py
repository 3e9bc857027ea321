"""Celery's view of sources that know more of what others list: one task, one run of one source."""

import logging

from indexer import venues
from indexer.errors import BadSetting, DatabaseUnavailable
from indexer.flow import enrich
from indexer.flow.discover import Failed
from workers import wiring
from workers.app import app

log = logging.getLogger("gazetteer.venues")


@app.task(name="venue.enrich")  # type: ignore[untyped-decorator]  # celery has no types
def enrich_listings(venue: str, scope: str) -> None:
    """One source, if it is due and nobody asks it just now. `scope` is its only one."""
    try:
        row = wiring.venue(venue)
    except BadSetting as error:
        log.info("source not asked", extra={"venue": venue, "why": str(error)})
        return
    try:
        done = enrich.enrich(
            wiring.db(),
            row,
            lambda: venues.load_enricher(row.adapter, row.extra),
            wiring.venue_session(row, "resolve", lambda _done, _total: None),
            wiring.clock,
        )
    except DatabaseUnavailable as error:
        log.warning("database away", extra={"venue": venue, "error": str(error)})
        return
    if isinstance(done, Failed):
        log.warning("source failed", extra={"venue": venue, "scope": scope, "error": done.error, "why": done.reason})
    elif isinstance(done, enrich.Enriched) and done.asked:
        counts = {"asked": done.asked, "missed": done.missed, "identifiers": done.identifiers}
        log.info("listings enriched", extra={"venue": venue, "scope": scope, **counts})
