"""Celery's view of what is the same: lists of coins are read, and assets follow whatever was said."""

import logging
from dataclasses import asdict

from indexer import venues
from indexer.errors import BadSetting, DatabaseUnavailable
from indexer.flow import coins, sameness
from indexer.flow.discover import Failed
from workers import wiring
from workers.app import app

log = logging.getLogger("gazetteer.sameness")


@app.task(name="venue.coins")  # type: ignore[untyped-decorator]  # celery has no types
def read_coins(venue: str, scope: str) -> None:
    """One list of coins, if it is due and nobody reads it just now. `scope` is its only one."""
    try:
        row = wiring.venue(venue)
    except BadSetting as error:
        log.info("list not read", extra={"venue": venue, "why": str(error)})
        return
    try:
        done = coins.read(
            wiring.db(),
            row,
            lambda: venues.load_lists(row.adapter, row.extra),
            wiring.venue_session(row, "resolve", lambda _done, _total: None),
            wiring.clock,
        )
    except DatabaseUnavailable as error:
        log.warning("database away", extra={"venue": venue, "error": str(error)})
        return
    if isinstance(done, Failed):
        log.warning("list failed", extra={"venue": venue, "scope": scope, "error": done.error, "why": done.reason})
    elif isinstance(done, coins.Taken):
        log.info("coins read", extra={"venue": venue, "scope": scope, "names": done.names, "doubt": done.doubt})


@app.task(name="maint.relate")  # type: ignore[untyped-decorator]  # celery has no types
def relate() -> None:
    """Assets as listings and lists of coins say them now; nothing, where nobody said anything new."""
    try:
        done = sameness.relate(wiring.db(), wiring.clock)
    except DatabaseUnavailable as error:
        log.warning("database away", extra={"error": str(error)})
        return
    if isinstance(done, sameness.Related):
        log.info("assets related", extra=asdict(done))
