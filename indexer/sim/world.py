"""The world of the demo: three chains in a hurry, each with three endpoints, one of which misbehaves now and then.

Names, chain ids, factories and quote tokens are the known ones; genesis hashes and blocks are this world's own.
What happens is decided by the seed alone; when it happens is decided by the world's time.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from indexer import known
from indexer.evm.abi import keccak
from indexer.known import Chain
from indexer.model import Factory, Hash32
from indexer.sim.blocks import Block
from indexer.sim.calendar import Calendar
from indexer.sim.endpoint import Endpoint
from indexer.sim.faults import Fault
from indexer.sim.ledger import Habits, Ledger
from indexer.sim.rpc import Manners
from indexer.sim.shapes import Json, hexed
from indexer.sim.truth import truth

HABITS: Mapping[str, Habits] = MappingProxyType(
    {
        "ethereum": Habits(
            tick_s=1.0,
            history_blocks=200_000,
            history_pools=3_000,
            pools_a_tick=1.4,
            reorg_share=0.03,
            deepest_reorg=6,
            finality_depth=16,
            finality_step=4,
        ),
        "polygon": Habits(
            tick_s=0.5,
            history_blocks=300_000,
            history_pools=4_000,
            pools_a_tick=0.9,
            reorg_share=0.02,
            deepest_reorg=16,
            finality_depth=24,
            finality_step=4,
            stall_share=0.002,
            stall_ticks=60,
        ),
        "arbitrum": Habits(
            tick_s=0.25,
            history_blocks=400_000,
            history_pools=5_000,
            pools_a_tick=0.5,
            reorg_share=0.007,
            deepest_reorg=8,
            finality_depth=48,
            finality_step=8,
        ),
    }
)
POLL_S = 0.5
FIRST_BLOCK = 1
MINUTE_S, BAD_SPELL_S = 60.0, 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One endpoint and the path at which it is served."""

    chain: str
    path: str
    endpoint: Endpoint


