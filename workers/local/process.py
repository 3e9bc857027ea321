"""A child process of ours: its output goes to a file (or to ours), and it does not outlive us.

On Linux the kernel ends a child when the thread that started it ends, however that happened, so children are
started from the main thread. Elsewhere a supervisor that was killed leaves them behind, and the next start finds
them by their pid files.
"""

import ctypes
import os
import pwd
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from indexer.errors import BadSetting

UNPRIVILEGED = "nobody"
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The account that a server runs as where we are root and the server refuses to be."""

    uid: int
    gid: int


def unprivileged() -> Owner | None:
    """Whom a server that refuses root runs as; None where we are not root."""
    if os.geteuid() != 0:
        return None
    account = pwd.getpwnam(UNPRIVILEGED)
    return Owner(uid=account.pw_uid, gid=account.pw_gid)


def spawn(
    argv: Sequence[str],
    *,
    log: Path | None,
    env: Mapping[str, str] | None = None,
    owner: Owner | None = None,
    cwd: str = "/",
    dies_by: signal.Signals = signal.SIGTERM,
) -> "subprocess.Popen[bytes]":
    """Start `argv` with its output appended to `log`, or where ours goes. `dies_by`: sent by the kernel when we go."""
    with nullcontext(None) if log is None else log.open("ab") as output:
        return subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=None if log is None else subprocess.STDOUT,
            env=None if env is None else dict(env),
            cwd=cwd,
            start_new_session=True,  # Ctrl-C in the terminal is the supervisor's to pass on, in its order
            preexec_fn=_dies_with_parent(dies_by),  # noqa: PLW1509 - one prctl, no locks taken
            user=owner.uid if owner else None,
            group=owner.gid if owner else None,
            extra_groups=[] if owner else None,
        )


def end(process: "subprocess.Popen[bytes]", by: signal.Signals, patience_s: float) -> int:
    """Ask it to end, wait, then kill it. Returns its exit code."""
    if process.poll() is None:
        process.send_signal(by)
        try:
            return process.wait(patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait(patience_s)


def ended(process: "subprocess.Popen[bytes]") -> bool:
    """Whether it has ended; then whatever it had started is killed too, before its number can be another's."""
    if process.returncode is None and os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        return False
    if process.returncode is None:
        kill(process)
        process.wait()
    return True


def ask(process: "subprocess.Popen[bytes]", by: signal.Signals) -> None:
    """Send a signal, unless it was seen to end already. Unlike `send_signal` it leaves its exit code to `ended`."""
    if process.returncode is None:
        os.kill(process.pid, by)


def kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill it and whatever it had started in its session, unless it is gone already."""
    if process.returncode is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def tail_of(log: Path, size: int = 2_000) -> str:
    """The end of a log, for an error message."""
    try:
        return log.read_bytes()[-size:].decode(errors="replace").strip()
    except OSError:
        return ""


def alive(pid: int) -> bool:
    """Whether a process of this number exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def is_ours(pid: int, word: str) -> bool:
    """Whether a process of this number exists and names `word` in its command line: numbers are used again."""
    try:
        return word in " ".join(psutil.Process(pid).cmdline())
    except psutil.AccessDenied:
        return True
    except psutil.Error:
        return False


def free_port(wanted: int) -> int:
    """The wanted TCP port of 127.0.0.1 if it is free, else any free one. Raises BadSetting if there is none."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            # connections of a server that crashed linger; they do not keep its successor from the port
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
            return found
    raise BadSetting("no TCP port is free on 127.0.0.1")


def _dies_with_parent(by: signal.Signals) -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def ask_kernel() -> None:
        prctl(_PR_SET_PDEATHSIG, int(by))
        if os.getppid() != parent:  # it died before the kernel was asked
            os._exit(1)

    return ask_kernel
