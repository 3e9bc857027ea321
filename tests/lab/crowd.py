"""A register, a broker and a simulated node that counts, for any number of workers that are real processes."""

import time
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from sqlalchemy import text

from indexer import known, store
from indexer.flow import follow
from indexer.sim.endpoint import Endpoint
from indexer.sim.faults import Fault
from indexer.sim.ledger import Habits, Ledger
from indexer.sim.server import Server
from indexer.sim.world import HABITS, Site, World
from indexer.store import Db, facts, quotes
from indexer.store import plan as rows
from indexer.store.clock import database_time
from indexer.store.plan import Missing
from indexer.wire.node import HttpNode
from indexer.wire.transport import HttpTransport
from tests.roles import Role
from workers.local.world import write_settings

CHAIN_ID = 1
NAME = "ethereum"
CAP = 500
"""Blocks that the node serves at once."""
SMALL = Habits(history_blocks=10, history_pools=0)
"""Of the chains that nobody asks for."""


class Counted(Endpoint):
    """An endpoint that notes when it was sent which requests."""

    def __init__(self, name: str, ledger: Ledger, *faults: Fault) -> None:
        super().__init__(name, ledger, faults=faults)
        self.requests: list[tuple[float, str]] = []

    def exchange(self, body):
        """Note and answer."""
        asked = orjson.loads(body)
        now = time.monotonic()
        self.requests += [(now, each["method"]) for each in (asked if isinstance(asked, list) else [asked])]
        return super().exchange(body)

    def counted(self, method: str | None = None, since: float = 0.0) -> int:
        """How many requests came, of one method or all, since a moment of the monotonic clock."""
        return sum(at >= since and method in (None, each) for at, each in self.requests)


class Growth:
    """A chain that stands still until `start`."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._began: float | None = None

    def start(self) -> None:
        """From now on blocks are mined."""
        self._began = time.monotonic()

    def pump(self) -> None:
        """Let the chain be as long as it should be by now."""
        if self._began is not None:
            self._ledger.advance_to(int((time.monotonic() - self._began) / self._ledger.habits.tick_s))


@dataclass(kw_only=True)
class Crowd:
    """One register whose history is read by as many processes as a test starts."""

    db: Db
    env: dict[str, str]
    root: Path
    server: Server
    ledger: Ledger
    endpoints: dict[str, Counted]
    growth: Growth
    started: list[Role] = field(default_factory=list)

    def start(self, name: str, *words: str, path: str = "a", **settings: object) -> Role:
        """One role in a process of its own, which asks the endpoint `path`."""
        own = {f"GAZETTEER_{key.upper()}": str(value) for key, value in settings.items()}
        rpc = f"http://{self.server.address}/{path},ws://{self.server.address}/{path}"
        role = Role(self.root / f"{name}.log", {"GAZETTEER_RPC_ETHEREUM": rpc} | self.env | own, *words)
        self.started.append(role)
        return role

    def worker(self, name: str, *, lane: str = "history", concurrency: int = 1, path: str = "a", **settings) -> Role:
        """A worker of one lane."""
        words = ("worker", "--lane", lane, "--concurrency", str(concurrency), "--name", name)
        return self.start(name, *words, path=path, **settings)

    def missing(self) -> Missing:
        """What history is left."""
        with store.begin(self.db) as tx:
            found = rows.missing(tx, CHAIN_ID, floor=None)
        assert found is not None
        return found

    def count(self, what: str, **values: object) -> int:
        """One number in SQL."""
        with store.begin(self.db) as tx:
            found: int = tx.execute(text(what), values).scalar_one()
        return found

    def pools_in_the_past(self) -> int:
        """How many pools the history truly holds."""
        view = self.ledger.view()
        return sum(entry.kind == "pool" for entry in view.entries(1, view.finalized))

    def close(self) -> None:
        """End every process and the node."""
        for role in reversed(self.started):
            role.stop()
        self.server.close()


def gather(db: Db, root: Path, *, database_url: str, broker_url: str, habits: Habits, paths: str, faults=()) -> Crowd:
    """A register with its anchor at the simulated chain's final block, and nothing read below it."""
    world = World("crowd", epoch_s=int(time.time()) - 10_000, habits={**dict.fromkeys(HABITS, SMALL), NAME: habits})
    ledger = world.ledgers[NAME]
    cap = Fault(name="range_cap", amount=CAP)
    endpoints = {path: Counted(path, ledger, cap, *faults) for path in paths}
    sites = [Site(chain=NAME, path=f"/{path}", endpoint=each) for path, each in endpoints.items()]
    growth = Growth(ledger)
    server = Server(sites, pump=growth.pump)
    server.start()
    chain_rows = [
        row | {"endpoints": [f"http://{server.address}/{paths[0]}"]} for row in world.chain_rows(server.address)
    ]
    write_settings(root, chain_rows, world.factory_rows())
    chain = next(each for each in world.chains if each.name == NAME)
    with store.begin(db) as tx:
        facts.load(tx, world.chains, world.factories())
        quotes.load(tx, known.quote_rank())
    follow.start(db, HttpNode("test", HttpTransport(f"http://{server.address}/{paths[0]}")), chain, database_time)
    for each in endpoints.values():
        each.requests.clear()  # what was asked so far was asked by this process
    env = {
        "GAZETTEER_CONFIG": str(root / "gazetteer.toml"),
        "GAZETTEER_DATABASE_URL": database_url,
        "GAZETTEER_BROKER_URL": broker_url,
        "GAZETTEER_CHAINS": NAME,
    }
    return Crowd(db=db, env=env, root=root, server=server, ledger=ledger, endpoints=endpoints, growth=growth)
