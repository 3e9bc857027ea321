"""What keeps the register going when wake-ups were lost: expired leases come back, due work is pointed out."""

from dataclasses import dataclass

from indexer import store
from indexer.model import Lane
from indexer.store import Db, scans, work
from indexer.store.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """Work that waits for somebody: its kind, what throttles it (a chain's name), and its lane."""

    kind: str
    scope: str
    lane: Lane


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What one sweep found: leases that ran out, work that is dead for losing too many, and what is due."""

    returned: int
    dead: int
    due: tuple[Due, ...]


def sweep(db: Db, clock: Clock) -> Swept:
    """Take expired leases back and say what is due. Safe to run at any time, by anybody, twice at once."""
    with store.begin(db) as tx:
        now = clock(tx)
        swept = work.sweep(tx, now)
        scans.sweep(tx, now)
        due = work.due(tx, now)
    return Swept(
        returned=swept.returned,
        dead=swept.dead,
        due=tuple(Due(kind=kind, scope=scope, lane=lane) for kind, scope, lane in due),
    )
