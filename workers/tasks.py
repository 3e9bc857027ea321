"""Celery's view of the verbs. A task unpacks ids, calls one flow function, kicks the next, returns nothing.

Every message is only a wake-up: it may be lost, doubled or late, and the task still does exactly what Postgres
says is left to do.
"""

import logging
import time

from indexer import store
from indexer.errors import DatabaseUnavailable, Moved, RangeRefused, Retryable
from indexer.flow import audit, history, resolve, stamp, sweep
from indexer.model import Lane
from indexer.ports import Node
from indexer.store import health, times
from indexer.wire.endpoints import Endpoints
from workers import wiring
from workers.app import app
from workers.kicks import KICKS, keep_waiting, kick, kick_venue, venue_waits, waiting

log = logging.getLogger("gazetteer.tasks")

BATCHES_A_TASK = 20
TASK_S = 2.0
HISTORY_WAITING = 4
TELL_EVERY_S = 5.0


@app.task(name="resolve.tokens")  # type: ignore[untyped-decorator]  # celery has no types
def resolve_tokens(chain: str, lane: int = Lane.LIVE) -> None:
    """Tokens of one chain that wait to describe themselves. `lane` says whose process this is."""
    _resolve("token", chain, Lane(lane))


@app.task(name="resolve.pools")  # type: ignore[untyped-decorator]  # celery has no types
def resolve_pools(chain: str, lane: int = Lane.LIVE) -> None:
    """Pools of one chain whose event left something to ask. `lane` says whose process this is."""
    _resolve("pool", chain, Lane(lane))


def _resolve(kind: str, name: str, lane: Lane) -> None:
    """Batches until nothing is due or the time is up; a full first batch wakes another worker before it is asked.

    A live process leaves what history announced to the processes of history, which take live work first.
    """
    endpoints = wiring.endpoints(name, "resolve")
    left = _resolve_batches(kind, name, lane, endpoints)
    _tell_health(name, endpoints)
    if left:
        kick(kind, name, lane)  # the time or the batches of this task are used up, the work is not


def _resolve_batches(kind: str, name: str, lane: Lane, endpoints: Endpoints) -> bool:
    """Whether more may be due than was asked."""
    chain = wiring.chain(name)
    verb = resolve.resolve_tokens if kind == "token" else resolve.resolve_pools
    started = time.monotonic()
    woken = False

    def wake_another() -> None:
        nonlocal woken
        if not woken:
            keep_waiting(kind, name, lane)
            woken = True

    for _ in range(BATCHES_A_TASK):
        node = endpoints.choose()
        if node is None:
            log.warning("no endpoint", extra={"chain": name, "why": endpoints.why()})
            return False
        asked_at = time.monotonic()
        try:
            done = verb(
                wiring.db(),
                node,
                chain,
                wiring.clock,
                lease_s=wiring.settings().lease_s,
                slowest=lane,
                full=wake_another,
            )
        except DatabaseUnavailable as error:
            log.warning("database away", extra={"chain": name, "error": str(error)})
            return False
        except Retryable as error:
            endpoints.failed(node, error)
            log.warning("node failed", extra={"chain": name, "endpoint": node.name, "error": str(error)})
            continue
        # what history announces meanwhile is asked with the next wake-up's batch, instead of a few tokens at a time
        if not done.full and (lane is Lane.HISTORY or not done.asked):
            return False
        endpoints.succeeded(node, time.monotonic() - asked_at)
        if time.monotonic() - started > TASK_S:
            break
    return True


@app.task(name="history.scan")  # type: ignore[untyped-decorator]  # celery has no types
def scan(chain: str) -> None:
    """Missing ranges of one chain, newest first, for about two seconds; then whatever they brought is pointed out."""
    try:
        endpoints = wiring.endpoints(chain, "history")
        announced = _scan(chain, endpoints)
    except DatabaseUnavailable as error:
        log.warning("database away", extra={"chain": chain, "error": str(error)})
        return
    _tell_health(chain, endpoints)
    for kind in ("token", "pool") if announced else ():
        kick(kind, chain, Lane.HISTORY)


