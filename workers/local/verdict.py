"""Whether a register that has read a simulated world to its end equals the truth, view by view."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Any

import psycopg
from psycopg import IsolationLevel, sql
from psycopg.rows import dict_row

from indexer.store.rejected import OUSTED
from workers.local import expected
from workers.local.expected import NATIVE, VIEWS, Row, Rows, Truths
from workers.local.screen import clean

KEYS: Mapping[str, tuple[str, ...]] = {
    "pools": ("chain_id", "pool_id"),
    "new_pools": ("chain_id", "pool_id"),
    "pool_tokens": ("chain_id", "pool_id", "side"),
    "orphaned_pools": ("chain_id", "pool_id"),
    "tokens": ("chain_id", "address"),
    "instruments": ("chain_id", "identifier"),
    "rejected_logs": ("chain_id", "block_hash", "log_index"),
    "chain_status": ("chain_id",),
    "coverage": ("chain_id", "factory_address"),
    "endpoint_health": ("chain_id", "endpoint"),
    "backlog": ("chain", "kind", "lane"),
    "dead": ("chain", "kind", "key"),
    "events": ("tx", "id"),
    "meta": ("key",),
}

_POOL_CLOCK = ("first_seen", "source", "created_at_kind", "answered_block", "answered_at")
CLOCK: Mapping[str, tuple[str, ...]] = {
    "pools": _POOL_CLOCK,
    "new_pools": _POOL_CLOCK,
    "tokens": ("answered_block", "answered_block_hash", "first_seen", "resolved_at"),
    "instruments": ("first_seen", "last_updated"),
    "rejected_logs": ("seen_at", "reason"),
    "chain_status": (
        *("head_at", "safe", "finalized_moved_at", "tip_at", "tip_moved_at", "seen_at"),
        *("endpoint", "wakeups", "note"),
    ),
    "coverage": ("listened_from", "audited_blocks", "audited_percent"),
}
"""Columns that say when or through whom something was learned, which the truth does not know. `reason` is prose."""

OF_VENUES = frozenset(
    {
        *("venues", "venue_runs", "listings", "listing_versions", "listing_changes", "trading_rules", "identifiers"),
        *("options_chain", "upcoming", "assets", "asset_identifiers", "venue_codes", "same_asset", "asset_conflicts"),
    },
)
"""Views of what venues list, of which chains know nothing."""

NEW_FOR = timedelta(hours=24)
LONGEST_VALUE = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How long something took, in seconds; None where nothing was measured."""

    measured: int
    p50_s: float | None
    p90_s: float | None
    p99_s: float | None
    most_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`differences` in the order of the views; `rows` by view. Spreads: of head pools since a moment."""

    differences: Sequence[str]
    rows: Mapping[str, int]
    head_to_row: Spread
    resolved: Spread

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return not self.differences


def judge(url: str, truths: Truths, since_s: Mapping[str, float] | None = None) -> Verdict:
    """Compare every view of schema `api` with the truth, in one snapshot of the database.

    `since_s`: from when on each chain was followed, Unix seconds; earlier blocks are not measured.
    """
    with psycopg.connect(url, row_factory=dict_row, options="-c timezone=UTC") as connection:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        found, now = _read(connection)
    wanted = {view: make(truths) for view, make in VIEWS.items()}
    wanted["new_pools"] = expected.new_pools(truths, now - NEW_FOR)
    differences = list(_differences(wanted, found, truths))
    return Verdict(
        differences=differences,
        rows={view: len(rows) for view, rows in found.items()},
        head_to_row=spread(head_to_row_s(found, truths, since_s or {})),
        resolved=spread(resolved_s(found, truths, since_s or {})),
    )


def left(url: str, truths: Truths) -> tuple[int, ...]:
    """What is left to do: chains not read to their end, blocks missing, work, times that are not exact.

    Where each is 0 the register has drained.
    """
    with psycopg.connect(url) as connection:
        ready = connection.execute("select chain_id, anchor from api.chain_status where ready").fetchall()
        rest = connection.execute("""
            select (select coalesce(sum(missing_blocks), 0) from api.coverage where enabled),
                   (select coalesce(sum(due + later + leased), 0) from api.backlog),
                   (select count(*) from api.pools where created_at_kind is distinct from 'log'
                                                     and created_at_kind is distinct from 'header')
        """).fetchall()
    anchors: dict[int, int] = dict(ready)
    return sum(anchors.get(truth["chain_id"]) != truth["head"] for truth in truths), *map(int, rest[0])


def differences_of(view: str, wanted: Rows, found: Rows) -> Iterator[str]:
    """What is missing, what should not be there, and what is another value."""
    compared = {name for row in list(wanted.values())[:1] for name in row}
    columns = {name for row in list(found.values())[:1] for name in row}
    if compared and columns:
        for name in sorted(columns - compared - set(CLOCK.get(view, ()))):
            yield f"api.{view}: column {name} is compared with nothing"
    for key in sorted(wanted.keys() - found.keys(), key=str):
        yield f"api.{view} {_key(key)}: is missing"
    for key in sorted(found.keys() - wanted.keys(), key=str):
        yield f"api.{view} {_key(key)}: should not be there"
    for key in sorted(wanted.keys() & found.keys(), key=str):
        for name, value in wanted[key].items():
            if found[key].get(name) != value:
                yield f"api.{view} {_key(key)}: {name} is {_value(found[key].get(name))}, should be {_value(value)}"


def _read(connection: psycopg.Connection[Row]) -> tuple[dict[str, Rows], datetime]:
    names = connection.execute("select viewname from pg_views where schemaname = 'api' order by 1").fetchall()
    found: dict[str, Rows] = {}
    for view in sorted({str(row["viewname"]) for row in names} - OF_VENUES):
        half = sql.SQL("where dex is not null" if view == "instruments" else "")
        rows = connection.execute(sql.SQL("select * from api.{} {}").format(sql.Identifier(view), half)).fetchall()
        keys = KEYS.get(view)
        found[view] = {} if keys is None else {tuple(row[name] for name in keys): row for row in rows}
        if keys is None or len(found[view]) != len(rows):
            found[view]["?",] = {"rows": len(rows)}  # an unknown view, or a key that is none: a difference either way
    now: datetime = connection.execute("select now() as now").fetchall()[0]["now"]
    return found, now


def _differences(wanted: Mapping[str, Rows], found: Mapping[str, Rows], truths: Truths) -> Iterator[str]:
    known = wanted.keys() | {"orphaned_pools", "events", "endpoint_health"}
    yield from (f"api.{view}: is compared with nothing" for view in sorted(found.keys() - known))
    yield from (f"api.{view}: is no view" for view in sorted(known - found.keys()))
    for view in sorted(wanted.keys() & found.keys()):
        yield from differences_of(view, _as_kept(view, wanted[view], found[view]), _without_lost(view, found))
    yield from _orphans(found["orphaned_pools"], truths)
    yield from _events(found, truths)


def _as_kept(view: str, wanted: Rows, found: Rows) -> Rows:
    """What may be asked of rows: of a log whose pool turned out to be an older one only place and topic0 are kept."""
    if view != "rejected_logs":
        return wanted
    ousted = {key for key, row in found.items() if row["reason"] == OUSTED}
    return {
        key: {**row, "topics": row["topics"][:1], "data": None} if key in ousted else row for key, row in wanted.items()
    }


def _without_lost(view: str, found: Mapping[str, Rows]) -> Rows:
    """The rows that the branch of now answers for: what only a branch that lost had is not in the truth."""
    rows = found[view]
    if view == "rejected_logs":
        return {key: row for key, row in rows.items() if row["orphaned_at"] is None}
    if view == "coverage":
        return {key: row for key, row in rows.items() if row["enabled"]}
    if view == "backlog":
        return {key: row for key, row in rows.items() if row["due"] + row["later"] + row["leased"] + row["dead"]}
    if view != "tokens":
        return rows
    alive = {(row["chain_id"], row["token_address"]) for row in found["pool_tokens"].values()}
    lost = {
        (row["chain_id"], row[f"token{side}_address"]) for row in found["orphaned_pools"].values() for side in (0, 1)
    }
    return {key: row for key, row in rows.items() if key in alive or not (key in lost or row["address"] == NATIVE)}


def _orphans(rows: Rows, truths: Truths) -> Iterator[str]:
    """Only pools that a branch that lost had announced may be orphaned; a register need not have seen them."""
    gone = {(truth["chain_id"], key) for truth in truths for key in truth["gone"]}
    for key in sorted(rows.keys() - gone, key=str):
        yield f"api.orphaned_pools {_key(key)}: should not be there"


def _events(found: Mapping[str, Rows], truths: Truths) -> Iterator[str]:
    """Whoever only reads the events has to end up with these pools and tokens."""
    told: dict[tuple[Any, ...], list[Row]] = {}
    for _, event in sorted(found["events"].items()):
        told.setdefault((event["chain_id"], event["subject"]), []).append(event)
    for key, pool in expected.pools(truths).items():
        trouble = _pool_story(told.get(key, []), pool["created_block"])
        if trouble:
            yield f"api.events {_key(key)}: {trouble}"
    for key, row in expected.tokens(truths).items():
        resolved = sum(event["kind"] == "token.resolved" for event in told.get(key, []))
        if row["address"] != NATIVE and resolved != 1:
            yield f"api.events {_key(key)}: token.resolved was told {resolved} times"
    for key in found["orphaned_pools"]:
        placed = [event["kind"] for event in told.get(key, []) if event["kind"] != "pool.finalized"]
        if placed[-1:] != ["pool.orphaned"]:
            yield f"api.events {_key(key)}: the last that was told of an orphan is {placed[-1:]}"


def _pool_story(events: Sequence[Row], block: int) -> str | None:
    """What is wrong with what was told of one pool that is there, in `block`; None if nothing."""
    kinds = [event["kind"] for event in events]
    if kinds.count("pool.created") != 1:
        return f"pool.created was told {kinds.count('pool.created')} times"
    placed = [event for event in events if event["kind"] != "pool.finalized"]
    if placed[-1]["kind"] == "pool.orphaned" or placed[-1]["block_number"] != block:
        return f"the last that was told is {placed[-1]['kind']} in block {placed[-1]['block_number']}, not {block}"
    since = events[events.index(placed[-1]) :]  # an announcement that was final may turn out not to be the first
    final = sum(event["kind"] == "pool.finalized" for event in since) + (placed[-1]["source"] == "history")
    return None if final == 1 else f"it became final {final} times"


def head_to_row_s(found: Mapping[str, Rows], truths: Truths, since_s: Mapping[str, float]) -> list[float]:
    """From the moment a block was there to be read to the moment its pools were written.

    By the writer's own time: their transaction is over, and its rows are readable, a little later.
    """
    return [
        row["first_seen"].timestamp() - published
        for row, published in _timed(found, truths, since_s)
        if row["first_seen"].timestamp() >= published  # else it moved here from a branch that lost
    ]


def resolved_s(found: Mapping[str, Rows], truths: Truths, since_s: Mapping[str, float]) -> list[float]:
    """The same to the moment when the pool and both of its tokens were known."""
    answered = {key: row["resolved_at"] for key, row in found["tokens"].items() if row["resolved_at"] is not None}
    taken: list[float] = []
    for row, published in _timed(found, truths, since_s):
        sides = [answered.get((row["chain_id"], row[f"token{side}_address"])) for side in (0, 1)]
        known = [side.timestamp() for side in sides if side is not None]
        first_seen = row["first_seen"].timestamp()
        if len(known) == len(sides) and first_seen >= published:
            taken.append(max(first_seen, *known) - published)
    return taken


def _timed(found: Mapping[str, Rows], truths: Truths, since_s: Mapping[str, float]) -> Iterable[tuple[Row, float]]:
    published = {
        (truth["chain_id"], block): when
        for truth in truths
        for block, when in truth["published_at_s"].items()
        if when >= since_s.get(truth["chain"], 0.0)
    }
    for row in found["pools"].values():
        when = published.get((row["chain_id"], row["block_hash"]))
        if row["source"] == "head" and when is not None:
            yield row, when


def spread(taken_s: Sequence[float]) -> Spread:
    """Percentiles that were really measured, by the nearest rank."""
    ordered = sorted(taken_s)

    def at(share: float) -> float | None:
        return ordered[ceil(share * len(ordered)) - 1] if ordered else None

    return Spread(measured=len(ordered), p50_s=at(0.5), p90_s=at(0.9), p99_s=at(0.99), most_s=at(1.0))


def _key(key: tuple[Any, ...]) -> str:
    return " ".join(_value(part) if isinstance(part, bytes) else clean(str(part)) for part in key)


def _value(value: object) -> str:
    """A value as it may be shown: tokens choose their symbols."""
    text = value.isoformat(" ") if isinstance(value, datetime) else ascii(value)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"
