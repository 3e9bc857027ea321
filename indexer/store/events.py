"""What happened, read in an order in which no event ever appears before one that was read."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from indexer.model import ChainId
from indexer.store import Tx

START = (0, 0)
"""A key before every event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One row of `api.events`; `subject` is a pool's id or a token's address, hex; a listing has a `natural_key`."""

    tx: int
    id: int
    kind: str
    chain: str | None
    chain_id: ChainId | None
    subject: str | None
    block_number: int | None
    source: str | None
    at: datetime
    natural_key: str | None = None

    @property
    def key(self) -> tuple[int, int]:
        """Where to read on from."""
        return self.tx, self.id


_AFTER = text("""
    select tx, id, kind, chain, chain_id, subject, block_number, source, at, natural_key
    from api.events
    where (tx, id) > (:tx, :id)
    order by tx, id
    limit :limit
""")
# Transactions of a server count from its own beginning: in a restored dump the events may all lie in the future.
_REBASE = text("""
    update gazetteer.events set tx = tx - (ahead.newest - ahead.low + 1)
    from (
        select (select max(tx) from gazetteer.events) as newest,
               pg_snapshot_xmin(pg_current_snapshot())::text::bigint as low,
               pg_snapshot_xmax(pg_current_snapshot())::text::bigint as high
    ) as ahead
    where ahead.newest >= ahead.high
""")
_LAST = text("select tx, id from api.events order by tx desc, id desc limit 1")


def after(tx: Tx, key: tuple[int, int], limit: int) -> tuple[Event, ...]:
    """The next events after `key`, at most `limit`. Whoever reads on from the last one's key misses nothing."""
    rows = tx.execute(_AFTER, {"tx": key[0], "id": key[1], "limit": limit})
    return tuple(Event(**row._mapping) for row in rows)  # noqa: SLF001 - a row's public mapping


def last(tx: Tx) -> tuple[int, int]:
    """The key of the newest event that can be read, START where there is none."""
    row = tx.execute(_LAST).one_or_none()
    return START if row is None else (row.tx, row.id)


def rebase(tx: Tx) -> int:
    """Where a dump was restored on a younger server, put its events before everything to come; returns how many.

    Their order stays; keys that readers kept from the other server are void.
    """
    return tx.execute(_REBASE).rowcount
