"""History of a node that takes 50 ms for each answer and serves 2,000 blocks at once: one worker, then four.

    scaling.py [--blocks 1100000] [--pools 5000] [--workers 1,4] [--children 2] [--reps 1] [--out FILE] [--smoke]

Timed from the first claim to the last commit. Beside the wall stands the latency bound (the HTTP requests of that time,
each as long as the node takes, shared by all children), and the CPU seconds that every process used meanwhile: where
these fill the machine's cores, further workers cannot help.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import simulated
import usage
from celery import Celery
from redis import Redis
from usage import Row

from indexer import known, store
from indexer.flow import follow
from indexer.model import Lane
from indexer.sim.faults import Fault
from indexer.sim.server import Server
from indexer.sim.world import Site
from indexer.store import facts, migrate
from indexer.store.clock import database_time
from indexer.wire.node import HttpNode
from indexer.wire.transport import HttpTransport
from workers.app import celery_url, queue_of
from workers.local.postgres import Postgres
from workers.local.valkey import Valkey

ROOT = Path(__file__).parents[1]
ANSWER_S = 0.05
CAP = 2_000
LOOK_S = 0.01
START_S, RUN_S = 120.0, 200.0
ENOUGH_REQUESTS_PER_S = 100_000
COLUMNS = (
    "workers", "children", "ranges", "requests", "wall_s", "bound_s", "x_bound", "x_one",
    "work_cpu_ms", "pg_cpu_ms", "node_cpu_ms", "broker_cpu_ms", "cores_busy",
)  # fmt: skip
MISSING = """
    select exists (select from gazetteer.coverage c join gazetteer.factories f using (chain_id, address)
                   join gazetteer.cursors u using (chain_id)
                   where f.enabled and not c.scanned @> int8range(f.from_block, u.anchor_number, '[]')
                     and f.from_block <= u.anchor_number)
