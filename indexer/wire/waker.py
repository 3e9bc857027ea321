"""Tells a follower when it may be worth looking: at once where a WebSocket says so, after a while in any case.

A notice is never data. Connections are opened one after the other from a thread of their own; one that ends, fails
or says nothing for too long is left for the next, with a growing pause. Nothing here raises, and no URL is logged.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Sequence
from typing import Literal

from indexer.errors import NodeUnavailable
from indexer.model import LogFilter
from indexer.wire.redact import public_name

log = logging.getLogger("gazetteer.waker")

SILENCE_S = 60.0
SUBSCRIBE_S = 20.0
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
CLOSE_S = 5.0
LOOK_EVERY_S = 0.5

Mode = Literal["websocket", "polling"]


class Waker:
    """Wakes one thread that waits. Without `urls` (ws:// or wss://) it only ever wakes after the timeout.

    `silence_s`: a connection without a notice for so long is given up; a few block times, and not below 10 s.
    """

    def __init__(
        self,
        urls: Sequence[str] = (),
        wanted: LogFilter | None = None,
        *,
        silence_s: float = SILENCE_S,
        first_pause_s: float = FIRST_PAUSE_S,
    ) -> None:
        self._urls = tuple(urls)
        self._wanted = wanted or LogFilter(addresses=(), topics=())
        self._silence_s = silence_s
        self._first_pause_s = first_pause_s
        self._due = threading.Event()
        self._closed = threading.Event()
        self._connection: _Connection | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listening: asyncio.Task[None] | None = None
        self._thread: threading.Thread | None = None
        if self._urls:
            self._thread = threading.Thread(target=self._run, name="waker", daemon=True)
            self._thread.start()

    @property
    def mode(self) -> Mode:
        """`websocket` while a subscription is open."""
        return "websocket" if self._connection is not None and self._connection.open else "polling"

    def wait(self, timeout_s: float) -> None:
        """Return at the next notice (at once if there was one since the last wait), or after `timeout_s`."""
        self._due.wait(timeout_s)
        self._due.clear()

    def wake(self) -> None:
        """As if a notice had come."""
        self._due.set()

    def close(self) -> None:
        """End the connection and the thread, and the current wait."""
        self._closed.set()
        self._due.set()
        if self._thread is None:
            return
        if self._loop is not None and self._listening is not None:
            with contextlib.suppress(RuntimeError):  # the loop has just ended by itself
                self._loop.call_soon_threadsafe(self._listening.cancel)
        self._thread.join(CLOSE_S)

    def _run(self) -> None:
        try:
            asyncio.run(self._listen_for_ever())
        except asyncio.CancelledError:
            pass
        except Exception as error:  # noqa: BLE001  # without notices there is still the timeout
            log.warning("websocket off", extra={"error": type(error).__name__})

    async def _listen_for_ever(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(lambda _loop, _context: None)  # its report would show the URL
        self._listening = asyncio.current_task()
        pause_s = self._first_pause_s
        turn = 0
        while not self._closed.is_set():
            url = self._urls[turn % len(self._urls)]
            turn += 1
            heard, why = await self._listen(url)
            log.warning("websocket lost", extra={"endpoint": public_name(url), "error": why})
            pause_s = self._first_pause_s if heard else min(pause_s * 2, LONGEST_PAUSE_S)
            await asyncio.sleep(pause_s)

    async def _listen(self, url: str) -> tuple[bool, str]:
        """One connection from its opening to its end: whether it ever said something, and why it ended."""
        from indexer.wire.websocket import listen  # noqa: PLC0415  # web3 takes a second to import

        connection = _Connection(self._due)
        self._connection = connection
        listening = asyncio.create_task(listen(url, self._wanted, connection.heard, connection.subscribed))
        try:
            why = await connection.until_silent(listening, self._silence_s)
        except NodeUnavailable as error:
            why = str(error)
        finally:
            connection.open = False
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError, NodeUnavailable, TimeoutError):
                await asyncio.wait_for(listening, CLOSE_S)
        return connection.notices > 0, why


class _Connection:
    """What one connection said so far."""

    def __init__(self, due: threading.Event) -> None:
        self._due = due
        self._heard_at = time.monotonic()
        self.open = False
        self.notices = 0

    def heard(self) -> None:
        self.notices += 1
        self._heard_at = time.monotonic()
        self._due.set()

    def subscribed(self) -> None:
        """A wake-up too, for whatever happened while nobody listened."""
        self.open = True
        self._heard_at = time.monotonic()
        self._due.set()

    async def until_silent(self, listening: "asyncio.Task[None]", silence_s: float) -> str:
        """Wait for the end of `listening`, or until nothing was heard for too long. Returns which it was."""
        while True:
            allowed_s = silence_s if self.open else SUBSCRIBE_S
            left_s = self._heard_at + allowed_s - time.monotonic()
            if left_s <= 0:
                return f"silent for {allowed_s:g} s"
            await asyncio.wait({listening}, timeout=min(left_s, LOOK_EVERY_S))
            if listening.done():
                listening.result()
                return "the connection ended"
