"""What `up` and `demo` have in common: servers, migration, roles, and the order in which they start and end."""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from indexer.errors import DatabaseUnavailable, Refused
from workers.lanes import VENUES
from workers.local.data import Register, Run
from workers.local.postgres import Postgres
from workers.local.process import free_port, tail_of
from workers.local.supervisor import Role, Supervisor
from workers.local.valkey import Valkey

PREFIX = "GAZETTEER_"
"""Of every variable that a child is told."""
FLOWER_PORT = 5555
MIGRATE_S = 300.0
PLAN_S = 60.0
PLAN = "from workers.plan import plan_lines\nprint(*plan_lines(), sep='\\n')"
"""A process of its own, as the settings of this one do not know the embedded servers."""
FIRST, WORKERS, FLOWER, WORLD = range(4)
"""Stages of the end: whoever makes work before who does it, the world last."""
WORKER_PATIENCE_S = 6.0


@dataclass(kw_only=True)
class Stack:
    """One register and everything that runs for it. URLs that are given are used; without them servers are ours.

    `own`: variables without the prefix that every child sees, above those of `inherited`. `venues`: some are listed.
    """

    command: str
    register: Register
    chains: Sequence[str]
    workers: int
    flower_port: int
    database_url: str | None = None
    broker_url: str | None = None
    postgres_bin: Path | None = None
    inherited: Mapping[str, str] = field(default_factory=dict)
    own: Mapping[str, str] = field(default_factory=dict)
    venues: bool = False
    _postgres: Postgres | None = None
    _seen_url: str = ""

    def __post_init__(self) -> None:
        self.supervisor = Supervisor(logs=self.register.logs, cwd=self.register.root, environment=self.environment)

    @property
    def url(self) -> str:
        """Where the database is, or was while it comes back."""
        if self.database_url is not None:
            return self.database_url
        if self._postgres is not None:
            with suppress(DatabaseUnavailable):
                self._seen_url = self._postgres.url()
        return self._seen_url

    @property
    def broker(self) -> str:
        """Where the broker is."""
        return self.broker_url or Valkey(self.register.valkey).url

    @property
    def flower_url(self) -> str:
        """Where Flower is."""
        return f"http://127.0.0.1:{self.flower_port}"

    def environment(self) -> dict[str, str]:
        """What a child sees."""
        processes = (3 if self.venues else 2) * self.workers + len(self.chains)
        ours = {"DATABASE_URL": self.url, "BROKER_URL": self.broker, "PROCESSES": str(processes)}
        ours |= {"DATA_DIR": str(self.register.root), **self.own}
        told = {PREFIX + name: value for name, value in ours.items() if value}
        return {**self.inherited, "PYTHONUNBUFFERED": "1", **told}

    def start_servers(self) -> None:
        """Bring up the servers that are ours. Raises DatabaseUnavailable, BrokerUnavailable."""
        if self.broker_url is None:
            self.supervisor.serve(Valkey(self.register.valkey))
        if self.database_url is None:
            self._postgres = Postgres(self.register.postgres, bin_dir=self.postgres_bin)
            self.supervisor.serve(self._postgres)

    def migrate(self) -> None:
        """Bring the database to this version, and tell others where it is. Raises Refused with what was said."""
        if not self.supervisor.once(role("migrate", "migrate"), MIGRATE_S):
            if self.supervisor.stop.is_set():
                return
            raise Refused(f"the database could not be prepared: {last_words(self.register.logs / 'migrate.log')}")
        if self._postgres is not None:
            self.register.let_reader_in(self._postgres)
        self.register.note(self._run())

    def _run(self) -> Run:
        ours = self._postgres
        return Run(
            command=self.command,
            pid=os.getpid(),
            started_at_s=time.time(),
            embedded=ours is not None,
            database_url=self.url,
            reader_url=None if ours is None else self.register.reader_url(ours),
            broker_url=self.broker,
            flower_url=self.flower_url,
        )

    def plan(self) -> list[str]:
        """What history will cost, line by line, as `workers.plan` works it out; needs a migrated database."""
        log = self.register.logs / "plan.log"
        log.unlink(missing_ok=True)
        asked = Role(name="plan", argv=(sys.executable, "-P", "-c", PLAN), stage=FIRST)
        if self.supervisor.once(asked, PLAN_S):
            return log.read_text(encoding="utf-8").splitlines()
        return [] if self.supervisor.stop.is_set() else [f"no plan of history: {last_words(log)}"]

    def start_roles(self) -> None:
        """Everything that does the work; what shows pools first starts first."""
        for chain in self.chains:
            self.supervisor.keep(role(f"follow-{chain}", "follow", chain))
        lanes = [worker("live", self.workers), role("beat", "beat"), worker("history", self.workers)]
        lanes += [worker(VENUES, self.workers)] if self.venues else []
        for each in (*lanes, role("flower", "flower", "--port", str(self.flower_port), stage=FLOWER)):
            self.supervisor.keep(each)


def role(name: str, *words: str, stage: int = FIRST, patience_s: float = 3.0) -> Role:
    """A role of our own command line, whatever directory it runs in."""
    return Role(name=name, argv=(sys.executable, "-P", "-m", "workers", *words), stage=stage, patience_s=patience_s)


def worker(lane: str, processes: int) -> Role:
    """One Celery worker for a lane."""
    words = ("worker", "--lane", lane, "--concurrency", str(processes), "--name", lane)
    return role(f"worker-{lane}", *words, stage=WORKERS, patience_s=WORKER_PATIENCE_S)


def flower_port(wanted: int) -> tuple[int, bool]:
    """The wanted port, or another one where it is taken; and whether it is the wanted one."""
    found = free_port(wanted)
    return found, found == wanted


def inherited(*, ours: bool) -> dict[str, str]:
    """The variables of this process; those of Gazetteer only if `ours`."""
    return {key: value for key, value in os.environ.items() if ours or not key.startswith(PREFIX)}


def last_words(log: Path) -> str:
    """The last line of a log."""
    lines = tail_of(log).splitlines()
    return lines[-1] if lines else "it said nothing"
