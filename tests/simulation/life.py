"""What happens in a life, in which order, and does it end exactly right?"""

from collections.abc import Callable, Collection
from dataclasses import replace

import psycopg
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from indexer import known, store
from indexer.errors import DatabaseUnavailable
from indexer.flow import sweep
from indexer.model import ChainId, Factory, Lane
from indexer.sim.chance import chance
from indexer.sim.ledger import Ledger
from indexer.sim.truth import truth
from indexer.sim.world import FIRST_BLOCK, World
from indexer.store import Db, facts, quotes, work
from indexer.store.clock import database_time
from tests.simulation import drawn
from tests.simulation.drawn import LIES, Odds
from tests.simulation.interruptions import EPOCH, Killed, Time, struck
from tests.simulation.mail import Mail
from tests.simulation.processes import LEASE_S, BeatProcess, FollowerProcess, Host, Process, WorkerProcess
from tests.simulation.reader import Reader
from tests.truth import differences
from workers import tasks, wiring
from workers.local import verdict

TURNS = 180
MOST_TURNS_AT_THE_END = 400
MESSAGES_A_TURN_AT_THE_END = 12
TURN_AT_THE_END_S = 30.0
REQUEST_S = (0.1, 0.5, 1.0)
NAMES = (
    *("follower", "follower", "follower2"),
    *("beat", "beat"),
    *("live", "live", "live2"),
    *("history", "history", "history2", "any"),
)
HEARD = {"live": (Lane.LIVE,), "history": (Lane.LIVE, Lane.HISTORY), "any": (Lane.LIVE, Lane.HISTORY)}
CHAINS = {chain.id: chain for chain in known.chains()}


