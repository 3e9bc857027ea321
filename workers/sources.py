"""One run of a scope, by the verb that its venue stands for: a list, what a source knows of others', coins."""

from collections.abc import Callable

from indexer import venues
from indexer.flow import coins, discover, enrich
from indexer.flow.coins import Taken
from indexer.flow.discover import Ran
from indexer.flow.enrich import Enriched
from indexer.flow.turns import Failed, NotDue
from indexer.known import VenueRow
from indexer.wire.budget import Lane
from workers import wiring

Outcome = Ran | Enriched | Taken | Failed | NotDue


def run(
    row: VenueRow,
    scope: str,
    lane: Lane,
    told: Callable[[int, int | None], None],
    *,
    at_once: bool = False,
    accept: bool = False,
) -> Outcome:
    """Run one scope in this process. `told` hears of requests done, and of how many. Raises DatabaseUnavailable.

    `accept` believes a list that the guard holds for suspect.
    """
    db, clock, session = wiring.db(), wiring.clock, wiring.venue_session(row, lane, told)
    adapter, extra = row.adapter, row.extra
    if row.lists:
        return discover.discover(
            db,
            row,
            scope,
            lambda: venues.load(adapter, extra),
            session,
            clock,
            keep_in=wiring.archive(),
            at_once=at_once,
            accept=accept,
        )
    if row.names_coins:
        return coins.read(db, row, lambda: venues.load_lists(adapter, extra), session, clock, at_once=at_once)
    return enrich.enrich(db, row, lambda: venues.load_enricher(adapter, extra), session, clock, at_once=at_once)
