"""A register beside a simulated chain: a clock that tests move, endpoints that tests spoil, and the verbs on them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from indexer import known, store
from indexer.flow import follow, history, resolve
from indexer.flow.follow import Stride
from indexer.flow.ranges import Ranges
from indexer.sim.endpoint import Endpoint, in_process
from indexer.sim.ledger import Habits, Ledger
from indexer.store import facts
from indexer.wire.node import HttpNode

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
LEASE_S = 60.0
HABITS = Habits(history_blocks=400, history_pools=40, pools_a_tick=2.0, reorg_share=0.0, idle_share=0.0, flaw_share=0.1)


class World:
    """One chain and one register. `node(...)` is an endpoint; `during` of it is called before every exchange."""

    def __init__(self, db, *, seed=7, chain="ethereum", habits=HABITS, protocols=None):
        self.db = db
        self.now_s = 0.0
        self.chain = next(each for each in known.chains() if each.name == chain)
        self.factories = [
            replace(each, from_block=1, enabled=each.enabled and (protocols is None or each.protocol in protocols))
            for each in known.factories()
            if each.chain_id == self.chain.id
        ]
        self.ledger = Ledger(
            seed=seed,
            chain=self.chain,
            factories=self.factories,
            quotes=known.quote_rank(),
            habits=habits,
            epoch_s=int(EPOCH.timestamp()),
        )
        with store.begin(db) as tx:
            facts.load(tx, [self.chain], self.factories)

    def clock(self, _tx=None):
        return EPOCH + timedelta(seconds=self.now_s)

    def node(self, *, during=None, faults=(), ledger=None, name="a", **manners):
        endpoint = Endpoint(name, ledger or self.ledger, faults=faults, **manners)
        return HttpNode(name, in_process(endpoint, before=during))

    def start(self, node=None):
        follow.start(self.db, node or self.node(), self.chain, self.clock)
        return self

    def elsewhere(self):
        """Another world's chain, which shares only the genesis with this one."""
        return Ledger(
            seed=8,
            chain=self.chain,
            factories=self.factories,
            habits=self.ledger.habits,
            epoch_s=self.ledger.epoch_s,
        )

    def follow(self, node=None, blocks=10_000):
        """Up to the head, and the anchor as far as it goes."""
        node, stride = node or self.node(), Stride(blocks=blocks)
        while isinstance(step := follow.converge(self.db, node, self.chain, self.clock, stride), follow.Advanced):
            pass
        follow.move_anchor(self.db, node, self.chain, step.heads, self.clock, stride)

    def scan(self, node=None, *, span=1_000, ranges=None, **decided):
        ranges = ranges or Ranges(first_span=span)
        decided = {"lease_s": LEASE_S, "monotonic": lambda: self.now_s} | decided
        return history.scan(self.db, node or self.node(), self.chain, ranges, self.clock, **decided)

    def tokens(self, node=None):
        return self._batches(resolve.resolve_tokens, node or self.node())

    def pools(self, node=None):
        return self._batches(resolve.resolve_pools, node or self.node())

    def _batches(self, verb, node):
        """Batch after batch, as a task does, and what they came to together."""
        done = verb(self.db, node, self.chain, self.clock, lease_s=LEASE_S)
        asked, written, provisional, early = done.asked, done.written, done.provisional, done.early
        while done.full:
            done = verb(self.db, node, self.chain, self.clock, lease_s=LEASE_S)
            asked, written = asked + done.asked, written + done.written
            provisional, early = provisional + done.provisional, early + done.early
        return resolve.Resolved(asked=asked, written=written, provisional=provisional, early=early)

    def entries(self, first=1, last=None):
        return list(self.ledger.view().entries(first, self.ledger.head.number if last is None else last))

    def pool_keys(self, first=1, last=None):
        return {entry.facts.key for entry in self.entries(first, last) if entry.kind == "pool"}
