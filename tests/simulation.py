"""One seed, one life of a register: a made-up chain, endpoints that misbehave, processes that die at any moment.

Everything that happens is chosen by the seed: which role acts next, what the endpoints do, when the chain forks (also
between two requests of one step), where a process is killed (before any SQL statement, before a commit, at any request,
at a kick), when the database fails, and what time it is. At the end the chain stops, faults and kills end, and after a
bounded number of turns every table has to equal the truth that the ledger tells.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random

import psycopg
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError

from indexer import known, store
from indexer.errors import DatabaseUnavailable, Moved, RangeRefused, Retryable
from indexer.flow import audit, history, resolve, stamp, sweep
from indexer.flow.ranges import Ranges
from indexer.model import ChainId
from indexer.ports import Node
from indexer.sim.chance import chance
from indexer.sim.endpoint import Endpoint, in_process
from indexer.sim.faults import Fault
from indexer.sim.ledger import Habits, Ledger
from indexer.sim.rpc import Manners
from indexer.store import Db, events, facts, work
from indexer.wire.endpoints import Endpoints
from indexer.wire.node import HttpNode
from tests.truth import differences
from workers.follower import Follower

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
LEASE_S = 60.0
TURNS = 220
MOST_TURNS_AT_THE_END = 400
EVENTS_AT_ONCE = 10_000
MOST_LOOKS = 400
LOOK_S = 0.05
NAMES = (
    "follower",
    "follower",
    "follower2",
    "history",
    "history2",
    "tokens",
    "tokens",
    "tokens2",
    "pools",
    "pools2",
    "audit",
    "audit2",
    "sweep",
)
CHAINS = {chain.id: chain for chain in known.chains()}


class Killed(BaseException):
    """The process is gone: nothing of it runs any more, not even what handles errors."""


class Time:
    """The simulation's own clock: database time, monotonic time and the endpoints' time in one."""

    def __init__(self) -> None:
        self.s = 0.0

    def monotonic(self) -> float:
        return self.s

    def database(self, _tx: object) -> datetime:
        return EPOCH + timedelta(seconds=self.s)

    def pass_(self, seconds: float) -> None:
        self.s += min(seconds, 60.0)


class Reader:
    """Somebody who reads events by their key on connections of his own, and an outsider who writes some meanwhile."""

    def __init__(self, db: Db) -> None:
        self._db = store.connect(db.url.render_as_string(hide_password=False), name="reader", pool_size=2)
        self._key = events.START
        self.read: list[tuple[int, int]] = []

    def outsider(self) -> None:
        """An event of another transaction, finished while ours is open; and a look at what can be read by now."""
        with store.begin(self._db) as tx:
            tx.execute(text("insert into gazetteer.events (kind, at) values ('probe', now())"))
        self.look()

    def look(self) -> None:
        """Read on from the last key."""
        with store.begin(self._db) as tx:
            found = events.after(tx, self._key, EVENTS_AT_ONCE)
        self.read += [event.key for event in found]
        self._key = self.read[-1] if self.read else self._key

    def missed(self) -> list[str]:
        """What he does not have in the end, after patience with transactions of other databases of this server."""
        with store.begin(self._db) as tx:
            wanted = {(row.tx, row.id) for row in tx.execute(text("select tx, id from gazetteer.events"))}
        for _ in range(MOST_LOOKS):
            before = len(self.read)
            self.look()
            if len(self.read) >= len(wanted) and before == len(self.read):
                break
            time.sleep(LOOK_S)
        self._db.dispose()
        twice = len(self.read) - len(set(self.read))
        lost = len(wanted - set(self.read))
        return [f"a reader of events missed {lost} and read {twice} twice"] if lost or twice else []


class NoWaker:
    """Nobody wakes anybody: the simulation decides who acts."""

    mode = "polling"

    def wait(self, _timeout_s: float) -> None:
        """At once."""


@dataclass
class Odds:
    """Chances of one exchange, statement or turn. All 0 at the end."""

    advance: float
    kill: float
    database: float
    outsider: float = 0.0
    pause: float = 0.0


class Simulation:
    """`run` lives the life of one seed; `found` are the differences at its end."""

    def __init__(self, seed: int, db: Db) -> None:
        self.seed = seed
        self.db = db
        self.time = Time()
        self.stream = chance(seed, "simulation")
        self.chain = CHAINS[ChainId(self.stream.choice((1, 137, 42161)))]
        factories = [replace(each, from_block=1) for each in known.factories() if each.chain_id == self.chain.id]
        self.ledger = Ledger(
            seed=seed,
            chain=self.chain,
            factories=factories,
            quotes=known.quote_rank(),
            habits=_habits(self.stream),
            epoch_s=int(EPOCH.timestamp()),
        )
        self.late = self.stream.sample([f.address for f in factories if f.enabled], self.stream.randint(0, 2))
        self.factories = factories
        self.endpoints = _endpoints(self.ledger, seed, self.stream)
        liars = _let_lie(self.endpoints[1:], chance(seed, "lies"))
        # two that omit the same log are only found out by the honest one, so everybody has to be heard
        self.witnesses = len(self.endpoints) if liars > 1 else audit.WITNESSES
        self.odds = Odds(
            advance=0.08,
            kill=self.stream.choice((0, 0.002, 0.008)),
            database=self.stream.choice((0, 0.004)),
            outsider=0.04,
            pause=self.stream.choice((0, 0.01, 0.03)),
        )
        self.paused = 0
        self.acting: list[str] = []
        self.reader = Reader(db)
        self.kicks: list[tuple[str, str]] = []
        self.roles: dict[str, Role] = {}

    def run(self) -> list[str]:
        """The differences between the register and the truth; empty when they are equal."""
        self._load(without=self.late)
        with _struck(self.db, self._strike, self._before_commit):
            for turn in range(TURNS):
                if turn == TURNS // 2:
                    self._quietly(lambda: self._load(without=()))
                self._turn()
            self._end()
        found = differences(self.db, self.ledger, self.factories, audited=len(self.endpoints) > 1)
        return [*found, *self.reader.missed()]

    def _load(self, without: "list[bytes] | tuple[()]") -> None:
        wanted = [replace(f, enabled=f.enabled and f.address not in without) for f in self.factories]
        with store.begin(self.db) as tx:
            facts.load(tx, [self.chain], wanted)

    def _pause(self) -> None:
        """The process that asks is stopped for a while, perhaps for longer than its lease; others act meanwhile."""
        self.paused += 1
        try:
            self.time.s += self.stream.choice((1.0, LEASE_S + 1.0, 3 * LEASE_S))
            for _ in range(self.stream.choice((1, 3, 8, 20))):
                self._turn()
        finally:
            self.paused -= 1

    def _turn(self) -> None:
        self.time.pass_(self.stream.choice((0.2, 1.0, 1.0, 3.0, 20.0)))
        if self.stream.random() < 0.7:
            self.ledger.advance()
        name = self.stream.choice([name for name in NAMES if name not in self.acting])
        role = self.roles.get(name) or self.roles.setdefault(name, Role(self, name))
        self.acting.append(name)
        try:
            role.act()
        except Killed:
            self.roles.pop(name, None)
        except DatabaseUnavailable:
            pass
        finally:
            self.acting.remove(name)

    def _end(self) -> None:
        """The chain stops, nobody dies or fails any more, liars go on; everybody acts until nothing is left to do."""
        self.odds = Odds(advance=0, kill=0, database=0)
        self.ledger.stop()
        for each in self.endpoints:
            each.faults = tuple(fault for fault in each.faults if fault.name in _LIES)
        self.roles.clear()
        self._retry()
        for _ in range(MOST_TURNS_AT_THE_END):
            self.time.pass_(30.0)
            acted = [
                self.roles.setdefault(name, Role(self, name)).act()
                for name in ("follower", "history", "audit", "tokens", "pools", "sweep")
            ]
            if not any(acted) and self._idle():
                return

    def _retry(self) -> None:
        """What lost five workers is dead, as it should be, until a person says `work retry`."""
        with store.begin(self.db) as tx:
            work.retry(tx, self.time.database(tx))

    def _idle(self) -> bool:
        with store.begin(self.db) as tx:
            left = tx.execute(text("select count(*) from gazetteer.work where not dead")).scalar_one()
            leased = tx.execute(text("select count(*) from gazetteer.scans")).scalar_one()
        return left == 0 and leased == 0

    def _quietly(self, act: Callable[[], None]) -> None:
        odds, self.odds = self.odds, Odds(advance=0, kill=0, database=0)
        act()
        self.odds = odds

    def before_request(self) -> None:
        """Between two requests of one step anything may happen."""
        if self.stream.random() < self.odds.advance:
            for _ in range(self.stream.choice((1, 1, 2, 5))):
                self.ledger.advance()
        if not self.paused and self.stream.random() < self.odds.pause:
            self._pause()
        if self.stream.random() < self.odds.kill:
            raise Killed

    def kicked(self, kind: str, name: str) -> None:
        """A kick is a wake-up that the simulation loses; its sender may die of it."""
        self.kicks.append((kind, name))
        if self.stream.random() < self.odds.kill * 5:
            raise Killed

    def _strike(self) -> None:
        if self.stream.random() < self.odds.kill:
            raise Killed
        if self.stream.random() < self.odds.database:
            raise OperationalError("", None, psycopg.OperationalError("the simulation took the database away"))

    def _before_commit(self) -> None:
        self._strike()
        if self.stream.random() < self.odds.outsider:
            self.reader.outsider()

    def nodes(self, who: str) -> Endpoints:
        """This process's own view of the endpoints."""
        del who
        nodes = [
            HttpNode(each.name, in_process(each, before=self.before_request, wait=self.time.pass_))
            for each in self.endpoints
        ]
        return Endpoints(nodes, self.chain.id, self.chain.genesis_hash, clock=self.time.monotonic)


