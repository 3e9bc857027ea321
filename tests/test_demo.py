"""The demo equals the truth, whatever is killed on the way; and the comparison with the truth can fail."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from indexer import known, store
from indexer.flow import history, resolve, stamp
from indexer.flow.ranges import Ranges
from indexer.sim.endpoint import in_process
from indexer.sim.ledger import Habits
from indexer.sim.world import HABITS, World
from indexer.store import facts, quotes
from indexer.store.clock import database_time
from indexer.wire.endpoints import Endpoints
from indexer.wire.node import HttpNode
from workers.follower import Follower
from workers.local import data, demo, venues, verdict
from workers.local.data import Register, Run
from workers.local.postgres import Postgres
from workers.local.process import alive
from workers.local.verdict import Spread, Verdict, spread
from workers.local.world import CALENDAR, kept, write_settings

pytestmark = pytest.mark.slow

GAZETTEER = Path(sys.executable).with_name("gazetteer")
SMALL = Habits(
    history_blocks=300, history_pools=40, pools_a_tick=1.5, reorg_share=0.15, finality_depth=8, flaw_share=0.1
)
TICKS = 60
LIMIT_S = 200.0


class NoWaker:
    """Nobody wakes anybody."""

    mode = "polling"

    def wait(self, _timeout_s: float) -> None:
        """At once."""


def read_to_the_end(url: str, world: World) -> None:
    """Follow while it lives, stop it, read and ask all that is left."""
    db = store.connect(url, name="test", pool_size=4)
    try:
        _read_to_the_end(url, db, world)
    finally:
        db.dispose()


def _read_to_the_end(url: str, db: store.Db, world: World) -> None:
    (chain,), (ledger,) = world.chains, world.ledgers.values()
    with store.begin(db) as tx:
        facts.load(tx, (chain,), world.factories())
        quotes.load(tx, known.quote_rank())
    node = HttpNode("sound", in_process(world.sites[0].endpoint))
    follower = Follower(
        db=db,
        chain=chain,
        endpoints=Endpoints([node], chain.id, chain.genesis_hash),
        waker=NoWaker(),
        kick=lambda _kind, _chain: None,
        stop=threading.Event(),
    )
    for tick in range(TICKS):
        world.advance_to(tick * ledger.habits.tick_s)
        follower.turn()
    world.stop()
    deadline = time.monotonic() + 60
    while any(verdict.left(url, world.truth())):
        assert time.monotonic() < deadline, "the register does not drain"
        follower.turn()
        history.scan(db, node, chain, Ranges(), database_time, lease_s=60)
        resolve.resolve_tokens(db, node, chain, database_time, lease_s=60)
        resolve.resolve_pools(db, node, chain, database_time, lease_s=60)
        stamp.stamp(db, node, chain)


@pytest.fixture(scope="module")
def read_world(postgres_server: Postgres, _template: str) -> Iterator[tuple[str, World]]:
    """A database that has read a small world to its end."""
    name = f"demo_{os.getpid()}"
    admin = postgres_server.url("postgres")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"create database {name} template {_template}")
    world = World(5, epoch_s=int(time.time()), habits={"ethereum": SMALL})
    read_to_the_end(postgres_server.url(name), world)
    yield name, world
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)")


@pytest.fixture
def copied(postgres_server: Postgres, read_world: tuple[str, World]) -> Iterator[tuple[str, World]]:
    """The URL of a copy of it that may be harmed."""
    name, world = read_world
    copy, admin = f"{name}_copy", postgres_server.url("postgres")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"create database {copy} template {name}")
    yield postgres_server.url(copy), world
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"drop database {copy} with (force)")


def test_a_register_that_read_everything_equals_the_truth(copied: tuple[str, World]) -> None:
    url, world = copied
    found = verdict.judge(url, world.truth())
    assert found.differences == []
    assert found.equal
    assert min(found.rows[view] for view in ("pools", "tokens", "orphaned_pools", "rejected_logs", "events")) > 0
    assert found.head_to_row.measured > 10
    assert 0 <= found.head_to_row.p50_s <= found.head_to_row.p99_s <= found.resolved.most_s


A_POOL = "(select pool_key from gazetteer.pools where orphaned_at is null order by pool_key limit 1)"
PLANTED = {
    "a wrong fee": (f"update gazetteer.pools set fee_ppm = 77 where pool_key = {A_POOL}", "fee_ppm is 77"),
    "a pool too few": (f"update gazetteer.pools set orphaned_at = now() where pool_key = {A_POOL}", "is missing"),
    "an orphan that lives": (
        """update gazetteer.pools set orphaned_at = null where pool_key = (
             select pool_key from gazetteer.pools where orphaned_at is not null order by pool_key limit 1)""",
        "api.pools 1 0x",
    ),
    "a time that is another": (
        f"update gazetteer.pools set created_at = created_at + interval '1 s' where pool_key = {A_POOL}",
        "created_at is",
    ),
    "a symbol of our own": ("update gazetteer.tokens set symbol = 'OURS' where symbol = 'WETH'", "symbol is 'OURS'"),
    "a token that was not asked again": (
        "update gazetteer.tokens set provisional = true where symbol = 'WETH'",
        "provisional is True",
    ),
    "an instrument too few": (f"delete from gazetteer.instruments where pool_key = {A_POOL}", "api.instruments 1 0x"),
    "a log that was not kept": (
        """delete from gazetteer.rejected_logs where ctid = (
             select min(ctid) from gazetteer.rejected_logs where orphaned_at is null)""",
        "api.rejected_logs 1 0x",
    ),
    "an event that was not told": (
        f"delete from gazetteer.events where kind = 'pool.created' and subject = {A_POOL}",
        "pool.created was told 0 times",
    ),
    "an event told twice": (
        """insert into gazetteer.events (kind, chain_id, subject, block_number, source, at)
           select kind, chain_id, subject, block_number, source, at from gazetteer.events
           where kind = 'token.resolved' limit 1""",
        "token.resolved was told 2 times",
    ),
    "a hole": ("update gazetteer.coverage set scanned = scanned - '{[7,8)}'", "missing_blocks is 1, should be 0"),
    "work that is left": (
        """insert into gazetteer.work (kind, scope, key, lane, due, created_at)
           select 'token', 'ethereum', address, 0, now(), now() from gazetteer.tokens limit 1""",
        "api.backlog ethereum token live: should not be there",
    ),
    "a halted chain": ("update gazetteer.cursors set halted = 'x'", "halted is 'x', should be None"),
    "a view that nobody compares": ("create view api.more as select 1 as one", "api.more: is compared with nothing"),
    "a view that is gone": ("drop view api.dead", "api.dead: is no view"),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_one_planted_wrong_makes_the_verdict_differ(copied: tuple[str, World], planted: str) -> None:
    url, world = copied
    statement, told = PLANTED[planted]
    with psycopg.connect(url, autocommit=True) as connection:
        assert connection.execute(statement).rowcount != 0
    found = verdict.judge(url, world.truth())
    assert not found.equal
    assert any(told in each for each in found.differences), found.differences[:5]


def test_a_register_with_work_left_is_not_drained(copied: tuple[str, World]) -> None:
    url, world = copied
    assert not any(verdict.left(url, world.truth()))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("update gazetteer.coverage set scanned = scanned - '{[7,8)}'")
    assert any(verdict.left(url, world.truth()))


def test_percentiles_are_measured_ones() -> None:
    assert spread([]) == Spread(measured=0, p50_s=None, p90_s=None, p99_s=None, most_s=None)
    found = spread([float(each) for each in range(1, 201)])
    assert found == Spread(measured=200, p50_s=100, p90_s=180, p99_s=198, most_s=200)


def test_the_summary_shows_twenty_differences_and_how_many_there_are() -> None:
    nothing = spread([])
    wrong = [f"api.pools {number}: is missing" for number in range(25)]
    lines = demo.summary(Verdict(differences=wrong, rows={"pools": 1}, head_to_row=nothing, resolved=nothing))
    assert sum("is missing" in line for line in lines) == 20
    assert lines[-2:] == ["  and 5 more", "the register DIFFERS from the truth in 25 places"]
    right = demo.summary(Verdict(differences=[], rows={}, head_to_row=spread([0.25]), resolved=nothing))
    assert "head to row    p50 0.250 s   p99 0.250 s   most 0.250 s   (1 pools)" in right
    assert right[-1] == "the register equals the truth: every row of every view"


def began(root: Path, seed: str, *, ended: bool) -> Register:
    register = Register(root)
    register.make()
    told = {"seed": seed, "epoch_s": 1, "reserved_s": 1.0, "stopped_s": 9.0 if ended else None}
    (root / CALENDAR).write_text(json.dumps(told))
    register.postgres.mkdir()
    return register


@pytest.mark.parametrize(
    ("there", "ended", "wanted", "seed", "kept_it"),
    [
        ("7", False, None, "7", True),
        ("7", False, "7", "7", True),
        ("7", False, "8", "8", False),
        ("7", True, None, "7", False),
        ("7", True, "7", "7", False),
    ],
)
def test_a_world_goes_on_unless_it_has_ended_or_another_is_wanted(
    tmp_path: Path, there: str, ended: bool, wanted: str | None, seed: str, kept_it: bool
) -> None:
    register = began(tmp_path / "demo", there, ended=ended)
    assert demo.settle_world(register, wanted) == seed
    assert register.postgres.exists() is kept_it
    assert (kept(register.root) is not None) is kept_it


def test_a_register_that_lost_its_world_is_cleared_away(tmp_path: Path) -> None:
    register = began(tmp_path / "demo", "7", ended=False)
    (register.root / CALENDAR).unlink()
    assert demo.settle_world(register, "9") == "9"
    assert not register.postgres.exists()


def test_the_settings_of_a_world_are_read_as_they_were_written(tmp_path: Path) -> None:
    world = World(7, epoch_s=1_700_000_000)
    write_settings(tmp_path, world.chain_rows("127.0.0.1:1"), world.factory_rows())
    code = (
        "from workers import wiring\n"
        "print([(c.name, c.genesis_hash.hex(), c.endpoints) for c in wiring.chains()])\n"
        "print(sorted(f.address.hex() for f in wiring.factories() if f.enabled and f.from_block == 1))\n"
    )
    env = {"GAZETTEER_CONFIG": str(tmp_path / "gazetteer.toml"), "PATH": os.environ["PATH"]}
    told = subprocess.run(
        [sys.executable, "-P", "-c", code], env=env, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert told.stderr == ""
    chains, addresses = told.stdout.splitlines()
    urls = {
        chain.name: tuple(row["endpoints"])
        for chain, row in zip(world.chains, world.chain_rows("127.0.0.1:1"), strict=True)
    }
    assert chains == str([(chain.name, chain.genesis_hash.hex(), urls[chain.name]) for chain in world.chains])
    assert addresses == str(sorted(factory.address.hex() for factory in World.factories()))


def test_a_directory_that_is_in_use_is_refused(tmp_path: Path) -> None:
    register = Register(tmp_path / "demo")
    register.make()
    with register.held("supervisor", 0.0):
        told = subprocess.run(
            [GAZETTEER, "demo", "--data-dir", tmp_path], capture_output=True, text=True, check=False, env=bare()
        )
    assert told.returncode == 2
    assert f"is in use by gazetteer (process {os.getpid()})" in told.stderr


def test_a_question_finds_the_register_that_runs_else_the_one_that_ran_last(tmp_path: Path) -> None:
    for name, started_at_s in (("register", 1.0), ("demo", 2.0)):
        register = Register(tmp_path / name)
        register.make()
        register.note(
            Run(
                command=name,
                pid=1,
                started_at_s=started_at_s,
                embedded=True,
                database_url="postgresql://nobody@127.0.0.1:1/x",
                reader_url=None,
                broker_url="",
                flower_url=None,
            )
        )
        assert (register.root / "run.json").stat().st_mode & 0o777 == 0o600
    assert data.find(tmp_path).root.name == "demo"
    with Register(tmp_path / "register").held("supervisor", 0.0):
        assert data.find(tmp_path).root.name == "register"
    assert data.find(tmp_path / "register").root.name == "register"


def bare() -> dict[str, str]:
    """This environment with one setting of the user's own, which a demo must not heed."""
    mine = {key: value for key, value in os.environ.items() if not key.startswith("GAZETTEER_")}
    return mine | {"GAZETTEER_RPC_ETHEREUM": "http://127.0.0.1:1/mine"}


