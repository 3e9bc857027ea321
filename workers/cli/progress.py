"""How far history is: one line a chain, until nothing is missing or somebody presses Ctrl-C."""

import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from indexer import store
from indexer.errors import DatabaseUnavailable, RangeRefused, Retryable
from indexer.flow import history
from indexer.model import Lane
from indexer.store import consent, work
from indexer.store import plan as rows
from indexer.store.plan import Missing
from workers import wiring
from workers.wording import folded

LOOK_S = 1.0
PLAIN_EVERY_S = 10.0
RATE_OVER_S = 60.0
WIDTH = 79
NAME, LONGEST_NAME = 9, 20
BAR, LONGEST_BAR = 12, 40
GOES_ON = "nothing is lost: workers go on, and gazetteer backfill shows how far they are"
GOES_ON_HERE = "nothing is lost: gazetteer backfill --here goes on from here"


@dataclass(kw_only=True)
class ChainProgress:
    """One chain's blocks left, as they were seen in the last minute."""

    chain: str
    seen: deque[tuple[float, int]] = field(default_factory=deque)
    missing: Missing | None = None
    reached: datetime | None = None

    def look(self, missing: Missing | None, reached: datetime | None, now: float) -> None:
        """What is missing at `now` (seconds of any clock), and the time of the lowest block that was reached."""
        self.missing, self.reached = missing, reached
        if missing is None:
            return
        self.seen.append((now, missing.blocks))
        while now - self.seen[0][0] > RATE_OVER_S:
            self.seen.popleft()

    @property
    def per_s(self) -> float:
        """Blocks read a second, over the last minute."""
        (began, before), (now, left) = self.seen[0], self.seen[-1]
        return max(before - left, 0) / (now - began) if now > began else 0.0

    def line(self, width: int = WIDTH) -> str:
        """The chain as `heading` says. What is wider than 79 columns lengthens its name first, then the bar."""
        wide, length = _widths(width)
        name = self.chain if len(self.chain) <= wide else f"{self.chain[: wide - 1]}…"
        if self.missing is None:
            return f"{name:<{wide}} nothing to read yet"
        done = int(length * self.missing.percent / 100)
        bar = "#" * done + "." * (length - done)
        reached = self.reached.strftime("%Y-%m-%d") if self.reached else "-"
        words = (f"{name:<{wide}} {bar} {self.missing.percent:6.2f} %", f"{self.missing.blocks:>13,}")
        return " ".join((*words, f"{self.per_s:>10,.0f}", f"{self._eta():>9}", f"{reached:>10}"))

    def _eta(self) -> str:
        if self.missing is None or self.missing.blocks == 0:
            return "done"
        if self.per_s == 0:
            return "-"
        seconds = self.missing.blocks / self.per_s
        days, rest = divmod(int(seconds), 86_400)
        return f"{days} d {rest // 3600} h" if days else f"{rest // 3600}:{rest // 60 % 60:02}:{rest % 60:02}"


def heading(width: int = WIDTH) -> str:
    """What stands above the lines of all chains."""
    wide, length = _widths(width)
    columns = f"{'blocks left':>13} {'a second':>10} {'to go':>9} {'back to':>10}"
    return f"{'chain':<{wide}} {'read':<{length + 9}} {columns}"


def _widths(width: int) -> tuple[int, int]:
    """Columns of the name and of the bar."""
    name = min(NAME + max(width - WIDTH, 0), LONGEST_NAME)
    return name, min(BAR + max(width - WIDTH - (name - NAME), 0), LONGEST_BAR)


def watch(names: Sequence[str], *, tokens: bool = False) -> None:
    """Show what workers do until nothing is missing, or until Ctrl-C. `tokens`: and until nothing is left to ask."""
    progress = [ChainProgress(chain=name) for name in names]
    try:
        with _shown() as show:
            while not _look(progress, show) or (tokens and not _asked(names)):
                time.sleep(LOOK_S)
    except KeyboardInterrupt:
        click.echo(GOES_ON, err=True)


