"""From the node first serving a block to its pools being readable, and to their tokens being known, during a backfill.

    latency.py [--faults] [--for 150] [--keep DIR] [--out FILE]

Runs what `gazetteer demo` runs, with more pools at the head and a past that is too long to be read meanwhile. A pool's
time begins when the simulated node can first serve its block, over whichever endpoint; it ends when a connection of our
own, which asks `api.pools` and `api.tokens` every 20 ms, sees that pool in that block, and none of its tokens' fields
pending. Every pool of the branch that won counts, of blocks that came within the time measured. `--faults`: the third
endpoint of each chain misbehaves as in the demo. The exit code is 1 where a limit is missed or the backfill stood still.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import psycopg
import usage

from indexer.sim.calendar import Calendar
from indexer.sim.ledger import Habits, Ledger
from indexer.sim.server import serve
from indexer.sim.serving import HOST
from indexer.sim.world import HABITS, World
from workers.local.data import Register
from workers.local.process import free_port
from workers.local.stack import WORLD, Stack, inherited
from workers.local.supervisor import Role
from workers.local.verdict import Spread, spread
from workers.local.world import CALENDAR, SETTINGS, Controls, write_settings

SEED = "1"
POOLS_A_S = 8.0
"""Of each chain's head; three of them make 3,000 pools in some two minutes."""
PAST_POOLS, BLOCKS_A_POOL = 100_000, 70
WORKERS = 2
START_S, SETTLE_S, LATE_S = 120.0, 15.0, 20.0
"""How long everything may take to start; what start-up leaves behind; how long the last pools may take to come."""
POLL_S, LOOK_S = 0.02, 5.0
DEEPEST_FORK = 24
LIMITS_S = {False: (1.0, 5.0), True: (5.0, 15.0)}
PUBLISHED = "published.json"
SHOWN = 12

_POOLS = """
    select pool_id, block_hash, created_block, token0_address, token1_address
    from api.pools where chain_id = %s and created_block > %s
"""
_TOKENS = """
    select address from api.tokens
    where chain_id = %s and address = any(%s)
      and symbol_status <> 'pending' and name_status <> 'pending' and decimals_status <> 'pending'
"""
_PAST = """
    select s.chain, s.wakeups, s.ready, min(c.missing_blocks), sum(c.scanned_blocks)
    from api.chain_status s join api.coverage c using (chain_id) where c.enabled group by 1, 2, 3 order by 1
"""
_PAST_POOLS = "select chain, count(*) from api.pools where source = 'history' group by 1"

Seen = tuple[int, str, str]
"""Chain, pool and block."""


def main() -> None:
    if sys.argv[1:2] == ["world"]:
        world(Path(sys.argv[2]), int(sys.argv[3]), faults=sys.argv[4] == "faults")
        return
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--faults", action="store_true")
    parser.add_argument("--for", dest="for_s", type=float, default=150.0)
    parser.add_argument("--keep", type=Path, default=None, help="keep everything here, to look at it afterwards")
    parser.add_argument("--out", type=Path, default=None)
    args = parser.parse_args()
    root = args.keep or Path(tempfile.mkdtemp(prefix="gazetteer-latency-"))
    try:
        row, slowest = measured(root, args.for_s, faults=args.faults)
    finally:
        if args.keep is None:
            shutil.rmtree(root, ignore_errors=True)
    told(row, slowest)
    usage.write_lines(args.out, [row])
    sys.exit(bool(row["missed"]))


def habits(name: str) -> Habits:
    """A chain of the demo with more to read at both ends."""
    own = HABITS[name]
    return replace(
        own,
        pools_a_tick=POOLS_A_S * own.tick_s,
        history_pools=PAST_POOLS,
        history_blocks=PAST_POOLS * BLOCKS_A_POOL,
    )


def world(root: Path, port: int, *, faults: bool) -> None:
    """Serve the chains until SIGTERM; then write down what was announced at the head, and when it was first served."""
    calendar = Calendar(SEED, root / CALENDAR)
    of = World(SEED, epoch_s=calendar.epoch_s, habits={name: habits(name) for name in HABITS})
    for site in of.sites if not faults else ():
        site.endpoint.faults = ()
    write_settings(root, of.chain_rows(f"{HOST}:{port}"), of.factory_rows())
    serve(of, calendar, port)
    pools = [pool for ledger in of.ledgers.values() for pool in _head_pools(ledger, of.published_at_s)]
    (root / PUBLISHED).write_text(json.dumps(pools))


