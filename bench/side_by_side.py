"""The shared side-by-side benchmark with this product as one more competitor, on servers of its own.

    side_by_side.py SHARED [--scenarios local,local200k,capped] [--jobs events,meta] [--reps 3] [--only a,b] [--out FILE]

SHARED is only read: it is copied, its node is built, and PostgreSQL and Valkey are started before, all in a temporary
directory. Peers are used where they are installed (PERF, default ~/perf); `--peers` installs those that can be.
"""

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import peers
import stages
import usage

from workers.local.postgres import Postgres, _find_binaries
from workers.local.process import free_port
from workers.local.valkey import Valkey

ROOT = Path(__file__).parents[1]
IDLE, OURS, HERE = "gazetteer_idle", "gazetteer", "gazetteer_here"
LOOKED_AT = ("gazetteer_idle_looked_at", "gazetteer_looked_at")
FLOOR = "floor_pipeline"
NODE_PORT = 18_545
CAPPED_RANGE = 2_000
ALL_BLOCKS = 1_000_000
"""Of the shared scenarios' chains."""
_MORE = "--events {} --blocks 1000000 --max-range 10000 --max-results 10000 --error-style infura"
MORE_SCENARIOS = {"local1m": _MORE.format(1_000_000), "local2m": _MORE.format(2_000_000)}
"""Fifty and a hundred times the pools of `local` in as many blocks."""
REQUESTS_PER_S = {"capped": 100}
"""What the operator says of such a plan."""

Row = dict[str, Any]


def main() -> None:
    """Everything from the copy to the tables."""
    args = _arguments()
    perf = Path(os.environ.get("PERF", Path.home() / "perf"))
    print(f"bench: {usage.machine()}", flush=True)
    peers.install_floor(perf)
    if args.peers:
        for name, why in peers.install(perf).items():
            print(f"bench: {name} cannot be installed here: {why}", flush=True)
    here = Path(tempfile.mkdtemp(prefix="gz-bench-"))
    here.chmod(0o711)
    postgres, valkey = Postgres(here / "pg"), Valkey(here / "vk")
    try:
        postgres.start()
        valkey.start()
        rows: list[Row] = []
        for scenario in args.scenarios.split(","):
            bench = _Bench(here, args, scenario, postgres, valkey, perf)
            rows += bench.run()
            usage.write_lines(args.out, [row for row in rows if row["scenario"] == scenario])
            print(
                f"\n{scenario}, {args.reps} runs each, medians\n\n{table([r for r in rows if r['scenario'] == scenario])}"
            )
            print(bench.notes(), flush=True)
        print("\n".join(conclusions(rows)))
    finally:
        valkey.stop()
        postgres.stop()
        shutil.rmtree(here, ignore_errors=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path)
    parser.add_argument("--scenarios", default="local")
    parser.add_argument("--jobs", default="events")
    parser.add_argument("--blocks", type=int, default=None, help="a shorter chain, with as many pools a block")
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--only", default=None, help="competitors, with commas")
    parser.add_argument(
        "--peers", action="store_true", help="install the other indexers that can be, and run them in `local`"
    )
    parser.add_argument("--timeout", type=int, default=600, help="seconds for one run")
    parser.add_argument("--out", type=Path, default=None, help="result lines are appended to this file")
    return parser.parse_args()