class Role:
    """One process: what it has learned dies with it."""

    def __init__(self, world: Simulation, name: str) -> None:
        self._world = world
        self._endpoints = world.nodes(name)
        self._ranges: dict[str, Ranges] = {}
        acts = {
            "follower": self._follow,
            "history": self._history,
            "audit": self._audit,
            "tokens": self._tokens,
            "pools": self._pools,
            "sweep": self._sweep,
        }
        self._act = acts[name.rstrip("2")]
        self._follower = Follower(
            db=world.db,
            chain=world.chain,
            endpoints=self._endpoints,
            waker=NoWaker(),
            kick=world.kicked,
            stop=_NeverWaits(),
            ranges=Ranges(first_span=world.stream.choice((3, 20, 1000))),
            clock=world.time.database,
            monotonic=world.time.monotonic,
            halt_after_s=10**9,
        )

    def act(self) -> bool:
        """Whether it found something to do."""
        return bool(self._act())

    def _follow(self) -> bool:
        before = _tip(self._world)
        self._follower.turn()
        return _tip(self._world) != before

    def _history(self) -> bool:
        return self._asked(
            lambda node: history.scan(
                self._world.db,
                node,
                self._world.chain,
                self._ranges.setdefault(node.name, Ranges(first_span=200)),
                self._world.time.database,
                lease_s=LEASE_S,
            )
        )

    def _audit(self) -> bool:
        try:
            done = audit.audit(
                self._world.db,
                self._endpoints.ready(),
                self._world.chain,
                lambda name: self._ranges.setdefault(name, Ranges(first_span=200)),
                self._world.time.database,
                lease_s=LEASE_S,
                witnesses=self._world.witnesses,
            )
        except Moved:
            return True
        if isinstance(done, audit.Unread):
            self._endpoints.failed(done.node, done.error)
        return not isinstance(done, audit.NothingToAudit)

    def _tokens(self) -> bool:
        return self._asked(
            lambda node: resolve.resolve_tokens(
                self._world.db, node, self._world.chain, self._world.time.database, lease_s=LEASE_S
            )
        )

    def _pools(self) -> bool:
        return self._asked(
            lambda node: resolve.resolve_pools(
                self._world.db, node, self._world.chain, self._world.time.database, lease_s=LEASE_S
            )
        ) or self._asked(lambda node: stamp.stamp(self._world.db, node, self._world.chain))

    def _sweep(self) -> bool:
        return sweep.sweep(self._world.db, self._world.time.database).returned > 0

    def _asked(self, act: Callable[[Node], object]) -> bool:
        node = self._endpoints.choose()
        if node is None:
            return True
        try:
            done = act(node)
        except DatabaseUnavailable:
            raise
        except (Retryable, RangeRefused) as error:
            self._endpoints.failed(node, error)
            return True
        self._endpoints.succeeded(node, 0.1)
        return _did(done)


