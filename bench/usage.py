"""What processes used, and tables of it. CPU seconds come first: on a shared machine walls say little."""

import json
import os
import resource
import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

LOOK_S = 0.05
MEGABYTE = 1_000_000
Row = dict[str, Any]


def own_cpu_s() -> float:
    """Of this process so far."""
    return time.process_time()


def children_cpu_s() -> float:
    """Of every descendant that has ended and was waited for, by whomever below us."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def tree_cpu_s(pid: int) -> float:
    """Of a server: its own, its ended children's, its living children's."""
    total = 0.0
    root = psutil.Process(pid)
    for process in (root, *root.children(recursive=True)):
        try:
            told = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += told.user + told.system + told.children_user + told.children_system
    return total


@contextmanager
def timed(row: Row, cpu_s: Callable[[], float] = own_cpu_s, **others: Callable[[], float]):
    """Adds `cpu_s`, `wall_s` and the growth of `others` to the row."""
    before = {name: read() for name, read in others.items()}
    wall, cpu = time.monotonic(), cpu_s()
    yield row
    row["cpu_s"], row["wall_s"] = round(cpu_s() - cpu, 4), round(time.monotonic() - wall, 4)
    row |= {name: round(read() - before[name], 3) for name, read in others.items()}


class Memory(threading.Thread):
    """The largest resident size of every role of ours that runs below process `below`, MB, until `end`."""

    def __init__(self, below: int | None = None) -> None:
        super().__init__(daemon=True)
        self._below = psutil.Process(below or os.getpid())
        self._ended = threading.Event()
        self.peak_mb: dict[str, float] = defaultdict(float)

    def run(self) -> None:
        while not self._ended.wait(LOOK_S):
            for process in self._below.children(recursive=True):
                try:
                    role, size = _role(process), process.memory_info().rss / MEGABYTE
                except psutil.Error:
                    continue
                if role:
                    self.peak_mb[role] = max(self.peak_mb[role], round(size, 1))

    def end(self) -> dict[str, float]:
        self._ended.set()
        self.join()
        return dict(self.peak_mb)


def _role(process: psutil.Process) -> str | None:
    words = process.cmdline()
    if "workers" not in words or "-m" not in words:
        return None
    role = words[words.index("workers") + 1]
    return f"{role} child" if role == "worker" and "worker" in process.parent().cmdline() else role


def median(rows: Iterable[Mapping[str, Any]], key: str) -> float:
    return statistics.median(row[key] for row in rows)


def write_lines(path: Path | None, rows: Iterable[Row]) -> None:
    """One JSON object a line, with the time, appended."""
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps({"at": time.strftime("%Y-%m-%dT%H:%M:%S"), **row}) + "\n")


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns set under each other, as Markdown."""
    cells = [[str(name) for name in columns], *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(columns))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) < 1 else f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def machine() -> str:
    """Cores and processor, for the record."""
    model = "unknown processor"
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    return f"{os.cpu_count()} x {model}, load {os.getloadavg()[0]:.2f}"
