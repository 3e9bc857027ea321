"""Processes count what they see of endpoints, and audit through those that may be spent on history."""

from dataclasses import replace
from threading import Event

import pytest
from kombu import pools
from redis import Redis

from indexer import store
from indexer.flow.ranges import Ranges
from indexer.model import Lane
from indexer.sim.endpoint import Endpoint, in_process
from indexer.sim.faults import Fault
from indexer.sim.server import Server
from indexer.sim.world import Site
from indexer.wire.endpoints import Endpoints
from indexer.wire.node import HttpNode
from tests.commands import close, settled
from tests.lab.announcing import rows
from tests.lab.simulated import HABITS, World
from tests.roles import eventually
from workers import tasks
from workers.app import app, configure, queue_of
from workers.follower import KICK_EVERY_S, MOST_TORN, Follower
from workers.local.valkey import Valkey
from workers.local.world import write_settings

KEY = "k3y0f4111ty0u5h0u1dn3v3rs33"


@pytest.fixture
def world(db):
    """A chain of 400 blocks, 368 of them final."""
    return World(db)


@pytest.fixture
def broker(server_root):
    server = Valkey(server_root / "health")
    server.start()
    yield server
    server.stop()


def ask(db, query):
    with store.begin(db) as tx:
        return rows(tx, query)


def health(db):
    return {row.endpoint: row for row in ask(db, "select * from api.endpoint_health")}


class NoWaker:
    mode = "polling"


class Time:
    s = 0.0

    def __call__(self):
        return self.s


def follower_of(world, time, *endpoints):
    nodes = [HttpNode(each.name, in_process(each)) for each in endpoints]
    return Follower(
        db=world.db,
        chain=world.chain,
        endpoints=Endpoints(nodes, world.chain.id, world.chain.genesis_hash, clock=time),
        waker=NoWaker(),
        kick=lambda *_: None,
        stop=Event(),
        ranges=Ranges(first_span=20),
        clock=world.clock,
        monotonic=time,
    )


def test_a_follower_counts_who_answered_failed_and_lagged(world):
    time = Time()
    broken = Endpoint("broken", world.ledger, faults=[Fault(name="rate_limited")])
    good, late = Endpoint("good", world.ledger), Endpoint("late", world.ledger)
    follower = follower_of(world, time, broken, good)
    for _ in range(20):
        world.ledger.advance()
        time.s += KICK_EVERY_S
        follower.turn()
    late.faults = (Fault(name="lagging", amount=10),)
    second = follower_of(world, time, late)
    time.s += KICK_EVERY_S
    second.turn()
    found = health(world.db)
    assert found["broken"].rate_limited > 0
    assert (found["broken"].answers, found["broken"].last_answer_at) == (0, None)
    assert found["broken"].last_failure_at is not None
    assert found["good"].answers >= 20
    assert (found["good"].rate_limited, found["good"].last_failure_at) == (0, None)
    assert found["late"].lagged == 1
    assert {row.chain for row in found.values()} == {"ethereum"}


def test_an_endpoint_whose_logs_never_fit_its_blocks_is_left_for_another_after_a_few_steps(db):
    world = World(db, seed=1, habits=replace(HABITS, pools_a_tick=0.5))  # a block that ends a step mostly holds no logs
    time = Time()
    asked = []
    liar = Endpoint("liar", world.ledger, faults=[Fault(name="other_hash")])
    nodes = [
        HttpNode("liar", in_process(liar, before=lambda: asked.append(1))),
        HttpNode("good", in_process(Endpoint("good", world.ledger))),
    ]
    follower = follower_of(world, time)
    follower.endpoints = Endpoints(nodes, world.chain.id, world.chain.genesis_hash, clock=time)
    for node, seconds in zip(follower.endpoints.ready(), (0.01, 1.0), strict=True):
        follower.endpoints.succeeded(node, seconds)  # the liar is known to be fast, so it is preferred
    world.start()
    for _ in range(40):
        world.ledger.advance()
    asked.clear()
    follower.turn()
    ((tip,),) = ask(world.db, "select tip_number from gazetteer.cursors")
    assert tip == world.ledger.head.number
    assert 0 < len(asked) <= 6 * MOST_TORN
    fresh = world.pool_keys(tip - 39)
    assert fresh
    assert fresh <= {bytes(row.pool_key) for row in ask(world.db, "select pool_key from gazetteer.pools")}


def forget_brokers():
    """Connections to the broker of an earlier test are of no use to the next."""
    pools.reset()
    app._after_fork()