class Simulation:
    """`run` lives the life of one seed and tells the differences at its end."""

    def __init__(self, seed: int, db: Db) -> None:
        self.seed = seed
        self.db = db
        self.time = Time()
        self.stream = chance(seed, "simulation")
        self.chain = CHAINS[ChainId(self.stream.choice((1, 137, 42161)))]
        self.factories = _factories(self.chain.id)
        self.ledger = Ledger(
            seed=seed,
            chain=self.chain,
            factories=self.factories,
            quotes=known.quote_rank(),
            habits=drawn.habits(self.stream),
            epoch_s=int(EPOCH.timestamp()),
        )
        enabled = [factory.address for factory in self.factories if factory.enabled]
        self.late = self.stream.sample(enabled, self.stream.randint(0, 2))
        self.endpoints = drawn.endpoints(self.ledger, seed, self.stream)
        liars = drawn.let_lie(self.endpoints[1:], chance(seed, "lies"))
        self.odds = drawn.odds(self.stream)
        posted = chance(seed, "mail")
        self.mail = Mail(drawn.losses(posted), posted, self.time.monotonic, self.sent)
        self.host = Host(
            db=db,
            chain=self.chain,
            endpoints=self.endpoints,
            mail=self.mail,
            time=self.time,
            before_request=self.before_request,
            # two that omit the same log are only found out by the honest one, so everybody has to be heard
            witnesses=len(self.endpoints) if liars > 1 else 0,
        )
        self.paused = 0
        self.acting: list[str] = []
        self.reader = Reader(db)
        self.processes: dict[str, Process] = {}

    def run(self) -> list[str]:
        """The differences between the register and the truth; empty when they are equal."""
        self._leave_alone()
        with self.host.running():
            self._load(without=self.late)
            with struck(self.db, self.strike, self.before_commit):
                for turn in range(TURNS):
                    if turn == TURNS // 2:
                        self._quietly(lambda: self._load(without=()))
                    self._turn()
                self._end()
            self._look_at_the_clock()
        found = differences(self.db, self.ledger, self.factories, audited=len(self.endpoints) > 1)
        url = self.db.url.set(drivername="postgresql").render_as_string(hide_password=False)
        return [*found, *verdict.judge(url, [truth(self.ledger)]).differences, *self.reader.missed()]

    def told(self) -> tuple[object, ...]:
        """What tells one life from another: each statement, request, message and turn draws from a stream."""
        drawn_last = self.stream.random(), self.mail.stream.random()
        return (*drawn_last, self.time.s, self.ledger.head.hash, self.mail.counts, len(self.reader.read))

    def _leave_alone(self) -> None:
        """No vacuum and no statistics: they come when they like, and in which order equals are claimed may follow."""
        with store.begin(self.db) as tx:
            tables = tx.execute(text("select tablename from pg_tables where schemaname = 'gazetteer'")).scalars().all()
            for table in sorted(tables):
                tx.execute(text(f"alter table gazetteer.{table} set (autovacuum_enabled = false)"))

    def _load(self, without: Collection[bytes]) -> None:
        wanted = [replace(f, enabled=f.enabled and f.address not in without) for f in self.factories]
        with store.begin(self.db) as tx:
            facts.load(tx, [self.chain], wanted)
            quotes.load(tx, known.quote_rank())

    def _turn(self) -> None:
        self.time.pass_(self.stream.choice((0.2, 1.0, 1.0, 3.0, 20.0)))
        if self.stream.random() < 0.7:
            self.ledger.advance()
        self.mail.perhaps_empty()
        self._act(self.stream.choice([name for name in NAMES if name not in self.acting]))

    def _act(self, name: str) -> None:
        process = self.processes.get(name) or self.processes.setdefault(name, self._born(name))
        self.acting.append(name)
        try:
            process.act()
        except Killed:
            self.processes.pop(name, None)
        except DatabaseUnavailable:
            pass
        finally:
            self.acting.remove(name)

    def _born(self, name: str) -> Process:
        role = name.rstrip("2")
        if role == "follower":
            return FollowerProcess(self.host, first_span=self.stream.choice((3, 20, 1000)))
        return BeatProcess(self.host) if role == "beat" else WorkerProcess(self.host, HEARD[role])

    def _pause(self) -> None:
        """The process that asks is stopped for a while, perhaps for longer than its lease; others act meanwhile."""
        self.paused += 1
        try:
            self.time.s += self.stream.choice((1.0, LEASE_S + 1.0, 3 * LEASE_S))
            for _ in range(self.stream.choice((1, 3, 8, 20, 40))):
                self._turn()
        finally:
            self.paused -= 1

    def _end(self) -> None:
        """The chain stops, nobody dies or fails any more, liars go on and messages are lost; until nothing is left."""
        self.odds = Odds()
        self.ledger.stop()
        for each in self.endpoints:
            each.faults = tuple(fault for fault in each.faults if fault.name in LIES)
        self.processes.clear()
        self.time.s += 2 * LEASE_S
        sweep.sweep(self.db, self.time.database)
        with store.begin(self.db) as tx:
            work.retry(tx, self.time.database(tx))  # what lost five workers is dead until a person says so
        for _ in range(MOST_TURNS_AT_THE_END):
            self.time.pass_(TURN_AT_THE_END_S)
            for name in ("follower", "beat", *["live", "history"] * MESSAGES_A_TURN_AT_THE_END):
                self._act(name)
            if self._nothing_is_left():
                return

    def _nothing_is_left(self) -> bool:
        """Whether the head is reached, and neither ticks nor leases nor people would find anything to do."""
        others, wiring._made = wiring._made, self.host.made()
        try:
            if wiring.chains_with_holes() or wiring.chains_to_audit() or tasks._chains_to_stamp():
                return False
        finally:
            wiring._made = others
        with store.begin(self.db) as tx:
            left = tx.execute(
                text("""
                select exists (select from gazetteer.work where not dead) or exists (select from gazetteer.scans)
                       or not exists (select from gazetteer.cursors where anchor_number = :head and tip_number = :head)
                """),
                {"head": self.ledger.head.number},
            ).scalar_one()
        return not left

    def _look_at_the_clock(self) -> None:
        """A follower of today looks once more: whether a chain is ready is a matter of now."""
        FollowerProcess(self.host, clock=database_time).act()

    def _quietly(self, act: Callable[[], None]) -> None:
        odds, self.odds = self.odds, Odds()
        act()
        self.odds = odds

    def before_request(self) -> None:
        """Between two requests of one step anything may happen."""
        self.time.pass_(self.stream.choice(REQUEST_S))
        if self.stream.random() < self.odds.advance:
            for _ in range(self.stream.choice((1, 1, 2, 5))):
                self.ledger.advance()
        if not self.paused and self.stream.random() < self.odds.pause:
            self._pause()
        self._perhaps_die()

    def sent(self) -> None:
        """After a kick its sender may be gone."""
        self._perhaps_die(5)

    def strike(self) -> None:
        """Before a statement."""
        self._perhaps_die()
        if self.stream.random() < self.odds.database:
            raise OperationalError("", None, psycopg.OperationalError("the simulation took the database away"))

    def before_commit(self) -> None:
        """Before a commit, while its transaction is open."""
        self.strike()
        if self.stream.random() < self.odds.outsider:
            self.reader.outsider()

    def _perhaps_die(self, times: int = 1) -> None:
        if self.stream.random() < self.odds.kill * times:
            raise Killed


def _factories(chain_id: ChainId) -> list[Factory]:
    """The known factories of a chain: the enabled ones as the simulated world has them, and the others."""
    others = [replace(factory, from_block=FIRST_BLOCK) for factory in known.factories() if not factory.enabled]
    return [factory for factory in [*World.factories(), *others] if factory.chain_id == chain_id]


def reproduce(seed: int) -> str:
    """The one line that lives this life again."""
    return f"SEED={seed} scripts/test tests/test_simulation.py"