class _Bench:
    """One scenario: a copy of the shared benchmark that can be written, and what came of it."""

    def __init__(
        self, here: Path, args: argparse.Namespace, scenario: str, postgres: Postgres, valkey: Valkey, perf: Path
    ) -> None:
        self._args, self._scenario, self._perf = args, scenario, perf
        self._root = here / scenario
        self._out = self._root / "results.jsonl"
        self._looks = self._root / "looks"
        self._postgres, self._valkey = postgres, valkey
        self._memory: dict[str, float] = {}
        self._copy = self._root / "bench"
        shutil.copytree(args.shared, self._copy)
        for path in (self._copy, *self._copy.rglob("*")):
            path.chmod(path.stat().st_mode | 0o200)
        subprocess.run(["make", "--silent", "-C", self._copy / "mockrpc"], check=True, stdout=subprocess.DEVNULL)
        with (self._copy / "competitors.toml").open("a") as file:
            file.write((ROOT / "bench/competitors.toml").read_text().replace("$PRODUCT", str(ROOT)))
        self._write_scenario()

    def _write_scenario(self) -> None:
        path = self._copy / "scenarios.toml"
        known = {name: told["node"] for name, told in tomllib.loads(path.read_text()).items()} | MORE_SCENARIOS
        node = known[self._scenario]
        if self._args.blocks:
            words = node.split()
            events = int(words[words.index("--events") + 1]) * self._args.blocks // ALL_BLOCKS
            words[words.index("--events") + 1] = str(max(events, 1))
            words[words.index("--blocks") + 1] = str(self._args.blocks)
            node = " ".join(words)
        path.write_text(f"[{self._scenario}]\nnode = {json.dumps(node)}\n")

    def run(self) -> list[Row]:
        """The result lines of every competitor."""
        environment = os.environ | {
            "BENCH_BROKER": self._valkey.url,
            "BENCH_LOOKS": str(self._looks),
            "BENCH_REQUESTS_PER_S": str(REQUESTS_PER_S.get(self._scenario, 100_000)),
            "PATH": f"{_find_binaries()}{os.pathsep}{os.environ['PATH']}",
        }
        memory = usage.Memory()
        memory.start()
        code = subprocess.run([str(word) for word in self._command()], env=environment, check=False).returncode
        self._memory = memory.end()
        if code != 0:
            for log in sorted((self._root / "work").glob("*/log.txt")):
                print(f"--- {log.parent.name}\n{log.read_text()[-2000:]}", file=sys.stderr)
            sys.exit(code)
        return [json.loads(line) for line in self._out.read_text().splitlines()]

    def _command(self) -> list[object]:
        args = self._args
        return [
            *(sys.executable, self._copy / "bench/run.py", "--scenario", self._scenario, "--jobs", args.jobs),
            *(
                "--only",
                ",".join(self._names()),
                "--reps",
                args.reps,
                "--port",
                free_port(NODE_PORT),
                "--timeout",
                args.timeout,
            ),
            *("--pg", self._postgres.url("").rstrip("/"), "--peers", self._perf),
            *("--range", CAPPED_RANGE if self._scenario == "capped" else 10_000),
            *("--work", self._root / "work", "--out", self._out),
        ]

    def _names(self) -> Sequence[str]:
        if self._args.only:
            names: list[str] = self._args.only.split(",")
            return names
        others = peers.installed(self._perf) if self._scenario == "local" else []
        return [FLOOR, IDLE, OURS, HERE, *(LOOKED_AT if self._scenario == "local" else ()), *others]

    def notes(self) -> str:
        """Resident sizes, and where the time went."""
        told = [f"peak RSS MB: {', '.join(f'{role} {size:.0f}' for role, size in sorted(self._memory.items()))}"]
        for job in self._args.jobs.split(","):
            folders = [self._looks / f"{job}-{mode}" for mode in ("run", "idle")]
            if all(folder.is_dir() for folder in folders):
                told.append(f"\n{self._scenario}, {job}\n\n{stages.shown(*map(stages.read, folders))}")
        return "\n".join(told)


def _groups(rows: Sequence[Row]) -> dict[tuple[str, str, str], list[Row]]:
    groups: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["scenario"], row["job"], row["competitor"]].append(row)
    return groups


def _work_s(groups: dict[tuple[str, str, str], list[Row]], scenario: str, job: str, name: str) -> float | None:
    """CPU less an idle start and stop of the same processes, measured in the same invocation."""
    idle = groups.get((scenario, job, IDLE))
    if name != OURS or not idle:
        return None
    return round(usage.median(groups[scenario, job, name], "cpu_s") - usage.median(idle, "cpu_s"), 2)


def table(rows: Sequence[Row]) -> str:
    """Medians by job and competitor."""
    groups = _groups(rows)
    columns = (
        "job",
        "competitor",
        "ok",
        "CPU s",
        "work CPU s",
        "Postgres CPU s",
        "wall s",
        "peak RSS MB",
        "HTTP",
        "getLogs",
    )
    lines = []
    for (scenario, job, name), group in groups.items():
        ok = sum(row["exit"] in (0, None) and not row["timed_out"] for row in group)
        middle = [usage.median(group, key) for key in ("cpu_s", "pg_cpu_s", "wall_s", "peak_rss_mb", "http")]
        right = f"{group[0]['tokens_right']}/{group[0]['tokens_wellformed']}" if "tokens_right" in group[0] else None
        exact = None
        if "pools" in group[0]:
            exact = f"{max(r['pools_missing'] for r in group)}/{max(r['pools_extra'] for r in group)}"
        lines.append(
            [
                *(job, name, f"{ok}/{len(group)}", middle[0], _work_s(groups, scenario, job, name), *middle[1:3]),
                *(round(middle[3]), round(middle[4]), group[0]["methods"].get("eth_getLogs", 0), exact, right),
            ]
        )
    return usage.table((*columns, "missing/extra", "tokens right"), lines)


def conclusions(rows: Sequence[Row]) -> list[str]:
    """What follows for the product: cost of one more pool, requests beside the floor's."""
    groups = _groups(rows)
    told = []
    sizes = [name for name in ("local", "local200k", "local1m", "local2m") if (name, "events", HERE) in groups]
    for less, more in itertools.pairwise(sizes):
        for name in (FLOOR, OURS, HERE):
            two = [groups.get((scenario, "events", name)) for scenario in (less, more)]
            if all(two):
                few, many = ((usage.median(g, "cpu_s"), usage.median(g, "pg_cpu_s"), g[0]["pools"]) for g in two)  # type: ignore[arg-type,index]
                each = [(b - a) / (many[2] - few[2]) * 1e6 for a, b in zip(few[:2], many[:2], strict=True)]
                told.append(
                    f"{less} -> {more}: {name} {each[0]:.1f} us of CPU a further pool, {each[1]:.1f} us of Postgres's"
                )
    for (scenario, job, name), group in groups.items():
        floor = groups.get((scenario, job, FLOOR))
        if name in (OURS, HERE) and floor:
            ours, least = usage.median(group, "http"), usage.median(floor, "http")
            told.append(f"{scenario}, {job}: {name} {ours:.0f} HTTP requests, floor {least:.0f} ({ours / least:.2f} x)")
    return told


if __name__ == "__main__":
    main()
