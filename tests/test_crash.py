"""Whatever dies, whenever, however often, and whatever the network swallows: the register ends exact, by itself."""

# ruff: noqa: F811 - fixtures of other files, by their names

import os
import random
import signal
import time
from pathlib import Path

import psutil
import pytest
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy.engine import make_url

from indexer.sim.ledger import Habits
from tests.lab.crowd import gather
from tests.lab.hole import Hole
from tests.roles import Role, eventually
from tests.test_celery import broker, expire_a_lease, losses, publish, register  # noqa: F401 - fixtures
from tests.test_demo import command_of, finish, has_pools, place, start, until  # noqa: F401 - fixtures
from workers.local.postgres import Postgres
from workers.local.valkey import Valkey

pytestmark = pytest.mark.slow

SEED = int(os.environ.get("CRASH_SEED", "1"))
KILLS = 30
FLUSHES = 3
DEMO_S = 170
"""Kills take 75 s; a lease that the last of them lost lasts 60 s more."""
HOLE_S = 20.0
VICTIMS = (
    "follow ethereum",
    "follow polygon",
    "follow arbitrum",
    "--lane live",
    "--lane history",
    "child",
    "beat",
    "valkey-server",
    "postgres",
)


def strike(base: Path, victim: str, chance: random.Random) -> bool:
    """Kill one process of the demo; False if it was not there just then."""
    try:
        if victim == "postgres":
            pid = Postgres(base / "demo" / "postgres").pid
            how = chance.choice((signal.SIGKILL, signal.SIGINT))  # a crash, or somebody restarts it
            return pid is not None and os.kill(pid, how) is None
        if victim == "child":
            parent = psutil.Process(command_of(base, chance.choice(("--lane live", "--lane history"))))
            chance.choice(parent.children()).kill()
            return True
        os.kill(command_of(base, victim), signal.SIGKILL)
    except (AssertionError, IndexError, ProcessLookupError, psutil.Error):
        return False
    return True


def flush(base: Path) -> None:
    """Every message and every counter of the broker is gone."""
    try:
        with Redis.from_url(Valkey(base / "demo" / "valkey").url) as client:
            client.flushall()
    except (RedisError, OSError):
        pass


def test_thirty_kills_of_every_role_and_a_flushed_broker_leave_the_register_exact(place):
    base, _ = place
    chance = random.Random(SEED)
    process = start(place, "--for", str(DEMO_S))
    until(lambda: has_pools(base), "pools")
    struck = []
    while len(struck) < KILLS:
        victim = chance.choice(VICTIMS)
        if strike(base, victim, chance):
            struck.append(victim)
            if len(struck) % (KILLS // FLUSHES) == 0:
                flush(base)
        assert process.poll() is None, f"the demo ended after {struck}"
        time.sleep(chance.uniform(0.5, 3.5))
    told = finish(process)
    assert process.returncode == 0, f"CRASH_SEED={SEED}, killed {struck}\n{told}"
    assert "the register equals the truth" in told
    assert "dead                     0 rows" in told


def test_a_worker_hears_again_after_the_network_to_its_broker_was_a_black_hole(
    register, broker, postgres_url, tmp_path
):
    with Hole(broker.url.removeprefix("unix://").partition("?")[0]) as hole:
        env = {
            "GAZETTEER_DATABASE_URL": postgres_url,
            "GAZETTEER_BROKER_URL": f"redis://127.0.0.1:{hole.port}/0",
            "GAZETTEER_RPC_ETHEREUM": "http://127.0.0.1:1",
            "GAZETTEER_CHAINS": "ethereum",
        }
        worker = Role(tmp_path / "worker.log", env, "worker", "--lane", "live", "--concurrency", "1")
        try:
            eventually(lambda: "ready" in worker.said(), what="the worker")
            hole.open.set()
            time.sleep(HOLE_S)
            hole.open.clear()
            expire_a_lease(register, b"\xcc" * 20)
            publish(broker, "maint.tick")
            eventually(lambda: losses(register, b"\xcc" * 20) == 1, what="the sweep after the hole closed")
            assert worker.is_up
        finally:
            worker.stop()


def test_a_follower_goes_on_after_the_network_to_its_database_was_a_black_hole(db, broker, postgres_url, tmp_path):
    url = make_url(postgres_url)
    with Hole((url.host, url.port)) as hole:
        through = url.set(port=hole.port).render_as_string(hide_password=False)
        crowd = gather(
            db,
            tmp_path,
            database_url=through,
            broker_url=broker.url,
            habits=Habits(tick_s=0.5, history_blocks=100, history_pools=5, idle_share=0, reorg_share=0.05),
            paths="a",
        )
        try:
            began = crowd.count("select anchor_number from gazetteer.cursors where chain_id = 1")
            crowd.growth.start()
            follower = crowd.start("follow", "follow", "ethereum")
            tip = "select tip_number from gazetteer.cursors where chain_id = 1"
            first = eventually(lambda: (found := crowd.count(tip)) > 103 and found, what="the first blocks")
            hole.open.set()
            time.sleep(HOLE_S)
            before = crowd.count(tip)
            hole.open.clear()
            eventually(lambda: crowd.count(tip) >= crowd.ledger.head.number - 3, what="catching up")
            assert crowd.count(tip) > before >= first
            assert follower.is_up
            crowd.ledger.stop()
            wanted = sum(
                entry.kind == "pool" for entry in crowd.ledger.view().entries(began + 1, crowd.ledger.head.number)
            )
            alive = "select count(*) from gazetteer.pools where orphaned_at is null and source = 'head'"
            eventually(lambda: crowd.count(alive) == wanted, what="exactly the pools of the head")
        finally:
            crowd.close()
