"""How many requests a second an endpoint may be sent, all processes together.

A token bucket in Redis: one token is one JSON-RPC request, refilled by the server's own clock. Lanes may draw it
down to different depths: history only above half, resolve above a fifth, live always, if need be into debt that
the others then wait for. Without Redis each process keeps to its share of the rate.
"""

import time
from collections.abc import Callable
from typing import Literal

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from indexer.errors import RateLimited
from indexer.wire.transport import Transport

Lane = Literal["live", "resolve", "history"]

KEEPS: dict[Lane, float] = {"live": -1.0, "resolve": 0.2, "history": 0.5}
"""The part of a full bucket that a lane has to leave. Live may go into debt, at most one bucket."""
LONGEST_WAIT_S = 2.0
MOST_DRAWS = 20
SHORTEST_WAIT_S = 0.01
REDIS_S = 0.5
REDIS_AWAY_S = 10.0
IDLE_S = 3600
KEY = "gazetteer:budget:"

_DRAW = """
local rate, burst, cost, keep = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local kept = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens, at = tonumber(kept[1]) or burst, tonumber(kept[2]) or now
tokens = math.min(burst, tokens + math.max(now - at, 0) * rate)
local missing = math.min(keep * burst + cost, burst) - tokens
if keep < 0 or missing <= 0 then
  tokens = math.max(tokens - cost, -burst)
  missing = 0
end
redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', tokens), 'at', string.format('%.6f', now))
redis.call('EXPIRE', KEYS[1], ARGV[5])
return string.format('%.6f', missing / rate)
"""
_EMPTY = """
redis.call('HSET', KEYS[1], 'tokens', '0', 'at', redis.call('TIME')[1])
redis.call('EXPIRE', KEYS[1], ARGV[1])
"""


class Bucket:
    """The same bucket in one process."""

    def __init__(self, per_s: float, burst: float, clock: Callable[[], float]) -> None:
        self._per_s, self._burst, self._clock = per_s, burst, clock
        self._tokens, self._at = burst, clock()

    def draw(self, cost: float, keep: float) -> float:
        """0 if `cost` tokens were drawn, else seconds until they may be there."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + max(now - self._at, 0.0) * self._per_s)
        self._at = now
        missing = min(keep * self._burst + cost, self._burst) - self._tokens
        if keep < 0 or missing <= 0:
            self._tokens = max(self._tokens - cost, -self._burst)
            return 0.0
        return missing / self._per_s

    def empty(self) -> None:
        """Take out what is left."""
        self._tokens = min(self._tokens, 0.0)


class Budget:
    """One endpoint's requests. `name` says whose quota it is, and never holds a key.

    `per_s` requests a second and `burst` at once, both at least 1 in use; `share` is the part of them that this
    process takes while Redis does not answer (1 / number of processes).
    """

    def __init__(
        self,
        name: str,
        *,
        per_s: float,
        burst: float,
        redis: Redis | None = None,
        share: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_s, self._burst = per_s, max(burst, 1.0)
        self._key = KEY + name
        self._clock = clock
        self._redis = redis
        self._draw = redis.register_script(_DRAW) if redis is not None else None
        self._empty = redis.register_script(_EMPTY) if redis is not None else None
        self._away_until = float("-inf")
        self._own = Bucket(per_s * share, max(burst * share, 1.0), clock)

    def draw(self, lane: Lane, cost: int = 1) -> float:
        """0 if `cost` requests may be sent now, else seconds after which to ask again. Never raises."""
        if self._draw is not None and self._clock() >= self._away_until:
            arguments = (self._per_s, self._burst, cost, KEEPS[lane], IDLE_S)
            try:
                return float(self._draw(keys=[self._key], args=arguments))
            except (RedisError, OSError, ValueError):
                self._away_until = self._clock() + REDIS_AWAY_S
        return self._own.draw(cost, KEEPS[lane])

    def empty(self) -> None:
        """The endpoint said that it was too much: nothing is left for anybody but the live lane. Never raises."""
        self._own.empty()
        if self._empty is not None and self._clock() >= self._away_until:
            try:
                self._empty(keys=[self._key], args=(IDLE_S,))
            except (RedisError, OSError):
                self._away_until = self._clock() + REDIS_AWAY_S


def connect(url: str) -> Redis:
    """A client that gives up soon: a budget that cannot be asked is replaced, not waited for."""
    return Redis.from_url(url, socket_timeout=REDIS_S, socket_connect_timeout=REDIS_S, retry=Retry(NoBackoff(), 1))


def budgeted(
    transport: Transport,
    budget: Budget,
    lane: Lane,
    *,
    longest_wait_s: float = LONGEST_WAIT_S,
    sleep: Callable[[float], None] = time.sleep,
) -> Transport:
    """`transport`, after drawing one token for each request of the body. Raises RateLimited instead of a long wait."""

    def send(body: bytes, timeout_s: float) -> bytes:
        take(budget, lane, max(body.count(b'"method":'), 1), longest_wait_s, sleep)
        try:
            return transport(body, timeout_s)
        except RateLimited:
            budget.empty()
            raise

    return send


def take(
    budget: Budget,
    lane: Lane,
    cost: int,
    longest_wait_s: float,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Draw `cost` tokens, waiting for them if need be. Raises RateLimited instead of a longer wait."""
    waited_s = 0.0
    for _ in range(MOST_DRAWS):
        wait_s = budget.draw(lane, cost)
        if wait_s <= 0:
            return
        wait_s = max(wait_s, SHORTEST_WAIT_S)
        if waited_s + wait_s > longest_wait_s:
            break
        sleep(wait_s)
        waited_s += wait_s
    raise RateLimited(f"our own budget for the {lane} lane is spent", retry_after_s=wait_s)
