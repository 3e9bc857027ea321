"""The project's own benchmarks, against the simulated node and servers that they start themselves.

    own.py [--smoke] [--only decode,write,resolve,backfill] [--reps 3] [--out FILE]

Each stands beside a floor that was run in the same invocation: the least that anybody would have to do. What counts is
the ratio of CPU seconds. `--smoke` does everything with few pools, in seconds, to see that it works.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson
import psycopg
import simulated
import usage
from processes import Product, Servers, Setting, simulated_node
from usage import Row

from indexer import store
from indexer.flow import resolve
from indexer.flow.reading import announced, listening
from indexer.known import Chain
from indexer.model import Emitter, Window
from indexer.store import Db, coverage, cursor, facts, migrate, pool_rows, pools, work
from indexer.store.clock import database_time
from indexer.store.pool_rows import Times
from indexer.wire.node import HttpNode
from indexer.wire.transport import HttpTransport
from workers.local.postgres import Postgres
from workers.local.valkey import Valkey

ROOT = Path(__file__).parents[1]
ALL = ("decode", "write", "resolve", "backfill")
POOLS, FEW_POOLS = 20_000, 300
BLOCKS, FEW_BLOCKS = 200_000, 5_000
POOLS_A_RANGE = 2_000
"""As many as history aims at."""
NOW = datetime(2026, 1, 1, tzinfo=UTC)
READ_S = 60.0


def main() -> None:
    args = _arguments()
    setting = Setting(FEW_BLOCKS, FEW_POOLS, 1) if args.smoke else Setting(BLOCKS, POOLS, args.reps)
    wanted = args.only.split(",")
    unknown = set(wanted) - set(ALL)
    if unknown:
        sys.exit(f"bench: there is no benchmark {', '.join(sorted(unknown))}; choose among {', '.join(ALL)}")
    print(f"bench: {usage.machine()}", flush=True)
    with _servers() as servers:
        for name in wanted:
            rows = BENCHMARKS[name](setting, servers)
            usage.write_lines(args.out, rows)
            print(f"\n{_shown(rows)}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="few pools, once")
    parser.add_argument("--only", default=",".join(ALL), help="some of them, with commas")
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--out", type=Path, default=None, help="result lines (JSON) are appended to this file")
    return parser.parse_args()


@contextmanager
def _servers() -> Iterator[Servers]:
    root = Path(tempfile.mkdtemp(prefix="gz-own-"))
    root.chmod(0o711)  # where we are root, PostgreSQL runs as somebody else
    postgres, broker = Postgres(root / "pg"), Valkey(root / "vk")
    try:
        postgres.start()
        broker.start()
        yield Servers(postgres, broker, root)
    finally:
        broker.stop()
        postgres.stop()
        shutil.rmtree(root, ignore_errors=True)


def _shown(rows: Sequence[Row]) -> str:
    columns = ("bench", "what", "n", "unit", "cpu_s", "per_cpu_s", "us_each", "x_floor", "pg_cpu_s", "wall_s")
    told = [{**row, "us_each": row["cpu_s"] / row["n"] * 1e6} for row in rows if "cpu_s" in row]
    text = usage.table(columns, [[row.get(column) for column in columns] for row in told])
    notes = [row["note"] for row in rows if "note" in row]
    return "\n".join([text, *notes])


def _beside(bench: str, unit: str, n: int, floor: Sequence[Row], product: Sequence[Row]) -> list[Row]:
    """The fastest run of each by CPU, with the rate, and the product's as a multiple of the floor's."""
    made = []
    for what, runs in (("floor", floor), ("product", product)):
        best = min(runs, key=lambda row: row["cpu_s"])
        cpu_s = max(best["cpu_s"], 1e-4)
        made.append({"bench": bench, "what": what, "n": n, "unit": unit, **best, "per_cpu_s": round(n / cpu_s)})
    made[1]["x_floor"] = round(made[1]["cpu_s"] / max(made[0]["cpu_s"], 1e-4), 2)
    return made


@dataclass(frozen=True)
class Past:
    """A chain's whole past, as one endpoint tells it: the answers' bytes, and what is in them."""

    chain: Chain
    emitters: tuple[Emitter, ...]
    bodies: tuple[bytes, ...]
    window: Window
    first: int
    last: int

    def node(self) -> HttpNode:
        """A node that answers again what it answered, at no cost."""
        bodies = iter(self.bodies)
        return HttpNode("recorded", lambda _body, _timeout_s: next(bodies))


def _past(setting: Setting) -> Past:
    of = simulated.world(setting.blocks, setting.pools)
    ledger = simulated.stopped(of)
    endpoint = simulated.Counted("honest", ledger)
    emitters = tuple(
        Emitter(factory=factory, topic0=topic)
        for factory in of.factories()
        if factory.chain_id == ledger.chain.id
        for topic in factory.topics
    )
    bodies: list[bytes] = []

    def transport(body: bytes, _timeout_s: float) -> bytes:
        bodies.append(endpoint.handle(body))
        return bodies[-1]

    last = ledger.view().head.number
    window = HttpNode("recorded", transport).window(1, last, listening(emitters))
    return Past(ledger.chain, emitters, tuple(bodies), window, 1, last)


def decode(setting: Setting, _servers: Servers) -> list[Row]:
    """From the bytes of an answer to checked logs and to what they announce; floor: the JSON alone."""
    past = _past(setting)
    wanted = listening(past.emitters)

    def floor() -> None:
        for body in past.bodies:
            orjson.loads(body)

    def product() -> None:
        announced(past.emitters, past.node().window(past.first, past.last, wanted).logs)

    runs = {what: [_run(body) for _ in range(setting.reps)] for what, body in (("floor", floor), ("product", product))}
    return _beside("decode", "logs", len(past.window.logs), runs["floor"], runs["product"])


def _run(body: Callable[[], object], **others: Callable[[], float]) -> Row:
    row: Row = {}
    with usage.timed(row, **others):
        body()
    return row


def write(setting: Setting, servers: Servers) -> list[Row]:
    """Pools, instruments, tokens, work, events and coverage of ranges of 2,000; floor: COPY of the pools' columns."""
    past = _past(setting)
    told = announced(past.emitters, past.window.logs).created
    ranges = [told[at : at + POOLS_A_RANGE] for at in range(0, len(told), POOLS_A_RANGE)]
    pg_cpu_s = lambda: usage.tree_cpu_s(servers.postgres.pid or 0)  # noqa: E731
    runs: dict[str, list[Row]] = {"floor": [], "product": []}
    for rep in range(setting.reps):
        with _database(servers, f"write{rep}", past) as db:
            runs["product"].append(_run(lambda db=db: _keep(db, past, ranges), pg_cpu_s=pg_cpu_s))
        with _database(servers, f"copy{rep}", past) as db:
            runs["floor"].append(_run(lambda db=db: _copy(db, ranges), pg_cpu_s=pg_cpu_s))
    return _beside("write", "pools", len(told), runs["floor"], runs["product"])


