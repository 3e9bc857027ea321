"""Who acts? The real follower and the real tasks, each process with what it alone has made and learned."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from indexer import settings as decided
from indexer.flow.ranges import FIRST_SPAN, Ranges
from indexer.known import Chain
from indexer.model import Lane
from indexer.sim.endpoint import Endpoint, in_process
from indexer.store import Db
from indexer.store.clock import Clock
from indexer.wire.endpoints import Endpoints
from indexer.wire.node import HttpNode
from tests.simulation.interruptions import Killed, Time
from tests.simulation.mail import Mail
from workers import kicks, tasks, wiring
from workers.app import MAINTENANCE, app, queue_of
from workers.follower import Follower

LEASE_S = 60.0
NEVER_S = 10.0**9
NOWHERE = Path("/nonexistent")
_usual_witnesses = wiring.witnesses


class Host:
    """What all processes of a life share. `witnesses`: so many endpoints at least have to have read a block."""

    def __init__(
        self,
        *,
        db: Db,
        chain: Chain,
        endpoints: Sequence[Endpoint],
        mail: Mail,
        time: Time,
        before_request: Callable[[], None],
        witnesses: int,
    ) -> None:
        self.db = db
        self.chain = chain
        self.endpoints = endpoints
        self.mail = mail
        self.time = time
        self._before_request = before_request
        self._witnesses = witnesses
        urls = ",".join(f"http://{each.name}" for each in endpoints)
        env = {"CHAINS": chain.name, "VENUES": "none", "LEASE_S": str(LEASE_S), "HISTORY": "all"}
        env |= {f"RPC_{chain.name.upper()}": urls}
        self._settings = decided.read({f"{decided.PREFIX}{name}": value for name, value in env.items()}, NOWHERE)

    @contextmanager
    def running(self) -> Iterator[None]:
        """While it lasts, what the processes find outside of themselves is the simulation's."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(wiring, "_made", {})
            patch.setattr(wiring, "clock", self.time.database)
            patch.setattr(wiring, "_endpoints", lambda *_: self.fresh_endpoints())
            patch.setattr(wiring, "witnesses", lambda of: max(_usual_witnesses(of), self._witnesses))
            patch.setattr(tasks, "time", SimpleNamespace(monotonic=self.time.monotonic))
            patch.setattr(kicks, "app", self.mail)
            yield

    def made(self) -> dict[tuple[object, ...], object]:
        """What a process begins with."""
        return {("settings",): self._settings, ("db",): self.db}

    def fresh_endpoints(self) -> Endpoints:
        """The endpoints as a process sees them that knows nothing of them yet."""
        nodes = [
            HttpNode(each.name, in_process(each, before=self._before_request, wait=self.time.pass_))
            for each in self.endpoints
        ]
        return Endpoints(nodes, self.chain.id, self.chain.genesis_hash, clock=self.time.monotonic)


class Process:
    """One process: what it has learned dies with it."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._made = host.made()

    def act(self) -> None:
        """Its turn, as itself: another one's may be interrupted by it."""
        others, wiring._made = wiring._made, self._made
        try:
            self._act()
        finally:
            wiring._made = others

    def _act(self) -> None:
        raise NotImplementedError


class FollowerProcess(Process):
    """`gazetteer follow`, woken."""

    def __init__(self, host: Host, *, first_span: int = FIRST_SPAN, clock: Clock | None = None) -> None:
        super().__init__(host)
        self._follower = Follower(
            db=host.db,
            chain=host.chain,
            endpoints=host.fresh_endpoints(),
            waker=_NoWaker(),
            kick=kicks.kick,
            stop=_NeverWaits(),
            ranges=Ranges(first_span=first_span),
            clock=clock or host.time.database,
            monotonic=host.time.monotonic,
            halt_after_s=NEVER_S,
        )

    def _act(self) -> None:
        self._follower.turn()


class WorkerProcess(Process):
    """`gazetteer worker`: one message, if there is one for it."""

    def __init__(self, host: Host, lanes: Sequence[Lane]) -> None:
        super().__init__(host)
        self._queues = frozenset({MAINTENANCE, *(queue_of(host.chain.name, lane) for lane in lanes)})

    def _act(self) -> None:
        mail = self.host.mail
        message = mail.take(self._queues)
        if message is None:
            return
        try:
            app.tasks[message.task](*message.args)
        except Killed:
            mail.return_(message)
            raise


class BeatProcess(Process):
    """`gazetteer beat`: it only sends."""

    def _act(self) -> None:
        with suppress(kicks.OperationalError):
            self.host.mail.tick()


class _NoWaker:
    """Nobody wakes anybody: the simulation decides who acts."""

    mode = "polling"

    def wait(self, _timeout_s: float) -> None:
        """At once."""


class _NeverWaits(threading.Event):
    """Waiting is the simulation's business."""

    def wait(self, timeout: float | None = None) -> bool:
        del timeout
        return False