def _scan(chain: str, endpoints: Endpoints) -> bool:
    """Read for a while and wake the next worker; returns whether pools were found. Raises DatabaseUnavailable."""
    floor = wiring.floor(chain)
    started = time.monotonic()
    announced = False
    while time.monotonic() - started < TASK_S:
        node = endpoints.choose()
        if node is None:
            log.warning("no endpoint for history", extra={"chain": chain, "why": endpoints.why()})
            return announced
        asked_at = time.monotonic()
        try:
            pools = _read_past(chain, node, floor)
        except DatabaseUnavailable:
            raise
        except (Retryable, RangeRefused) as error:
            endpoints.failed(node, error)
            log.warning("node failed", extra={"chain": chain, "endpoint": node.name, "error": str(error)})
            announced = True  # perhaps: what was read before it failed is kept
            continue
        if pools is None:
            return announced
        announced = announced or pools > 0
        endpoints.succeeded(node, time.monotonic() - asked_at)
    kick("scan", chain, Lane.HISTORY)
    return announced


def _read_past(chain: str, node: Node, floor: int | None) -> int | None:
    """Read some spans that are missing; returns how many pools were new, None where none is left.

    Where there were some there may be more, so another worker is woken before.
    """
    done = history.scan(
        wiring.db(),
        node,
        wiring.chain(chain),
        wiring.ranges(chain, node.name),
        wiring.clock,
        lease_s=wiring.settings().lease_s,
        floor=floor,
        claimed=lambda: keep_waiting("scan", chain, Lane.HISTORY),
        monotonic=time.monotonic,
    )
    return None if isinstance(done, history.NothingMissing) else done.pools


@app.task(name="history.stamp")  # type: ignore[untyped-decorator]  # celery has no types
def stamp_blocks(chain: str) -> None:
    """Estimated times of one chain's pools made exact for about two seconds, while history misses nothing."""
    try:
        endpoints = wiring.endpoints(chain, "history")
        left = chain not in wiring.chains_with_holes() and _stamp(chain, endpoints)
    except DatabaseUnavailable as error:
        log.warning("database away", extra={"chain": chain, "error": str(error)})
        return
    _tell_health(chain, endpoints)
    if left:
        kick("stamp", chain, Lane.HISTORY)


def _stamp(chain: str, endpoints: Endpoints) -> bool:
    """Stamp for a while; False: nothing is left that could be stamped now. Raises DatabaseUnavailable."""
    started = time.monotonic()
    while time.monotonic() - started < TASK_S:
        node = endpoints.choose()
        if node is None:
            return False
        asked_at = time.monotonic()
        try:
            done = stamp.stamp(wiring.db(), node, wiring.chain(chain))
        except DatabaseUnavailable:
            raise
        except Retryable as error:
            endpoints.failed(node, error)
            log.warning("node failed", extra={"chain": chain, "endpoint": node.name, "error": str(error)})
            continue
        if done.pools == 0:
            return False
        endpoints.succeeded(node, time.monotonic() - asked_at)
    return True


@app.task(name="history.audit")  # type: ignore[untyped-decorator]  # celery has no types
def audit_blocks(chain: str) -> None:
    """What is scanned of one chain read again through another endpoint, newest first, for about two seconds.

    While history itself misses blocks, only a tick wakes the next audit: it takes a part of one worker, not all.
    """
    try:
        endpoints = wiring.endpoints(chain, "history")
        left = _audit(chain, endpoints)
    except DatabaseUnavailable as error:
        log.warning("database away", extra={"chain": chain, "error": str(error)})
        return
    _tell_health(chain, endpoints)
    if left and chain not in wiring.chains_with_holes():
        kick("audit", chain, Lane.HISTORY)