@contextmanager
def _database(servers: Servers, name: str, past: Past) -> Iterator[Db]:
    """A migrated database that knows the chain, whose anchor is its last block."""
    with psycopg.connect(servers.postgres.url("postgres"), autocommit=True) as connection:
        connection.execute(f"create database {name}")
    url = servers.postgres.url(name)
    migrate.upgrade(url)
    db = store.connect(url, name="bench")
    with store.begin(db) as tx:
        facts.load(tx, [past.chain], [emitter.factory for emitter in past.emitters])
        cursor.start(tx, past.chain.id, past.window.last, NOW)
    try:
        yield db
    finally:
        db.dispose()


def _keep(db: Db, past: Past, ranges: Sequence[Sequence[object]]) -> None:
    """As flow.history keeps what it read."""
    keys = [emitter.key for emitter in past.emitters]
    times = Times(headers={}, estimate=lambda number: simulated.EPOCH_S + number)
    first = past.first
    for each in ranges:
        last = each[-1].log.block_number
        last = past.last if each is ranges[-1] else max(last, first)
        with store.begin(db) as tx:
            pools.settle(
                tx,
                past.chain.id,
                first,
                last,
                each,
                (),
                emitters=past.emitters,
                source="history",
                times=times,
                until=None,
                now=NOW,
            )
            coverage.add(tx, past.chain.id, keys, first, last)
        first = last + 1


def _copy(db: Db, ranges: Sequence[Sequence[object]]) -> None:
    """The pools' columns into a bare table: no index, no check, no second table."""
    times = Times(headers={}, estimate=lambda number: simulated.EPOCH_S + number)
    names, kinds = zip(*pool_rows.COLUMNS, strict=True)
    with store.begin(db) as tx:
        columns = ", ".join(f"{name} {kind}" for name, kind in zip(names, kinds, strict=True))
        tx.exec_driver_sql(f"create table bare ({columns})")
    for each in ranges:
        with store.begin(db) as tx:
            driver = tx.connection.driver_connection
            with driver.cursor() as cur, cur.copy(f"copy bare ({', '.join(names)}) from stdin (format binary)") as copy:
                copy.set_types(kinds)
                for pool in each:
                    copy.write_row(pool_rows.row(pool, times))