"""


@dataclass(frozen=True)
class Setting:
    blocks: int
    pools: int
    children: int
    root: Path


@dataclass(frozen=True)
class Node:
    url: str
    pid: int
    root: Path

    def requests(self) -> int:
        return int((self.root / "requests").read_text() or 0)


def main() -> None:
    args = _arguments()
    if args.serve is not None:
        serve(args.serve, args.blocks, args.pools)
        return
    root = Path(tempfile.mkdtemp(prefix="gz-scaling-"))
    root.chmod(0o711)  # where we are root, PostgreSQL runs as somebody else
    blocks, pools = (60_000, 100) if args.smoke else (args.blocks, args.pools)
    setting = Setting(blocks, pools, args.children, root)
    print(f"bench: {usage.machine()}; {blocks:,} blocks, {pools:,} pools", flush=True)
    postgres, broker = Postgres(root / "pg"), Valkey(root / "vk")
    try:
        postgres.start()
        broker.start()
        rows = []
        for rep in range(args.reps):
            for workers in map(int, args.workers.split(",")):
                rows.append(_run(setting, f"r{rep}w{workers}", workers, postgres, broker))
                one = next((row["wall_s"] for row in rows if row["workers"] == 1), None)
                rows[-1]["x_one"] = round(one / rows[-1]["wall_s"], 2) if one else None
                usage.write_lines(args.out, rows[-1:])
        print(usage.table(COLUMNS, [[row[column] for column in COLUMNS] for row in rows]), flush=True)
    finally:
        broker.stop()
        postgres.stop()
        shutil.rmtree(root, ignore_errors=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, default=1_100_000)
    parser.add_argument("--pools", type=int, default=5_000)
    parser.add_argument("--workers", default="1,4", help="how many, with commas")
    parser.add_argument("--children", type=int, default=2, help="of each worker")
    parser.add_argument("--reps", type=int, default=1)
    parser.add_argument("--out", type=Path, default=None, help="result lines (JSON) are appended to this file")
    parser.add_argument("--smoke", action="store_true", help="few blocks, to see that it works")
    parser.add_argument("--serve", type=Path, default=None, help=argparse.SUPPRESS)
    return parser.parse_args()


def serve(root: Path, blocks: int, pools: int) -> None:
    """Be the node, until told to stop."""
    of = simulated.world(blocks, pools)
    faults = (Fault(name="range_cap", amount=CAP), Fault(name="slow", amount=ANSWER_S))
    endpoint = simulated.Counted("distant", simulated.stopped(of), faults=faults)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    server = Server([Site(chain=simulated.CHAIN, path=f"/{simulated.CHAIN}", endpoint=endpoint)])
    server.start()
    url = f"http://{server.address}/{simulated.CHAIN}"
    simulated.settings(of, root, url)
    print(url, flush=True)
    while not ended.wait(LOOK_S):
        (root / "requests").write_text(str(endpoint.requests))
    server.close()


@contextmanager
def _node(setting: Setting, root: Path) -> Iterator[Node]:
    root.mkdir()
    words = [__file__, "--serve", root, "--blocks", setting.blocks, "--pools", setting.pools]
    command = [sys.executable, *map(str, words)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        url = process.stdout.readline().strip() if process.stdout else ""
        if not url:
            sys.exit("bench: the simulated node did not start")
        yield Node(url, process.pid, root)
    finally:
        process.terminate()
        process.wait(START_S)


def _run(setting: Setting, name: str, workers: int, postgres: Postgres, broker: Valkey) -> Row:
    """One history from nothing to the end."""
    root = setting.root / name
    with Redis.from_url(broker.url) as client:
        client.flushall()
    with _node(setting, root) as node:
        url = _register(postgres, name, node)
        with _workers(setting, workers, url, broker.url, node) as pids:
            cpu_s = {
                "work": lambda: sum(map(usage.tree_cpu_s, pids)),
                "pg": lambda: usage.tree_cpu_s(postgres.pid or 0),
                "node": lambda: usage.tree_cpu_s(node.pid),
                "broker": lambda: usage.tree_cpu_s(int((setting.root / "vk/pid").read_text())),
            }
            requests, before = node.requests(), {who: read() for who, read in cpu_s.items()}
            wall_s = _history(url, broker.url)
            used_s = {who: read() - before[who] for who, read in cpu_s.items()}
            time.sleep(2 * LOOK_S)  # until the node has written what it counted
            requests = node.requests() - requests
    children, ranges = workers * setting.children, setting.blocks // CAP
    bound_s = requests * ANSWER_S / children
    return {
        "workers": workers,
        "children": children,
        "ranges": ranges,
        "requests": requests,
        "wall_s": round(wall_s, 2),
        "bound_s": round(bound_s, 2),
        "x_bound": round(wall_s / bound_s, 2),
        **{f"{who}_cpu_ms": round(used / ranges * 1_000, 2) for who, used in used_s.items()},
        "cores_busy": round(sum(used_s.values()) / wall_s, 2),
    }


def _register(postgres: Postgres, name: str, node: Node) -> str:
    """A database whose chain was just started: everything below the anchor is missing. Returns its URL."""
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        connection.execute(f"create database {name}")
    url = postgres.url(name)
    migrate.upgrade(url)
    told = tomllib.loads((node.root / "gazetteer.toml").read_text())
    chains = known.parse_chains(told["chain"], "bench")
    factories = known.parse_factories(told["factory"], "bench", chains)
    db = store.connect(url, name="bench")
    with store.begin(db) as tx:
        facts.load(tx, chains, factories)
    follow.start(db, HttpNode("bench", HttpTransport(node.url)), chains[0], database_time)
    db.dispose()
    return url


@contextmanager
def _workers(setting: Setting, workers: int, url: str, broker: str, node: Node) -> Iterator[Sequence[int]]:
    """So many workers that are ready: their process numbers."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GAZETTEER_")} | {
        "GAZETTEER_CONFIG": str(node.root / "gazetteer.toml"),
        "GAZETTEER_DATABASE_URL": url,
        "GAZETTEER_BROKER_URL": broker,
        "GAZETTEER_CHAINS": simulated.CHAIN,
        "GAZETTEER_RPC_ETHEREUM": node.url,
        "GAZETTEER_REQUESTS_PER_S": str(ENOUGH_REQUESTS_PER_S),
    }
    words = [sys.executable, "-P", "-m", "workers", "worker", "--lane", "history"]
    words += ["--concurrency", str(setting.children), "--name"]
    logs = [node.root / f"worker{number}.log" for number in range(workers)]
    started = []
    try:
        for log in logs:
            with log.open("wb") as output:
                started.append(subprocess.Popen([*words, log.stem], env=environment, stdout=output, stderr=output))
        _eventually(lambda: all("ready." in log.read_text() for log in logs), START_S, "the workers")
        time.sleep(1.0)  # children are forked, and what starting costs is over
        yield [process.pid for process in started]
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(START_S)


def _history(url: str, broker: str) -> float:
    """Wake one worker; seconds from the first claim until nothing is missing."""
    with psycopg.connect(url, autocommit=True) as connection:
        with Celery("bench", broker=celery_url(broker), set_as_current=False) as app:
            app.send_task("history.scan", args=(simulated.CHAIN,), queue=queue_of(simulated.CHAIN, Lane.HISTORY))
        claimed = "select exists (select from gazetteer.scans) or exists (select from gazetteer.readings)"
        _eventually(lambda: connection.execute(claimed).fetchone()[0], START_S, "the first claim")
        began = time.monotonic()
        _eventually(lambda: not connection.execute(MISSING).fetchone()[0], RUN_S, "the last commit")
        return time.monotonic() - began


def _eventually(condition, within_s: float, what: str) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"bench: {what} did not come about within {within_s:g} s")
        time.sleep(LOOK_S)


if __name__ == "__main__":
    main()
