"""What is left to do, besides history: one row, one thing, any worker."""

from dataclasses import dataclass
from enum import IntEnum
from uuid import UUID


class Lane(IntEnum):
    """Smaller first."""

    LIVE = 0
    HISTORY = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A batch that is ours until its lease ends. `keys` are raw (a token's address, a pool's key), sorted.

    `losses` is how many leases were lost with one of these keys before; two or more mean the batch has one key.
    """

    kind: str
    scope: str
    lease_id: UUID
    keys: tuple[bytes, ...]
    losses: int
    full: bool