def resolve_(setting: Setting, servers: Servers) -> list[Row]:
    """Tokens claimed, asked and written, until none is left; floor: the same bodies sent, their JSON read."""
    past = _past(setting)
    told = announced(past.emitters, past.window.logs).created
    ranges = [told[at : at + POOLS_A_RANGE] for at in range(0, len(told), POOLS_A_RANGE)]
    pg_cpu_s = lambda: usage.tree_cpu_s(servers.postgres.pid or 0)  # noqa: E731
    runs: dict[str, list[Row]] = {"floor": [], "product": []}
    tokens = requests = 0
    with simulated_node(setting, servers.root / "resolve") as (url, _):
        for rep in range(setting.reps):
            with _database(servers, f"resolve{rep}", past) as db:
                _keep(db, past, ranges)
                with store.begin(db) as tx:
                    tokens = work.left(tx, [past.chain.name])
                sent: list[bytes] = []
                runs["product"].append(
                    _run(lambda db=db, sent=sent: _resolve(db, url, past.chain, sent), pg_cpu_s=pg_cpu_s)
                )
                runs["floor"].append(_run(lambda sent=sent: _send(url, sent)))
                requests = len(sent)
    rows = _beside("resolve", "tokens", tokens, runs["floor"], runs["product"])
    rows[1]["requests"] = requests
    rows[1]["note"] = f"resolve: {requests} requests for {tokens:,} tokens and pools, every negative asked again alone"
    return rows


def _resolve(db: Db, url: str, chain: Chain, sent: list[bytes]) -> None:
    real = HttpTransport(url)

    def transport(body: bytes, timeout_s: float) -> bytes:
        sent.append(body)
        return real(body, timeout_s)

    node = HttpNode("simulated", transport)
    for verb in (resolve.resolve_tokens, resolve.resolve_pools):
        while verb(db, node, chain, _far_future, lease_s=60).asked:
            pass


def _far_future(tx: store.Tx) -> datetime:
    """What waits to be asked again is due at once."""
    return database_time(tx).replace(year=2100)


def _send(url: str, bodies: Sequence[bytes]) -> None:
    send = HttpTransport(url)
    for body in bodies:
        orjson.loads(send(body, READ_S))


def backfill(setting: Setting, servers: Servers) -> list[Row]:
    """The command line and one worker with two children, to the end of tokens; floor: the logs fetched and parsed."""
    rows: list[Row] = []
    with simulated_node(setting, servers.root / "backfill") as (url, requests):
        prepared = Product(servers, url, setting)
        runs = {mode: [prepared.run(mode, requests) for _ in range(setting.reps)] for mode in ("idle", "run")}
        floor = [_run(lambda: _fetch(url, setting)) for _ in range(setting.reps)]
        shares = prepared.stages()
        follower_mb = prepared.follower_mb()
    pools_ = runs["run"][0]["pools"]
    rows = _beside("backfill", "pools", pools_, floor, runs["run"])
    idle = usage.median(runs["idle"], "cpu_s")
    work_s = usage.median(runs["run"], "cpu_s") - idle
    rows.append(
        {
            "bench": "backfill",
            "what": "work",
            "n": pools_,
            "unit": "pools",
            "cpu_s": round(work_s, 3),
            "idle_cpu_s": idle,
            "celery_share": shares["celery_share"],
            "rss_mb": runs["run"][0]["rss_mb"] | {"follow": follower_mb},
            "note": (
                f"backfill: work = total less {idle:.2f} s for an idle start and stop of the same processes; tokens "
                f"included; requests: {runs['run'][0]['requests']}; peak RSS MB: {runs['run'][0]['rss_mb']}, "
                f"follower {follower_mb:.0f}\n\n"
                f"{shares['text']}"
            ),
        }
    )
    return rows


def _fetch(url: str, setting: Setting) -> None:
    """Every log of the chain in ranges that hold about 2,000, as JSON."""
    send = HttpTransport(url)
    factories = simulated.World.factories()
    wanted = {"address": sorted({"0x" + each.address.hex() for each in factories if each.chain_id == 1})}
    span = max(setting.blocks * POOLS_A_RANGE // setting.pools, 1)
    for first in range(1, setting.blocks + 2, span):
        span_of = {"fromBlock": hex(first), "toBlock": hex(min(first + span - 1, setting.blocks + 1))}
        body = {"jsonrpc": "2.0", "id": 1, "method": "eth_getLogs", "params": [wanted | span_of]}
        told = orjson.loads(send(orjson.dumps(body), READ_S))
        if "result" not in told:
            sys.exit(f"bench: the simulated node refused a range: {told}")


BENCHMARKS = {"decode": decode, "write": write, "resolve": resolve_, "backfill": backfill}

if __name__ == "__main__":
    main()
