"""The product as processes against the simulated node: run, idle, and looked at while they run."""

import itertools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import simulated
import stages
import usage
from usage import Row

from workers.local.postgres import Postgres
from workers.local.valkey import Valkey

ROOT = Path(__file__).parents[1]
START_S = 120
FOLLOW_S = 6.0


@dataclass(frozen=True)
class Setting:
    blocks: int
    pools: int
    reps: int


@dataclass(frozen=True)
class Servers:
    postgres: Postgres
    broker: Valkey
    root: Path


@contextmanager
def simulated_node(setting: Setting, root: Path) -> Iterator[tuple[str, Callable[[], int]]]:
    """The simulated node as a process of its own: its URL, and how many requests it answered so far."""
    root.mkdir(exist_ok=True)
    command = [sys.executable, ROOT / "bench/simulated.py", root, setting.blocks, setting.pools]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True, env=environment)
    try:
        url = process.stdout.readline().strip() if process.stdout else ""
        if not url:
            sys.exit("bench: the simulated node did not start")
        yield url, lambda: int((root / "requests").read_text() or 0)
    finally:
        process.terminate()
        process.wait(START_S)


class Product:
    """Our processes against one simulated node, each time with an empty database."""

    def __init__(self, servers: Servers, url: str, setting: Setting) -> None:
        self._servers, self._url, self._numbers = servers, url, itertools.count(1)
        self._config = servers.root / "backfill/gazetteer.toml"
        self._last = setting.blocks

    def run(self, mode: str, requests: Callable[[], int] = lambda: 0, samples: Path | None = None) -> Row:
        name = f"backfill{next(self._numbers)}"
        out = self._servers.root / name
        out.mkdir()
        shutil.copy(self._config, out / "gazetteer.toml")
        with psycopg.connect(self._servers.postgres.url("postgres"), autocommit=True) as connection:
            connection.execute(f"create database {name}")
        environment = os.environ | {
            "RPC_URL": self._url,
            "DATABASE_URL": self._servers.postgres.url(name),
            "BENCH_BROKER": self._servers.broker.url,
            "FROM_BLOCK": "0",
            "TO_BLOCK": str(self._last),
            "OUT_DIR": str(out),
            "JOB": "meta",
        }
        self._last_run = environment, out
        script = str(ROOT / "bench/product.sh")
        self._called([script, "prepare-idle" if mode == "idle" else "prepare"], environment, out)
        before, row = requests(), {}
        memory = usage.Memory()
        memory.start()
        with usage.timed(row, usage.children_cpu_s, pg_cpu_s=lambda: usage.tree_cpu_s(self._servers.postgres.pid or 0)):
            self._called([script, mode], environment | ({"BENCH_LOOK": str(samples)} if samples else {}), out)
        row["rss_mb"] = memory.end()
        row["requests"] = requests() - before
        with psycopg.connect(self._servers.postgres.url(name)) as connection:
            (row["pools"],) = connection.execute("select count(*) from gazetteer.pools").fetchone()
            (missing,) = connection.execute("select sum(missing_blocks) from api.coverage where enabled").fetchone()
        if mode == "run" and missing:
            sys.exit(f"bench: the backfill left {missing} blocks unread, see {out}")
        return row

    def stages(self) -> Row:
        """Where the time goes, of one more run and one more idle start, both looked at as they go."""
        looks = self._servers.root / "looks"
        for mode in ("idle", "run"):
            self.run(mode, samples=looks)
        run, idle = stages.read(looks / "meta-run"), stages.read(looks / "meta-idle")
        return {"celery_share": stages.celery_share(run, idle), "text": stages.shown(run, idle)}

    def follower_mb(self) -> float:
        """The follower's largest resident size while it follows what the last run read."""
        environment, out = self._last_run
        environment = environment | {
            "GAZETTEER_CONFIG": str(out / "gazetteer.toml"),
            "GAZETTEER_DATABASE_URL": environment["DATABASE_URL"],
            "GAZETTEER_BROKER_URL": environment["BENCH_BROKER"],
            "GAZETTEER_RPC_ETHEREUM": environment["RPC_URL"],
            "GAZETTEER_CHAINS": simulated.CHAIN,
        }
        command = [str(ROOT / ".venv/bin/python"), "-P", "-m", "workers", "follow", simulated.CHAIN]
        memory = usage.Memory()
        memory.start()
        with (out / "follow.txt").open("wb") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
            time.sleep(FOLLOW_S)
            process.terminate()
            if process.wait(START_S) != 0:
                sys.exit(f"bench: the follower failed:\n{(out / 'follow.txt').read_text()[-3000:]}")
        return memory.end()["follow"]

    def _called(self, command: Sequence[str], environment: dict[str, str], out: Path) -> None:
        with (out / "log.txt").open("ab") as log:
            done = subprocess.run(command, env=environment, stdout=log, stderr=log, check=False)
        if done.returncode != 0:
            sys.exit(f"bench: {' '.join(command)} failed:\n{(out / 'log.txt').read_text()[-3000:]}")
