"""Take a chain back: after a fork below its anchor, or to read again what a decoder got wrong.

A person names the block. That it exists is what the endpoints say, all that answer alike; that nothing below it is of
a chain that lost is checked against the newest pools there. Then rows, coverage and cursor go back at once, and what
was above is read again by the follower and by history, as it was the first time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from indexer import store
from indexer.errors import RangeRefused, Refused, Retryable
from indexer.flow.follow import final_header
from indexer.known import Chain
from indexer.model import Header
from indexer.ports import Node
from indexer.store import Db
from indexer.store import rewind as rows
from indexer.store.clock import Clock
from indexer.store.rewind import Loss, Standing

BLOCKS_BELOW = 100
"""So many blocks with pools are compared with the endpoints' below the one that is rewound to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a rewind would do: the block that becomes tip and anchor, who names it, and what is taken back."""

    to: Header
    endpoints: tuple[str, ...]
    silent: tuple[str, ...]
    standing: Standing
    loss: Loss


def plan(db: Db, nodes: Sequence[Node], chain: Chain, number: int) -> Plan:
    """What taking `chain` back to block `number` would do; writes nothing. Raises Refused with what to do instead."""
    with store.begin(db) as tx:
        where = rows.standing(tx, chain.id)
    if where is None:
        message = f"{chain.name} was never followed: there is nothing to take back"
        raise Refused(message)
    if not 0 <= number <= where.tip:
        message = f"{chain.name} is read up to block {where.tip}: --to has to be a block up to there"
        raise Refused(message)
    to, names, silent = _agreed(nodes, chain, number)
    _proven(db, nodes, chain, to)
    with store.begin(db) as tx:
        loss = rows.loss(tx, chain.id, number)
    assert loss is not None, "a chain that was followed stays followed"
    return Plan(to=to, endpoints=names, silent=silent, standing=where, loss=loss)


def rewind(db: Db, chain: Chain, to: Header, clock: Clock) -> Loss:
    """Take the chain back, all of it or nothing. Raises DatabaseUnavailable, Refused."""
    with store.begin(db) as tx:
        taken = rows.take_back(tx, chain.id, to, clock(tx))
    if taken is None:
        message = f"{chain.name} was never followed: there is nothing to take back"
        raise Refused(message)
    return taken


def _agreed(nodes: Sequence[Node], chain: Chain, number: int) -> tuple[Header, tuple[str, ...], tuple[str, ...]]:
    """The final block that every endpoint which answers has there, who they are, and what the others said."""
    named: dict[str, Header] = {}
    silent: list[str] = []
    for node in nodes:
        try:
            final = final_header(node, chain, node.heads())
            (header,) = node.headers([number])
        except (Retryable, RangeRefused) as error:
            silent.append(f"{node.name}: {error}")
            continue
        if final.number < number:
            message = f"block {number} is not final: {node.name} has finalized {final.number}; use one up to there"
            raise Refused(message)
        if header is None:
            silent.append(f"{node.name}: has no block {number}")
        else:
            named[node.name] = header
    if not named:
        message = f"no endpoint of {chain.name} tells block {number} ({'; '.join(silent) or 'none can be asked'})"
        raise Refused(message)
    if len({header.hash for header in named.values()}) > 1:
        told = ", ".join(f"0x{header.hash.hex()[:16]} on {name}" for name, header in named.items())
        message = f"the endpoints disagree about block {number} ({told}): remove those that are wrong and try again"
        raise Refused(message)
    return next(iter(named.values())), tuple(named), tuple(silent)


def _proven(db: Db, nodes: Sequence[Node], chain: Chain, to: Header) -> None:
    """The newest pools up to there are in blocks that exist. Raises Refused with the block to go back below."""
    with store.begin(db) as tx:
        marks = rows.newest_below(tx, chain.id, to.number, BLOCKS_BELOW)
    if not marks:
        return
    for node in nodes:
        try:
            headers = node.headers([mark.number for mark in marks])
        except (Retryable, RangeRefused):
            continue
        wrong = [
            mark.number
            for mark, header in zip(marks, headers, strict=True)
            if header is not None and header.hash != mark.hash
        ]
        if wrong:
            message = (
                f"{node.name} has another block {wrong[-1]} than the one our pools are in: "
                f"rewind to a block below {wrong[-1]}"
            )
            raise Refused(message)
        if None not in headers:
            return
    message = f"no endpoint of {chain.name} shows the blocks of our newest pools up to {to.number}; try again"
    raise Refused(message)
