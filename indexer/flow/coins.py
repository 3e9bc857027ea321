"""One run of a list of coins: claim, read, keep what it says of codes. Sameness is derived from that later."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from indexer import store
from indexer.errors import Refused, Retryable
from indexer.flow.turns import Failed, NotDue, begin, failed
from indexer.known import VenueRow
from indexer.ports import Session
from indexer.store import Db, asset_writes, runs, slots
from indexer.store.clock import Clock
from indexer.store.listings import Applied
from indexer.venues import CoinLists


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A list that came, of `names` names. `doubt`: why it changed nothing; None: it was believed."""

    names: int
    doubt: str | None
    next_at: datetime


def read(
    db: Db, row: VenueRow, load: Callable[[], CoinLists], session: Session, clock: Clock, *, at_once: bool = False
) -> Taken | Failed | NotDue:
    """Read one list of coins, if it is due. `at_once`: although it is not. Raises DatabaseUnavailable."""
    (scope,) = row.scopes
    turn = begin(db, row, scope, clock, at_once=at_once)
    if turn is None:
        return NotDue()
    try:
        for name in row.secrets:
            session.secret(name)
        told = load().read(session, row.options)
    except (Retryable, Refused) as error:
        return failed(db, turn, error, clock)
    with store.begin(db) as tx:
        now = clock(tx)
        if not slots.finish(tx, turn.claimed, turn.next_at, None):
            return NotDue()
        doubt = asset_writes.take(tx, row.name, told, now)
        done = Applied(status="applied" if doubt is None else "suspect", reason=doubt, rows=len(told), unreadable=0)
        evidence = {"names": len(told)}
        runs.finish(tx, turn.run, done, client=row.adapter, pages=1, evidence=evidence, archive=None, now=now)
    return Taken(names=len(told), doubt=doubt, next_at=turn.next_at)
