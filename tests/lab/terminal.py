"""A terminal with a person before it: a command in a pty, what its screen shows, and keys that are pressed."""

import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Mapping
from fcntl import ioctl
from pathlib import Path
from typing import Self

CTRL_C = "\x03"
MOST_BYTES = 65_536
SOON_S = 60.0
_SEQUENCE = re.compile(r"\x1b\[(\?)?([\d;]*)([A-Za-z])")


class Terminal:
    """`gazetteer WORDS` on a screen of so many rows and columns. Ends with the block."""

    def __init__(self, cwd: Path, env: Mapping[str, str], *words: str, rows: int = 24, columns: int = 80) -> None:
        self._rows, self._columns = rows, columns
        self.output = ""
        ours = {key: value for key, value in os.environ.items() if not key.startswith("GAZETTEER_")}
        argv = [sys.executable, "-P", "-m", "workers", *words]
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            own = {"TERM": "xterm-256color", "LINES": str(rows), "COLUMNS": str(columns)}
            os.execve(argv[0], argv, {**ours, **own, **env})
        self._ended: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._ended is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._fd)

    def press(self, keys: str) -> None:
        """Type these keys."""
        os.write(self._fd, keys.encode())

    def until(self, what: str, within_s: float = SOON_S) -> str:
        """Wait until the screen shows `what`; returns the screen."""
        deadline = time.monotonic() + within_s
        while what not in (screen := self.screen()):
            assert time.monotonic() < deadline, f"{what!r} is not on the screen:\n{screen}"
            assert self._read(0.1), f"{what!r} never came on the screen:\n{screen}"
        return screen

    def end(self, within_s: float = SOON_S) -> int:
        """Wait until the command has ended; returns its exit code."""
        deadline = time.monotonic() + within_s
        while self._read(0.1):
            assert time.monotonic() < deadline, f"it does not end:\n{self.screen()}"
        _, status = os.waitpid(self.pid, 0)
        self._ended = os.waitstatus_to_exitcode(status)
        return self._ended

    def _read(self, wait_s: float) -> bool:
        """Read what there is; False once the other end is closed."""
        if not select.select([self._fd], [], [], wait_s)[0]:
            return True
        try:
            found = os.read(self._fd, MOST_BYTES)
        except OSError:  # how Linux says that nobody holds the other end any more
            return False
        self.output += found.decode(errors="replace")
        return bool(found)

    def screen(self) -> str:
        """The lines as they stand there, those that scrolled away too."""
        lines, row, column, at = [""], 0, 0, 0
        while at < len(self.output):
            found = _SEQUENCE.match(self.output, at)
            if found is not None:
                at = found.end()
                row, column = self._obey(found[3], int(found[2] or 1) if found[2].isdecimal() or not found[2] else 1,
                                         lines, row, column)  # fmt: skip
                continue
            char = self.output[at]
            at += 1
            if char == "\r":
                column = 0
            elif char == "\n":
                row += 1
            elif char >= " ":
                if column == self._columns:
                    row, column = row + 1, 0
                lines += [""] * (row + 1 - len(lines))
                lines[row] = f"{lines[row][:column]:<{column}}{char}{lines[row][column + 1 :]}"
                column += 1
            lines += [""] * (row + 1 - len(lines))
        return "\n".join(line.rstrip() for line in lines)

    @staticmethod
    def _obey(command: str, number: int, lines: list[str], row: int, column: int) -> tuple[int, int]:
        if command == "A":
            return max(row - number, 0), column
        if command == "K":
            lines[row] = "" if number == 2 else lines[row][:column]
        return row, column
