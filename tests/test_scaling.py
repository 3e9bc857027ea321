"""Any number of workers, started by hand on one database and one broker: they share, help, die and stay in budget.

Each worker asks an endpoint of its own of one simulated node, so that the node's counters say who did what.
"""

import threading
import time

import pytest
from celery import Celery
from redis import Redis

from indexer.model import Lane
from indexer.sim.faults import Fault
from indexer.sim.ledger import Habits
from tests.lab.crowd import CAP, NAME, gather
from tests.roles import eventually
from workers.app import celery_url, queue_of
from workers.local.valkey import Valkey

pytestmark = pytest.mark.slow

LOGS = "eth_getLogs"
READY_S = 60.0
TICK_S = 5.0
HABITS = Habits(history_pools=400, idle_share=0, reorg_share=0, flaw_share=0)
NO_LIMIT = {"requests_per_s": 100_000}


@pytest.fixture
def broker(server_root, request):
    server = Valkey(server_root / f"s{abs(hash(request.node.name)) % 10**6}")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def crowd_of(db, postgres_url, broker, tmp_path):
    """Makes a register of so many blocks of history, read from a node that takes a while for each answer."""
    made = []

    def make(blocks, *, paths="abc", wait_s=0.05, **habits):
        one = gather(
            db,
            tmp_path,
            database_url=postgres_url,
            broker_url=broker.url,
            habits=Habits(**{**_fields(HABITS), "history_blocks": blocks, **habits}),
            paths=paths,
            faults=[Fault(name="slow", amount=wait_s)],
        )
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()


def _fields(habits):
    return {name: getattr(habits, name) for name in habits.__slots__}


def ready(*roles):
    for role in roles:
        eventually(lambda role=role: "ready." in role.said(), READY_S, what=f"worker {role.log.stem}")


def wake(broker, *, task="history.scan", words=(NAME,), lane=Lane.HISTORY):
    """One wake-up, and no more: whatever else happens workers tell each other."""
    with Celery("test", broker=celery_url(broker.url), set_as_current=False) as app:
        app.send_task(task, args=words, queue=queue_of(NAME, lane))


def test_three_workers_share_one_history_after_a_single_wake_up_and_nothing_is_read_twice(crowd_of, broker):
    crowd = crowd_of(120_000)
    ready(*(crowd.worker(path, path=path, **NO_LIMIT) for path in "abc"))
    wake(broker)
    eventually(lambda: crowd.missing().blocks == 0, 120, what="the end of history")
    read = {path: each.counted(LOGS) for path, each in crowd.endpoints.items()}
    ranges = crowd.ledger.view().finalized // CAP
    assert min(read.values()) > ranges // 10, f"one of them hardly took part: {read}"
    assert sum(read.values()) <= ranges * 1.05 + 10, f"ranges were read twice: {read}"
    truth = crowd.pools_in_the_past()
    assert crowd.count("select count(*) from gazetteer.pools") == truth
    assert crowd.count("select count(*) from gazetteer.scans") == 0


def test_a_worker_that_is_added_takes_part_within_seconds(crowd_of, broker):
    crowd = crowd_of(400_000, paths="ab")
    ready(crowd.worker("first", path="a", **NO_LIMIT))
    wake(broker)
    eventually(lambda: crowd.endpoints["a"].counted(LOGS) > 20, what="the first worker's ranges")
    ready(crowd.worker("second", path="b", **NO_LIMIT))
    eventually(lambda: crowd.endpoints["b"].counted(LOGS), TICK_S, what="a range of the second worker")
    assert crowd.missing().blocks > 0


def test_a_killed_worker_delays_only_what_it_held_and_that_at_most_by_its_lease(crowd_of, broker):
    lease_s = 8.0
    times = {"lease_s": lease_s, "task_s": 6, **NO_LIMIT}
    crowd = crowd_of(60_000, paths="ab")
    doomed = crowd.worker("doomed", path="a", **times)
    ready(doomed)
    wake(broker)
    eventually(lambda: crowd.endpoints["a"].counted(LOGS) > 3, what="its first ranges")
    crowd.endpoints["a"].faults = (Fault(name="slow", amount=30.0),)
    asked = crowd.endpoints["a"].counted(LOGS)
    eventually(lambda: crowd.endpoints["a"].counted(LOGS) > asked, what="a range that it waits for")
    held = "select coalesce(sum(last_block - first_block + 1), 0) from gazetteer.scans"
    doomed.kill()
    killed_at = time.monotonic()
    blocks = crowd.count(held)
    assert blocks > 0
    # everything else is read meanwhile; the dead one's message is not even acknowledged
    both = crowd.start("both", "worker", path="b", **times)
    eventually(lambda: both.said().count("ready.") == 2, READY_S, what="both of its lanes")
    crowd.start("beat", "beat")
    eventually(lambda: crowd.missing().blocks <= blocks, what="all that was not held")
    eventually(lambda: crowd.missing().blocks == 0, what="what was held")
    assert crowd.count("select count(*) from gazetteer.work where losses > 0") == 0
    took_s = time.monotonic() - killed_at
    assert took_s < READY_S + lease_s + 3 * TICK_S