def _head_pools(ledger: Ledger, published_at_s: Mapping[Any, float]) -> Iterator[dict[str, Any]]:
    for number in range(ledger.habits.history_blocks + 1, ledger.head.number + 1):
        block = ledger.canonical(number)
        for entry in ledger.entries(block):
            if entry.facts is not None and entry.kind == "pool":
                yield {
                    "chain": ledger.chain.name,
                    "seen": [ledger.chain.id, "0x" + entry.facts.key.hex(), "0x" + block.hash.hex()],
                    "at_s": published_at_s.get(block.hash),
                }


class Poller(threading.Thread):
    """Asks what anybody may ask, with a connection of its own, and notes when it first saw what. Wall-clock seconds.

    `tips`: the highest block seen of each chain. Blocks that a fork can no longer reach are not asked for again.
    """

    def __init__(self, url: str, tips: dict[int, int]) -> None:
        super().__init__(daemon=True)
        self._url, self._tips = url, tips
        self._ended = threading.Event()
        self._error: Exception | None = None
        self._open: dict[int, dict[Seen, tuple[str, str]]] = {chain: {} for chain in tips}
        self._resolved: dict[int, set[str]] = {chain: set() for chain in tips}
        self.pools: dict[Seen, float] = {}
        self.known: dict[Seen, float] = {}
        self.gaps_s: list[float] = []

    def end(self) -> None:
        self._ended.set()
        self.join()
        if self._error is not None:
            raise self._error

    def run(self) -> None:
        try:
            with psycopg.connect(self._url, autocommit=True, prepare_threshold=0) as connection:
                self._poll(connection)
        except psycopg.Error as error:
            self._error = error

    def _poll(self, connection: "psycopg.Connection[Any]") -> None:
        last = time.time()
        while not self._ended.wait(max(last + POLL_S - time.time(), 0.0)):
            now = time.time()
            self.gaps_s.append(now - last)
            last = now
            for chain in self._tips:
                self._look(connection, chain)

    def _look(self, connection: "psycopg.Connection[Any]", chain: int) -> None:
        open_, resolved = self._open[chain], self._resolved[chain]
        rows = connection.execute(_POOLS, (chain, self._tips[chain] - DEEPEST_FORK)).fetchall()
        now = time.time()
        for pool, block, number, *sides in rows:
            seen = chain, pool, block
            if seen not in self.pools:
                self.pools[seen] = now
                open_[seen] = (sides[0], sides[1])
                self._tips[chain] = max(self._tips[chain], number)
        asked = {side for sides in open_.values() for side in sides} - resolved
        if asked:
            resolved.update(address for (address,) in connection.execute(_TOKENS, (chain, sorted(asked))).fetchall())
            now = time.time()
        for seen in [seen for seen, sides in open_.items() if resolved.issuperset(sides)]:
            self.known[seen] = now
            del open_[seen]


class Past:
    """Whether history was read all the time, and how much of it. `look` every few seconds.

    `stood_still`: at how many looks no chain had got on, or one had nothing left. `paused`: how often a chain had not,
    while others had: two processes read for three chains.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._first: dict[str, tuple[int, int]] = {}
        self._last: dict[str, tuple[int, int]] = {}
        self.looks = self.stood_still = self.paused = 0
        self.wakeups: Counter[str] = Counter()

    def look(self) -> bool:
        """Every chain's blocks of all factories, and pools. True once every chain is followed."""
        with psycopg.connect(self._url) as connection:
            rows = connection.execute(_PAST).fetchall()
            pools = dict(connection.execute(_PAST_POOLS).fetchall())
        now = {chain: (blocks, pools.get(chain, 0)) for chain, _, _, _, blocks in rows}
        still = [chain for chain, _, _, missing, _ in rows if missing == 0 or self._last.get(chain) == now[chain]]
        self.paused += len(still)
        self.stood_still += len(still) == len(rows) or any(missing == 0 for _, _, _, missing, _ in rows)
        self.wakeups.update(f"{chain} {wakeups}" for chain, wakeups, *_ in rows)
        self._first, self._last, self.looks = self._first or now, now, self.looks + 1
        return len(rows) == len(HABITS) and all(row[2] for row in rows)

    def filled(self) -> dict[str, tuple[int, int]]:
        """Blocks (times factories) and pools by chain, since the first look."""
        return {
            chain: (blocks - self._first[chain][0], pools - self._first[chain][1])
            for chain, (blocks, pools) in self._last.items()
        }


