"""The data directory: where one machine's register lives, who holds it, and how others find its database.

BASE/register, BASE/demo      a register each; BASE is --data-dir, else the setting data_dir, else the default
    lock                      held by whoever runs its servers: a supervisor, or a query on a stopped register
    run.json                  what the last supervisor said of itself; 0600, as it holds passwords
    reader                    the password of the role `analyst`; 0600
    postgres/ valkey/ logs/   the servers' data, and one log for each role
"""

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import orjson
import psycopg
from psycopg import sql

from indexer.errors import Refused
from indexer.store.public import READER
from workers import wiring
from workers.local.postgres import Postgres
from workers.local.process import alive

REGISTER, DEMO = "register", "demo"
ROOT_BASE = Path("/var/lib/gazetteer")
OPEN_FOR_SERVERS = 0o711  # PostgreSQL runs as nobody where we are root, and has to pass through
TURN_S = 60.0
LOOK_S = 0.1

Holder = Literal["supervisor", "query"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a supervisor says of itself. `embedded`: the database is ours to start where it is stopped."""

    command: str
    pid: int
    started_at_s: float
    embedded: bool
    database_url: str
    reader_url: str | None
    broker_url: str
    flower_url: str | None


@dataclass(frozen=True, slots=True)
class Register:
    """One register's directory."""

    root: Path

    @property
    def logs(self) -> Path:
        """One file for each role."""
        return self.root / "logs"

    @property
    def postgres(self) -> Path:
        """The embedded PostgreSQL's directory."""
        return self.root / "postgres"

    @property
    def valkey(self) -> Path:
        """The embedded Valkey's directory."""
        return self.root / "valkey"

    def make(self) -> None:
        """Create what is missing."""
        for path in (*reversed(self.root.parents), self.root, self.logs):
            if not path.exists():
                path.mkdir(exist_ok=True)
                path.chmod(OPEN_FOR_SERVERS)

    def run(self) -> Run | None:
        """What the last supervisor noted; None where none ever did."""
        try:
            return Run(**orjson.loads((self.root / "run.json").read_bytes()))
        except (FileNotFoundError, orjson.JSONDecodeError, TypeError):
            return None

    def note(self, run: Run) -> None:
        """Say who runs it, in one step."""
        partial = self.root / "run.json.partial"
        _write_private(partial, orjson.dumps(asdict(run)))
        partial.replace(self.root / "run.json")

    def holder(self) -> tuple[Holder, int] | None:
        """Who runs its servers right now, with the process number; None while it is stopped."""
        try:
            with (self.root / "lock").open("r+b") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    word, _, pid = file.read().decode().partition(" ")
                    # what a killed holder wrote says nothing of the one that has only begun
                    began = word != "supervisor" or not alive(int(pid))
                    return ("query" if began else "supervisor", int(pid or 0))
        except FileNotFoundError:
            pass
        return None

    @contextmanager
    def held(self, holder: Holder, patience_s: float) -> Iterator[None]:
        """Be the one who runs its servers. A query is waited for, a supervisor is not. Raises Refused."""
        deadline = time.monotonic() + patience_s
        file = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            while not _locked(file):
                self._refuse_or_wait(deadline)
            os.ftruncate(file, 0)
            os.pwrite(file, f"{holder} {os.getpid()}".encode(), 0)
            yield
        finally:
            os.close(file)

    def _refuse_or_wait(self, deadline: float) -> None:
        other = self.holder()
        if other is not None and (other[0] == "supervisor" or time.monotonic() > deadline):
            what = "gazetteer" if other[0] == "supervisor" else "a query"
            raise Refused(f"{self.root} is in use by {what} (process {other[1]}): stop it, or name another --data-dir")
        time.sleep(LOOK_S)

    def let_reader_in(self, server: Postgres) -> None:
        """Give the role `analyst` a password of this register's own. Needs a migrated database."""
        path = self.root / "reader"
        if not path.exists():
            _write_private(path, secrets.token_urlsafe(24).encode())
        statement = sql.SQL("alter role {} login password {}")
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute(statement.format(sql.Identifier(READER), sql.Literal(path.read_text())))

    def reader_url(self, server: Postgres) -> str:
        """The URL of the role `analyst`, once it was let in."""
        return server.url(user=READER, password=(self.root / "reader").read_text())


def base(data_dir: Path | None) -> Path:
    """The directory that registers live in: the one named, else the operator's, else this account's own."""
    chosen = data_dir or wiring.settings().data_dir
    if chosen is not None:
        return chosen.expanduser().absolute()
    if os.geteuid() == 0:
        return ROOT_BASE
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "gazetteer"


def find(data_dir: Path | None) -> Register:
    """The register that a question is for: the one that runs, else the one that ran last. Raises Refused."""
    at = base(data_dir)
    found = [register for register in (Register(at), Register(at / REGISTER), Register(at / DEMO)) if register.run()]
    if not found:
        raise Refused(f"there is no register in {at}: run `gazetteer demo` or `gazetteer up`, or name --data-dir")
    return max(found, key=_recency)


def _recency(register: Register) -> tuple[bool, float]:
    run = register.run()
    return register.holder() is not None, run.started_at_s if run else 0.0


@contextmanager
def opened(data_dir: Path | None = None, *, reader: bool = False) -> Iterator[str]:
    """The URL of the database to ask: the configured one unless `data_dir` is named, else an embedded one.

    A stopped embedded PostgreSQL runs until the end of the block. `reader`: as the role `analyst` where we know its
    password. Call it from the main thread. Raises Refused, DatabaseUnavailable.
    """
    configured = wiring.settings().database_url
    if configured is not None and data_dir is None:
        yield configured
        return
    register = find(data_dir)
    other, run = register.holder(), register.run()
    if run is not None and other is not None and other[0] == "supervisor":
        _await_server(register, other[1])
        run = register.run() or run
    elif run is not None and run.embedded:
        with register.held("query", TURN_S), _started(register) as server:
            yield register.reader_url(server) if reader else server.url()
        return
    if run is None:
        raise Refused(f"{register.root / 'run.json'} is gone: run `gazetteer up` or `gazetteer demo` again")
    yield run.reader_url if reader and run.reader_url else run.database_url


def _await_server(register: Register, pid: int) -> None:
    """A supervisor that has only begun is waited for, as long as it lives."""
    server = Postgres(register.postgres, bin_dir=wiring.settings().postgres_bin)
    deadline = time.monotonic() + TURN_S
    while time.monotonic() < deadline and alive(pid):
        run = register.run()
        if run is not None and run.pid == pid and (server.is_up or not run.embedded):
            return
        time.sleep(LOOK_S)


@contextmanager
def _started(register: Register) -> Iterator[Postgres]:
    server = Postgres(register.postgres, bin_dir=wiring.settings().postgres_bin)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write_private(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(handle, content)
    finally:
        os.close(handle)
