"""What a run of a venue changed, field by field."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text

from indexer.store import Tx

_OF_RUN = text("""
    select symbol, field, old_value, new_value from api.listing_changes
    where run_id = :run_id
    order by old_value is null, symbol, field
    limit :limit
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One field of one listing. `old_value` is None where it was not told before, or the listing is new."""

    symbol: str
    field: str
    old_value: str | None
    new_value: str | None


def of_run(tx: Tx, run_id: int, limit: int) -> Sequence[Change]:
    """The changes of a run: those of known listings first, then new ones, by symbol."""
    rows = tx.execute(_OF_RUN, {"run_id": run_id, "limit": limit})
    return [
        Change(symbol=row.symbol, field=row.field, old_value=row.old_value, new_value=row.new_value) for row in rows
    ]
