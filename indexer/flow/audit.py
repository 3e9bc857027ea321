"""Read what is scanned once more, through another endpoint, and make the rows what both together say.

Left to audit is what is scanned and not audited, newest first; a range is claimed by a lease, as a scan is. It is
read by endpoints of which at least one did not read it before: one that is not among its readers, or, where all of
them are or somebody is unknown, by as many anew as have to have read it. Then the answers are compared with the rows
(`flow.weighing` says what is true). Where they agree, nothing is written but that the range is audited. Where they
do not, every other endpoint is heard too, the rows become what is true, and who omitted or invented is counted, and
who did not. With one endpoint nothing is audited.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from indexer import store
from indexer.errors import BadAnswer, ForkBelowAnchor, GazetteerError, MissingData, Moved, RangeRefused, Retryable
from indexer.flow import weighing
from indexer.flow.history import MOST_REFUSALS, credible, times_of
from indexer.flow.ranges import Ranges
from indexer.flow.reading import announced, listening
from indexer.flow.weighing import UPHELD, Reading, Weighed
from indexer.known import Chain
from indexer.model import BlockRef, Hash32, Header, Scan, Window
from indexer.ports import Node
from indexer.store import Db, coverage, cursor, health, pools, readings, scans
from indexer.store import audit as rows
from indexer.store.audit import Unaudited
from indexer.store.clock import Clock
from indexer.store.pool_rows import Times
from indexer.store.pools import Settled

WITNESSES = 2
"""So many endpoints at least have to have read a block before it is audited."""
MOST_DISPUTED = 200
"""Blocks that are looked into at once; the range is cut to the newest of them."""
MOST_JUDGES = 10
"""Further endpoints that are heard where the first ones differ, and endpoints that are asked for a disputed block."""
UNDECIDED_S = 600.0
"""How long a block that nobody could decide stays claimed, so that it is not asked for at once again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """first..last was read again by `endpoints`. `undecided` blocks of it stay unaudited.

    `blamed` counts logs that an endpoint omitted or made up, by its name and what it did; `upheld` blocks that one told
    rightly while others did not. `failed`: whom a difference would have had heard too. `settled` is what became of the
    rows, None where nothing differed. `lost`: the lease had run out, nothing was written.
    """

    first: int
    last: int
    endpoints: tuple[str, ...]
    undecided: tuple[int, ...] = ()
    blamed: Mapping[tuple[str, str], int]
    upheld: Mapping[str, int]
    failed: tuple[tuple[Node, GazetteerError], ...] = ()
    settled: Settled | None = None
    lost: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NothingToAudit:
    """Nothing that these endpoints could audit and that is not leased to somebody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """One of the endpoints could not read its part; the claim was given back."""

    node: Node
    error: GazetteerError


class _NodeError(Exception):
    """Whom the trouble is with."""

    def __init__(self, node: Node, error: GazetteerError) -> None:
        super().__init__(node.name)
        self.node, self.error = node, error


@dataclass(frozen=True, slots=True)
class _Job:
    chain: Chain
    anchor: BlockRef
    scan: Scan
    panel: Sequence[Node]
    others: Sequence[Node]
    reader: str | None


def audit(
    db: Db,
    nodes: Sequence[Node],
    chain: Chain,
    ranges: Callable[[str], Ranges],
    clock: Clock,
    *,
    lease_s: float,
    floor: int | None = None,
    witnesses: int = WITNESSES,
) -> Audited | NothingToAudit | Unread:
    """Audit the newest range that is left. `nodes`: all that can be asked now, the preferred first.

    `ranges` gives what is learned of one endpoint's ranges by its name. Raises Moved, DatabaseUnavailable.
    """
    if not nodes:
        return NothingToAudit()
    with store.begin(db) as tx:
        where = cursor.read(tx, chain.id)
        if where is None:
            return NothingToAudit()
        found = rows.claim(
            tx,
            chain.id,
            [node.name for node in nodes],
            witnesses=witnesses,
            span=min(ranges(node.name).span() for node in nodes),
            floor=floor,
            lease_s=lease_s,
            now=clock(tx),
        )
    if found is None:
        return NothingToAudit()
    try:
        return _audit(db, _job(chain, where.anchor, found, nodes, witnesses), ranges, clock)
    except _NodeError as failed:
        _give_back(db, found.scan)
        return Unread(node=failed.node, error=failed.error)
    except Moved:
        _give_back(db, found.scan)
        raise


def _give_back(db: Db, scan: Scan) -> None:
    with store.begin(db) as tx:
        scans.release(tx, scan.lease_id)


def _job(chain: Chain, anchor: BlockRef, found: Unaudited, nodes: Sequence[Node], witnesses: int) -> _Job:
    strangers = [node for node in nodes if node.name not in found.readers]
    enough = found.all_known and len(strangers) >= witnesses - 1
    panel = strangers[: max(witnesses - 1, 1)] if enough else list(nodes[:witnesses])
    others = [node for node in nodes if node not in panel]
    sole = found.all_known and len(found.readers) == 1
    return _Job(chain, anchor, found.scan, panel, others, next(iter(found.readers)) if sole else None)


@dataclass(slots=True)
class _Heard:
    """What endpoints told of first..last; `first` rises to what all of them give at once."""

    job: _Job
    ranges: Callable[[str], Ranges]
    first: int
    told: list[Reading] = field(default_factory=list)
    faulty: Counter[tuple[str, str]] = field(default_factory=Counter)
    failed: list[tuple[Node, GazetteerError]] = field(default_factory=list)
    times: Times | None = None

    def hear(self, node: Node) -> None:
        """What one endpoint tells. Raises _NodeError."""
        job, emitters, last = self.job, self.job.scan.emitters, self.job.scan.last
        self.first, window = _read(job, node, self.ranges(node.name), self.first)
        heard = announced(emitters, window.logs)
        told = weighing.reading(node.name, self.first, last, heard.created, heard.rejected)
        self.told = [*(each.since(self.first) for each in self.told), told]
        self.faulty.update({(node.name, "unasked_logs"): 1} if window.faults else {})
        self.times = self.times or times_of(window)

    def hear_if_it_answers(self, node: Node) -> None:
        """The same of one that need not be heard."""
        try:
            self.hear(node)
        except _NodeError as failed:
            self.failed.append((failed.node, failed.error))


def _audit(db: Db, job: _Job, ranges: Callable[[str], Ranges], clock: Clock) -> Audited:
    heard = _Heard(job, ranges, job.scan.first)
    for node in job.panel:
        heard.hear(node)
    stored = _stored(db, job, heard.first)
    if weighing.disputed([*heard.told, stored]):
        for node in job.others[:MOST_JUDGES]:
            heard.hear_if_it_answers(node)
        stored = stored.since(heard.first)
    open_blocks = weighing.disputed([*heard.told, stored])
    if len(open_blocks) > MOST_DISPUTED:
        first = open_blocks[-MOST_DISPUTED]
        heard.told, stored = [each.since(first) for each in heard.told], stored.since(first)
        open_blocks = open_blocks[-MOST_DISPUTED:]
    if not open_blocks:
        return _keep(db, heard, stored, None, clock)
    headers = _headers(job, open_blocks)
    weighed = weighing.weigh(heard.told, stored, {number: header.hash for number, header in headers.items()})
    seen = {number: header.timestamp_s for number, header in headers.items()}
    assert heard.times is not None, "a panel has at least one endpoint"
    heard.times = replace(heard.times, headers={**heard.times.headers, **seen})
    return _keep(db, heard, stored, weighed, clock)


def _read(job: _Job, node: Node, ranges: Ranges, first: int) -> tuple[int, Window]:
    """The newest part of first..last that the endpoint gives at once: its first block, and the answer."""
    last, wanted = job.scan.last, listening(job.scan.emitters)
    try:
        for _ in range(MOST_REFUSALS):
            try:
                window = node.window(first, last, wanted)
            except RangeRefused as refusal:
                if first == last:
                    raise
                first = max(first, ranges.refused(refusal, first, last))
                continue
            credible(node, job.chain, job.anchor, window)
            ranges.served(first, last, len(window.logs))
            return first, window
    except (Retryable, RangeRefused) as error:
        raise _NodeError(node, error) from error
    raise _NodeError(node, BadAnswer(f"{node.name} refused {MOST_REFUSALS} ranges below block {last}"))


def _stored(db: Db, job: _Job, first: int) -> Reading:
    with store.begin(db) as tx:
        return _stored_now(tx, job, first)


def _stored_now(tx: store.Tx, job: _Job, first: int) -> Reading:
    created, rejected = rows.stored(tx, job.chain.id, first, job.scan.last, job.scan.emitters)
    return weighing.reading(job.reader, first, job.scan.last, created, rejected)


def _headers(job: _Job, blocks: Sequence[int]) -> dict[int, Header]:
    """The headers of these blocks, where at least two endpoints and more than half of those asked agree."""
    said: dict[int, Counter[Hash32]] = {number: Counter() for number in blocks}
    found: dict[Hash32, Header] = {}
    for node in [*job.panel, *job.others][:MOST_JUDGES]:
        try:
            headers = _final(node, job.anchor, blocks)
        except (Retryable, RangeRefused) as error:
            if node in job.panel:
                raise _NodeError(node, error) from error
            continue
        for header in headers:
            said[header.number][header.hash] += 1
            found[header.hash] = header
        if all(_agreed(hashes) for hashes in said.values()):
            break
    agreed = {number: _agreed(hashes) for number, hashes in said.items()}
    return {number: found[block_hash] for number, block_hash in agreed.items() if block_hash is not None}


def _final(node: Node, anchor: BlockRef, blocks: Sequence[int]) -> list[Header]:
    """Headers of blocks at or below our anchor, from an endpoint that has our anchor."""
    *headers, at_anchor = node.headers([*blocks, anchor.number])
    there = [header for header in headers if header is not None]
    if at_anchor is None or len(there) < len(headers):
        message = f"{node.name} lacks blocks that are final"
        raise MissingData(message)
    if at_anchor.hash != anchor.hash:
        message = f"{node.name} has another block at {anchor.number}, which we know to be final"
        raise ForkBelowAnchor(message)
    return there


def _agreed(hashes: Counter[Hash32]) -> Hash32 | None:
    for block_hash, times in hashes.most_common(1):
        if times > 1 and 2 * times > hashes.total():
            return block_hash
    return None


def _keep(db: Db, heard: _Heard, stored: Reading, weighed: Weighed | None, clock: Clock) -> Audited:
    job, first, last = heard.job, stored.first, stored.last
    chain_id, found = job.chain.id, weighed or Weighed()
    done = Audited(
        first=first,
        last=last,
        endpoints=tuple(each.endpoint for each in heard.told if each.endpoint),
        undecided=tuple(found.undecided),
        blamed=heard.faulty + found.blamed,
        upheld=found.upheld,
        failed=tuple(heard.failed),
    )
    with store.begin(db) as tx:
        now = clock(tx)
        if not scans.mine(tx, job.scan, now):
            return replace(done, lost=True)
        if weighed is not None and heard.times is not None:
            done = replace(done, settled=_settle(tx, job, stored, weighed, heard.times, clock))
        keys = [emitter.key for emitter in job.scan.emitters]
        coverage.confirm(tx, chain_id, keys, list(_without(first, last, found.undecided)))
        readings.forget(tx, chain_id, first, last)
        health.add(tx, chain_id, {**done.blamed, **{(name, UPHELD): n for name, n in done.upheld.items()}}, now)
        if found.undecided:
            until = now + timedelta(seconds=UNDECIDED_S)
            scans.hold(tx, job.scan.lease_id, min(found.undecided), max(found.undecided), until)
        else:
            scans.release(tx, job.scan.lease_id)
    return done


def _settle(tx: store.Tx, job: _Job, stored: Reading, weighed: Weighed, times: Times, clock: Clock) -> Settled:
    """Make the rows what is true. Raises Moved if they are no longer what was weighed."""
    if not weighing.alike(_stored_now(tx, job, stored.first), stored):
        message = f"rows of {stored.first} to {stored.last} changed while they were audited"
        raise Moved(message)
    return pools.settle(
        tx,
        job.chain.id,
        stored.first,
        stored.last,
        weighed.created,
        weighed.rejected,
        emitters=job.scan.emitters,
        source="history",
        times=times,
        until=None,
        now=clock(tx),
    )


def _without(first: int, last: int, blocks: Sequence[int]) -> list[tuple[int, int]]:
    """first..last without these blocks, as ranges."""
    ranges = []
    for block in sorted(blocks):
        if first < block:
            ranges.append((first, block - 1))
        first = block + 1
    return [*ranges, (first, last)] if first <= last else ranges
