"""The live view: a thread reads Postgres like anybody else, the main thread shows what it last saw."""

import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.text import Text

from indexer import store
from indexer.errors import DatabaseUnavailable
from indexer.store import status
from indexer.store.status import ChainLive, ChainTotals, Listed, NewPool
from workers.local.screen import HEIGHT, Line, Snapshot, progress, render

READ_S = 1.0
COUNT_S = 3.0
PAINT_S = 0.25
TELL_S = 5.0
PACE_S = 30.0
NEWEST = 100


@dataclass(slots=True)
class Pace:
    """How fast history is read, over the last half minute."""

    _seen: "dict[str, deque[tuple[float, int]]]" = field(default_factory=dict)

    def eta_s(self, chain: str, missing: int | None, now_s: float) -> float | None:
        """Seconds until nothing is missing; None while nothing tells. Call it with each reading."""
        if missing is None:
            return None
        seen = self._seen.setdefault(chain, deque())
        seen.append((now_s, missing))
        while now_s - seen[0][0] > PACE_S:
            seen.popleft()
        (then_s, before), done = seen[0], seen[0][1] - missing
        if missing == 0:
            return 0.0
        return None if done <= 0 or before <= 0 else missing * (now_s - then_s) / done


@dataclass(kw_only=True)
class Watcher:
    """Reads what is shown, every second, until `close`."""

    url: str
    _db: store.Db = field(init=False)
    _stop: threading.Event = field(default_factory=threading.Event)
    _pace: Pace = field(default_factory=Pace)
    _chains: tuple[ChainLive, ...] = ()
    _totals: tuple[ChainTotals, ...] = ()
    _newest: tuple[NewPool, ...] = ()
    _listed: Listed | None = None
    _eta_s: Mapping[str, float | None] = field(default_factory=dict)
    _away: str | None = None

    def __post_init__(self) -> None:
        self._db = store.connect(self.url, name="gazetteer screen", statement_s=10, pool_size=1)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def close(self) -> None:
        """Read no more."""
        self._stop.set()
        self._thread.join(READ_S)
        self._db.dispose()

    def filled(self, shot: Snapshot) -> Snapshot:
        """The snapshot with what was read last."""
        return replace(
            shot,
            chains=self._chains,
            totals=self._totals,
            newest=self._newest,
            listed=self._listed,
            eta_s=self._eta_s,
            doing=self._away or shot.doing,
        )

    def read(self, *, count: bool) -> None:
        """One reading."""
        with store.begin(self._db) as tx:
            chains, newest = status.live(tx), status.newest(tx, NEWEST)
            totals = status.totals(tx) if count else self._totals
            listed = status.listed(tx) if count else self._listed
        now_s = time.monotonic()
        self._eta_s = {each.chain: self._pace.eta_s(each.chain, each.missing_blocks, now_s) for each in chains}
        self._chains, self._newest, self._totals, self._listed = chains, newest, totals, listed
        self._away = None

    def _run(self) -> None:
        counted_at = -COUNT_S
        while not self._stop.is_set():
            count = time.monotonic() - counted_at >= COUNT_S
            try:
                self.read(count=count)
            except DatabaseUnavailable:
                self._away = "database away"
            if count:
                counted_at = time.monotonic()
            self._stop.wait(READ_S)


class Display(Protocol):
    """Where snapshots go."""

    def show(self, shot: Snapshot) -> None:
        """Show this one now, or not, as the place allows."""

    def close(self) -> None:
        """Leave the place as it was."""


class Painted:
    """A terminal, which is given back as it was."""

    def __init__(self) -> None:
        self._console = Console()
        self._live = Live(console=self._console, screen=True, auto_refresh=False)
        self._painted_at = -PAINT_S
        self._live.start()

    def show(self, shot: Snapshot) -> None:
        """Paint it, a few times a second at most."""
        if time.monotonic() - self._painted_at < PAINT_S:
            return
        self._painted_at = time.monotonic()
        width, height = self._console.size
        self._live.update(_styled(render(shot, width, max(height, HEIGHT // 2))), refresh=True)

    def close(self) -> None:
        """Give the terminal back."""
        self._live.stop()


class Told:
    """A pipe or a file: one line every few seconds."""

    def __init__(self) -> None:
        self._told_at = time.monotonic() - TELL_S

    def show(self, shot: Snapshot) -> None:
        """Tell it, if it is time to."""
        if time.monotonic() - self._told_at >= TELL_S:
            self._told_at = time.monotonic()
            print(progress(shot), flush=True)  # noqa: T201 - this is the terminal's own line

    def close(self) -> None:
        """Nothing to give back."""


def display() -> Display:
    """A live view where standard output is a terminal, else lines."""
    return Painted() if sys.stdout.isatty() else Told()


def blank(title: str, started_at_s: float) -> Snapshot:
    """A snapshot with nothing read yet. `started_at_s`: monotonic."""
    return Snapshot(title=title, now=datetime.now(UTC), running_s=time.monotonic() - started_at_s, eta_s={})


def _styled(lines: list[Line]) -> Text:
    text = Text(no_wrap=True, overflow="crop")
    for number, line in enumerate(lines):
        text.append(("\n" if number else "") + line.text, style=line.style)
    return text
