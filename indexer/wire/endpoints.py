"""Which endpoint of a chain to ask next: the one that answers, and answers fast.

Before its first use an endpoint proves that it serves this chain (chain id and genesis); another chain's is shut
out for good. A failure rests an endpoint, longer each time in a row; a fork below our anchor shuts it out for a
while. The fastest of the others is used, and every now and then the one that waited longest, so that none is
forgotten.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from indexer.errors import (
    AnswerTooLarge,
    BadAnswer,
    ForkBelowAnchor,
    GazetteerError,
    MethodOff,
    MissingData,
    NodeUnavailable,
    RangeRefused,
    RateLimited,
    Suspicious,
    TimedOut,
    WrongChain,
)
from indexer.model import ChainId, Hash32
from indexer.ports import Node

FIRST_REST_S = 1.0
LONGEST_REST_S = 60.0
FIRST_SOFT_REST_S = 0.25
LONGEST_SOFT_REST_S = 5.0
BAD_ANSWER_REST_S = 5.0
LONGEST_RETRY_AFTER_S = 3600.0
FORK_REST_S = 30.0
METHOD_OFF_REST_S = 600.0
LAG_S = 5.0
FORGET_FAILURES_S = 300.0
MOST_FAILURES = 16
OUT_OF_SERVICE = 5
"""An endpoint that failed so often in a row is not counted on."""
EXPLORE_EVERY = 50
HURDLE = 0.8
"""Another endpoint has to need less than this share of the current one's time to be preferred."""
ASKED_NOTHING_S = 0.001
"""Work that took less than this did not ask the endpoint, and says nothing about it."""
WEIGHT = 0.2
"""How much of the average answering time is the newest one."""

ANSWERS, LAGGED = "answers", "lagged"
_CALLED: tuple[tuple[type[GazetteerError], str], ...] = (
    (WrongChain, "wrong_chain"),
    (ForkBelowAnchor, "forked"),
    (RateLimited, "rate_limited"),
    (TimedOut, "timed_out"),
    (NodeUnavailable, "unavailable"),
    (MissingData, "missing_data"),
    (MethodOff, "method_off"),
    (Suspicious, "unasked_logs"),
    (RangeRefused, "refused"),
    (AnswerTooLarge, "refused"),
    (GazetteerError, "bad_answers"),
)
"""What a failure is counted as: the first that fits."""

_SOFT = (MissingData, Suspicious, RangeRefused)


class KnownNode(Node, Protocol):
    """A node that can say which chain it serves."""

    def chain_identity(self) -> tuple[int, Hash32]:
        """Chain id and genesis hash."""
        ...


@dataclass(slots=True)
class _State:
    node: KnownNode
    checked: bool = False
    wrong: str | None = None
    failures: int = 0
    failed_at: float = -math.inf
    resting_until: float = -math.inf
    lagging_until: float = -math.inf
    forked: bool = False
    said: str = ""
    seconds: float | None = None
    used_at: float = -math.inf


