"""Make estimated creation times exact, in batches of headers and only where the log did not carry its own time."""

from dataclasses import dataclass

from indexer import store
from indexer.known import Chain
from indexer.ports import Node
from indexer.store import Db, times

BLOCKS_A_BATCH = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamped:
    """How many blocks were asked for and how many pools got their exact time."""

    blocks: int
    pools: int


def stamp(db: Db, node: Node, chain: Chain) -> Stamped:
    """One batch of blocks of final pools whose time is estimated. Raises Retryable."""
    with store.begin(db) as tx:
        blocks = times.estimated_blocks(tx, chain.id, BLOCKS_A_BATCH)
    if not blocks:
        return Stamped(blocks=0, pools=0)
    headers = [header for header in node.headers([block.number for block in blocks]) if header is not None]
    with store.begin(db) as tx:
        return Stamped(blocks=len(blocks), pools=times.exact(tx, chain.id, headers))
