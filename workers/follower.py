"""The process behind `gazetteer follow CHAIN`: waits for wake-ups, takes steps, kicks workers after each commit.

A wake-up only says that it may be worth looking; what to read is decided by the cursor alone. The loop never
ends by itself: an endpoint that fails is left for another, a database that is away is waited for.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from indexer import store
from indexer.errors import (
    DatabaseUnavailable,
    ForkBelowAnchor,
    GazetteerError,
    MissingData,
    Moved,
    RangeRefused,
    Refused,
    Retryable,
    Suspicious,
)
from indexer.flow import follow
from indexer.flow.ranges import Ranges
from indexer.known import Chain
from indexer.model import Heads
from indexer.ports import Node
from indexer.store import Db, cursor, health, work
from indexer.store.clock import Clock, database_time
from indexer.store.leadership import Leadership
from indexer.wire.endpoints import Endpoints
from indexer.wire.waker import Waker

log = logging.getLogger("gazetteer.follower")

STEPS_A_WAKE = 50
STANDBY_S = 2.0
DATABASE_AWAY_S = 1.0
KICK_EVERY_S = 2.0
HALT_AFTER_S = 60.0
MOST_TORN = 3
"""After so many steps in a row during which the chain moved it is not the chain that moves, but what we are told."""
SHORTER_AFTER_BLOCKS = 10
SHORTER_AFTER_S = 5.0
"""After so long with every endpoint's head behind our tip the chain did become shorter: no node lags for ever."""


