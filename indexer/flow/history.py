"""Fill the holes below the anchor. Blocks there cannot fork, so any worker may scan any range in any order.

What is missing is not stored anywhere: it is every watched emitter's blocks up to the anchor, less its coverage,
less what is leased. A claim takes the newest hole; finishing writes rows, coverage and the lease's end at once.
"""

from collections.abc import Callable
from dataclasses import dataclass

from indexer import store
from indexer.errors import BadAnswer, MissingData, RangeRefused, Retryable, Suspicious
from indexer.flow.follow import final_header
from indexer.flow.ranges import Ranges
from indexer.flow.reading import announced, listening
from indexer.known import Chain
from indexer.model import BlockRef, Cursor, Scan, Window
from indexer.ports import Node
from indexer.store import Db, coverage, cursor, pools, readings, scans
from indexer.store.clock import Clock
from indexer.store.pool_rows import Times

MOST_REFUSALS = 40
ROWS_A_TRANSACTION = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanned:
    """One range done. `pools` are the rows it brought; `lost`: the lease had run out and nothing was written."""

    first: int
    last: int
    requests: int
    logs: int
    pools: int
    lost: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NothingMissing:
    """No hole that is not leased to somebody."""


def scan(
    db: Db,
    node: Node,
    chain: Chain,
    ranges: Ranges,
    clock: Clock,
    *,
    lease_s: float,
    floor: int | None = None,
    strict: bool = True,
    claimed: Callable[[], object] = lambda: None,
) -> Scanned | NothingMissing:
    """Claim the newest hole, read it from `node`, keep it. Raises Retryable; the claim is then given back.

    `claimed` is called once there is something to read, before it is read.
    """
    with store.begin(db) as tx:
        where = cursor.read(tx, chain.id)
        if where is None:
            return NothingMissing()
        found = scans.claim(tx, chain.id, span=ranges.span(), floor=floor, lease_s=lease_s, now=clock(tx))
    if found is None:
        return NothingMissing()
    claimed()
    try:
        return _fill(db, node, chain, ranges, clock, _Claim(where, found, strict))
    except (Retryable, RangeRefused):
        with store.begin(db) as tx:
            scans.release(tx, found.lease_id)
        raise


@dataclass(frozen=True, slots=True)
class _Claim:
    where: Cursor
    scan: Scan
    strict: bool


@dataclass(frozen=True, slots=True)
class _Read:
    endpoint: str
    window: Window
    first: int
    last: int
    requests: int


def _fill(db: Db, node: Node, chain: Chain, ranges: Ranges, clock: Clock, claim: _Claim) -> Scanned:
    first, last = claim.scan.first, claim.scan.last
    for request in range(1, MOST_REFUSALS + 1):
        try:
            window = node.window(first, last, listening(claim.scan.emitters))
        except RangeRefused as refusal:
            if first == last:
                raise
            first = max(first, ranges.refused(refusal, first, last))
            continue
        credible(node, chain, claim.where.anchor, window)
        if window.faults and claim.strict:
            message = f"{node.name} sent logs that were not asked for: {window.faults[0].reason}"
            raise Suspicious(message)
        ranges.served(first, last, len(window.logs))
        return _keep(db, claim, _Read(node.name, window, first, last, request), clock)
    message = f"{node.name} refused {MOST_REFUSALS} ranges below block {last}"
    raise BadAnswer(message)


def credible(node: Node, chain: Chain, anchor: BlockRef, window: Window) -> None:
    """The endpoint itself must know the range to be final, and must be on our chain at the anchor.

    Raises MissingData or BadAnswer.
    """
    last = window.last
    final_number = window.finalized.number if window.finalized else final_header(node, chain, node.heads()).number
    if final_number < last.number:
        message = f"{node.name} has finalized {final_number}, the range ends at {last.number}"
        raise MissingData(message)
    if last.number == anchor.number and last.hash != anchor.hash:
        message = f"{node.name} has another block at the anchor {last.number}"
        raise BadAnswer(message)


def _keep(db: Db, claim: _Claim, read: _Read, clock: Clock) -> Scanned:
    chain_id, first, last, window = claim.scan.chain_id, read.first, read.last, read.window
    told = announced(claim.scan.emitters, window.logs)
    with store.begin(db) as tx:
        now = clock(tx)
        if not scans.mine(tx, claim.scan, now):
            return Scanned(first=first, last=last, requests=read.requests, logs=len(window.logs), pools=0, lost=True)
        settled = pools.settle(
            tx,
            chain_id,
            first,
            last,
            told.created,
            told.rejected,
            emitters=claim.scan.emitters,
            source="history",
            times=times_of(window),
            until=None,
            now=now,
        )
        coverage.add(tx, chain_id, [emitter.key for emitter in claim.scan.emitters], first, last)
        readings.add(tx, chain_id, read.endpoint, first, last)
        scans.release(tx, claim.scan.lease_id)
    return Scanned(first=first, last=last, requests=read.requests, logs=len(window.logs), pools=settled.new)


def times_of(window: Window) -> Times:
    """The two headers' own times, and an estimate between them by a block's place."""
    before, last = window.before, window.last
    passed_s, span = last.timestamp_s - before.timestamp_s, last.number - before.number
    return Times(
        headers={header.number: header.timestamp_s for header in (before, last)},
        estimate=lambda number: before.timestamp_s + passed_s * (number - before.number) // span,
    )
