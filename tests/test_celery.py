"""Celery and its broker as they fail: real workers, a real broker that is killed."""

import http.server
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from celery import Celery
from kombu import Connection
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import text

from indexer import known, store
from indexer.model import Lane
from indexer.store import facts
from tests.roles import Role, eventually
from workers import wiring
from workers.app import MAINTENANCE, celery_url, configure, queue_of, queues
from workers.broker import PatientQoS
from workers.kicks import KICKS, MOST_WAITING, kick
from workers.local.valkey import Valkey

TOKENS = [bytes([number]) * 20 for number in range(1, 30)]


class SlowNode(http.server.BaseHTTPRequestHandler):
    """A node that keeps everybody waiting and then has nothing to say."""

    asked = threading.Event()

    def do_POST(self):
        type(self).asked.set()
        time.sleep(2)
        self.send_response(503)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def slow_node():
    SlowNode.asked.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), SlowNode) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def broker(server_root, request):
    server = Valkey(server_root / f"b{abs(hash(request.node.name)) % 10**6}")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def register(db):
    """A database that knows its chains and has tokens to resolve."""
    with store.begin(db) as tx:
        facts.load(tx, known.chains(), known.factories())
        tx.execute(
            text("insert into gazetteer.cursors values (1, 9, :h, 5, :h, now(), now(), null, 0)"), {"h": b"\1" * 32}
        )
    return db


@pytest.fixture
def worker(register, postgres_url, broker, slow_node, tmp_path):
    assert register is not None, "its tables are filled first"
    env = {
        "GAZETTEER_DATABASE_URL": postgres_url,
        "GAZETTEER_BROKER_URL": broker.url,
        "GAZETTEER_RPC_ETHEREUM": slow_node,
        "GAZETTEER_CHAINS": "ethereum",
    }
    role = Role(tmp_path / "worker.log", env, "worker", "--lane", "live", "--concurrency", "2")
    yield role
    role.stop()


def publish(broker, task, *args):
    """Send a kick as the follower would, from a process that knows nothing of this broker's past."""
    with Celery("test", broker=celery_url(broker.url), set_as_current=False) as app:
        queue = "rpc.ethereum" if task.startswith("resolve") else MAINTENANCE
        app.send_task(task, args=args, queue=queue)


def expire_a_lease(register, key):
    with store.begin(register) as tx:
        tx.execute(
            text(
                "insert into gazetteer.work (kind, scope, key, lane, due, lease_id, lease_until, created_at)"
                " values ('token', 'ethereum', :key, 0, :past, gen_random_uuid(), :past, :past)"
            ),
            {"key": key, "past": datetime.now(UTC) - timedelta(minutes=5)},
        )


def losses(register, key):
    with store.begin(register) as tx:
        return tx.execute(text("select losses from gazetteer.work where key = :key"), {"key": key}).scalar_one()


@pytest.mark.slow
def test_a_busy_worker_survives_the_death_of_its_broker_and_goes_on_when_it_is_back(worker, register, broker):
    with store.begin(register) as tx:
        for token in TOKENS:
            tx.execute(
                text(
                    "insert into gazetteer.work (kind, scope, key, lane, due, created_at)"
                    " values ('token', 'ethereum', :key, 0, now(), now())"
                ),
                {"key": token},
            )
    eventually(lambda: "ready" in worker.said(), what="the worker")
    for _ in range(4):
        publish(broker, "resolve.tokens", "ethereum")
    assert SlowNode.asked.wait(20), "no task is in flight"
    broker.kill()
    time.sleep(5)
    assert worker.is_up, worker.said()[-2000:]
    broker.start()
    expire_a_lease(register, b"\xee" * 20)
    publish(broker, "maint.tick")
    eventually(lambda: losses(register, b"\xee" * 20) == 1, what="the sweep after the broker came back")
    assert worker.is_up
    assert not any(losses(register, token) for token in TOKENS), "a task was killed for the broker's absence"


@pytest.mark.slow
def test_a_kick_survives_the_death_of_the_child_that_held_it(worker, register, broker):
    eventually(lambda: "ready" in worker.said(), what="the worker")
    expire_a_lease(register, b"\xdd" * 20)
    publish(broker, "resolve.tokens", "ethereum")
    for child in worker.children():
        Role.kill_one(child)
    publish(broker, "maint.tick")
    eventually(lambda: losses(register, b"\xdd" * 20) == 1, what="the sweep by a new child")
    assert worker.is_up


@pytest.mark.usefixtures("fresh_app")
def test_tasks_are_known_by_name_and_travel_on_queues_named_after_what_throttles_them(monkeypatch, broker):
    monkeypatch.setenv("GAZETTEER_BROKER_URL", broker.url)
    monkeypatch.setenv("GAZETTEER_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.setattr(wiring, "_made", {})
    app = configure()
    app.loader.import_default_modules()
    assert set(KICKS.values()) | {"maint.tick"} <= set(app.tasks)
    assert queue_of("ethereum", Lane.HISTORY) == "rpc.ethereum.history"
    assert set(queues(Lane.LIVE)) == {"rpc.ethereum", "rpc.polygon", "rpc.arbitrum", "maint"}
    assert MAINTENANCE in queues(Lane.HISTORY), "whoever serves one lane only hears ticks too"
    assert kick("token", "ethereum")
    with Redis.from_url(broker.url) as client:
        assert client.llen("rpc.ethereum") == 1
        assert all(kick("token", "ethereum") for _ in range(2 * MOST_WAITING))
        assert client.llen("rpc.ethereum") == MOST_WAITING, "nobody hears them, so no more are sent"
    broker.kill()
    assert kick("token", "ethereum") is False, "a kick that cannot be sent is lost without a sound"


def reserved_message(broker):
    """A message that was taken from a queue, and the connection it came by."""
    connection = Connection(celery_url(broker.url))
    queue = connection.SimpleQueue("patience")
    queue.put({"any": "thing"})
    return connection, queue.get(timeout=5)


@pytest.mark.parametrize("answer", ["ack", "reject"])
def test_an_acknowledgement_that_comes_after_its_connection_is_gone_is_dropped(broker, answer):
    connection, message = reserved_message(broker)
    assert isinstance(message.channel.qos, PatientQoS), "the patch is not installed"
    qos = message.channel.qos
    broker.kill()
    connection.close()
    getattr(qos, answer)(message.delivery_tag)


@pytest.mark.slow
def test_kombu_itself_still_cannot_do_that(broker):
    """Once this fails the patch has had its day."""
    connection, message = reserved_message(broker)
    qos = message.channel.qos
    broker.kill()
    connection.close()
    with pytest.raises((AttributeError, RedisError)):
        super(PatientQoS, qos).ack(message.delivery_tag)