@pytest.fixture
def place(server_root: Path, tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A data directory, and a working directory with packages of the same names."""
    for name in ("indexer", "workers", "migrations"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('the wrong package')")
    base = server_root / f"d{os.getpid()}-{time.monotonic_ns() % 100_000}"
    yield base, tmp_path
    assert not survivors(base)


def survivors(base: Path) -> list[str]:
    """The processes that have this directory in their command line or environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            told = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            zombie = (entry / "stat").read_text().rsplit(") ", 1)[1][0] == "Z"
        except OSError:
            continue
        if str(base).encode() in told and not zombie:
            found.append(entry.name)
    return found


def start(place: tuple[Path, Path], *words: str) -> "subprocess.Popen[str]":
    base, cwd = place
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    argv = [str(GAZETTEER), "demo", "--seed", "7", "--flower-port", str(port), "--data-dir", str(base), *words]
    return subprocess.Popen(argv, cwd=cwd, env=bare(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process: "subprocess.Popen[str]") -> str:
    try:
        told, _ = process.communicate(timeout=LIMIT_S)
    finally:
        process.kill()
    return told


def until(true: Callable[[], object], what: str, limit_s: float = 60.0) -> None:
    deadline = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.1)


def has_pools(base: Path) -> bool:
    run = Register(base / "demo").run()
    if run is None:
        return False
    try:
        with psycopg.connect(run.database_url) as connection:
            return connection.execute("select count(*) > 50 from api.pools").fetchone() == (True,)
    except psycopg.Error:
        return False


@pytest.mark.slow
def test_a_demo_ends_equal_and_its_three_commands_work_afterwards(place: tuple[Path, Path]) -> None:
    base, cwd = place
    process = start(place, "--for", "20")
    told = finish(process)
    assert process.returncode == 0, told
    assert "the register equals the truth" in told
    assert "head to row    p50 0." in told
    assert not survivors(base)
    commands = told.split("try next:\n")[1].splitlines()
    assert len(commands) == 3
    for command in commands:
        asked = subprocess.run(shlex.split(command), cwd=cwd, env=bare(), capture_output=True, text=True, check=False)
        assert asked.returncode == 0, asked.stderr
        assert any(place in asked.stdout for place in (*HABITS, *venues.VENUES))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends the children of a killed process")
def test_a_demo_that_was_killed_goes_on_and_ends_equal(place: tuple[Path, Path]) -> None:
    base, _ = place
    with start(place) as process:
        until(lambda: has_pools(base), "pools")
        process.kill()
    until(lambda: not survivors(base), "the end of everything", 15.0)
    before = json.loads((base / "demo" / CALENDAR).read_text())
    with start(place) as process:
        time.sleep(8.0)  # wherever it is by then
        process.kill()
    process = start(place, "--for", "20")  # while what was killed is still on its way out
    told = finish(process)
    assert process.returncode == 0, told
    assert json.loads((base / "demo" / CALENDAR).read_text())["epoch_s"] == before["epoch_s"]
    assert "the register equals the truth" in told


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are found in /proc")
def test_whatever_dies_while_a_demo_runs_it_ends_equal(place: tuple[Path, Path]) -> None:
    base, _ = place
    process = start(place, "--for", "35")
    until(lambda: has_pools(base), "pools")
    for words in ("simulate", "follow ethereum", "--lane live", "--lane history", "valkey-server", "beat"):
        os.kill(command_of(base, words), signal.SIGKILL)
        time.sleep(1.5)
    os.kill(Postgres(base / "demo" / "postgres").pid, signal.SIGKILL)
    told = finish(process)
    assert process.returncode == 0, told
    assert "the register equals the truth" in told


def command_of(base: Path, words: str) -> int:
    """The oldest of this demo's processes with these words in their command line."""
    found = []
    for pid in survivors(base):
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if words in line and alive(int(pid)):
            found.append(int(pid))
    assert found, f"no process with {words}"
    return min(found)


@pytest.mark.slow
def test_ctrl_c_ends_everything_and_says_what_to_try(place: tuple[Path, Path]) -> None:
    base, _ = place
    process = start(place)
    until(lambda: has_pools(base), "pools")
    asked_at = datetime.now(UTC)
    process.send_signal(signal.SIGINT)
    told = finish(process)
    assert (datetime.now(UTC) - asked_at).total_seconds() < 30
    assert process.returncode == 0, told
    assert "try next:" in told
    assert not survivors(base)
