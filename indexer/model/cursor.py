"""Where a chain's follower stands, whom it listens to, and what a history scan was promised."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from indexer.model.chain import Address, BlockRef, ChainId, Hash32
from indexer.model.pool import Factory


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """anchor: final, history's upper end. tip: how far the head lane has read. The head owns (anchor, tip].

    `rewinds` counts the forks that took blocks back: who asked before one may have been answered on the lost branch.
    """

    chain_id: ChainId
    tip: BlockRef
    anchor: BlockRef
    halted: str | None = None
    rewinds: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Emitter:
    """One (emitter, topic0) of a chain that is listened to, with the facts its decoder needs."""

    topic0: Hash32
    factory: Factory

    @property
    def key(self) -> tuple[Address, Hash32]:
        """What coverage is kept by, beside the chain."""
        return self.factory.address, self.topic0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """A missing range that one worker has claimed until `lease_until`, for a set of equal emitters."""

    chain_id: ChainId
    lease_id: UUID
    first: int
    last: int
    emitters: tuple[Emitter, ...]
    lease_until: datetime
