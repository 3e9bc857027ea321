"""The time of a simulated world, kept in a file so that it never runs backwards, whoever is killed when.

World time is seconds since the world began. What is in the file is always at least what was ever told, so a process
that starts again goes on from there; time that passed meanwhile passes at once, at most `LONGEST_SLEEP_S` of it. What
was reserved but never came is waited for, at most `LONGEST_PAUSE_S`, so that kills do not push a world into the future.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from indexer.errors import BadSetting

RESERVE_S = 5.0
LONGEST_SLEEP_S = 1_200.0
LONGEST_PAUSE_S = 10.0


class Calendar:
    """`path` None: nothing is kept. Raises BadSetting if the file is another seed's, or no such file."""

    def __init__(
        self,
        seed: int | str,
        path: Path | None = None,
        *,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seed, self._path, self._steady = str(seed), path, steady
        self.epoch_s, self._reserved_s = int(wall()), 0.0
        self.stopped_s: float | None = None
        if path is not None and path.exists():
            self._read(path)
        self._least_s = self._reserved_s
        slept_s = wall() - self.epoch_s - self._reserved_s
        self._began_s = self._reserved_s + min(max(slept_s, -LONGEST_PAUSE_S), LONGEST_SLEEP_S)
        self._began_at = steady()
        self._write()

    def now_s(self) -> float:
        """World time, not before what was told before; it stands still after `stop`."""
        if self.stopped_s is not None:
            return self.stopped_s
        now_s = max(self._began_s + self._steady() - self._began_at, self._least_s)
        if now_s > self._reserved_s:
            self._reserved_s = now_s + RESERVE_S
            self._write()
        return now_s

    def stop(self) -> float:
        """Time ends here, for processes that start later too. Returns when that was."""
        self.stopped_s = self.now_s()
        self._write()
        return self.stopped_s

    def _read(self, path: Path) -> None:
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            seed, self.epoch_s, self._reserved_s = kept["seed"], int(kept["epoch_s"]), float(kept["reserved_s"])
            self.stopped_s = None if kept["stopped_s"] is None else float(kept["stopped_s"])
        except (ValueError, KeyError, TypeError) as error:
            message = f"{path} does not say a world's time ({type(error).__name__}); remove it to begin a new world"
            raise BadSetting(message) from None
        if seed != self._seed:
            message = f"{path} is of a world with seed {seed}, not {self._seed}; use that seed or another directory"
            raise BadSetting(message)

    def _write(self) -> None:
        if self._path is None:
            return
        told = {
            "seed": self._seed,
            "epoch_s": self.epoch_s,
            "reserved_s": self._reserved_s,
            "stopped_s": self.stopped_s,
        }
        draft = self._path.with_suffix(".new")
        with draft.open("w", encoding="utf-8") as file:
            json.dump(told, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