@dataclass(kw_only=True)
class Follower:
    """One chain's head lane. `kick(kind, chain_name)` sends a wake-up to workers and may fail silently."""

    db: Db
    chain: Chain
    endpoints: Endpoints
    waker: Waker
    kick: Callable[[str, str], object]
    stop: threading.Event
    ranges: Ranges = field(default_factory=Ranges)
    clock: Clock = database_time
    halt_after_s: float = HALT_AFTER_S
    monotonic: Callable[[], float] = time.monotonic
    _kicked_at: float = 0.0
    _forked_since: float | None = None
    _behind_since: float | None = None
    _torn: int = 0
    _suspicious: set[str] = field(default_factory=set)
    _note: str | None = None
    _seen: tuple[Heads, str] | None = None

    def run(self) -> None:
        """Follow until `stop` is set."""
        with Leadership(self.db, self.chain.id) as leadership:
            while not self.stop.is_set():
                if leadership.held():
                    self.turn()
                    self.waker.wait(self.chain.poll_s)
                else:
                    self.stop.wait(STANDBY_S)

    def turn(self) -> None:
        """As many steps as bring the tip to the head, then the anchor, then the telling."""
        try:
            for _ in range(STEPS_A_WAKE):
                if self.stop.is_set() or not self._with_some_node(self._step):
                    break
            self._with_some_node(self._anchor)
            self._tell()
        except DatabaseUnavailable as error:
            log.warning("database away", extra={"chain": self.chain.name, "error": str(error)})
            self.stop.wait(DATABASE_AWAY_S)
        except Moved as error:
            log.info("another follower was faster", extra={"chain": self.chain.name, "error": str(error)})

    def _with_some_node(self, act: Callable[[Node], bool]) -> bool:
        """Let `act` try one endpoint after the other; False when none could do it."""
        for _ in range(self.endpoints.count):
            node = self.endpoints.choose()
            if node is None:
                self._note = f"no endpoint can be asked: {self.endpoints.why()}"
                return False
            try:
                started = self.monotonic()
                result = act(node)
            except (DatabaseUnavailable, Moved):
                raise
            except (Retryable, RangeRefused, Refused) as error:
                self._failed(node, error)
            else:
                self.endpoints.succeeded(node, self.monotonic() - started)
                return result
        return False

    def _failed(self, node: Node, error: GazetteerError) -> None:
        self.endpoints.failed(node, error)
        self._note = f"{node.name}: {error}"
        log.warning("endpoint failed", extra={"chain": self.chain.name, "endpoint": node.name, "error": str(error)})
        if isinstance(error, Suspicious):
            self._suspicious.add(node.name)
        if isinstance(error, ForkBelowAnchor):
            self._forked(error)

    def _forked(self, error: ForkBelowAnchor) -> None:
        """Every endpoint shows another chain below our anchor: after a while, only a person can decide."""
        now = self.monotonic()
        self._forked_since = self._forked_since or now
        if now - self._forked_since >= self.halt_after_s and not self.endpoints.usable():
            command = f"gazetteer rewind {self.chain.name} --to BLOCK --dry"
            reason = f"every endpoint forked below our anchor ({error}); run: {command}"
            with store.begin(self.db) as tx:
                cursor.halt(tx, self.chain.id, reason)

    def _step(self, node: Node) -> bool:
        """One step; True when another may follow at once."""
        follow.start(self.db, node, self.chain, self.clock)
        stride = self._stride()
        try:
            step = follow.converge(self.db, node, self.chain, self.clock, stride)
        except RangeRefused as refusal:
            self.ranges.refused(refusal, 1, stride.blocks)
            return True
        self._note = step.reason if isinstance(step, follow.Halted) else None
        if isinstance(step, follow.Halted):
            self._seen = None  # heads of before say nothing of the chain that a person lets go on
            return False
        self._seen = (step.heads, node.name)
        self._forked_since = None
        if isinstance(step, follow.Behind):
            self.endpoints.lagging(node, step.heads.latest.number)
            self._behind_since = self.monotonic() if self._behind_since is None else self._behind_since
            return False
        self._behind_since = None
        if isinstance(step, follow.Torn):
            self._torn += 1
            if self._torn % MOST_TORN == 0:
                raise MissingData(f"the chain moved {MOST_TORN} times in a row while it was read")
            return True
        self._torn = 0
        if not isinstance(step, follow.Advanced):
            return False
        self._suspicious.clear()
        self.ranges.served(1, step.blocks, step.logs)
        self._after(step)
        return step.tip.number < step.heads.latest.number

    def _stride(self) -> follow.Stride:
        patience_s = max(SHORTER_AFTER_BLOCKS * self.chain.block_time_s, SHORTER_AFTER_S)
        behind_s = 0.0 if self._behind_since is None else self.monotonic() - self._behind_since
        return follow.Stride(
            blocks=self.ranges.span(),
            strict=len(self._suspicious) < self.endpoints.count,
            shorter=behind_s >= patience_s,
        )

    def _after(self, step: follow.Advanced) -> None:
        """After the commit: wake the workers, say what happened."""
        if step.settled.tokens:
            self.kick("token", self.chain.name)
        if step.settled.asks:
            self.kick("pool", self.chain.name)
        if step.settled.new or step.rewound:
            log.info(
                "step",
                extra={
                    "chain": self.chain.name,
                    "tip": step.tip.number,
                    "pools": step.settled.new,
                    "rewound": step.rewound,
                    "orphaned": step.settled.orphaned,
                },
            )

    def _anchor(self, node: Node) -> bool:
        if self._seen is not None and self._seen[1] == node.name:
            stride = follow.Stride(blocks=self.ranges.span())
            follow.move_anchor(self.db, node, self.chain, self._seen[0], self.clock, stride)
        return True

    def _tell(self) -> None:
        """What was seen, for people; and a kick while due live work exists, for what earlier kicks lost."""
        now = self.monotonic()
        due = now - self._kicked_at >= KICK_EVERY_S
        with store.begin(self.db) as tx:
            moment = self.clock(tx)
            heads, name = self._seen or (None, None)
            cursor.sight(
                tx,
                self.chain.id,
                heads=heads,
                endpoint=name,
                wakeups=self.waker.mode,
                note=self._note,
                now=moment,
            )
            if due:
                health.add(tx, self.chain.id, self.endpoints.counted(), moment)
            waiting = [row[0] for row in work.due(tx, moment) if row[1] == self.chain.name] if due else []
        if due:
            self._kicked_at = now
            for kind in sorted(set(waiting)):
                self.kick(kind, self.chain.name)
