"""Wake-ups for workers. Sending one may fail and the message may be lost: the next tick sends another."""

import logging

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from indexer.model import Lane
from workers.app import app, queue_of

log = logging.getLogger("gazetteer.kicks")

EXPIRES_S = 60
KICKS = {"token": "resolve.tokens", "pool": "resolve.pools", "scan": "history.scan"}


def kick(kind: str, chain: str, lane: Lane = Lane.LIVE) -> bool:
    """Wake one worker for this kind of work of one chain. False: it could not be sent, and nothing is lost."""
    try:
        app.send_task(KICKS[kind], args=(chain,), queue=queue_of(chain, lane), expires=EXPIRES_S, ignore_result=True)
    except (OperationalError, RedisError, OSError) as error:
        log.warning("kick lost", extra={"kind": kind, "chain": chain, "error": type(error).__name__})
        return False
    return True


def waiting(kind: str, chain: str, lane: Lane) -> int:
    """How many messages wait in the queue of this work; 0 if the broker does not say."""
    del kind  # one queue serves all kinds of a chain and lane
    try:
        with app.connection_for_read() as connection:
            size: int = connection.default_channel.client.llen(queue_of(chain, lane))
            return size
    except (OperationalError, RedisError, OSError):
        return 0
