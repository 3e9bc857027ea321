"""The shared side-by-side benchmark with this product as one more competitor, on servers of its own.

    side_by_side.py SHARED [--scenario local] [--jobs events,meta] [--blocks N] [--reps 3] [--only a,b] [--out FILE]

SHARED is only read: it is copied, its node is built, and PostgreSQL and Valkey are started, all in a temporary
directory. Peers are used where they are installed (PERF, default ~/perf); the floor's environment is made there.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections import defaultdict
from pathlib import Path
from typing import Any

from workers.local.postgres import Postgres, _find_binaries
from workers.local.valkey import Valkey

ROOT = Path(__file__).parents[1]
OURS = ("gazetteer_idle", "gazetteer")
FLOOR = ("floor_pipeline",)
FLOOR_NEEDS = ("aiohttp", "orjson", "psycopg[binary]")
NODE_PORT = "18545"
ALL_BLOCKS = 1_000_000
"""Of the shared scenarios' chains."""
_PEERS = {
    "cryo": "venv-cryo/bin/python",
    "viem_script": "viem/node_modules/viem",
    "ethdefi": "venv-ethdefi/bin/python",
    "web3py_script": "venv-base/lib/python3.11/site-packages/web3",
}


def main() -> None:
    """Everything from the copy to the table."""
    args = _arguments()
    perf = Path(os.environ.get("PERF", Path.home() / "perf"))
    _floor_environment(perf)
    here = Path(tempfile.mkdtemp(prefix="gz-bench-"))
    here.chmod(0o711)
    try:
        harness = _harness(args.shared, here, args)
        names = (
            args.only.split(",")
            if args.only
            else [*FLOOR, *OURS, *(n for n, p in _PEERS.items() if (perf / p).exists())]
        )
        out = Path(args.out).absolute() if args.out else here / "results.jsonl"
        postgres, valkey = Postgres(here / "pg"), Valkey(here / "vk")
        postgres.start()
        valkey.start()
        try:
            _run(harness, names, out, args, postgres, valkey, perf)
        finally:
            valkey.stop()
            postgres.stop()
        print(table([json.loads(line) for line in out.read_text().splitlines()]))
    finally:
        shutil.rmtree(here, ignore_errors=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path)
    parser.add_argument("--scenario", default="local")
    parser.add_argument("--jobs", default="events")
    parser.add_argument("--blocks", type=int, default=None, help="a shorter chain, with as many pools a block")
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--only", default=None)
    parser.add_argument("--out", default=None, help="result lines are appended to this file")
    return parser.parse_args()


def _floor_environment(perf: Path) -> None:
    python = perf / "venv-base/bin/python"
    if not python.exists():
        venv.create(perf / "venv-base", with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *FLOOR_NEEDS], check=True)


def _harness(shared: Path, here: Path, args: argparse.Namespace) -> Path:
    """A copy that can be written: with its node built, us among the competitors, and the chain as long as asked."""
    copy = here / "bench"
    shutil.copytree(shared, copy)
    for path in (copy, *copy.rglob("*")):
        path.chmod(path.stat().st_mode | 0o200)
    subprocess.run(["make", "--silent", "-C", copy / "mockrpc"], check=True, stdout=subprocess.DEVNULL)
    with (copy / "competitors.toml").open("a") as file:
        file.write((ROOT / "bench/competitors.toml").read_text().replace("$PRODUCT", str(ROOT)))
    scenarios = copy / "scenarios.toml"
    node = tomllib.loads(scenarios.read_text())[args.scenario]["node"]
    if args.blocks:
        words = node.split()
        events = int(words[words.index("--events") + 1]) * args.blocks // ALL_BLOCKS
        words[words.index("--events") + 1] = str(max(events, 1))
        words[words.index("--blocks") + 1] = str(args.blocks)
        node = " ".join(words)
    scenarios.write_text(f"[{args.scenario}]\nnode = {json.dumps(node)}\n")
    return copy


def _run(
    harness: Path,
    names: list[str],
    out: Path,
    args: argparse.Namespace,
    postgres: Postgres,
    valkey: Valkey,
    perf: Path,
) -> None:
    environment = os.environ | {
        "BENCH_BROKER": valkey.url,
        "PATH": f"{_find_binaries()}{os.pathsep}{os.environ['PATH']}",
    }
    command = [sys.executable, harness / "bench/run.py", "--scenario", args.scenario, "--jobs", args.jobs]
    command += ["--only", ",".join(names), "--reps", str(args.reps), "--port", NODE_PORT]
    command += [
        "--pg",
        postgres.url("").rstrip("/"),
        "--peers",
        str(perf),
        "--work",
        harness.parent / "work",
        "--out",
        out,
    ]
    done = subprocess.run([str(word) for word in command], env=environment, check=False)
    if done.returncode != 0:
        for log in sorted((harness.parent / "work").glob("*/log.txt")):
            print(f"--- {log.parent.name}\n{log.read_text()[-2000:]}", file=sys.stderr)
        sys.exit(done.returncode)


def table(rows: list[dict[str, Any]]) -> str:
    """Medians by job and competitor, with *work CPU*: total less an idle start and stop of the same processes."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["job"], row["competitor"]].append(row)
    lines = [
        "| job | competitor | n | wall s | CPU s | work CPU s | Postgres CPU s | peak RSS MB | HTTP | RPC | missing/extra | tokens right |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for (job, name), group in groups.items():
        idle = groups.get((job, "gazetteer_idle"))
        middle = {
            key: statistics.median(row[key] for row in group)
            for key in ("wall_s", "cpu_s", "pg_cpu_s", "peak_rss_mb", "http", "rpc")
        }
        work = (
            "-"
            if name != "gazetteer" or not idle
            else f"{middle['cpu_s'] - statistics.median(row['cpu_s'] for row in idle):.2f}"
        )
        right = f"{group[0]['tokens_right']}/{group[0]['tokens_wellformed']}" if "tokens_right" in group[0] else "-"
        exact = (
            f"{max(r.get('pools_missing', 0) for r in group)}/{max(r.get('pools_extra', 0) for r in group)}"
            if "pools" in group[0]
            else "-"
        )
        ok = sum(row["exit"] == 0 and not row["timed_out"] for row in group)
        lines.append(
            f"| {job} | {name} | {ok}/{len(group)} | {middle['wall_s']:.2f} | {middle['cpu_s']:.2f} | {work} | {middle['pg_cpu_s']:.2f} "
            f"| {middle['peak_rss_mb']:.0f} | {middle['http']:.0f} | {middle['rpc']:.0f} | {exact} | {right} |"
        )
    return "\n".join(lines)


main()