def _audit(chain: str, endpoints: Endpoints) -> bool:
    """Audit for a while; False: nothing is left that could be audited now."""
    started = time.monotonic()
    while time.monotonic() - started < TASK_S:
        asked_at = time.monotonic()
        nodes = endpoints.ready()
        try:
            done = audit.audit(
                wiring.db(),
                nodes,
                wiring.chain(chain),
                lambda name: wiring.ranges(chain, name),
                wiring.clock,
                lease_s=wiring.settings().lease_s,
                floor=wiring.floor(chain),
                witnesses=wiring.witnesses(endpoints),
            )
        except Moved as error:
            log.info("audit begins again", extra={"chain": chain, "error": str(error)})
            continue
        if isinstance(done, audit.NothingToAudit):
            return False
        if isinstance(done, audit.Unread):
            endpoints.failed(done.node, done.error)
            extra = {"chain": chain, "endpoint": done.node.name, "error": str(done.error)}
            log.warning("node failed", extra=extra)
            continue
        _after_audit(chain, done)
        for node, failure in done.failed:
            endpoints.failed(node, failure)
        for node in nodes:
            if node.name in done.endpoints:
                endpoints.succeeded(node, (time.monotonic() - asked_at) / len(done.endpoints))
    return True


def _after_audit(chain: str, done: audit.Audited) -> None:
    """Say what was found, and wake who asks tokens and pools that it brought."""
    for (endpoint, what), times_ in done.blamed.items():
        log.warning("endpoint told otherwise", extra={"chain": chain, "endpoint": endpoint, "what": what, "n": times_})
    if done.settled is not None:
        for kind in ("token", "pool"):
            kick(kind, chain, Lane.HISTORY)


def _tell_health(chain: str, endpoints: Endpoints) -> None:
    """Add what this process saw of the endpoints to their counts. What cannot be told is forgotten: it is no state."""
    counts = endpoints.counted(TELL_EVERY_S)
    if not counts:
        return
    try:
        with store.begin(wiring.db()) as tx:
            health.add(tx, wiring.chain(chain).id, counts, wiring.clock(tx))
    except DatabaseUnavailable as error:
        log.warning("database away", extra={"chain": chain, "error": str(error)})


@app.task(name="maint.tick")  # type: ignore[untyped-decorator]  # celery has no types
def tick() -> None:
    """Point workers at what is due, whatever became of earlier wake-ups. Two beats do no harm."""
    try:
        swept = sweep.sweep(wiring.db(), wiring.clock)
    except DatabaseUnavailable as error:
        log.warning("database away", extra={"error": str(error)})
        return
    for due in swept.due:
        if due.kind in KICKS:
            _point_at(due)
    for name in wiring.chains_with_holes():
        for _ in range(HISTORY_WAITING - waiting(name, Lane.HISTORY)):
            kick("scan", name, Lane.HISTORY)
    for name in wiring.chains_to_audit():
        kick("audit", name, Lane.HISTORY)
    for name in _chains_to_stamp():
        if not waiting(name, Lane.HISTORY):
            kick("stamp", name, Lane.HISTORY)
    _kick_venues()


def _point_at(due: sweep.Due) -> None:
    """Wake somebody for it, unless a message waits.

    One that still waits in the live lane is heard by nobody there, or all are busy: then history's processes, which
    take live work first, help.
    """
    if not waiting(due.scope, due.lane):
        kick(due.kind, due.scope, due.lane)
    elif due.lane is Lane.LIVE and waiting(due.scope, Lane.HISTORY) < 2 * HISTORY_WAITING:
        kick(due.kind, due.scope, Lane.HISTORY)


def _chains_to_stamp() -> list[str]:
    """The followed chains whose pools have estimated times, where history is read at all."""
    if wiring.settings().history == "none":
        return []
    with store.begin(wiring.db()) as tx:
        found = times.chains_with_estimates(tx)
    return [name for name in found if name in wiring.chain_names()]


def _kick_venues() -> None:
    """Scopes that are due; those of a venue whose queue holds wake-ups already are on their way."""
    due = wiring.due_venues()
    free = {venue for venue in {venue for venue, _ in due} if not venue_waits(venue)}
    for venue, scope in due:
        if venue in free:
            kick_venue(venue, scope)
