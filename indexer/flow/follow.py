"""Follow one chain: one step towards the head, back from a fork, or the anchor one step forward.

The head lane owns (anchor, tip]. A step reads (c, last], where c is the tip or, after a fork, the newest
checkpoint that is still canonical, and makes the rows of those blocks equal to the answer in one transaction.
Only our own checkpoints are trusted to say where we stood, and only one endpoint is asked within one step.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from indexer import store
from indexer.errors import ForkBelowAnchor, MissingData, Suspicious
from indexer.flow.reading import announced, listening
from indexer.known import Chain
from indexer.model import BlockRef, Cursor, Emitter, Header, Heads, Lane, Window
from indexer.ports import Node
from indexer.store import Db, coverage, cursor, facts, pools, readings, tokens, work
from indexer.store.clock import Clock
from indexer.store.pool_rows import Times
from indexer.store.pools import Settled

MARKS_A_BATCH = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Stride:
    """How far one step may read, in blocks.

    `strict`: logs that nobody asked for are suspicious. `shorter`: a head behind our tip is believed to be a fork
    that is shorter than what it replaced, and not a lagging endpoint.
    """

    blocks: int
    strict: bool = True
    shorter: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AtHead:
    """Nothing new."""

    heads: Heads


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind:
    """The endpoint's head is behind what was already read: it lags."""

    heads: Heads


@dataclass(frozen=True, slots=True, kw_only=True)
class Torn:
    """The chain moved while it was read; nothing was kept."""

    heads: Heads


@dataclass(frozen=True, slots=True, kw_only=True)
class Halted:
    """A person has to decide before this chain goes on."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Advanced:
    """The rows of (fork, tip] now equal the chain. `rewound` is how many blocks were taken back, 0 without a fork.

    `blocks` is how many were read, `logs` how many logs they held.
    """

    heads: Heads
    tip: Header
    rewound: int
    settled: Settled
    blocks: int = 0
    logs: int = 0


Step = AtHead | Behind | Torn | Halted | Advanced


def start(db: Db, node: Node, chain: Chain, clock: Clock) -> None:
    """Give a new chain its first anchor: the endpoint's finalized block. No-op where there is one."""
    with store.begin(db) as tx:
        if cursor.read(tx, chain.id) is not None:
            return
    final = final_header(node, chain, node.heads())
    with store.begin(db) as tx:
        cursor.start(tx, chain.id, final, clock(tx))


def final_header(node: Node, chain: Chain, heads: Heads) -> Header:
    """The finalized header; a fixed depth below the head only where the endpoint does not know the tag."""
    if heads.finalized is not None:
        return heads.finalized
    (header,) = node.headers([max(heads.latest.number - chain.finality_depth, 0)])
    return _there(header)


def converge(db: Db, node: Node, chain: Chain, clock: Clock, stride: Stride) -> Step:
    """One step of the head lane. Raises Retryable; after any error nothing was kept."""
    with store.begin(db) as tx:
        where = cursor.read(tx, chain.id)
        marks = cursor.checkpoints(tx, chain.id)
        emitters = facts.watched(tx, chain.id)
    if where is None:
        message = f"{chain.name} has no anchor yet"
        raise MissingData(message)
    if where.halted is not None:
        return Halted(reason=where.halted)
    heads = node.heads()
    latest = heads.latest
    believed = latest.number >= where.tip.number or (stride.shorter and latest.number > where.anchor.number)
    if not believed:
        return Behind(heads=heads)
    fork = where.tip
    if latest.number <= where.tip.number:
        if latest.hash == where.tip.hash:
            return AtHead(heads=heads)
        below = [mark for mark in marks if mark.number < latest.number]
        fork = newest_canonical(node, below or marks[-1:])
    return _step(db, node, _Reading(where, marks, emitters, heads, fork), clock, stride)


@dataclass(frozen=True, slots=True)
class _Reading:
    where: Cursor
    marks: Sequence[BlockRef]
    emitters: Sequence[Emitter]
    heads: Heads
    fork: BlockRef


def _step(db: Db, node: Node, reading: _Reading, clock: Clock, stride: Stride) -> Step:
    fork = reading.fork
    window = _read(node, reading, fork, stride)
    if window.before.hash != fork.hash:
        fork = newest_canonical(node, reading.marks)
        window = _read(node, reading, fork, stride)
    if window.before.hash != fork.hash:
        return Torn(heads=reading.heads)
    if window.faults and stride.strict:
        message = f"{node.name} sent logs that were not asked for: {window.faults[0].reason}"
        raise Suspicious(message)
    times = _still_there(node, fork, window)
    if times is None:
        return Torn(heads=reading.heads)
    settled = _keep(db, reading, node.name, fork, window, times, clock)
    rewound = reading.where.tip.number - fork.number
    return Advanced(
        heads=reading.heads,
        tip=window.last,
        rewound=rewound,
        settled=settled,
        blocks=window.last.number - fork.number,
        logs=len(window.logs),
    )


