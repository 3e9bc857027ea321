"""Whichever lanes somebody starts, their workers hear ticks and do what is due within seconds.

Nobody kicks them but beat and the follower, as on machines of which some run only one lane.
"""

import time

import pytest

from indexer.sim.ledger import Habits
from tests.lab.crowd import NAME, gather
from tests.roles import eventually
from workers.app import TICK_S
from workers.local.valkey import Valkey

pytestmark = pytest.mark.slow

READY_S = 60.0
SECONDS = 4 * TICK_S
"""A tick, and what waits before it."""
LOGS = "eth_getLogs"
SEEN = "select count(*) from gazetteer.pools where source = 'head'"
KNOWN = """
    select count(*) from gazetteer.tokens t join gazetteer.pools p on p.chain_id = t.chain_id
    and t.address in (p.token0, p.token1) where p.source = 'head' and t.resolved_at is not null
"""
LIVE_DUE = "select count(*) from gazetteer.work where lane = 0 and due < now() - make_interval(secs => :age)"


@pytest.fixture
def crowd(db, postgres_url, server_root, request, tmp_path):
    """A chain that grows, with a follower and a beat, and a history that takes a while. No worker yet."""
    broker = Valkey(server_root / f"l{abs(hash(request.node.name)) % 10**6}")
    broker.start()
    habits = Habits(
        history_blocks=200_000,
        history_pools=200,
        idle_share=0,
        reorg_share=0,
        flaw_share=0,
        tick_s=0.5,
        pools_a_tick=1.0,
        finality_depth=8,
    )
    made = gather(db, tmp_path, database_url=postgres_url, broker_url=broker.url, habits=habits, paths="abc")
    made.start("beat", "beat")
    made.start("follow", "follow", NAME, path="c")
    yield made
    made.close()
    broker.stop()


def ready(role, times=1):
    eventually(lambda: role.said().count("ready.") == times, READY_S, what="the worker")


def test_a_worker_of_history_alone_reads_it_and_resolves_what_the_head_announces(crowd):
    worker = crowd.worker("history", path="a", requests_per_s=60)
    ready(worker)
    eventually(lambda: crowd.endpoints["a"].counted(LOGS), SECONDS, what="a range")
    crowd.growth.start()
    eventually(lambda: crowd.count(SEEN) > 10, what="pools at the head")
    eventually(lambda: crowd.count(KNOWN) > 10, SECONDS, what="their tokens")
    assert crowd.missing().blocks > 0, "history ended before anything was shown"


def test_a_worker_of_the_live_lane_alone_resolves_and_leaves_history_to_whoever_comes(crowd):
    live = crowd.worker("live", lane="live", path="a")
    ready(live)
    crowd.growth.start()
    eventually(lambda: crowd.count(KNOWN) > 10, what="tokens of the head")
    time.sleep(2 * TICK_S)
    assert crowd.endpoints["a"].counted(LOGS) == 0, "a process of the live lane read history"
    ready(crowd.worker("history", path="b"))
    eventually(lambda: crowd.endpoints["b"].counted(LOGS), SECONDS, what="a range of the new worker")


def test_when_the_last_worker_of_the_live_lane_dies_those_of_history_stand_in(crowd):
    live = crowd.worker("live", lane="live", path="a")
    ready(live)
    ready(crowd.worker("history", path="b", requests_per_s=60))
    crowd.growth.start()
    eventually(lambda: crowd.count(KNOWN) > 10, what="tokens of the head")
    live.kill()
    known = crowd.count(KNOWN)
    eventually(lambda: crowd.count(KNOWN) > known + 10, SECONDS, what="tokens by the other lane")
    assert crowd.count(LIVE_DUE, age=SECONDS) == 0, "live work was left behind"
