"""What simulated nodes and venues share: one HTTP server on the loopback interface, and time that passes there."""

import asyncio
import contextlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from aiohttp import web

HOST = "127.0.0.1"
START_S = 30.0


class Serving(ABC):
    """Serves an application until `close`, in a thread of its own or in the caller's loop. `port` 0: any free one."""

    turn_s: ClassVar[float]
    """How often time passes."""
    shutdown_s: ClassVar[float]

    def __init__(self, port: int) -> None:
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Event | None = None
        self.port = port

    @abstractmethod
    def _application(self) -> web.Application:
        """What answers."""

    @abstractmethod
    def _turn(self) -> None:
        """Let time pass; called in the thread that serves, every `turn_s`."""

    @abstractmethod
    async def _hang_up(self) -> None:
        """End connections that would not end by themselves."""

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{HOST}:{self.port}"

    def start(self) -> None:
        """Serve in a thread. Raises TimeoutError if that does not come to be."""
        self._thread = threading.Thread(target=lambda: asyncio.run(self.run()), name="sim", daemon=True)
        self._thread.start()
        if not self._ready.wait(START_S):
            message = f"{type(self).__name__} did not start"
            raise TimeoutError(message)

    def close(self) -> None:
        """End the thread and every connection, those that hang too."""
        if self._loop is not None and self._ended is not None:
            with contextlib.suppress(RuntimeError):  # the loop has just ended by itself
                self._loop.call_soon_threadsafe(self._ended.set)
        if self._thread is not None:
            self._thread.join(START_S)

    async def run(
        self, *, until: asyncio.Event | None = None, ready: Callable[[int], None] = lambda _port: None
    ) -> None:
        """Serve until `close`, or until that event. `ready` is called once, with the port."""
        self._loop, self._ended = asyncio.get_running_loop(), until or asyncio.Event()
        runner = web.AppRunner(self._application(), shutdown_timeout=self.shutdown_s, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, HOST, self.port)
        await site.start()
        self.port = runner.addresses[0][1]
        self._ready.set()
        ready(self.port)
        try:
            while not self._ended.is_set():
                self._turn()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._ended.wait(), self.turn_s)
        finally:
            await self._hang_up()
            await runner.cleanup()
