"""Keeps processes alive in an order, and ends them in the opposite one.

Everything here runs in the main thread, as the kernel ends a child together with the thread that started it.
"""

import logging
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from indexer.errors import Retryable
from workers.local.process import ask, ended, kill, spawn

log = logging.getLogger("gazetteer.supervisor")

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
HEALTHY_S = 60.0
LOOK_S = 0.05
DEAD_S = 5.0
"""How long the kernel may take to end what was killed."""


class Server(Protocol):
    """What Postgres and Valkey have in common."""

    @property
    def is_up(self) -> bool:
        """Whether it answers."""

    def poll(self) -> int | None:
        """Its exit code, None while it runs."""

    def start(self) -> None:
        """Start it and wait until it answers."""

    def stop(self) -> None:
        """End it cleanly."""

    def kill(self) -> None:
        """End it at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """One process to keep alive. Roles of one `stage` are ended together, the lowest stage first."""

    name: str
    argv: Sequence[str]
    stage: int
    patience_s: float = 3.0


@dataclass(slots=True, kw_only=True)
class _Pause:
    """How long to wait before the next start: doubled by each failure, forgotten after a while of health."""

    next_at: float = 0.0
    pause_s: float = FIRST_PAUSE_S
    started_at: float = 0.0

    def started(self) -> None:
        self.started_at = time.monotonic()

    def failed(self) -> None:
        now = time.monotonic()
        if now - self.started_at > HEALTHY_S:
            self.pause_s = FIRST_PAUSE_S
        self.next_at = now + self.pause_s
        self.pause_s = min(2 * self.pause_s, LONGEST_PAUSE_S)

    @property
    def over(self) -> bool:
        return time.monotonic() >= self.next_at


@dataclass(slots=True, kw_only=True)
class _Child:
    role: Role
    process: "subprocess.Popen[bytes] | None" = None
    pause: _Pause = field(default_factory=_Pause)
    restarts: int = -1


@dataclass(kw_only=True)
class Supervisor:
    """`environment` is asked at each start, so that a server that moved is found. `stop` ends `watch`.

    `logs` is a directory with a file for each role; None: they write where this process does.
    """

    logs: Path | None
    cwd: Path
    environment: Callable[[], Mapping[str, str]]
    stop: threading.Event = field(default_factory=threading.Event)
    hurry: threading.Event = field(default_factory=threading.Event)
    _children: list[_Child] = field(default_factory=list)
    _servers: list[tuple[Server, _Pause]] = field(default_factory=list)

    def heed_signals(self) -> None:
        """The first Ctrl-C, SIGTERM or SIGHUP asks everything to end, the second kills it."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._asked)

    def _asked(self, _number: int, _frame: object) -> None:
        if self.stop.is_set():
            self.hurry.set()
        self.stop.set()

    def serve(self, server: Server) -> None:
        """Start a server now and keep it alive. Servers end after all roles, the last one first."""
        server.start()
        pause = _Pause()
        pause.started()
        self._servers.append((server, pause))

    def keep(self, role: Role) -> None:
        """Start a role now and keep it alive."""
        child = _Child(role=role)
        self._children.append(child)
        self._start(child)

    def pid(self, name: str) -> int | None:
        """The process number of a role while it runs."""
        return next((each.process.pid for each in self._children if each.role.name == name and each.process), None)

    @property
    def restarts(self) -> int:
        """How often a role had to be started again."""
        return sum(max(child.restarts, 0) for child in self._children)

    def once(self, role: Role, limit_s: float) -> bool:
        """Run a role to its end. True: it went well. It is killed at the limit, and when we are told to stop."""
        process = self._spawn(role)
        deadline = time.monotonic() + limit_s
        while not ended(process):
            if self.stop.is_set() or time.monotonic() > deadline:
                kill(process)
            time.sleep(LOOK_S)
        return process.returncode == 0

    def watch(self, until: Callable[[], bool], turn: Callable[[], None]) -> None:
        """Restart what dies until told to stop or `until()` holds. `turn` is called about 20 times a second."""
        while not self.stop.is_set() and not until():
            self.look()
            turn()
            self.stop.wait(LOOK_S)

    def look(self) -> None:
        """Start again what has died, each after its pause."""
        for server, pause in self._servers:
            if server.poll() is not None and pause.over:
                self._revive(server, pause)
        for child in self._children:
            if child.process is not None and ended(child.process):
                log.warning("role ended", extra={"role": child.role.name, "code": child.process.returncode})
                child.process = None
                child.pause.failed()
            if child.process is None and child.pause.over:
                self._start(child)

    def _revive(self, server: Server, pause: _Pause) -> None:
        name, before = type(server).__name__, dict(self.environment())
        log.warning("server ended", extra={"server": name, "code": server.poll()})
        pause.failed()
        try:
            server.start()
        except Retryable as error:
            log.warning("server does not start", extra={"server": name, "error": str(error)})
            return
        pause.started()
        if dict(self.environment()) != before:
            for child in self._children:  # it came back elsewhere: they are started again with the new address
                if child.process is not None:
                    ask(child.process, signal.SIGTERM)

    def _start(self, child: _Child) -> None:
        child.process = self._spawn(child.role)
        child.restarts += 1
        child.pause.started()

    def _spawn(self, role: Role) -> "subprocess.Popen[bytes]":
        log = None if self.logs is None else self.logs / f"{role.name}.log"
        return spawn(role.argv, log=log, env=self.environment(), cwd=str(self.cwd))

    def end(self, names: Sequence[str] | None = None) -> None:
        """End these roles, or all of them and then the servers."""
        leaving = [child for child in self._children if names is None or child.role.name in names]
        for stage in sorted({child.role.stage for child in leaving}):
            self._end_stage([child for child in leaving if child.role.stage == stage])
        self._children = [child for child in self._children if child not in leaving]
        if names is None:
            for server, _ in reversed(self._servers):
                server.kill() if self.hurry.is_set() else server.stop()
            self._servers.clear()

    def _end_stage(self, children: Sequence[_Child]) -> None:
        processes = [child.process for child in children if child.process is not None]
        for process in processes:
            ask(process, signal.SIGTERM)
        patience_s = max((child.role.patience_s for child in children), default=0.0)
        deadline = time.monotonic() + patience_s
        while not self.hurry.is_set() and time.monotonic() < deadline:
            if all(ended(process) for process in processes):
                return
            time.sleep(LOOK_S)
        for process in processes:
            kill(process)
        deadline = time.monotonic() + DEAD_S
        while time.monotonic() < deadline and not all(ended(process) for process in processes):
            time.sleep(LOOK_S)