def test_while_history_is_read_live_work_has_processes_of_its_own(crowd_of, broker):
    """Nothing of the live lane is ever behind history: another queue, served by other processes."""
    crowd = crowd_of(400_000, paths="ab", tick_s=0.5, pools_a_tick=1.0, finality_depth=8)
    both = crowd.start("both", "worker", path="a", requests_per_s=60)
    eventually(lambda: both.said().count("ready.") == 2, READY_S, what="both of its lanes")
    ran = []
    listener = threading.Thread(target=_listen, args=(broker, ran, stop := threading.Event()))
    listener.start()
    try:
        crowd.start("beat", "beat")
        eventually(lambda: crowd.endpoints["a"].counted(LOGS) > 20, what="history")
        crowd.start("follow", "follow", NAME, path="b", requests_per_s=60)
        crowd.growth.start()
        seen = "select count(*) from gazetteer.pools where source = 'head'"
        known = "select count(*) from gazetteer.tokens t join gazetteer.pools p on p.chain_id = t.chain_id "
        known += "and t.address in (p.token0, p.token1) where p.source = 'head' and t.resolved_at is not null"
        eventually(lambda: crowd.count(seen) > 20, what="pools at the head")
        eventually(lambda: crowd.count(known) > 20, what="their tokens")
    finally:
        stop.set()
        listener.join()
    assert crowd.missing().blocks > 0, "history ended before anything was shown"
    lanes = {(task, words, host.split("-")[0]) for task, words, host in ran}
    assert ("history.scan", "('ethereum',)", "history") in lanes
    assert ("resolve.tokens", "('ethereum', 0)", "live") in lanes
    live = {"('ethereum', 0)"}
    wrong = [each for each in lanes if each[0] != "maint.tick" and (each[2] == "live") != (each[1] in live)]
    assert wrong == [], "a process served another lane"


def _listen(broker, ran, stop):
    """Note which worker started which task, with which arguments."""
    told = {}

    def received(event):
        told[event["uuid"]] = (event["name"], event["args"])

    def started(event):
        if event["uuid"] in told:
            ran.append((*told[event["uuid"]], event["hostname"]))

    with Celery("listener", broker=celery_url(broker.url), set_as_current=False) as app, app.connection() as connection:
        receiver = app.events.Receiver(connection, handlers={"task-received": received, "task-started": started})
        while not stop.is_set():
            try:
                receiver.capture(limit=None, timeout=0.5, wakeup=False)
            except TimeoutError:
                continue


def test_one_budget_counts_for_all_processes(crowd_of):
    per_s = 40
    crowd = crowd_of(2_000_000, wait_s=0.0)
    ready(*(crowd.worker(path, path=path, requests_per_s=per_s) for path in "abc"))
    ready(crowd.worker("maintenance", lane="live", requests_per_s=per_s))
    crowd.start("beat", "beat")
    eventually(lambda: all(each.counted(LOGS) for each in crowd.endpoints.values()), what="a range of each")
    time.sleep(6)
    seen = sorted(at for each in crowd.endpoints.values() for at, _ in each.requests)
    burst, passed_s = 2 * per_s, seen[-1] - seen[0]
    assert passed_s > 5
    assert len(seen) <= (burst + per_s * passed_s) * 1.05
    assert len(seen) > per_s * passed_s / 2, "the budget was not what held them back"


def test_when_the_budget_runs_low_history_stops_first_then_resolution_and_the_head_never(crowd_of, broker):
    per_s = 50
    crowd = crowd_of(2_000_000, paths="abc", wait_s=0.0, tick_s=0.5, pools_a_tick=1.0, finality_depth=8)
    ready(crowd.worker("history", path="a", requests_per_s=per_s))
    ready(crowd.worker("live", lane="live", path="b", requests_per_s=per_s))
    crowd.start("follow", "follow", NAME, path="c", requests_per_s=per_s)
    crowd.start("beat", "beat")
    crowd.growth.start()
    history, resolve, head = (crowd.endpoints[path] for path in "abc")
    eventually(lambda: all(each.counted() > 3 for each in (history, resolve, head)), what="all three at work")
    with Spent(broker, per_s, share=0.35):
        time.sleep(1)
        since = time.monotonic()
        eventually(lambda: resolve.counted(since=since) > 5 and head.counted(since=since) > 5, what="resolution")
        assert history.counted(LOGS, since=since) == 0, "of it only tokens are asked, as resolution"
    with Spent(broker, per_s, share=0.05):
        time.sleep(1)
        since = time.monotonic()
        eventually(lambda: head.counted(LOGS, since=since) > 5, what="steps of the head")
        assert history.counted(since=since) == resolve.counted(since=since) == 0
    since = time.monotonic()
    eventually(lambda: history.counted(since=since) and resolve.counted(since=since), what="all of them again")


class Spent:
    """While it lasts somebody else keeps every bucket at no more than `share`."""

    def __init__(self, broker, per_s, *, share):
        self._most = share * 2 * per_s
        self._client = Redis.from_url(broker.url)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._spend)

    def _spend(self):
        lower = "for _, key in ipairs(redis.call('KEYS', 'gazetteer:budget:*')) do "
        lower += "local time = redis.call('TIME') "
        lower += "redis.call('HSET', key, 'tokens', ARGV[1], 'at', time[1] .. '.' .. string.format('%06d', time[2])) "
        lower += "end"
        script = self._client.register_script(lower)
        while not self._stop.wait(0.02):
            script(args=[self._most])

    def __enter__(self):
        self._thread.start()

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        self._client.close()
