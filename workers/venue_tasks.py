"""Celery's view of venues: one task, one run of one scope of one venue, whatever became of earlier wake-ups."""

import logging

from indexer import venues
from indexer.errors import BadSetting, DatabaseUnavailable
from indexer.flow import discover
from workers import wiring
from workers.app import app

log = logging.getLogger("gazetteer.venues")

TELL_EVERY = 10
"""Requests between two lines about a long run."""


@app.task(name="venue.discover")  # type: ignore[untyped-decorator]  # celery has no types
def discover_scope(venue: str, scope: str) -> None:
    """One scope of one venue, if it is due and nobody reads it just now."""
    try:
        row = wiring.venue(venue)
    except BadSetting as error:
        log.info("venue not listed", extra={"venue": venue, "why": str(error)})
        return

    def told(done: int, total: int | None) -> None:
        if done % TELL_EVERY == 0:
            log.info("reading", extra={"venue": venue, "scope": scope, "requests": done, "of": total})

    try:
        done = discover.discover(
            wiring.db(),
            row,
            scope,
            lambda: venues.load(row.adapter, row.extra),
            wiring.venue_session(row, "resolve", told),
            wiring.clock,
            keep_in=wiring.archive(),
        )
    except DatabaseUnavailable as error:
        log.warning("database away", extra={"venue": venue, "error": str(error)})
        return
    if isinstance(done, discover.Failed):
        log.warning("venue failed", extra={"venue": venue, "scope": scope, "error": done.error, "why": done.reason})
    elif isinstance(done, discover.Ran):
        found = done.applied
        counts = {name: getattr(found, name) for name in ("new", "changed", "reborn", "delisted", "expired", "missing")}
        log.info("venue read", extra={"venue": venue, "scope": scope, "status": found.status, **counts})
