"""Says where a Python process spends its time: put this folder on PYTHONPATH and set BENCH_SAMPLES to a folder.

Every process then looks at its own stack after each 2 ms of CPU, and each 10 ms of the clock, and adds what passed
since the last look (CPU, and time without CPU) to the stage of the innermost frame that says one. Forked children
begin anew. What is found stands in PID.json of the folder: the process's role, and [task, stage, CPU s, waited s].
"""

import atexit
import json
import os
import re
import signal
import time
from collections import defaultdict
from pathlib import Path

CPU_EVERY_S, CLOCK_EVERY_S = 0.002, 0.01
WRITE_EVERY_S = 0.2
STAGES = (  # of the innermost frame whose file one of these describes
    ("start", r"<frozen importlib\._bootstrap"),
    ("parse", r"indexer/wire/(parse|batch|node|classify)\.py"),
    ("fetch", r"indexer/wire/|/urllib3/|http/client\.py"),
    ("decode", r"indexer/(dex|evm)/|flow/(reading|asking)\.py"),
    ("write", r"indexer/store/|/sqlalchemy/|/psycopg"),
    ("hop", r"/(celery|kombu|billiard|vine)/|workers/(kicks|broker)\.py"),
    ("ours", r"/(indexer|workers)/"),
)
_STAGES = [(stage, re.compile(pattern)) for stage, pattern in STAGES]
_of_file: dict[str, str | None] = {}
_spent: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
_last = [0.0, 0.0, 0.0]  # clock, CPU, when it was written
_forked = False


def _stage_of(file: str) -> str | None:
    if file not in _of_file:
        _of_file[file] = next((stage for stage, pattern in _STAGES if pattern.search(file)), None)
    return _of_file[file]


def _look(_number: int, frame) -> None:
    clock, cpu = time.monotonic(), time.process_time()
    stage, task = None, "-"
    while frame is not None:
        code = frame.f_code
        found = _stage_of(code.co_filename)
        if found == "start" or stage is None:
            stage = found or stage
        if code.co_filename.endswith("workers/tasks.py") and code.co_name != "<module>":
            task = code.co_name  # the outermost one is the task itself
        frame = frame.f_back
    spent = _spent[task, stage or "other"]
    used = cpu - _last[1]
    spent[0] += used
    spent[1] += max(clock - _last[0] - used, 0.0)
    _last[:2] = clock, cpu
    if clock - _last[2] > WRITE_EVERY_S:
        _write()


def _write() -> None:
    _last[2] = time.monotonic()
    path = Path(os.environ["BENCH_SAMPLES"]) / f"{os.getpid()}.json"
    partial = path.with_suffix(".part")
    partial.write_text(json.dumps({"role": _role(), "rows": [[*key, *value] for key, value in _spent.items()]}))
    partial.replace(path)


def _role() -> str:
    words = Path("/proc/self/cmdline").read_text().split("\0")
    role = next((word for word in ("worker", "backfill", "follow", "beat") if word in words), "other")
    return f"{role} child" if _forked else role


def _begin() -> None:
    _spent.clear()
    _last[:] = time.monotonic(), time.process_time(), time.monotonic()
    for number, timer, every_s in (
        (signal.SIGPROF, signal.ITIMER_PROF, CPU_EVERY_S),
        (signal.SIGALRM, signal.ITIMER_REAL, CLOCK_EVERY_S),
    ):
        signal.signal(number, _look)
        signal.setitimer(timer, every_s, every_s)


def _begin_in_child() -> None:
    global _forked  # noqa: PLW0603 - one process, one answer
    _forked = True
    _begin()


def _end() -> None:
    for timer in (signal.ITIMER_PROF, signal.ITIMER_REAL):
        signal.setitimer(timer, 0)
    _write()


if os.environ.get("BENCH_SAMPLES"):
    _begin()
    os.register_at_fork(after_in_child=_begin_in_child)
    atexit.register(_end)