def measured(root: Path, for_s: float, *, faults: bool) -> tuple[dict[str, Any], list[list[object]]]:
    """Run it all, and say what came of it."""
    register = Register(root.absolute())
    register.make()
    root.chmod(0o711)  # PostgreSQL runs as nobody where we are root
    stack = Stack(
        command="demo",
        register=register,
        chains=(),
        workers=WORKERS,
        flower_port=free_port(0),
        inherited=inherited(ours=False),
        own={"CONFIG": str(register.root / SETTINGS)},
    )
    supervisor = stack.supervisor
    supervisor.heed_signals()
    try:
        _start(stack, faults=faults)
        row, poller = _watch(stack, for_s)
    finally:
        supervisor.stop.set()
        supervisor.end()
    pools = json.loads((register.root / PUBLISHED).read_text())
    return _result(row | {"faults": faults}, pools, poller)


def _start(stack: Stack, *, faults: bool) -> None:
    port = free_port(0)
    words = (str(Path(__file__).absolute()), "world", str(stack.register.root), str(port))
    argv = (sys.executable, *words, "faults" if faults else "sound")
    stack.supervisor.keep(Role(name="simulate", argv=argv, stage=WORLD, patience_s=20.0))
    stack.start_servers()
    stack.chains = Controls(port).await_start(stack.supervisor.stop.is_set)
    stack.migrate()
    stack.start_roles()


def _watch(stack: Stack, for_s: float) -> tuple[dict[str, Any], Poller]:
    past = Past(stack.url)
    started = time.monotonic()
    while not past.look():
        if time.monotonic() - started > START_S:
            sys.exit("latency: the chains are not followed")
        _wait(stack, 1.0)
    ready_s = time.monotonic() - started
    with psycopg.connect(stack.url) as connection:
        tips = dict(connection.execute("select chain_id, tip from api.chain_status").fetchall())
    _wait(stack, SETTLE_S)
    poller, past, used, busy = Poller(stack.url, tips), Past(stack.url), _used(), _busy_s()
    past.look()
    poller.start()
    since_s = time.time()
    loads = []
    while time.time() < since_s + for_s and not stack.supervisor.stop.is_set():
        _wait(stack, LOOK_S)
        past.look()
        loads.append(os.getloadavg()[0])
    until_s = time.time()
    busy = _busy_s() - busy
    used = {role: spent - used.get(role, 0.0) for role, spent in _used().items()}
    _wait(stack, LATE_S)
    poller.end()
    return {
        "since_s": since_s,
        "until_s": until_s,
        "ready_s": round(ready_s, 1),
        "load": round(max(loads), 1),
        "cpu": {role: round(spent / (until_s - since_s), 3) for role, spent in sorted(used.items())},
        "looks": past.looks,
        "others": round(max(busy - sum(used.values()), 0.0) / (until_s - since_s), 3),
        "stood_still": past.stood_still,
        "paused": past.paused,
        "filled": past.filled(),
        "wakeups": dict(past.wakeups),
        "restarts": stack.supervisor.restarts,
    }, poller


def _wait(stack: Stack, for_s: float) -> None:
    deadline = time.monotonic() + for_s
    stack.supervisor.watch(until=lambda: time.monotonic() >= deadline, turn=lambda: None)


def _used() -> dict[str, float]:
    """CPU seconds by role so far, of ourselves and of everything below us."""
    used: Counter[str] = Counter()
    ours = psutil.Process()
    for process in (ours, *ours.children(recursive=True)):
        try:
            words, told = process.cmdline(), process.cpu_times()
        except psutil.Error:
            continue
        used[_role(words)] += told.user + told.system
    return dict(used)


def _busy_s() -> float:
    """CPU seconds of everything on this machine so far."""
    told = psutil.cpu_times()
    return float(told.user + told.nice + told.system)


