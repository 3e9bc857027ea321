"""What is left to do, as people read it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from indexer.store import Tx

_LEFT = text("""
    select chain, kind, lane, due, later, leased, dead, oldest_due from api.backlog order by chain, kind, lane desc
""")
_DEAD = text("""
    select chain, kind, key, lane, losses, reason, created_at
    from api.dead
    where (cast(:kind as text) is null or kind = :kind) and (cast(:chain as text) is null or chain = :chain)
    order by chain, kind, key
    limit :limit
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """Rows of one chain, kind and lane. `later`: asked again at a time of their own; `leased`: somebody is at it."""

    chain: str
    kind: str
    lane: str
    due: int
    later: int
    leased: int
    dead: int
    oldest_due: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dead:
    """A row that was given up. `key` is a token's address or a pool's id, hex."""

    chain: str
    kind: str
    key: str
    lane: str
    losses: int
    reason: str | None
    created_at: datetime


def left(tx: Tx) -> tuple[Left, ...]:
    """By chain, kind and lane, live first."""
    return tuple(Left(**row._mapping) for row in tx.execute(_LEFT))  # noqa: SLF001 - a row's public mapping


def dead(tx: Tx, limit: int, kind: str | None = None, chain: str | None = None) -> tuple[Dead, ...]:
    """Rows that were given up, at most `limit`."""
    rows = tx.execute(_DEAD, {"limit": limit, "kind": kind, "chain": chain})
    return tuple(Dead(**row._mapping) for row in rows)  # noqa: SLF001
