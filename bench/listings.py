"""How many listings a second are applied: the first list of a scope, the same again, and with one of a hundred changed.

    listings.py [--rows 100000] [--reps 3] [--profile]

The floor, in the same invocation: COPY of the same rows' texts into a bare table. Walls are of this process and its
own server, which is as durable as in production; the CPU seconds of both are beside them.
"""

import argparse
import cProfile
import dataclasses
import pstats
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import psycopg
import usage
from usage import Row

from indexer import known, store
from indexer.model import Identifier, Listing, Rules
from indexer.store import Db, listing_rows, listings, migrate, runs, venues
from indexer.store.copying import copy
from indexer.store.listings import Applied
from workers.local.postgres import Postgres

NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
VENUE, SCOPE = "binance", "spot"
CHANGED_EVERY = 100
WANTED = {"first": 4_000, "same": 10_000}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--profile", action="store_true", help="where this process's own time goes, once")
    args = parser.parse_args()
    print(f"bench: {usage.machine()}", flush=True)
    rows = [listing(number) for number in range(args.rows)]
    with server() as postgres:
        found = [measured(postgres, f"rep{rep}", rows, profile=args.profile) for rep in range(args.reps)]
    best = {name: min((each[name] for each in found), key=lambda row: row["wall_s"]) for name in found[0]}
    floor = best.pop("floor")
    table = [["floor: COPY", *figures(floor, args.rows), 1.0, None]]
    for name, row in best.items():
        ratio = round(row["wall_s"] / floor["wall_s"], 1)
        table.append([name, *figures(row, args.rows), ratio, WANTED.get(name)])
    print(usage.table(("list", "wall s", "rows/s", "CPU s", "server CPU s", "x floor", "wanted rows/s"), table))


def figures(row: Row, rows: int) -> list[float]:
    return [row["wall_s"], round(rows / row["wall_s"]), row["cpu_s"], row["pg_cpu_s"]]


def listing(number: int) -> Listing:
    """As wide as those of a large exchange."""
    base = f"C{number // 4}"
    quote = ("USDT", "USDC", "BTC", "EUR")[number % 4]
    step = Decimal(1).scaleb(-(number % 8))
    return Listing(
        symbol=base + quote,
        stable_id=base + quote,
        status="active" if number % 9 else "halted",
        venue_status="TRADING" if number % 9 else "BREAK",
        asset_class="crypto",
        inst_class="spot",
        display=f"{base}/{quote}",
        base=base,
        quote=quote,
        tradable=bool(number % 9),
        list_at=NOW - timedelta(hours=number),
        identifiers=(Identifier(scheme="made", value=f"M{number}"),) if number % 2 else (),
        rules=Rules(
            tick_size=step, lot_size=step / 10, min_size=step, max_size=Decimal(9_000), min_notional=Decimal(5)
        ),
        attrs={"permissions": ["SPOT", "MARGIN"], "iceberg": True, "order_types": ["LIMIT", "MARKET"]},
    )


def measured(postgres: Postgres, name: str, rows: Sequence[Listing], *, profile: bool) -> dict[str, Row]:
    every = range(0, len(rows), CHANGED_EVERY)
    other = list(rows)
    for at in every:
        other[at] = dataclasses.replace(rows[at], status="restricted", venue_status="CANCEL_ONLY")
    texts = [(each.stable_id, each.state.decode(), each.rules.decode()) for each in listing_rows.staged(rows)[0]]
    with database(postgres, name) as db:
        found = {
            "floor": timed(postgres, lambda: bare_copy(db, texts)),
            "first": timed(postgres, lambda: check(apply(db, rows, 0), new=len(rows)), profile=profile),
            "same": timed(postgres, lambda: check(apply(db, rows, 1), same=len(rows)), profile=profile),
            "1 % changed": timed(postgres, lambda: check(apply(db, other, 2), changed=len(every))),
        }
    print(", ".join(f"{key} {row['wall_s']} s" for key, row in found.items()), flush=True)
    return found


def apply(db: Db, rows: Sequence[Listing], beat: int) -> Applied:
    now = NOW + beat * timedelta(minutes=5)
    with store.begin(db) as tx:
        run = runs.begin(tx, VENUE, SCOPE, now)
    prepared = listings.prepare(rows)
    with store.begin(db) as tx:
        told = listings.apply(tx, run, prepared, complete=True, unreadable=0, accept=False, now=now)
        runs.finish(tx, run, told, client="bench", pages=1, evidence={}, archive=None, now=now)
    return told


def check(told: Applied, **wanted: int) -> None:
    for name, count in wanted.items():
        assert getattr(told, name) == count, told


def bare_copy(db: Db, texts: Sequence[tuple[str, str, str]]) -> None:
    with store.begin(db) as tx:
        tx.exec_driver_sql("create table bare (stable_id text, state text, rules text)")
        copy(tx, "bare", [("stable_id", "text"), ("state", "text"), ("rules", "text")], texts)


def timed(postgres: Postgres, do: Callable[[], None], *, profile: bool = False) -> Row:
    row: Row = {}
    profiler = cProfile.Profile()
    with usage.timed(row, pg_cpu_s=lambda: usage.tree_cpu_s(postgres.pid or 0)):
        if profile:
            profiler.runcall(do)
        else:
            do()
    if profile:
        pstats.Stats(profiler).sort_stats("tottime").print_stats(18)
    return row


@contextmanager
def server():
    root = Path(tempfile.mkdtemp(prefix="gz-listings-"))
    root.chmod(0o711)
    postgres = Postgres(root / "pg")
    postgres.start()
    try:
        yield postgres
    finally:
        postgres.stop()
        shutil.rmtree(root, ignore_errors=True)


@contextmanager
def database(postgres: Postgres, name: str):
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        connection.execute(f"create database {name}")
    migrate.upgrade(postgres.url(name))
    db = store.connect(postgres.url(name), name="bench")
    with store.begin(db) as tx:
        venues.load(tx, known.venues(), known.schemes())
    try:
        yield db
    finally:
        db.dispose()
        with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
            connection.execute(f"drop database {name} with (force)")


if __name__ == "__main__":
    main()
