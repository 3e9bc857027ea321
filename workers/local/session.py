"""One run of `up` or `demo` in this terminal: start everything, show it, end everything."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

from indexer.errors import Retryable
from workers.local.stack import Stack
from workers.local.watching import Watcher, blank, display

NEVER_S = float("inf")


@dataclass(kw_only=True)
class Session:
    """`title` heads the screen, `endpoints` says whom each chain asks.

    `followed_since_s`: when each chain was first seen ready, Unix seconds.
    """

    stack: Stack
    title: str
    endpoints: Mapping[str, str] = field(default_factory=dict)
    started_at_s: float = field(default_factory=time.monotonic)
    followed_since_s: dict[str, float] = field(default_factory=dict)

    @property
    def stopped(self) -> bool:
        """Whether somebody asked to end."""
        return self.stack.supervisor.stop.is_set()

    @contextmanager
    def everything(self) -> Iterator[None]:
        """Whatever was started in the block has ended after it."""
        supervisor = self.stack.supervisor
        supervisor.heed_signals()
        try:
            yield
        finally:
            supervisor.stop.set()
            with suppress(OSError):  # whoever read our words may be gone; our children have to go too
                say("stopping" + ("" if supervisor.hurry.is_set() else " (Ctrl-C again to kill)"))
            supervisor.end()

    def show(self, *parts: tuple[float, Callable[[], bool], str | None]) -> None:
        """Watch over everything and show it, part after part: for so long, or until it is true, doing what.

        A terminal shows a live view, a pipe a line every few seconds.
        """
        watcher, screen = Watcher(url=self.stack.url), display()
        watcher.start()
        try:
            for limit_s, over, doing in parts:
                self._part(watcher, screen.show, limit_s, over, doing)
        finally:
            screen.close()
            watcher.close()

    def _part(
        self,
        watcher: Watcher,
        show: Callable[..., None],
        limit_s: float,
        over: Callable[[], bool],
        doing: str | None,
    ) -> None:
        deadline = time.monotonic() + limit_s

        def turn() -> None:
            shot = watcher.filled(blank(self.title, self.started_at_s))
            for chain in shot.chains:
                if chain.ready:
                    self.followed_since_s.setdefault(chain.chain, time.time())
            supervisor = self.stack.supervisor
            show(
                replace(
                    shot,
                    endpoints=self.endpoints,
                    doing=shot.doing or doing,
                    flower_url=self.stack.flower_url,
                    restarts=supervisor.restarts,
                )
            )

        self.stack.supervisor.watch(until=lambda: time.monotonic() >= deadline or over(), turn=turn)


def every(pause_s: float, check: Callable[[], bool]) -> Callable[[], bool]:
    """The check, asked that rarely; what is away for a moment has not passed it."""
    asked_at = -pause_s

    def asked() -> bool:
        nonlocal asked_at
        if time.monotonic() - asked_at < pause_s:
            return False
        try:
            return check()
        except Retryable:
            return False
        finally:
            asked_at = time.monotonic()

    return asked


def never() -> bool:
    """For a part that ends by its time, or when somebody asks."""
    return False


def say(text: str) -> None:
    """One line to whoever started us."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