class World:
    """Three ledgers and nine endpoints. `epoch_s`: when world time 0 was, Unix seconds."""

    def __init__(
        self,
        seed: int | str,
        *,
        epoch_s: int,
        habits: Mapping[str, Habits] = HABITS,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.seed = seed
        self._wall = wall
        self._begun = False
        self.published_at_s: dict[Hash32, float] = {}
        self.chains = tuple(_chain(seed, chain, habits[chain.name]) for chain in known.chains() if chain.name in habits)
        self.ledgers = {
            chain.name: Ledger(
                seed=seed,
                chain=chain,
                factories=self.factories(),
                quotes=known.quote_rank(),
                habits=habits[chain.name],
                epoch_s=epoch_s,
            )
            for chain in self.chains
        }
        self.sites = tuple(site for ledger in self.ledgers.values() for site in _sites(seed, ledger))

    @staticmethod
    def factories() -> tuple[Factory, ...]:
        """The known and enabled factories, at home from block 1 of these chains."""
        return tuple(
            replace(factory, from_block=FIRST_BLOCK, from_block_quality="configured")
            for factory in known.factories()
            if factory.enabled
        )

    def chain_rows(self, address: str) -> list[Json]:
        """`[[chain]]` rows as in `known/chains.toml`. `address`: host and port at which the endpoints are served."""
        return [_chain_row(chain, self._urls(chain, address)) for chain in self.chains]

    def factory_rows(self) -> list[Json]:
        """`[[factory]]` rows as in `known/factories.toml`, of these chains only."""
        names = {chain.id: chain.name for chain in self.chains}
        return [_factory_row(factory, names[factory.chain_id]) for factory in self.factories()]

    def advance_to(self, world_s: float) -> None:
        """Let happen what happens up to this world time.

        What the first call brings may have been told by an earlier process: it has no time of publication.
        """
        for ledger in self.ledgers.values():
            before = ledger.view()
            ledger.advance_to(int(world_s / ledger.habits.tick_s))
            if self._begun:
                now_s = self._wall()
                for block in fresh_blocks(ledger, before.head):
                    self.published_at_s.setdefault(block.hash, now_s)
        self._begun = True

    def stop(self) -> None:
        """Nothing is mined any more, and everything is final."""
        for ledger in self.ledgers.values():
            ledger.stop()

    def truth(self, names: Sequence[str] = ()) -> list[Json]:
        """What a register must hold of these chains (of all, if none is named)."""
        return [
            truth(ledger, self.published_at_s) for name, ledger in self.ledgers.items() if not names or name in names
        ]

    def status(self) -> list[Json]:
        """Where each chain stands."""
        views = {name: ledger.view() for name, ledger in self.ledgers.items()}
        return [
            {
                "chain": name,
                "tick": view.tick,
                "head": view.head.number,
                "safe": view.safe,
                "finalized": view.finalized,
                "stopped": view.ledger.stopped,
            }
            for name, view in views.items()
        ]

    def _urls(self, chain: Chain, address: str) -> list[str]:
        paths = [site.path for site in self.sites if site.chain == chain.name]
        return [f"{scheme}://{address}{path}" for path in paths for scheme in ("http", "ws")]


class Running:
    """A world whose time passes by a calendar: what the controls speak to."""

    def __init__(self, world: World, calendar: Calendar) -> None:
        self._world, self._calendar = world, calendar
        self.pump()
        if self.stopped:
            world.stop()

    @property
    def stopped(self) -> bool:
        """Whether time has ended."""
        return self._calendar.stopped_s is not None

    def pump(self) -> None:
        """Let world time pass."""
        self._world.advance_to(self._calendar.now_s())

    def stop(self) -> None:
        """End time, here and for processes that start later; mine no more."""
        self._world.advance_to(self._calendar.stop())
        self._world.stop()

    def status(self) -> list[Json]:
        """Where each chain stands."""
        return self._world.status()

    def truth(self, names: Sequence[str] = ()) -> list[Json]:
        """What a register must hold."""
        return self._world.truth(names)


def fresh_blocks(ledger: Ledger, old_head: Block) -> list[Block]:
    """The blocks of the branch of now that a node with this head has not seen yet, oldest first."""
    old: Block | None = old_head
    while old is not None and not ledger.is_canonical(old):
        old = old.parent
    first = old_head.number if old is None else old.number
    return [ledger.canonical(number) for number in range(first + 1, ledger.head.number + 1)]


def _chain(seed: int | str, chain: Chain, habits: Habits) -> Chain:
    return replace(
        chain,
        genesis_hash=keccak(f"gazetteer|{seed}|{chain.name}|genesis".encode()),
        block_time_s=habits.tick_s,
        poll_s=min(chain.poll_s, POLL_S),
        finality_depth=habits.finality_depth,
        endpoints=(),
        source="simulated",
    )


def _sites(seed: int | str, ledger: Ledger) -> list[Site]:
    """`a` is new and sound, `b` is old and sound, `c` is sound most of the time."""
    old = Manners(stamped=False, by_hash=False, refuses_beyond_head=False)
    made = (
        Endpoint(f"{ledger.chain.name}-a", ledger, seed=seed),
        Endpoint(f"{ledger.chain.name}-b", ledger, seed=seed, manners=old),
        Endpoint(f"{ledger.chain.name}-c", ledger, seed=seed, faults=bad_spells(ledger.habits.tick_s)),
    )
    name = ledger.chain.name
    return [Site(chain=name, path=f"/{name}/{endpoint.name[-1]}", endpoint=endpoint) for endpoint in made]


def bad_spells(tick_s: float) -> tuple[Fault, ...]:
    """A few seconds of every minute or so: too slow, too busy, behind, cut off, or talking nonsense."""

    def spell(every_s: float) -> dict[str, int]:
        return {"every_ticks": int(every_s / tick_s), "for_ticks": int(BAD_SPELL_S / tick_s)}

    return (
        Fault(name="rate_limited", share=0.5, amount=1, **spell(MINUTE_S)),
        Fault(name="server_error", share=0.5, **spell(1.3 * MINUTE_S)),
        Fault(name="lagging", amount=int(8 / tick_s), **spell(1.7 * MINUTE_S)),
        Fault(name="slow", amount=1.0, share=0.5, **spell(1.9 * MINUTE_S)),
        Fault(name="truncated", share=0.5, **spell(2.3 * MINUTE_S)),
        Fault(name="null_blocks", **spell(2.9 * MINUTE_S)),
        Fault(name="foreign_logs", share=0.5, **spell(3.1 * MINUTE_S)),
        Fault(name="cut", share=0.5, **spell(3.7 * MINUTE_S)),
    )


def _chain_row(chain: Chain, endpoints: list[str]) -> Json:
    row: Json = {
        "id": chain.id,
        "name": chain.name,
        "genesis_hash": hexed(chain.genesis_hash),
        "block_time_s": chain.block_time_s,
        "poll_s": chain.poll_s,
        "finality_depth": chain.finality_depth,
        "native_symbol": chain.native_symbol,
        "native_name": chain.native_name,
        "native_decimals": chain.native_decimals,
        "endpoints": endpoints,
        "source": chain.source,
    }
    for key, contract in (("multicall3", chain.multicall3), ("uniswap_multicall", chain.uniswap_multicall)):
        if contract is not None:
            row[key] = hexed(contract)
    return row


def _factory_row(factory: Factory, chain: str) -> Json:
    row: Json = {
        "chain": chain,
        "dex": factory.dex,
        "protocol": factory.protocol,
        "address": hexed(factory.address),
        "from_block": factory.from_block,
        "from_block_quality": factory.from_block_quality,
        "topics": [hexed(topic) for topic in factory.topics],
        "fee_kind": factory.fee_kind,
        "tier": factory.tier,
        "confidence": factory.confidence,
        "source": factory.source,
    }
    optional = {
        "fee_ppm": factory.fee_ppm,
        "init_code_hash": None if factory.init_code_hash is None else hexed(factory.init_code_hash),
        "create2_deployer": None if factory.create2_deployer is None else hexed(factory.create2_deployer),
    }
    return row | {key: value for key, value in optional.items() if value is not None}