def _role(words: Sequence[str]) -> str:
    if "workers" in words:
        role = list(words[words.index("workers") + 1 :])
        return f"worker {role[2]}" if role[0] == "worker" else role[0]
    if "world" in words:
        return "simulated nodes"
    if any("latency.py" in word for word in words):
        return "poller"
    return "valkey" if any("valkey" in word for word in words) else "postgres"


def _result(
    row: dict[str, Any], pools: Sequence[Mapping[str, Any]], poller: Poller
) -> tuple[dict[str, Any], list[list[object]]]:
    """A pool that was never seen has no time, and fails the measurement."""
    inf = float("inf")
    slowest: list[list[object]] = []
    readable: list[float] = []
    known: list[float] = []
    by_chain: dict[str, list[float]] = {}
    for pool in pools:
        at_s = pool["at_s"]
        if at_s is None or not row["since_s"] <= at_s < row["until_s"]:
            continue
        seen: Seen = tuple(pool["seen"])
        readable.append(poller.pools.get(seen, inf) - at_s)
        known.append(poller.known.get(seen, inf) - at_s)
        by_chain.setdefault(pool["chain"], []).append(readable[-1])
        slowest.append([pool["chain"], seen[1][:12], round(at_s - row["since_s"], 2), readable[-1], known[-1]])
    slowest.sort(key=lambda each: -float(str(each[3])))
    limits = LIMITS_S[bool(row["faults"])]
    row |= {
        "pools": len(readable),
        "never_seen": sum(taken == inf for taken in readable),
        "never_known": sum(taken == inf for taken in known),
        "readable": spread(readable),
        "known": spread(known),
        "chains": {chain: spread(taken) for chain, taken in sorted(by_chain.items())},
        "limits_s": limits,
        "poll_s": spread(poller.gaps_s),
    }
    row["missed"] = [
        what
        for what, bad in (
            ("row", not _within(row["readable"], limits[0])),
            ("tokens", not _within(row["known"], limits[1])),
            ("backfill", bool(row["stood_still"])),
            ("missing", bool(row["never_seen"] or row["never_known"])),
        )
        if bad
    ]
    return row, slowest[:SHOWN]


def _within(taken: Spread, limit_s: float) -> bool:
    return taken.p99_s is not None and taken.p99_s <= limit_s


def told(row: Mapping[str, Any], slowest: Sequence[Sequence[object]]) -> None:
    """In words and tables."""
    for_s = row["until_s"] - row["since_s"]
    print(f"latency: {usage.machine()}, {datetime.now(UTC):%Y-%m-%d}, faults {'on' if row['faults'] else 'off'}")
    print(
        f"{row['pools']:,} pools at the head in {for_s:.0f} s, after {row['ready_s']} s of starting and {SETTLE_S:g} s"
    )
    spreads = [
        ("row readable", row["readable"], row["limits_s"][0]),
        ("no token pending", row["known"], row["limits_s"][1]),
    ]
    spreads += [(f"row readable, {chain}", taken, None) for chain, taken in row["chains"].items()]
    spreads.append(("the poller's own pause", row["poll_s"], None))
    lines = [
        [name, each.measured, each.p50_s, each.p90_s, each.p99_s, each.most_s, limit] for name, each, limit in spreads
    ]
    columns = ["seconds since the node first served it", "measured", "p50", "p90", "p99", "max", "p99 limit"]
    print(usage.table(columns, lines))
    print(usage.table(["chain", "pool", "at s", "row s", "tokens s"], slowest))
    filled = ", ".join(f"{chain} {pools:,} pools" for chain, (_, pools) in row["filled"].items())
    still = f"stood still at {row['stood_still']} of {row['looks']} looks, single chains paused at {row['paused']}"
    print(f"history read meanwhile: {filled}; {still}")
    print("cores: " + ", ".join(f"{role} {spent:.2f}" for role, spent in row["cpu"].items()))
    print(
        f"others' cores {row['others']:.2f}, load up to {row['load']}, restarts {row['restarts']}, wake-ups {row['wakeups']}"
    )
    print(f"never readable {row['never_seen']}, never known {row['never_known']}; missed: {row['missed'] or 'nothing'}")


if __name__ == "__main__":
    main()
