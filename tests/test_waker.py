"""Wake-ups from a real WebSocket server, and waiting without one."""

import asyncio
import contextlib
import json
import logging
import threading
import time

import pytest
from websockets.asyncio.server import serve

from indexer.model import Address, Hash32, LogFilter
from indexer.wire.waker import Waker

KEY = "c4naryK3y0123456789abcdef"
WANTED = LogFilter(addresses=(Address(b"\xfa" * 20),), topics=(Hash32(b"\x70" * 32),))
PATIENCE_S = 10.0


class Server:
    """eth_subscribe over WebSocket; `notify` sends to everybody subscribed."""

    def __init__(self):
        self.subscribed, self.connections, self.refuse, self.mute = [], [], set(), False
        self.opened = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(PATIENCE_S)

    @property
    def url(self):
        return f"ws://127.0.0.1:{self.port}/v3/{KEY}"

    def _run(self):
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self):
        self._stop = asyncio.Event()
        async with serve(self._handle, "127.0.0.1", 0) as server:
            self.port = server.sockets[0].getsockname()[1]
            self._ready.set()
            await self._stop.wait()

    async def _handle(self, connection):
        self.connections.append(connection)
        self.opened += 1
        async for message in connection:
            request = json.loads(message)
            kind = request["params"][0]
            if self.mute:
                continue
            if kind in self.refuse:
                body = {"error": {"code": -32601, "message": f"no {kind} for {KEY}"}}
            else:
                self.subscribed.append(request["params"])
                body = {"result": hex(len(self.subscribed))}
            await connection.send(json.dumps({"jsonrpc": "2.0", "id": request["id"], **body}))

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE_S)

    def send(self, text):
        async def everybody():
            for connection in self.connections:
                with contextlib.suppress(Exception):
                    await connection.send(text)

        self.run(everybody())

    def notify(self, result):
        body = {"jsonrpc": "2.0", "method": "eth_subscription", "params": {"subscription": "0x1", "result": result}}
        self.send(json.dumps(body))

    def drop(self):
        async def everybody():
            for connection in self.connections:
                connection.transport.abort()
            self.connections.clear()

        self.run(everybody())

    def close(self):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE_S)


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture
def waking():
    with contextlib.ExitStack() as stack:

        def make(*urls, **options):
            waker = Waker(urls, WANTED, first_pause_s=0.05, **options)
            stack.callback(waker.close)
            return waker

        yield make


def until(true):
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def seconds_of_wait(waker, timeout_s):
    started = time.monotonic()
    waker.wait(timeout_s)
    return time.monotonic() - started


def listening(waker, server):
    until(lambda: waker.mode == "websocket")
    waker.wait(0)
    return len(server.subscribed)


def test_without_a_url_it_only_waits_and_can_be_woken():
    waker = Waker()
    assert waker.mode == "polling"
    assert 0.1 <= seconds_of_wait(waker, 0.1) < 2
    waker.wake()
    assert seconds_of_wait(waker, 5) < 1
    assert seconds_of_wait(waker, 0.1) >= 0.1
    waker.close()
    assert seconds_of_wait(waker, 5) < 1


def test_it_subscribes_to_heads_and_to_the_logs_that_are_wanted(server, waking):
    waker = waking(server.url)
    assert listening(waker, server) == 2
    heads, logs = server.subscribed
    assert heads == ["newHeads"]
    assert logs[0] == "logs"
    assert [address.lower() for address in logs[1]["address"]] == ["0x" + "fa" * 20]
    assert logs[1]["topics"] == [["0x" + "70" * 32]]


@pytest.mark.parametrize(
    "notice",
    [
        {"number": "0x10", "hash": "0x" + "11" * 32, "extraData": "0x" + "00" * 150},
        {"address": "0x" + "fa" * 20, "topics": [], "data": "0x"},
        "nonsense",
    ],
    ids=["a head with the long extra data of Polygon", "a log", "anything"],
)
def test_a_notice_wakes_at_once_whatever_is_in_it(server, waking, notice):
    waker = waking(server.url)
    listening(waker, server)
    for _ in range(3):
        threading.Timer(0.05, server.notify, [notice]).start()
        assert seconds_of_wait(waker, PATIENCE_S) < 2
        assert waker.mode == "websocket"


def test_more_notices_than_any_queue_holds_are_one_wake_up_and_stop_nothing(server, waking):
    waker = waking(server.url)
    listening(waker, server)
    for _ in range(1_500):
        server.notify({})
    time.sleep(0.3)
    assert seconds_of_wait(waker, PATIENCE_S) < 1
    assert seconds_of_wait(waker, 0.2) >= 0.2
    server.notify({})
    assert seconds_of_wait(waker, PATIENCE_S) < 1
    assert server.opened == 1


def test_a_lost_connection_is_opened_again_and_that_wakes_too(server, waking):
    waker = waking(server.url)
    listening(waker, server)
    server.drop()
    until(lambda: server.opened == 2 and waker.mode == "websocket")
    assert seconds_of_wait(waker, PATIENCE_S) < 1
    server.notify({})
    assert seconds_of_wait(waker, PATIENCE_S) < 1


def test_a_connection_that_says_nothing_is_given_up(server, waking):
    waker = waking(server.url, silence_s=0.5)
    until(lambda: server.opened >= 2)
    until(lambda: waker.mode == "websocket")


def test_bytes_that_are_no_json_end_the_connection_only(server, waking):
    waker = waking(server.url)
    listening(waker, server)
    server.send("{")
    until(lambda: server.opened == 2 and waker.mode == "websocket")


def test_the_next_url_is_tried_after_one_that_cannot_be_opened(server, waking):
    waker = waking("ws://127.0.0.1:1/" + KEY, server.url)
    listening(waker, server)


def test_an_endpoint_without_logs_still_gives_heads(server, waking):
    server.refuse = {"logs"}
    waker = waking(server.url)
    assert listening(waker, server) == 1
    server.notify({})
    assert seconds_of_wait(waker, PATIENCE_S) < 2


def test_an_endpoint_without_heads_is_not_a_subscription(server, waking):
    server.refuse = {"newHeads", "logs"}
    waker = waking(server.url)
    until(lambda: server.opened >= 2)
    assert waker.mode == "polling"


def test_no_log_line_and_no_error_shows_the_key(server, waking, caplog):
    caplog.set_level(logging.DEBUG)
    for name in ("", "asyncio"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    server.refuse = {"logs"}
    waker = waking("ws://127.0.0.1:1/v3/" + KEY, server.url, "wss://user:" + KEY + "@127.0.0.1:1/", "bad://" + KEY)
    listening(waker, server)
    server.refuse = {"newHeads"}
    server.drop()
    until(lambda: sum("websocket lost" in line.message for line in caplog.records) >= 5)
    formatter = logging.Formatter()
    ours = [line for line in caplog.records if not line.name.startswith("websockets.server")]
    shown = " ".join(formatter.format(line) + str(vars(line)) for line in ours)
    assert "websocket lost" in shown
    assert KEY not in shown


def test_closing_ends_the_thread(server):
    waker = Waker((server.url,), WANTED)
    listening(waker, server)
    waker.close()
    assert not waker._thread.is_alive()
    assert waker.mode == "polling"
