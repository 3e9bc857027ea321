"""A run's list beside what is known of its scope: what is new, another, or as it was. Nothing is written here."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from psycopg.types.json import Jsonb
from sqlalchemy import text

from indexer.model import GONE, natural_key
from indexer.store import Tx
from indexer.store.copying import copy
from indexer.store.listing_rows import Staged

GONE_SQL = ", ".join(f"'{status}'" for status in GONE)

# The expiry's day has come. Where venues drop a contract hours before or after the moment they told, this holds.
EXPIRING = """
    coalesce(l.expires_on, (l.expires_at at time zone 'UTC')::date)
        <= (cast(:now as timestamptz) at time zone 'UTC')::date
"""

What = Literal["new", "reborn", "changed", "same"]

_STAGED = (
    ("stable_id", "text"),
    ("birth", "text"),
    ("gone", "boolean"),
    ("content_hash", "bytea"),
    ("rules_hash", "bytea"),
    ("details_hash", "bytea"),
)
_TOLD = (
    ("natural_key", "text"),
    ("what", "text"),
    ("old_key", "text"),
    ("stable_id", "text"),
    ("generation", "smallint"),
    ("birth", "text"),
    ("gone", "boolean"),
    ("state", "jsonb"),
    ("content_hash", "bytea"),
    ("rules", "jsonb"),
    ("rules_hash", "bytea"),
    ("rules_told", "boolean"),
    ("details", "jsonb"),
    ("details_hash", "bytea"),
    ("details_told", "boolean"),
)

_COUNTED = text(f"""
    select count(*) as live, count(s.stable_id) as present
    from gazetteer.listings l
    left join staged_listings s on s.stable_id = l.stable_id
    where l.venue = :venue and l.scope = :scope and l.latest and l.status not in ({GONE_SQL})
      and ({EXPIRING}) is not true
""")

# Another birth is told only where both are known. Whoever is gone does not come back: its successor does.
_DIFFERENT = text(f"""
    select * from (
        select
            s.stable_id,
            l.natural_key,
            l.generation,
            case
                when l.natural_key is null then 'new'
                when (l.status in ({GONE_SQL}) and not s.gone) or l.birth <> s.birth then 'reborn'
                when l.content_hash <> s.content_hash then 'changed'
                else 'same'
            end as what,
            s.rules_hash is distinct from l.rules_hash as rules_told,
            s.details_hash is not null and s.details_hash is distinct from l.details_hash as details_told
        from staged_listings s
        left join gazetteer.listings l
            on l.venue = :venue and l.scope = :scope and l.stable_id = s.stable_id and l.latest
    ) as compared
    where what <> 'same' or rules_told or details_told
    order by stable_id
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Of what is known: how many are live and do not expire today, and how many of those the list holds."""

    live: int
    present: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One listing that differs from what is known. `natural_key` is its own, `old_key` its predecessor's."""

    row: Staged
    what: What
    natural_key: str
    old_key: str | None
    generation: int
    rules: bool
    details: bool


def stage(tx: Tx, venue: str, scope: str, rows: Sequence[Staged], now: datetime) -> Counted:
    """Put the run's list beside the known one."""
    _empty(tx, "staged_listings", _STAGED)
    copy(
        tx,
        "staged_listings",
        _STAGED,
        ((row.stable_id, row.birth, row.gone, row.content_hash, row.rules_hash, row.details_hash) for row in rows),
    )
    tx.execute(text("analyze staged_listings"))
    found = tx.execute(_COUNTED, {"venue": venue, "scope": scope, "now": now}).one()
    return Counted(live=found.live, present=found.present)


def different(tx: Tx, venue: str, scope: str, rows: Sequence[Staged]) -> list[Told]:
    """What of the staged list is new or another, by stable_id; leaves it in `told_listings`."""
    by_id = {row.stable_id: row for row in rows}
    told = []
    for found in tx.execute(_DIFFERENT, {"venue": venue, "scope": scope}):
        row = by_id[found.stable_id]
        generation = {"new": 0, "reborn": (found.generation or 0) + 1}.get(found.what, found.generation)
        fresh = found.what in ("new", "reborn")
        told.append(
            Told(
                row=row,
                what=found.what,
                natural_key=natural_key(venue, scope, row.stable_id, generation) if fresh else found.natural_key,
                old_key=found.natural_key if found.what == "reborn" else None,
                generation=generation,
                rules=row.rules is not None if fresh else found.rules_told,
                details=row.details is not None if fresh else found.details_told,
            )
        )
    _empty(tx, "told_listings", _TOLD)
    copy(tx, "told_listings", _TOLD, _told_rows(told))
    tx.execute(text("analyze told_listings"))
    return told


def _told_rows(told: Sequence[Told]) -> Iterator[tuple[object, ...]]:
    for each in told:
        row = each.row
        yield (
            each.natural_key,
            each.what,
            each.old_key,
            row.stable_id,
            each.generation,
            row.birth,
            row.gone,
            _json(row.state),
            row.content_hash,
            _json(row.rules),
            row.rules_hash,
            each.rules,
            _json(row.details),
            row.details_hash,
            each.details,
        )


def _json(written: bytes | None) -> Jsonb | None:
    return None if written is None else Jsonb(written, dumps=bytes)


def _empty(tx: Tx, table: str, columns: Sequence[tuple[str, str]]) -> None:
    """A temporary table of this transaction, empty also where an earlier run of it left rows."""
    names = ", ".join(f"{name} {kind}" for name, kind in columns)
    tx.execute(text(f"create temporary table if not exists {table} ({names}) on commit drop"))
    tx.execute(text(f"truncate {table}"))
