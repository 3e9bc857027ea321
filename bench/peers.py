"""Other indexers of the shared benchmark: where each is looked for, and how it is installed by its ecosystem's client."""

import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

FLOOR_NEEDS = ("aiohttp", "orjson", "psycopg[binary]", "web3")
LONGEST_S = 600
"""For all installations together."""
EACH_S = 180


@dataclass(frozen=True)
class Peer:
    """`there`: the path below PERF that says it is installed. One of `pip` (with `python`) and `npm` installs it."""

    there: str
    pip: tuple[str, ...] = ()
    npm: tuple[str, ...] = ()
    python: str = "python3"
    why: str | None = None
    """Why it is not run even where it could be installed."""


PEERS: Mapping[str, Peer] = {
    "cryo": Peer("venv-cryo", pip=("cryo==0.3.2", "polars", "pyarrow")),
    "viem_script": Peer("viem", npm=("viem", "pg")),
    "ethdefi": Peer("venv-ethdefi", pip=("web3-ethereum-defi==1.2", "psycopg[binary]")),
    "web3py_script": Peer("venv-base", pip=FLOOR_NEEDS),
    "ponder_32rpc": Peer(
        "ponder17",
        npm=("ponder@0.16.6", "viem", "hono", "typescript"),
        why="two minutes a run; its figures are in the shared results",
    ),
    "sqd": Peer("sqd", why="reads every block of the chain: more than ten minutes a run"),
    "dipdup": Peer("venv-dipdup", pip=("dipdup==8.6.2",), python="python3.12"),
    "etl": Peer("venv-etl39", pip=("setuptools<81", "ethereum-etl==2.4.2"), python="python3.9"),
}


def install_floor(perf: Path) -> None:
    """The environment of the floor, without which there is nothing to compare with."""
    if not _done(perf, PEERS["web3py_script"]):
        why = _install(perf, PEERS["web3py_script"], time.monotonic() + LONGEST_S)
        if why:
            sys.exit(f"bench: the floor cannot be installed: {why}")


def install(perf: Path) -> dict[str, str]:
    """Install what is missing; returns, by name, why some could not be, or are not run."""
    deadline = time.monotonic() + LONGEST_S
    failed = {}
    for name, peer in PEERS.items():
        why = peer.why or (None if _done(perf, peer) else _install(perf, peer, deadline))
        if why:
            failed[name] = why
    return failed


def installed(perf: Path) -> list[str]:
    """Those that can be run."""
    return [name for name, peer in PEERS.items() if peer.why is None and _done(perf, peer)]


def _done(perf: Path, peer: Peer) -> bool:
    return (perf / peer.there / ".installed").exists()


def _install(perf: Path, peer: Peer, deadline: float) -> str | None:
    place = perf / peer.there
    program = "npm" if peer.npm else peer.python
    if shutil.which(program) is None:
        return f"there is no {program}"
    place.mkdir(parents=True, exist_ok=True)
    commands: Sequence[Sequence[str]] = (("npm", "install", "--no-audit", "--no-fund", *peer.npm),)
    if peer.pip:
        commands = ((program, "-m", "venv", "."), ("bin/python", "-m", "pip", "install", "--quiet", *peer.pip))
    for command in commands:
        try:
            words = [str(place / command[0]) if command[0].startswith("bin/") else command[0], *command[1:]]
            left_s = min(EACH_S, deadline - time.monotonic())
            done = subprocess.run(words, cwd=place, capture_output=True, text=True, timeout=max(left_s, 1), check=False)
        except subprocess.TimeoutExpired:
            return "its installation takes too long"
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            return lines[-1][:200] if lines else f"{command[0]} ended with {done.returncode}"
    (place / ".installed").touch()
    return None
