"""Roles of the product as real processes, for tests: the same command lines that people and `up` use."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

SOON_S = 60.0
LOOK_S = 0.05


class Role:
    """One process of `gazetteer ...`. Its output goes to a file; it ends with the test."""

    def __init__(self, log: Path, env: Mapping[str, str], *words: str) -> None:
        self.log = log
        self._env = {key: value for key, value in os.environ.items() if not key.startswith("GAZETTEER_")}
        self._env |= {"GAZETTEER_VENUES": "none"} | dict(env)
        self._argv = [sys.executable, "-P", "-m", "workers", *words]
        self.process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as output:
            return subprocess.Popen(
                self._argv,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.log.parent,
                start_new_session=True,
            )

    @property
    def is_up(self) -> bool:
        return self.process.poll() is None

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def children(self) -> list[int]:
        """Process numbers of its children."""
        found = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=False)
        return [int(word) for word in found.stdout.split()]

    def kill(self) -> None:
        """As the kernel would for want of memory: it and all its children, at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    @staticmethod
    def kill_one(pid: int) -> None:
        """One process, at once; it may be gone already."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def restart(self) -> None:
        """Start it again."""
        self.process = self._start()

    def stop(self) -> None:
        if self.is_up:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def eventually(condition: Callable[[], object], within_s: float = SOON_S, *, what: str = "it") -> object:
    """Wait until `condition` is true and return it; fail after `within_s`."""
    deadline = time.monotonic() + within_s
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"{what} did not come about within {within_s:g} s"
        time.sleep(LOOK_S)
