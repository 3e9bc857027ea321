"""How many blocks to ask for at once: learned from what one endpoint refuses and from how much it answers.

Two things are learned apart. The cap is a property of the endpoint, whatever the filter: it holds until many full
answers in a row make it worth trying more. The span follows density: halved (or as suggested) where too much was
asked, grown after answers that were easily given, aiming at about 2,000 logs each.
"""

from indexer.errors import RangeRefused, TooManyBlocks, TooManyLogs

FIRST_SPAN = 1_000
LARGEST_SPAN = 100_000
TARGET_LOGS = 2_000
MOST_TOGETHER = 8
"""Spans of one claim. More would hardly save anything, and near the end others would have nothing to do meanwhile."""
ANSWERS_BEFORE_PROBE = 500
"""Plans and upstreams change: after so many full answers the cap is tried a little higher."""


class Ranges:
    """The span for one chain at one endpoint. Spans are in blocks, ranges inclusive at both ends."""

    def __init__(self, *, first_span: int = FIRST_SPAN, largest_span: int = LARGEST_SPAN) -> None:
        self._largest = max(largest_span, 1)
        self._span = min(max(first_span, 1), self._largest)
        self._cap: int | None = None
        self._eager = True
        self._full_answers = 0
        self._logs_a_block = 0.0

    @property
    def cap(self) -> int | None:
        """The most blocks this endpoint was found to serve at once, None while it never refused a range."""
        return self._cap

    def span(self) -> int:
        """How many blocks to ask for next, at least 1."""
        return self._span

    def together(self) -> int:
        """How many spans to claim at once, at least 1: as many as bring about 2,000 logs, judging by the last answer.

        While the span doubles from answer to answer it is one: what the next one is like nobody knows.
        """
        if self._eager and self._span < self._largest:
            return 1
        logs = self._logs_a_block * self._span
        return MOST_TOGETHER if logs * MOST_TOGETHER <= TARGET_LOGS else max(int(TARGET_LOGS / logs), 1)

    def refused(self, refusal: RangeRefused, first: int, last: int) -> int:
        """Learn from a refusal of first..last.

        Returns the first block of the smaller range that ends at the same `last`; `last` itself at the smallest.
        A range of one block cannot shrink: the caller has to give up on it.
        """
        asked = max(last - first + 1, 1)
        smaller = max(asked // 2, 1)
        if isinstance(refusal, TooManyBlocks):
            told = refusal.cap
            self._cap = told if told is not None and 0 < told < asked else smaller
            self._span = min(self._cap, self._largest)
        else:
            told = refusal.last - first + 1 if isinstance(refusal, TooManyLogs) and refusal.last is not None else None
            self._span = told if told is not None and 0 < told < asked else smaller
        self._eager = False
        self._full_answers = 0
        return last - self._span + 1

    def served(self, first: int, last: int, logs: int) -> None:
        """Learn from an answer with `logs` logs. Only one to a full span says anything about a larger one."""
        size = last - first + 1
        self._logs_a_block = logs / size
        if logs > TARGET_LOGS:
            self._span = min(self._span, max(size * TARGET_LOGS // logs, 1))
            return
        if size < self._span:
            return
        self._full_answers += 1
        if self._cap is not None and self._full_answers >= ANSWERS_BEFORE_PROBE:
            self._cap += max(self._cap // 4, 1)
            self._full_answers = 0
        grown = size * 2 if self._eager else size + max(size // 16, 1)
        if logs > 0:
            grown = min(grown, max(size * TARGET_LOGS // logs, 1))
        self._span = min(grown, self._largest, self._cap or self._largest)
