"""eth_subscribe: new heads and logs pushed to whoever asked for them over a WebSocket.

While its endpoint hangs, a connection stays open and says nothing.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import orjson
from aiohttp import WSMsgType, web

from indexer.sim.blocks import Block
from indexer.sim.chance import chance
from indexer.sim.endpoint import Endpoint
from indexer.sim.rpc import INVALID_PARAMS, LogQuery, RpcError
from indexer.sim.shapes import Json, log_json
from indexer.sim.source import View

MOST_WAITING = 4_096
HEARTBEAT_S = 20.0
MOST_BACK = 2_000


@dataclass(slots=True, eq=False)
class Listener:
    """One connection: what it subscribed to, and the messages on their way to it."""

    socket: web.WebSocketResponse
    waiting: "asyncio.Queue[bytes]" = field(default_factory=lambda: asyncio.Queue(MOST_WAITING))
    wanted: dict[str, LogQuery | None] = field(default_factory=dict)  # None: new heads

    def push(self, subscription: str, result: Json) -> None:
        """Send one notice. A connection that is too slow misses some."""
        params = {"subscription": subscription, "result": result}
        with contextlib.suppress(asyncio.QueueFull):
            self.waiting.put_nowait(orjson.dumps({"jsonrpc": "2.0", "method": "eth_subscription", "params": params}))


class Sockets:
    """The listeners of one endpoint. `tells_removed`: logs of a branch that lost are sent again as removed."""

    def __init__(self, endpoint: Endpoint, *, tells_removed: bool = True) -> None:
        self._endpoint = endpoint
        self._tells_removed = tells_removed
        self._listeners: set[Listener] = set()
        self._told = endpoint.seen()
        self._numbers = chance(endpoint.name, "subscriptions")

    async def talk(self, request: web.Request) -> web.WebSocketResponse:
        """One connection from its opening to its end."""
        socket = web.WebSocketResponse(heartbeat=HEARTBEAT_S)
        await socket.prepare(request)
        listener = Listener(socket)
        self._listeners.add(listener)
        sending = asyncio.create_task(_send(listener))
        try:
            async for message in socket:
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    data = message.data if isinstance(message.data, bytes) else message.data.encode()
                    if self._endpoint.suffers("hang") is None:
                        await listener.waiting.put(self._answer(listener, data))
        finally:
            self._listeners.discard(listener)
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sending
        return socket

    async def close(self) -> None:
        """End every connection."""
        for listener in tuple(self._listeners):
            await listener.socket.close()

    def tell(self) -> None:
        """Push what happened since the last call: the new branch block by block, as a node does after a fork."""
        before, now = self._told, self._endpoint.seen()
        if now.head is before.head:
            return
        self._told = now
        if not self._listeners or self._endpoint.suffers("hang") is not None:
            return
        left, come = _left(before, now), _come(before, now)
        for listener in self._listeners:
            for subscription, query in listener.wanted.items():
                if query is None:
                    for block in come:
                        listener.push(subscription, self._endpoint.rpc.block(block))
                else:
                    for told in self._logs(left, come, query):
                        listener.push(subscription, told)

    def _logs(self, left: list[Block], come: list[Block], query: LogQuery) -> Iterator[Json]:
        stamped = self._endpoint.rpc.manners.stamped
        for blocks, removed in ((left, True), (come, False)):
            for block in blocks if self._tells_removed or not removed else ():
                for entry in self._endpoint.ledger.entries(block):
                    if query.takes(entry.log):
                        yield log_json(entry.log, stamped=stamped, removed=removed)

    def _answer(self, listener: Listener, body: bytes) -> bytes:
        try:
            asked = orjson.loads(body)
        except orjson.JSONDecodeError:
            asked = None
        if not isinstance(asked, dict) or asked.get("method") not in ("eth_subscribe", "eth_unsubscribe"):
            return self._endpoint.handle(body)
        reply: Json = {"jsonrpc": "2.0", "id": asked.get("id")}
        try:
            reply["result"] = self._subscribed(listener, asked["method"], asked.get("params"))
        except RpcError as error:
            reply["error"] = error.shown()
        return orjson.dumps(reply)

    def _subscribed(self, listener: Listener, method: str, params: object) -> object:
        if not isinstance(params, list) or not params:
            raise RpcError(INVALID_PARAMS, "missing value for required argument 0")
        if method == "eth_unsubscribe":
            return listener.wanted.pop(str(params[0]), False) is not False
        number = hex(self._numbers.getrandbits(128))
        if params[0] == "newHeads":
            listener.wanted[number] = None
        elif params[0] == "logs":
            query = dict(params[1]) if len(params) > 1 and isinstance(params[1], dict) else {}
            listener.wanted[number] = self._endpoint.rpc.query([query], self._endpoint.seen())
        else:
            raise RpcError(INVALID_PARAMS, f'no "{params[0]}" subscription in eth namespace')
        return number


async def _send(listener: Listener) -> None:
    with contextlib.suppress(ConnectionError, RuntimeError):  # it went away
        while True:
            await listener.socket.send_str((await listener.waiting.get()).decode())


def _come(before: View, now: View) -> list[Block]:
    """The blocks of the view of now that the one before did not have, oldest first."""
    return list(reversed(list(_unshared(now, before))))


def _left(before: View, now: View) -> list[Block]:
    """The blocks that the view before had and the one of now does not, newest first."""
    return list(_unshared(before, now))


def _unshared(one: View, other: View) -> Iterator[Block]:
    for number in range(one.head.number, max(one.head.number - MOST_BACK, -1), -1):
        block = one.block(number)
        if block is None or other.has(block):
            return
        yield block