@pytest.fixture
def place(world, broker, postgres_url, monkeypatch, tmp_path):
    """The environment of a worker; its endpoints are a, which omits every log, b, which is honest, and one with a key.

    It is a function that chooses among them.
    """
    liar = Endpoint("a", world.ledger, faults=[Fault(name="no_logs")])
    twin = Endpoint("a", world.ledger, faults=[Fault(name="no_logs")])
    paths = {"/a": liar, "/twin": twin, "/b": Endpoint("b", world.ledger), f"/{KEY}": Endpoint("k", world.ledger)}
    server = Server([Site(chain="ethereum", path=path, endpoint=endpoint) for path, endpoint in paths.items()])
    server.start()
    chain = {
        "id": 1,
        "name": "ethereum",
        "genesis_hash": "0x" + world.chain.genesis_hash.hex(),
        "block_time_s": 12.0,
        "poll_s": 1.0,
        "finality_depth": 32,
        "native_symbol": "ETH",
        "native_name": "Ether",
        "endpoints": [f"http://{server.address}{path}" for path in paths],
    }
    write_settings(tmp_path, [chain], [])
    monkeypatch.chdir(tmp_path)
    env = {
        "GAZETTEER_DATABASE_URL": postgres_url,
        "GAZETTEER_BROKER_URL": broker.url,
        "GAZETTEER_CHAINS": "ethereum",
        "GAZETTEER_HISTORY": "public",
    }

    def endpoints(*names):
        monkeypatch.setenv("GAZETTEER_RPC_ETHEREUM", ",".join(f"http://{server.address}/{name}" for name in names))
        close()
        forget_brokers()
        configure()

    with settled(monkeypatch, **env):
        endpoints("a", "b")
        yield endpoints
    forget_brokers()
    server.close()


def waiting(broker):
    messages = Redis.from_url(broker.url).lrange(queue_of("ethereum", Lane.HISTORY), 0, -1)
    return [name for name in ("history.audit", "history.scan") for message in messages if name.encode() in message]


def drain(broker):
    Redis.from_url(broker.url).delete(queue_of("ethereum", Lane.HISTORY))


def test_workers_audit_what_they_scanned_and_a_tick_wakes_them(world, place, broker):
    world.start()
    place("a")
    tasks.scan("ethereum")
    assert ask(world.db, "select 1 from gazetteer.pools") == [], "the only endpoint omits every log"
    drain(broker)
    tasks.tick()
    assert "history.audit" not in waiting(broker), "a single endpoint can confirm nothing"
    place("a", "b")
    eventually(lambda: tasks.tick() or "history.audit" in waiting(broker), what="a kick that is not lost")
    tasks.audit_blocks("ethereum")
    final = world.ledger.view().finalized
    kept = {bytes(row.pool_key) for row in ask(world.db, "select pool_key from gazetteer.pools")}
    assert kept == world.pool_keys(1, final)
    assert ask(world.db, "select distinct audited_percent::int from api.coverage where enabled")[0][0] == 100
    lied = {row.omitted_logs for row in health(world.db).values()}
    assert lied == {0, len([e for e in world.entries(1, final) if e.kind in ("pool", "rejected")])}
    assert all("http" not in name for name in health(world.db))
    drain(broker)
    tasks.tick()
    assert "history.audit" not in waiting(broker)


def test_as_many_witnesses_are_asked_as_there_are_endpoints_up_to_the_setting(world, place, monkeypatch):
    """Two endpoints omit the same logs, every one of them; only the third tells."""
    world.start()
    place("a")
    tasks.scan("ethereum")
    monkeypatch.setenv("GAZETTEER_WITNESSES", "2")
    place("a", "twin")
    tasks.audit_blocks("ethereum")
    assert ask(world.db, "select 1 from gazetteer.pools") == [], "two agree"
    with store.begin(world.db) as tx:
        rows(tx, "update gazetteer.coverage set audited = '{}' returning 1")
    monkeypatch.delenv("GAZETTEER_WITNESSES")
    place("a", "twin", "b")
    tasks.audit_blocks("ethereum")
    kept = {bytes(row.pool_key) for row in ask(world.db, "select pool_key from gazetteer.pools")}
    assert kept == world.pool_keys(1, world.ledger.view().finalized)
    assert sorted(row.omitted_logs > 0 for row in health(world.db).values()) == [False, True, True]
    assert ask(world.db, "select distinct audited_percent::int from api.coverage where enabled")[0][0] == 100


def test_an_endpoint_with_a_key_audits_nothing_without_consent(world, place, broker):
    world.start()
    place("b", KEY)
    tasks.scan("ethereum")
    drain(broker)
    tasks.tick()
    assert "history.audit" not in waiting(broker)
    tasks.audit_blocks("ethereum")
    assert ask(world.db, "select max(audited_blocks) from api.coverage")[0][0] == 0