class Endpoints:
    """The endpoints of one chain, as one process sees them. Not shared between threads."""

    def __init__(
        self,
        nodes: Sequence[KnownNode],
        chain_id: ChainId,
        genesis: Hash32,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._states = [_State(node) for node in nodes]
        self._identity = (int(chain_id), genesis)
        self._clock = clock
        self._current: _State | None = None
        self._choices = 0
        self._counts: Counter[tuple[str, str]] = Counter()
        self._counted_at = -math.inf

    @property
    def count(self) -> int:
        """How many there are, whatever their state."""
        return len(self._states)

    def choose(self) -> Node | None:
        """The endpoint to ask next, checked to be of this chain; None while none can be asked (see `why`)."""
        self._choices += 1
        for _ in range(len(self._states)):
            state = self._pick()
            if state is None:
                break
            if self._checked(state):
                state.used_at = self._clock()
                self._current = state
                return state.node
        return None

    def ready(self) -> list[Node]:
        """Every endpoint that can be asked now, checked to be of this chain, in the order of preference."""
        now = self._clock()
        awake = [state for state in self._states if state.wrong is None and state.resting_until <= now]
        awake.sort(key=lambda state: (state.lagging_until > now, _expected_s(state)))
        return [state.node for state in awake if self._checked(state)]

    def in_service(self) -> int:
        """How many can be asked now or after a short rest: whoever fails time and again is not waited for."""
        now = self._clock()
        usable = [state for state in self._states if state.wrong is None and not state.forked]
        there = [state for state in usable if state.failures < OUT_OF_SERVICE or _forgiven(state, now)]
        return sum(state.resting_until <= now + LONGEST_REST_S for state in there)

    def counted(self, every_s: float = 0.0) -> dict[tuple[str, str], int]:
        """How often what happened since this told it last, by the endpoint's name and what it was.

        Nothing is told within `every_s` of the last time.
        """
        now = self._clock()
        if now - self._counted_at < every_s:
            return {}
        self._counted_at = now
        counts, self._counts = dict(self._counts), Counter()
        return counts

    def why(self) -> str:
        """What keeps each endpoint from being asked, in one line; what it said last where nothing does."""
        now = self._clock()
        return "; ".join(f"{state.node.name}: {_reason(state, now)}" for state in self._states) or "none is configured"

    def usable(self) -> bool:
        """False once every endpoint is of another chain or forked below our anchor; resting ones may be honest."""
        return any(state.wrong is None and not state.forked for state in self._states)

    def failed(self, node: Node, error: GazetteerError) -> None:
        """`node` answered with `error`, or not at all: it rests, longer after each failure in a row."""
        state = self._state(node)
        now = self._clock()
        self._counts[node.name, next(what for kind, what in _CALLED if isinstance(error, kind))] += 1
        if isinstance(error, WrongChain):
            state.wrong = str(error)
            return
        if _forgiven(state, now):
            state.failures = 0
        state.failures = min(state.failures + 1, MOST_FAILURES)
        state.failed_at = now
        state.forked = state.forked or isinstance(error, ForkBelowAnchor)
        state.said = str(error) or type(error).__name__
        state.resting_until = now + _rest_s(error, state.failures)

    def succeeded(self, node: Node, seconds: float) -> None:
        """`node` did its work in so many seconds."""
        state = self._state(node)
        state.failures = 0
        self._counts[node.name, ANSWERS] += 1
        if seconds < ASKED_NOTHING_S:
            return
        state.forked = False
        state.seconds = seconds if state.seconds is None else (1 - WEIGHT) * state.seconds + WEIGHT * seconds

    def lagging(self, node: Node, number: int) -> None:
        """`node` ends at block `number`, behind what others already showed: for a moment it is the last choice."""
        state = self._state(node)
        state.lagging_until = self._clock() + LAG_S
        self._counts[node.name, LAGGED] += 1
        state.said = f"lags, its head is {number}"

    def _pick(self) -> _State | None:
        now = self._clock()
        awake = [state for state in self._states if state.wrong is None and state.resting_until <= now]
        ready = [state for state in awake if state.lagging_until <= now] or awake
        if not ready:
            return None
        if self._choices % EXPLORE_EVERY == 0:
            return min(ready, key=lambda state: state.used_at)
        best = min(ready, key=_expected_s)
        current = self._current
        if current is not None and current in ready and _expected_s(best) >= HURDLE * _expected_s(current):
            return current
        return best

    def _checked(self, state: _State) -> bool:
        """True for an endpoint of this chain; else it was shut out or put to rest."""
        if state.checked:
            return True
        try:
            told = state.node.chain_identity()
            if told != self._identity:
                raise WrongChain(_other_chain(told, self._identity))
        except GazetteerError as error:
            self.failed(state.node, error)
            return False
        state.checked = True
        return True

    def _state(self, node: Node) -> _State:
        for state in self._states:
            if state.node is node:
                return state
        message = f"{node.name} is not one of these endpoints"
        raise LookupError(message)


def _forgiven(state: _State, now: float) -> bool:
    """Whether its last failure is so long ago that the next one is the first again."""
    return now - max(state.failed_at, state.resting_until) > FORGET_FAILURES_S


def _expected_s(state: _State) -> float:
    """What an answer takes there; an endpoint never used comes first, one that just failed costs more."""
    return (state.seconds or 0.0) * (1 + state.failures)


def _rest_s(error: GazetteerError, failures: int) -> float:
    if isinstance(error, ForkBelowAnchor):
        return FORK_REST_S
    if isinstance(error, MethodOff):
        return METHOD_OFF_REST_S
    if isinstance(error, RateLimited) and error.retry_after_s is not None:
        return min(max(error.retry_after_s, FIRST_REST_S), LONGEST_RETRY_AFTER_S)
    growth = 2.0 ** (failures - 1)
    if isinstance(error, _SOFT):
        return min(FIRST_SOFT_REST_S * growth, LONGEST_SOFT_REST_S)
    first_s = BAD_ANSWER_REST_S if isinstance(error, BadAnswer) else FIRST_REST_S
    return min(first_s * growth, LONGEST_REST_S)


def _reason(state: _State, now: float) -> str:
    if state.wrong is not None:
        return state.wrong
    if state.resting_until > now:
        return f"rests for {state.resting_until - now:.0f} s ({state.said})"
    return state.said or "ready"


def _other_chain(told: tuple[int, Hash32], expected: tuple[int, Hash32]) -> str:
    if told[0] != expected[0]:
        return f"serves chain id {told[0]}, configured for {expected[0]}; correct its URL"
    return f"has genesis 0x{told[1].hex()}, expected 0x{expected[1].hex()}; correct its URL or the chain's row"