def _tip(world: Simulation) -> tuple[object, ...]:
    with store.begin(world.db) as tx:
        return tuple(tx.execute(text("select tip_hash, anchor_hash from gazetteer.cursors")).all())


def _did(done: object) -> bool:
    if isinstance(done, history.NothingMissing):
        return False
    if isinstance(done, resolve.Resolved):
        return done.asked > 0
    if isinstance(done, stamp.Stamped):
        return done.pools > 0
    return True


class _NeverWaits(threading.Event):
    """Waiting is the simulation's business."""

    def wait(self, timeout: float | None = None) -> bool:
        del timeout
        return False


@contextmanager
def _struck(db: Db, strike: Callable[[], None], before_commit: Callable[[], None]) -> Iterator[None]:
    """Before every statement and every commit something may end the process or take the database away."""

    def at_statement(*_: object) -> None:
        strike()

    def at_commit(*_: object) -> None:
        before_commit()

    event.listen(db, "before_cursor_execute", at_statement)
    event.listen(db, "commit", at_commit)
    try:
        yield
    finally:
        event.remove(db, "before_cursor_execute", at_statement)
        event.remove(db, "commit", at_commit)


def _habits(stream: Random) -> Habits:
    return Habits(
        tick_s=1.0,
        history_blocks=stream.choice((40, 300, 3_000)),
        history_pools=stream.choice((0, 20, 120)),
        pools_a_tick=stream.choice((0.3, 1.0, 2.5)),
        idle_share=stream.choice((0.0, 0.2)),
        reorg_share=stream.choice((0.0, 0.1, 0.3)),
        deepest_reorg=stream.choice((2, 8, 30)),
        finality_depth=stream.choice((1, 8, 32)),
        finality_step=stream.choice((1, 4)),
        stall_share=stream.choice((0.0, 0.02)),
        stall_ticks=stream.choice((10, 60)),
        flaw_share=0.06,
    )


