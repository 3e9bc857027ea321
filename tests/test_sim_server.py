"""The simulated node over real HTTP and WebSocket, read by the product's own client."""

import contextlib
import json
import multiprocessing
import os
import signal
import threading
import time
import urllib.request
from dataclasses import replace

import orjson
import pytest
from websockets.sync.client import connect

from indexer import known
from indexer.errors import BadAnswer, GazetteerError, NodeUnavailable, RateLimited, TimedOut
from indexer.model import LogFilter
from indexer.sim.calendar import Calendar
from indexer.sim.endpoint import Endpoint
from indexer.sim.faults import Fault
from indexer.sim.ledger import Habits, Ledger
from indexer.sim.server import Server, serve
from indexer.sim.world import HABITS, Site, World
from indexer.wire.node import HttpNode, Limits
from indexer.wire.transport import HttpTransport
from indexer.wire.waker import Waker

pytestmark = pytest.mark.slow

ETHEREUM = known.chains()[0]
PATIENCE_S = 20.0
SHORT = Limits(heads_s=0.5, headers_s=0.5, window_s=0.5, ask_s=0.5)


def a_ledger(**habits):
    quiet = Habits(history_blocks=2_000, history_pools=200, pools_a_tick=2.0, idle_share=0, reorg_share=0)
    return Ledger(
        seed=21,
        chain=ETHEREUM,
        factories=known.factories(),
        quotes=known.quote_rank(),
        habits=replace(quiet, **habits),
    )


@pytest.fixture
def ledger():
    return a_ledger()


@pytest.fixture
def served(ledger):
    sites = [
        Site(chain="ethereum", path="/ethereum/a", endpoint=Endpoint("a", ledger)),
        Site(chain="ethereum", path="/ethereum/b", endpoint=Endpoint("b", ledger)),
    ]
    server = Server(sites)
    server.start()
    yield server, sites
    server.close()


def reader(server, path="/ethereum/a", limits=None):
    return HttpNode("sim", HttpTransport(f"http://{server.address}{path}"), limits=limits)


def wanted(ledger):
    return LogFilter(
        addresses=sorted(factory.address for factory in ledger.factories),
        topics=sorted({topic for factory in ledger.factories for topic in factory.topics}),
    )


def truth(ledger, first, last):
    asked = wanted(ledger)
    return tuple(
        entry.log
        for entry in ledger.view().entries(first, last)
        if entry.log.address in asked.addresses and entry.log.topics[0] in asked.topics
    )


def test_over_a_socket_the_chain_is_read_exactly(served, ledger):
    server, _ = served
    server.do(lambda: ledger.advance_to(50))
    node = reader(server)
    assert node.heads().latest.hash == ledger.head.hash
    assert node.chain_identity() == (1, ETHEREUM.genesis_hash)
    assert node.window(1_000, 2_050, wanted(ledger)).logs == truth(ledger, 1_000, 2_050)


FAULTS = [
    ("hang", 0, TimedOut),
    ("slow", 1.0, TimedOut),
    ("cut", 0, NodeUnavailable),
    ("rate_limited", 3, RateLimited),
    ("server_error", 0, NodeUnavailable),
    ("truncated", 0, NodeUnavailable),
    ("not_json", 0, NodeUnavailable),
    ("one_error", 0, NodeUnavailable),
    ("lost_reply", 0, BadAnswer),
]


@pytest.mark.parametrize(("name", "amount", "error"), FAULTS)
def test_over_a_socket_a_fault_is_its_named_error(served, ledger, name, amount, error):
    server, sites = served
    sites[1].endpoint.faults = (Fault(name=name, amount=amount),)
    with pytest.raises(error) as caught:
        reader(server, "/ethereum/b", SHORT).heads()
    if name == "rate_limited":
        assert caught.value.retry_after_s == 3
    assert reader(server).heads().latest.hash == ledger.head.hash


