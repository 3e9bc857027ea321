"""Wake-ups for workers. Sending one may fail and the message may be lost: the next tick sends another."""

import logging

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from indexer.model import Lane
from workers import wiring
from workers.app import app, hard_limit_s, queue_of, venue_queue, venue_task

log = logging.getLogger("gazetteer.kicks")

EXPIRES_S = 60
MOST_WAITING = 100
"""So many messages wait only where nobody serves the queue: further ones would only pile up."""
KICKS = {
    "token": "resolve.tokens",
    "pool": "resolve.pools",
    "scan": "history.scan",
    "audit": "history.audit",
    "stamp": "history.stamp",
}
OF_HISTORY = ("scan", "audit", "stamp")


def kick(kind: str, chain: str, lane: Lane = Lane.LIVE) -> bool:
    """Wake one worker for this kind of work of one chain. False: it could not be sent, and nothing is lost."""
    words = (chain,) if kind in OF_HISTORY else (chain, int(lane))
    return _send(KICKS[kind], words, queue_of(chain, lane))


def kick_venue(venue: str, scope: str) -> bool:
    """Wake one worker for a scope of a venue, unless the venue's queue is full. False: it could not be sent."""
    row = wiring.venue(venue)
    return _send(venue_task(row), (venue, scope), venue_queue(row), time_limit=hard_limit_s(row))


def _send(task: str, words: tuple[object, ...], queue: str, **limits: float) -> bool:
    if _length(queue) >= MOST_WAITING:
        return True
    try:
        app.send_task(task, args=words, queue=queue, expires=EXPIRES_S, ignore_result=True, **limits)
    except (OperationalError, RedisError, OSError) as error:
        log.warning("kick lost", extra={"task": task, "words": words, "error": type(error).__name__})
        return False
    return True


def waiting(chain: str, lane: Lane) -> int:
    """How many messages wait in the queue of a chain and lane, whatever their kind; 0 if the broker does not say."""
    return _length(queue_of(chain, lane))


def venue_waits(venue: str) -> bool:
    """Whether a message waits in the queue of a venue."""
    return _length(venue_queue(wiring.venue(venue))) > 0


def _length(queue: str) -> int:
    try:
        with app.connection_or_acquire() as connection:
            size: int = connection.default_channel.client.llen(queue)
            return size
    except (OperationalError, RedisError, OSError):
        return 0


def keep_waiting(kind: str, chain: str, lane: Lane) -> None:
    """See to it that a message waits, so that whoever is free, or has just been started, takes part at once."""
    if not waiting(chain, lane):
        kick(kind, chain, lane)