def _asked(names: Sequence[str]) -> bool:
    """Whether tokens and pools of these chains have answered; workers are pointed at what is due."""
    from workers.kicks import KICKS, keep_waiting  # noqa: PLC0415 - Celery, only where workers are waited for

    try:
        with store.begin(wiring.db()) as tx:
            if not work.left(tx, names):
                return True
            due = [each for each in work.due(tx, wiring.clock(tx)) if each[0] in KICKS and each[1] in names]
    except DatabaseUnavailable:
        return False
    for kind, name, _ in due:
        keep_waiting(kind, name, Lane.HISTORY)
    return False


def here(names: Sequence[str]) -> None:
    """Read in this process, one range after the other, until nothing is missing, or until Ctrl-C."""
    progress = [ChainProgress(chain=name) for name in names]
    with _until_interrupted() as interrupted, _shown() as show:
        looked_at = -LOOK_S
        while not interrupted():
            if time.monotonic() - looked_at >= LOOK_S:
                looked_at = time.monotonic()
                if _look(progress, show):
                    return
            read = [_scan(name) for name in names]
            if not any(read):
                time.sleep(LOOK_S)
    click.echo(GOES_ON_HERE, err=True)


def _scan(name: str) -> bool:
    """One missing range of a chain; False where nothing could be read now."""
    endpoints = wiring.endpoints(name, "history")
    node = endpoints.choose()
    if node is None:
        return False
    began = time.monotonic()
    try:
        done = history.scan(
            wiring.db(),
            node,
            wiring.chain(name),
            wiring.ranges(name, node.name),
            wiring.clock,
            lease_s=wiring.settings().lease_s,
            floor=wiring.floor(name),
        )
    except DatabaseUnavailable:
        return False
    except (Retryable, RangeRefused) as error:
        endpoints.failed(node, error)
        return endpoints.choose() is not None
    endpoints.succeeded(node, time.monotonic() - began)
    return isinstance(done, history.Scanned)


def _look(progress: Sequence[ChainProgress], show: "Show") -> bool:
    """Read and show where the chains are; whether nothing is missing anywhere."""
    try:
        with store.begin(wiring.db()) as tx:
            for each in progress:
                of = wiring.chain(each.chain)
                missing = rows.missing(tx, of.id, floor=consent.read(tx, of.id).floor)
                reached = None
                if missing is not None:
                    low = missing.first_block if missing.newest is None else missing.newest + 1
                    reached = rows.time_near(tx, of.id, low or 0)
                each.look(missing, reached, time.monotonic())
    except DatabaseUnavailable as error:
        show(f"the database is away ({error}); waiting", False)
        return False
    ended = all(each.missing is not None and each.missing.blocks == 0 for each in progress)
    show(progress, ended)
    return ended


Show = Callable[[Sequence[ChainProgress] | str, bool], None]
"""Shows all chains, or a sentence instead; and whether that is the end."""


@contextmanager
def _shown() -> Iterator[Show]:
    """Lines that are drawn over each other on a terminal, and printed now and then elsewhere."""
    if not sys.stdout.isatty():
        yield _printer()
        return
    console = Console()
    with Live(console=console, auto_refresh=False) as live:

        def show(what: Sequence[ChainProgress] | str, _ended: bool) -> None:
            live.update(Text("\n".join(_lines(what, console.width - 1)), no_wrap=True), refresh=True)

        yield show


def _printer() -> Show:
    printed_at = -PLAIN_EVERY_S

    def show(what: Sequence[ChainProgress] | str, ended: bool) -> None:
        nonlocal printed_at
        if ended or time.monotonic() - printed_at >= PLAIN_EVERY_S:
            printed_at = time.monotonic()
            click.echo("\n".join(_lines(what, WIDTH)))

    return show


def _lines(what: Sequence[ChainProgress] | str, width: int) -> list[str]:
    return folded(what, width) if isinstance(what, str) else [heading(width), *(each.line(width) for each in what)]


@contextmanager
def _until_interrupted() -> Iterator[Callable[[], bool]]:
    """Ctrl-C waits for the range that is being read, so that its lease ends with it; a second one does not."""
    pressed: list[int] = []

    def note(number: int, _frame: object) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(number)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)
