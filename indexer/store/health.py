"""How each endpoint behaves, in counts by name: for people, who ask `api.endpoint_health`. Never a URL."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from indexer.model import ChainId
from indexer.store import Tx

Counts = Mapping[tuple[str, str], int]
"""How many times, by the endpoint's public name and what happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """What happened at one endpoint of a chain so many times, and when last."""

    endpoint: str
    what: str
    times: int
    last_at: datetime


_READ = text("""
    select endpoint, what, times, last_at from gazetteer.endpoint_counts
    where chain_id = :chain_id order by endpoint, what
""")

_ADD = text("""
    insert into gazetteer.endpoint_counts as c (chain_id, endpoint, what, times, last_at)
    select :chain_id, endpoint, what, times, :now
    from unnest(cast(:endpoints as text[]), cast(:whats as text[]), cast(:times as bigint[]))
         as t(endpoint, what, times)
    order by endpoint, what
    on conflict (chain_id, endpoint, what) do update
        set times = c.times + excluded.times, last_at = greatest(c.last_at, excluded.last_at)
""")


def add(tx: Tx, chain_id: ChainId, counts: Counts, now: datetime) -> None:
    """Add to the counts of one chain's endpoints."""
    if counts:
        tx.execute(
            _ADD,
            {
                "chain_id": chain_id,
                "now": now,
                "endpoints": [endpoint for endpoint, _ in counts],
                "whats": [what for _, what in counts],
                "times": list(counts.values()),
            },
        )


def read(tx: Tx, chain_id: ChainId) -> tuple[Count, ...]:
    """Every count of one chain's endpoints, by name."""
    rows = tx.execute(_READ, {"chain_id": chain_id})
    return tuple(Count(endpoint=row.endpoint, what=row.what, times=row.times, last_at=row.last_at) for row in rows)