def test_beside_an_honest_endpoint_a_shaky_one_loses_nothing(served, ledger):
    server, sites = served
    sites[1].endpoint.faults = tuple(
        Fault(name=name, amount=3, share=0.2)
        for name in ("rate_limited", "cut", "truncated", "shuffled", "malformed_logs", "null_blocks", "foreign_logs")
    )
    shaky, honest = reader(server, "/ethereum/b", SHORT), reader(server)
    read = failed = 0
    for first in range(1, 2_000, 100):
        try:
            window = shaky.window(first, first + 99, wanted(ledger))
            read += 1
        except GazetteerError:
            window = honest.window(first, first + 99, wanted(ledger))
            failed += 1
        assert window.logs == truth(ledger, first, first + 99)
    assert read
    assert failed


class Heard:
    """Counts how often a waker woke somebody."""

    def __init__(self, waker):
        self.waker, self.times, self._ended = waker, 0, False
        self._thread = threading.Thread(target=self._wait)
        self._thread.start()

    def _wait(self):
        while not self._ended:
            started = time.monotonic()
            self.waker.wait(PATIENCE_S)
            if not self._ended and time.monotonic() - started < PATIENCE_S:
                self.times += 1

    def end(self):
        self._ended = True
        self.waker.close()
        self._thread.join(PATIENCE_S)


def until(true):
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_follower_is_woken_by_every_head_and_again_after_the_connection_broke(served, ledger):
    server, _ = served
    waker = Waker([f"ws://{server.address}/ethereum/a"], wanted(ledger), first_pause_s=0.05)
    heard = Heard(waker)
    try:
        until(lambda: waker.mode == "websocket" and heard.times)
        for _ in range(3):
            before = heard.times
            server.do(ledger.advance)
            until(lambda before=before: heard.times > before)
        server.hang_up("/ethereum/a")
        until(lambda: waker.mode == "polling")
        until(lambda: waker.mode == "websocket")
        before = heard.times
        server.do(ledger.advance)
        until(lambda: heard.times > before)
    finally:
        heard.end()


def test_a_connection_that_hangs_stays_open_and_is_given_up_for_its_silence(served, ledger):
    server, sites = served
    sites[1].endpoint.faults = (Fault(name="hang"),)
    urls = [f"ws://{server.address}/ethereum/{name}" for name in "ab"]
    waker = Waker(urls, wanted(ledger), silence_s=0.5, first_pause_s=0.05)
    heard = Heard(waker)
    try:
        until(lambda: waker.mode == "websocket" and heard.times)
        sites[0].endpoint.faults = (Fault(name="hang"),)
        server.do(ledger.advance)
        until(lambda: waker.mode == "polling")
        sites[0].endpoint.faults = sites[1].endpoint.faults = ()
        until(lambda: waker.mode == "websocket")
    finally:
        heard.end()


@contextlib.contextmanager
def subscribed(server, *params):
    """A plain client: its socket, and what it was told when it subscribed."""
    with connect(f"ws://{server.address}/ethereum/a", proxy=None, open_timeout=PATIENCE_S) as socket:
        socket.send(json.dumps({"jsonrpc": "2.0", "id": 7, "method": "eth_subscribe", "params": params}))
        told = json.loads(socket.recv(PATIENCE_S))
        assert told["id"] == 7
        yield socket, told


def notices(socket, count):
    return [json.loads(socket.recv(PATIENCE_S))["params"] for _ in range(count)]


@pytest.mark.parametrize("tells_removed", [True, False])
def test_heads_of_a_new_branch_come_in_order_and_lost_logs_as_removed_if_at_all(tells_removed):
    ledger = a_ledger(reorg_share=0.4)
    server = Server(
        [Site(chain="ethereum", path="/ethereum/a", endpoint=Endpoint("a", ledger))], tells_removed=tells_removed
    )
    server.start()
    emitters = {"address": ["0x" + factory.address.hex() for factory in ledger.factories]}
    removed = 0
    try:
        with subscribed(server, "newHeads") as heads, subscribed(server, "logs", emitters) as logs:
            for _ in range(40):
                before = ledger.view()
                server.do(ledger.advance)
                removed += check_notices(before, ledger.view(), heads, logs, tells_removed)
    finally:
        server.close()
    assert removed > 5 or not tells_removed


