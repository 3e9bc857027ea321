"""What is needed from outside that a test cannot run for real."""

from collections.abc import Sequence
from typing import Protocol

from indexer.model import Answer, BlockRef, Header, Heads, LogFilter, Question, Window


class Node(Protocol):
    """One endpoint of one chain. Every read of one step goes to the same one.

    Every method raises NodeUnavailable, RateLimited, MissingData or BadAnswer; `window` also RangeRefused.
    """

    @property
    def name(self) -> str:
        """Its public name, never its URL."""
        ...

    def heads(self) -> Heads:
        """Latest, safe and finalized, in one batch."""
        ...

    def headers(self, numbers: Sequence[int]) -> Sequence[Header | None]:
        """The canonical headers of these numbers, in this order; None where the endpoint has none (yet)."""
        ...

    def window(self, first: int, last: int, wanted: LogFilter) -> Window:
        """Logs of first..last with the headers around them, in one batch."""
        ...

    def ask(self, questions: Sequence[Question], pin: BlockRef) -> Sequence[Answer]:
        """Answers at block `pin`, in the order of the questions. MissingData if `pin` is not (or no longer) there."""
        ...


class Meter(Protocol):
    """Counts what happened, by name and label."""

    def count(self, name: str, amount: int = 1, **labels: str) -> None:
        """Add to a counter."""
        ...
