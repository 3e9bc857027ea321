"""Simulated venues over HTTP on the loopback interface: `/<venue>/...` is what that venue would answer.

Faults that any venue may have are made here: refusals by place or rate, outages, pages for people where data was
asked for, bodies that break off, and silence.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from http import HTTPStatus

from aiohttp import web

from indexer.sim.serving import Serving
from indexer.sim.venues.spec import Asked, Simulated, Told, struck

LONGEST_HANG_S = 600.0
LARGEST_BODY_BYTES = 1024 * 1024
MOST_REMEMBERED = 10_000
RETRY_AFTER_S = 30
BAN_S = 120
_JSON = {"Content-Type": "application/json"}
_HTML = {"Content-Type": "text/html"}
REFUSALS = {
    "geo_blocked": Told(
        status=HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS,
        headers=_JSON,
        body=b'{"code":0,"msg":"Service unavailable from a restricted location according to our terms."}',
    ),
    "rate_limited": Told(
        status=HTTPStatus.TOO_MANY_REQUESTS,
        headers=_JSON | {"Retry-After": str(RETRY_AFTER_S)},
        body=b'{"code":-1003,"msg":"Too many requests."}',
    ),
    "banned": Told(
        status=HTTPStatus.IM_A_TEAPOT,
        headers=_JSON | {"Retry-After": str(BAN_S)},
        body=b'{"code":-1003,"msg":"Way too many requests; this address is banned."}',
    ),
    "unavailable": Told(
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        headers=_HTML,
        body=b"<html><body>503 Service Unavailable</body></html>",
    ),
    "html": Told(headers=_HTML, body=b"<html><head><title>One moment</title></head><body>Checking.</body></html>"),
}


class VenueServer(Serving):
    """Serves `venues` in a thread of its own. `pump` is called every 50 ms there. `port` 0: any free one.

    `asked` remembers the last requests with their venue's name, oldest first.
    """

    turn_s = 0.05
    shutdown_s = 0.1

    def __init__(self, venues: Sequence[Simulated], *, port: int = 0, pump: Callable[[], None] | None = None) -> None:
        super().__init__(port)
        self._venues = {venue.name: venue for venue in venues}
        self._pump = pump
        self.asked: deque[tuple[str, Asked]] = deque(maxlen=MOST_REMEMBERED)

    def url(self, venue: str) -> str:
        """Where this venue answers, without a slash at the end."""
        return f"http://{self.address}/{venue}"

    def _application(self) -> web.Application:
        application = web.Application(client_max_size=LARGEST_BODY_BYTES)
        application.router.add_route("*", "/{venue}/{rest:.*}", self._handle)
        return application

    def _turn(self) -> None:
        if self._pump is not None:
            self._pump()

    async def _hang_up(self) -> None:
        """Whoever is kept in silence hears of the end himself."""

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        venue = self._venues.get(request.match_info["venue"])
        if venue is None:
            raise web.HTTPNotFound
        asked = Asked(
            method=request.method,
            path=f"/{request.match_info['rest']}",
            query=dict(request.query),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await request.read(),
        )
        self.asked.append((venue.name, asked))
        if struck(venue.faults, "hang", asked):
            await self._silence()
        told = next((told for word, told in REFUSALS.items() if struck(venue.faults, word, asked)), None)
        told = told or venue.answer(asked)
        if struck(venue.faults, "truncated", asked):
            return await _cut(request, told)
        return web.Response(status=told.status, body=told.body, headers=dict(told.headers))

    async def _silence(self) -> None:
        if self._ended is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), LONGEST_HANG_S)


async def _cut(request: web.Request, told: Told) -> web.StreamResponse:
    """Half of the body, then the connection is gone."""
    response = web.StreamResponse(status=told.status, headers=dict(told.headers))
    response.content_length = len(told.body)
    await response.prepare(request)
    await response.write(told.body[: len(told.body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response