def _read(node: Node, reading: _Reading, fork: BlockRef, stride: Stride) -> Window:
    last = min(fork.number + stride.blocks, reading.heads.latest.number)
    return node.window(fork.number + 1, last, listening(reading.emitters))


def newest_canonical(node: Node, marks: Sequence[BlockRef]) -> BlockRef:
    """The newest of our checkpoints that this endpoint still has. `marks`: newest first, the anchor last.

    Raises ForkBelowAnchor if not even the anchor is, MissingData if the endpoint has no block there.
    """
    for at in range(0, len(marks), MARKS_A_BATCH):
        chunk = marks[at : at + MARKS_A_BATCH]
        headers = node.headers([mark.number for mark in chunk])
        for mark, header in zip(chunk, headers, strict=True):
            if _there(header).hash == mark.hash:
                return mark
    message = f"{node.name} has another block at {marks[-1].number}, which we know to be final"
    raise ForkBelowAnchor(message)


def _still_there(node: Node, fork: BlockRef, window: Window) -> dict[int, int] | None:
    """Ask for both ends and every block holding logs again; None if one of them is not what the logs came from.

    Returns the blocks' own times, Unix seconds by block number.
    """
    expected = {log.block_number: log.block_hash for log in window.logs}
    expected |= {fork.number: fork.hash, window.last.number: window.last.hash}
    numbers = sorted(expected)
    times: dict[int, int] = {}
    for number, header in zip(numbers, node.headers(numbers), strict=True):
        if header is None or header.hash != expected[number]:
            return None
        times[number] = header.timestamp_s
    return times


def _keep(
    db: Db,
    reading: _Reading,
    endpoint: str,
    fork: BlockRef,
    window: Window,
    times: dict[int, int],
    clock: Clock,
) -> Settled:
    chain_id = reading.where.chain_id
    told = announced(reading.emitters, window.logs)
    with store.begin(db) as tx:
        now = clock(tx)
        cursor.lock(tx, reading.where)
        settled = pools.settle(
            tx,
            chain_id,
            fork.number + 1,
            window.last.number,
            told.created,
            told.rejected,
            emitters=reading.emitters,
            source="head",
            times=Times(headers=times),
            until=reading.where.tip.number if reading.where.tip.number > fork.number else None,
            now=now,
        )
        coverage.listened(tx, chain_id, reading.emitters, fork.number + 1)
        cursor.advance(tx, chain_id, fork, window.last, now, endpoint=endpoint)
    return settled


def move_anchor(db: Db, node: Node, chain: Chain, heads: Heads, clock: Clock, stride: Stride) -> BlockRef | None:
    """Move the anchor up to the newest checkpoint that is final, if the tip is canonical. Returns it if it moved.

    A stalled tag is waited for. If finality has passed the tip by more than a step (after days off), tip and
    anchor become the finalized block, and what lies between is a hole for history. Raises Retryable.
    """
    with store.begin(db) as tx:
        where = cursor.read(tx, chain.id)
        marks = cursor.checkpoints(tx, chain.id)
    if where is None or where.halted is not None:
        return None
    final = final_header(node, chain, heads)
    target = next((mark for mark in marks if mark.number <= final.number), where.anchor)
    far = final.number > where.tip.number + stride.blocks
    if target.number <= where.anchor.number and not far:
        return None
    if not _is_canonical(node, where.tip, target, final.ref):
        return None  # a step goes back to the fork first, so that nothing of the lost branch is left behind
    return _move(db, chain, where, target, final if far else None, clock)


def _is_canonical(node: Node, *refs: BlockRef) -> bool:
    headers = node.headers([ref.number for ref in refs])
    return all(header is not None and header.hash == ref.hash for header, ref in zip(headers, refs, strict=True))


def _move(db: Db, chain: Chain, where: Cursor, target: BlockRef, jump: Header | None, clock: Clock) -> BlockRef:
    with store.begin(db) as tx:
        cursor.lock(tx, where)
        if target.number > where.anchor.number:
            # what an endpoint told of a branch that never was ours is asked again, now that ours is certain; new tokens
            # go before it, as during a backfill it may be thousands
            strayed = tokens.strayed(tx, chain.id, where.anchor.number, target.number)
            work.add(tx, "token", chain.name, strayed, Lane.HISTORY, clock(tx))
            coverage.credit(tx, where.chain_id, where.anchor.number, target.number)
            readings.credit(tx, where.chain_id, where.anchor.number, target.number)
            pools.finalize(tx, where.chain_id, where.anchor.number, target.number, clock(tx))
            cursor.move_anchor(tx, where.chain_id, target)
        if jump is not None:
            coverage.listened(tx, where.chain_id, (), jump.number + 1)
            cursor.jump(tx, where.chain_id, jump, clock(tx))
    return target if jump is None else jump.ref


def _there(header: Header | None) -> Header:
    if header is None:
        message = "a block that must exist is not there: the endpoint lags"
        raise MissingData(message)
    return header
