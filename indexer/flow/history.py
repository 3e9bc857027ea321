"""Fill the holes below the anchor. Blocks there cannot fork, so any worker may scan any range in any order.

What is missing is not stored anywhere: it is every watched emitter's blocks up to the anchor, less its coverage,
less what is leased. A claim takes the newest hole; finishing writes rows, coverage and the lease's end at once. Where
an endpoint serves few blocks at a time a claim is several such spans: one transaction costs little more than before.
"""

import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from indexer import store
from indexer.errors import BadAnswer, MissingData, RangeRefused, Retryable, Suspicious
from indexer.flow.follow import final_header
from indexer.flow.ranges import TARGET_LOGS, Ranges
from indexer.flow.reading import announced, listening
from indexer.known import Chain
from indexer.model import BlockRef, Cursor, Scan, Window
from indexer.ports import Node
from indexer.store import Db, coverage, cursor, pools, readings, scans
from indexer.store.clock import Clock
from indexer.store.pool_rows import Times

MOST_REFUSALS = 40
"""Of one span."""
READ_S = 1.0
"""So long after its claim a scan begins no further span: what was not read is a hole again."""


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
    monotonic: Callable[[], float] = time.monotonic,
) -> Scanned | NothingMissing:
    """Claim the newest hole, as many spans of it as are kept together, read them from `node`, keep them.

    Raises Retryable or RangeRefused; the claim is then given back, but for the spans that were read before: they are
    kept. `claimed` is called once there is something to read, before it is read.
    """
    span = ranges.span()
    with store.begin(db) as tx:
        where = cursor.read(tx, chain.id)
        if where is None:
            return NothingMissing()
        most = span * ranges.together()
        found = scans.claim(tx, chain.id, span=most, floor=floor, lease_s=lease_s, now=clock(tx))
    if found is None:
        return NothingMissing()
    claimed()
    job = _Job(node, chain, ranges, where, found, strict, span)
    try:
        told, failure = _read_down(job, monotonic)
        if failure is not None and not told:
            raise failure
        done = _keep(db, job, told, clock)
    except (Retryable, RangeRefused):
        with store.begin(db) as tx:
            scans.release(tx, found.lease_id)
        raise
    if failure is not None:
        raise failure
    return done


@dataclass(frozen=True, slots=True)
class _Job:
    node: Node
    chain: Chain
    ranges: Ranges
    where: Cursor
    scan: Scan
    strict: bool
    span: int


@dataclass(frozen=True, slots=True)
class _Told:
    """What an endpoint told of the blocks from `first` on, after so many requests, and is believed."""

    window: Window
    first: int
    requests: int


def _read_down(job: _Job, monotonic: Callable[[], float]) -> tuple[list[_Told], Retryable | RangeRefused | None]:
    """The claim from its last block down, span by span, as far as that goes, and what ended it.

    It ends early too where the time or the rows of one transaction are used up, or a span had to be made smaller.
    """
    told: list[_Told] = []
    last, logs, until = job.scan.last, 0, monotonic() + READ_S
    while last >= job.scan.first and logs < TARGET_LOGS and (not told or monotonic() < until):
        first = max(last - job.span + 1, job.scan.first)
        try:
            told.append(_ask(job, first, last))
        except (Retryable, RangeRefused) as error:
            return told, error
        if told[-1].first > first:
            break
        last, logs = first - 1, logs + len(told[-1].window.logs)
    return told, None


def _ask(job: _Job, first: int, last: int) -> _Told:
    """The newest part of first..last that is answered at once, if it can be believed."""
    node, ranges = job.node, job.ranges
    for request in range(1, MOST_REFUSALS + 1):
        try:
            window = node.window(first, last, listening(job.scan.emitters))
        except RangeRefused as refusal:
            if first == last:
                raise
            first = max(first, ranges.refused(refusal, first, last))
            continue
        credible(node, job.chain, job.where.anchor, window)
        if window.faults and job.strict:
            message = f"{node.name} sent logs that were not asked for: {window.faults[0].reason}"
            raise Suspicious(message)
        ranges.served(first, last, len(window.logs))
        return _Told(window, first, request)
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


def _keep(db: Db, job: _Job, read: Sequence[_Told], clock: Clock) -> Scanned:
    """Everything that was read, in one transaction: it is one range, as spans follow each other downwards."""
    chain_id, emitters, first, last = job.chain.id, job.scan.emitters, read[-1].first, job.scan.last
    logs = [log for each in reversed(read) for log in each.window.logs]
    requests = sum(each.requests for each in read)
    told = announced(emitters, logs)
    with store.begin(db) as tx:
        now = clock(tx)
        if not scans.mine(tx, job.scan, now):
            return Scanned(first=first, last=last, requests=requests, logs=len(logs), pools=0, lost=True)
        settled = pools.settle(
            tx,
            chain_id,
            first,
            last,
            told.created,
            told.rejected,
            emitters=emitters,
            source="history",
            times=times_of(*(each.window for each in read)),
            until=None,
            now=now,
        )
        coverage.add(tx, chain_id, [emitter.key for emitter in emitters], first, last)
        readings.add(tx, chain_id, job.node.name, first, last)
        scans.release(tx, job.scan.lease_id)
    return Scanned(first=first, last=last, requests=requests, logs=len(logs), pools=settled.new)


def times_of(*windows: Window) -> Times:
    """The headers' own times (of one window at least), and an estimate between two of them by a block's place."""
    headers = {each.number: each.timestamp_s for window in windows for each in (window.before, window.last)}
    known = sorted(headers.items())
    numbers = [number for number, _ in known]

    def estimate(number: int) -> int:
        above = min(max(bisect_left(numbers, number), 1), len(known) - 1)
        (before, before_s), (after, after_s) = known[above - 1 : above + 1]
        return before_s + (after_s - before_s) * (number - before) // (after - before)

    return Times(headers=headers, estimate=estimate)
