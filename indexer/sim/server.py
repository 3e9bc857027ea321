"""Simulated chains over HTTP and WebSocket on the loopback interface, and three small controls beside them.

`POST /<chain>/<endpoint>` is JSON-RPC, the same path takes WebSockets. `GET /control/status` says where the chains
stand, `POST /control/stop` ends mining and makes everything final, `GET /control/truth[/<chain>]` says what a
register must hold.
"""

import asyncio
import gc
import signal
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import TypeVar

import orjson
from aiohttp import web

from indexer.sim.calendar import Calendar
from indexer.sim.endpoint import Endpoint, Exchange
from indexer.sim.serving import START_S, Serving
from indexer.sim.sockets import Sockets
from indexer.sim.world import Running, Site, World

LONGEST_HANG_S = 60.0
LARGEST_BODY_BYTES = 16 * 1024 * 1024

T = TypeVar("T")


class Server(Serving):
    """Serves `sites` in a thread of its own. `pump` is called every 20 ms there, and lets time pass.

    With `control` None there are no controls. `port` 0: any free one.
    """

    turn_s = 0.02
    shutdown_s = 1.0

    def __init__(
        self,
        sites: Sequence[Site],
        *,
        port: int = 0,
        control: Running | None = None,
        pump: Callable[[], None] | None = None,
        tells_removed: bool = True,
    ) -> None:
        super().__init__(port)
        self._sites = {site.path: site.endpoint for site in sites}
        self._sockets = {path: Sockets(endpoint, tells_removed=tells_removed) for path, endpoint in self._sites.items()}
        self._control = control
        self._pump = pump

    def hang_up(self, path: str) -> None:
        """Close every WebSocket connection to this path."""
        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(self._sockets[path].close(), self._loop).result(START_S)

    def do(self, what: Callable[[], T]) -> T:
        """Run something in the thread that serves, then tell the listeners what happened."""

        async def done() -> T:
            result = what()
            self._tell()
            return result

        if self._loop is None:
            message = "not started"
            raise RuntimeError(message)
        return asyncio.run_coroutine_threadsafe(done(), self._loop).result(START_S)

    def _turn(self) -> None:
        if self._pump is not None:
            self._pump()
            self._tell()

    async def _hang_up(self) -> None:
        for sockets in self._sockets.values():
            await sockets.close()

    def _tell(self) -> None:
        for sockets in self._sockets.values():
            sockets.tell()

    def _application(self) -> web.Application:
        application = web.Application(client_max_size=LARGEST_BODY_BYTES)
        for path in self._sites:
            application.router.add_post(path, self._rpc)
            application.router.add_get(path, self._socket)
        if self._control is not None:
            application.router.add_get("/control/status", self._status)
            application.router.add_post("/control/stop", self._stop)
            application.router.add_get("/control/truth", self._truth)
            application.router.add_get("/control/truth/{chain}", self._truth)
        return application

    async def _rpc(self, request: web.Request) -> web.StreamResponse:
        endpoint: Endpoint = self._sites[request.path]
        exchange = endpoint.exchange(await request.read())
        await asyncio.sleep(min(exchange.wait_s, LONGEST_HANG_S))
        if exchange.cut or exchange.wait_s > LONGEST_HANG_S:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=HTTPStatus.BAD_GATEWAY)
        return _response(exchange)

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        return await self._sockets[request.path].talk(request)

    async def _status(self, _request: web.Request) -> web.Response:
        return _json(self._controlled().status())

    async def _stop(self, _request: web.Request) -> web.Response:
        self._controlled().stop()
        self._tell()
        return _json(self._controlled().status())

    async def _truth(self, request: web.Request) -> web.Response:
        control, name = self._controlled(), request.match_info.get("chain")
        names = [name] if name else []
        # seconds of work: beside the serving thread once nothing changes any more
        return _json(await asyncio.to_thread(control.truth, names) if control.stopped else control.truth(names))

    def _controlled(self) -> Running:
        if self._control is None:
            raise web.HTTPNotFound
        return self._control


def serve(world: World, calendar: Calendar, port: int, *, ready: Callable[[int], None] = lambda _port: None) -> None:
    """Serve this world in this process until SIGTERM or SIGINT. `ready` is called once, with the port."""
    running = Running(world, calendar)
    gc.collect()
    gc.freeze()  # the past stays as it is: looking through all of it again would stop the nodes for seconds
    server = Server(world.sites, port=port, control=running, pump=running.pump)

    async def main() -> None:
        ended = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, ended.set)
        await server.run(until=ended, ready=ready)

    asyncio.run(main())


def _response(exchange: Exchange) -> web.Response:
    headers = {} if exchange.retry_after_s is None else {"Retry-After": f"{exchange.retry_after_s:g}"}
    kind = "application/json" if exchange.body[:1] in (b"{", b"[") else "text/html"
    return web.Response(status=exchange.status, body=exchange.body, headers=headers, content_type=kind)


def _json(value: object) -> web.Response:
    return web.Response(body=orjson.dumps(value), content_type="application/json")