def check_notices(before, now, heads, logs, tells_removed):
    """Both clients are told of one tick exactly; returns how many logs were taken back."""
    fork = next(n for n in range(before.head.number, 0, -1) if n <= now.head.number and now.has(before.block(n)))
    told = notices(heads[0], now.head.number - fork)
    assert [each["result"]["hash"] for each in told] == [
        "0x" + now.block(number).hash.hex() for number in range(fork + 1, now.head.number + 1)
    ]
    gone, come = logs_of(before, fork) if tells_removed else [], logs_of(now, fork)
    also = notices(logs[0], len(gone) + len(come))
    assert [(each["result"]["blockHash"], each["result"]["logIndex"]) for each in also] == gone + come
    assert [each["result"]["removed"] for each in also] == [True] * len(gone) + [False] * len(come)
    assert {each["subscription"] for each in told} <= {heads[1]["result"]}
    assert {each["subscription"] for each in also} <= {logs[1]["result"]}
    return len(gone)


def logs_of(view, fork):
    """Logs of factories above the fork; of a branch that lost, newest block first."""
    numbers = range(fork + 1, view.head.number + 1)
    lost = not view.ledger.is_canonical(view.head)
    emitters = {factory.address for factory in view.ledger.factories}
    return [
        ("0x" + entry.log.block_hash.hex(), hex(entry.log.log_index))
        for number in (reversed(numbers) if lost else numbers)
        for entry in view.ledger.entries(view.block(number))
        if entry.log.address in emitters
    ]


def test_a_websocket_also_answers_questions_and_ends_subscriptions(served, ledger):
    server, _ = served
    with subscribed(server, "newHeads") as (socket, told):

        def ask(method, *params):
            socket.send(json.dumps({"jsonrpc": "2.0", "id": 9, "method": method, "params": params}))
            return json.loads(socket.recv(PATIENCE_S))["result"]

        assert ask("eth_blockNumber") == hex(ledger.head.number)
        assert ask("eth_unsubscribe", told["result"]) is True
        assert ask("eth_unsubscribe", told["result"]) is False
        server.do(ledger.advance)
        assert ask("eth_blockNumber") == hex(ledger.head.number)  # and no notice before it
    with subscribed(server, "fullMoons") as (_, told):
        assert "subscription" in told["error"]["message"]


SMALL = {name: replace(habits, history_blocks=2_000, history_pools=60) for name, habits in HABITS.items()}


def _serve(path, port, said):
    calendar = Calendar(9, path)
    serve(World(9, epoch_s=calendar.epoch_s, habits=SMALL), calendar, port, ready=said.put)


def fetch(port, path, method="GET"):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        return orjson.loads(answer.read())


def test_a_world_that_is_killed_goes_on_as_if_it_had_not_been(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    said = spawn.Queue()

    def begin(port):
        process = spawn.Process(target=_serve, args=(tmp_path / "world.json", port, said))
        process.start()
        return process, said.get(timeout=PATIENCE_S)

    process, port = begin(0)
    try:
        limits = Limits(heads_s=PATIENCE_S)
        node = HttpNode("sim", HttpTransport(f"http://127.0.0.1:{port}/arbitrum/a"), limits=limits)
        first = node.heads().latest
        until(lambda: node.heads().latest.number > first.number + 2)
        final = node.heads().finalized
        os.kill(process.pid, signal.SIGKILL)
        process.join(PATIENCE_S)
        process, port = begin(port)
        assert node.heads().finalized.number >= final.number
        assert node.headers([final.number])[0].hash == final.hash
        stopped = fetch(port, "/control/stop", "POST")
        assert [chain["chain"] for chain in stopped] == ["ethereum", "polygon", "arbitrum"]
        assert all(chain["head"] == chain["finalized"] for chain in stopped)
        before = fetch(port, "/control/truth/arbitrum")
        os.kill(process.pid, signal.SIGKILL)
        process.join(PATIENCE_S)
        process, port = begin(port)
        assert fetch(port, "/control/status") == stopped
        again = fetch(port, "/control/truth")
        assert [chain["chain"] for chain in again] == ["ethereum", "polygon", "arbitrum"]
        assert again[2]["pools"] == before[0]["pools"]
        process.terminate()
        process.join(PATIENCE_S)
        assert process.exitcode == 0
    finally:
        if process.is_alive():
            process.kill()
            process.join(PATIENCE_S)
