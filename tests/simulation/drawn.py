"""What does a seed choose beforehand? The chain's habits, its endpoints and their faults, and how likely what is."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from indexer.sim.endpoint import Endpoint
from indexer.sim.faults import Fault
from indexer.sim.ledger import Habits, Ledger
from indexer.sim.rpc import Manners

TROUBLES = (
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

LIES = ("no_logs", "partial_logs", "other_hash")


@dataclass(frozen=True, slots=True, kw_only=True)
class Odds:
    """Chances of one exchange, statement, commit or kick. All 0 at the end."""

    advance: float = 0.0
    kill: float = 0.0
    database: float = 0.0
    outsider: float = 0.0
    pause: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """Chances of one message to be lost, doubled or late, and of one turn to lose all that wait; and of no broker."""

    lost: float
    doubled: float
    late: float
    emptied: float
    away: float


def odds(stream: Random) -> Odds:
    """How dangerous this life is."""
    return Odds(
        advance=0.08,
        kill=stream.choice((0, 0.002, 0.008)),
        database=stream.choice((0, 0.004)),
        outsider=0.04,
        pause=stream.choice((0, 0.01, 0.03)),
    )


def losses(stream: Random) -> Losses:
    """How bad the post is."""
    return Losses(
        lost=stream.choice((0, 0.1, 0.5)),
        doubled=stream.choice((0, 0.1, 0.3)),
        late=stream.choice((0, 0.2)),
        emptied=stream.choice((0, 0.02)),
        away=stream.choice((0, 0.05)),
    )


def habits(stream: Random) -> Habits:
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


def let_lie(endpoints: Sequence[Endpoint], stream: Random) -> int:
    """Some of these endpoints lie, always or for a while now and then; returns how many."""
    liars = [endpoint for endpoint in endpoints if stream.random() < 0.5]
    for liar in liars:
        lies = []
        for name in stream.sample(LIES, stream.randint(1, 2)):
            every = stream.choice((0, 0, 30))
            share = 0.4 if name == "other_hash" else stream.choice((0.4, 1.0))
            lies.append(Fault(name=name, share=share, every_ticks=every, for_ticks=every // 3))
        liar.faults = (*liar.faults, *lies)
    return len(liars)


def endpoints(ledger: Ledger, seed: int, stream: Random) -> list[Endpoint]:
    """The first is honest, though it may be slow or limited; the others have troubles."""
    limits = [Fault(name=name, amount=amount) for name, amount in (("range_cap", 50), ("result_cap", 20))]
    found = [Endpoint("honest", ledger, seed=seed, faults=stream.sample(limits, stream.randint(0, 1)))]
    for number in range(stream.randint(0, 3)):
        manners = Manners(
            stamped=stream.random() < 0.5, refuses_beyond_head=stream.random() < 0.5, by_hash=stream.random() < 0.7
        )
        faults = []
        for name, share, amounts in stream.sample(TROUBLES, stream.randint(1, 4)):
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
        found.append(Endpoint(f"trouble{number}", ledger, seed=seed, faults=faults, manners=manners))
    return found