_TROUBLES = (
    ("rate_limited", 0.1, (0, 3)),
    ("server_error", 0.1, (0,)),
    ("hang", 0.05, (0,)),
    ("slow", 0.1, (1, 4)),
    ("cut", 0.1, (0,)),
    ("too_large", 0.05, (0,)),
    ("lagging", 1.0, (1, 5, 40)),
    ("backwards", 0.2, (2, 10)),
    ("fanned_out", 0.5, (2, 6)),
    ("stale_finality", 1.0, (5, 50)),
    ("range_cap", 1.0, (1, 7, 100)),
    ("result_cap", 1.0, (1, 5, 30)),
    ("filter_cap", 1.0, (3, 20)),
    ("method_off", 0.2, (0,)),
    ("no_by_hash", 1.0, (0,)),
    ("no_state", 0.3, (0,)),
    ("null_blocks", 0.2, (0,)),
    ("doubled_logs", 0.3, (0,)),
    ("doubled_indexes", 0.2, (0,)),
    ("foreign_logs", 0.2, (0,)),
    ("outside_logs", 0.2, (0,)),
    ("removed_logs", 0.2, (0,)),
    ("malformed_logs", 0.2, (0,)),
    ("shuffled", 0.5, (0,)),
    ("one_error", 0.1, (0,)),
    ("batch_refused", 1.0, (1, 4)),
    ("lost_reply", 0.1, (0,)),
    ("doubled_reply", 0.1, (0,)),
    ("truncated", 0.1, (0,)),
    ("not_json", 0.1, (0,)),
)
"""Everything but lies that no single reading can tell."""

_LIES = ("no_logs", "partial_logs", "other_hash")


def _let_lie(endpoints: Sequence[Endpoint], stream: Random) -> int:
    """Some of these endpoints lie, always or for a while now and then; returns how many."""
    liars = [endpoint for endpoint in endpoints if stream.random() < 0.5]
    for liar in liars:
        lies = []
        for name in stream.sample(_LIES, stream.randint(1, 2)):
            every = stream.choice((0, 0, 30))
            share = 0.4 if name == "other_hash" else stream.choice((0.4, 1.0))
            lies.append(Fault(name=name, share=share, every_ticks=every, for_ticks=every // 3))
        liar.faults = (*liar.faults, *lies)
    return len(liars)


def _endpoints(ledger: Ledger, seed: int, stream: Random) -> list[Endpoint]:
    """The first is honest, though it may be slow or limited; the others have troubles."""
    limits = [Fault(name=name, amount=amount) for name, amount in (("range_cap", 50), ("result_cap", 20))]
    endpoints = [Endpoint("honest", ledger, seed=seed, faults=stream.sample(limits, stream.randint(0, 1)))]
    for number in range(stream.randint(0, 3)):
        manners = Manners(
            stamped=stream.random() < 0.5, refuses_beyond_head=stream.random() < 0.5, by_hash=stream.random() < 0.7
        )
        faults = []
        for name, share, amounts in stream.sample(_TROUBLES, stream.randint(1, 4)):
            every = stream.choice((0, 30))
            faults.append(
                Fault(
                    name=name,
                    share=share,
                    amount=stream.choice(amounts),
                    words=stream.randrange(10),
                    every_ticks=every,
                    for_ticks=every // 3,
                )
            )
        endpoints.append(Endpoint(f"trouble{number}", ledger, seed=seed, faults=faults, manners=manners))
    return endpoints


def reproduce(seed: int) -> str:
    """The one line that lives this life again."""
    return f"SEED={seed} scripts/test tests/test_simulation.py"
