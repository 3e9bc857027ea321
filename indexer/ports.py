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


class Session(Protocol):
    """What one run of one venue is asked through. A venue's file does its own I/O, but decides none of these."""

    @property
    def venue(self) -> str:
        """The venue's name in `known/venues.toml`."""
        ...

    @property
    def timeout_s(self) -> float:
        """How long one request may take, connecting included."""
        ...

    def url(self, name: str, usual: str) -> str:
        """Where to ask: `usual`, or what the operator put in its place. `name` tells several apart (rest, options)."""
        ...

    def secret(self, name: str) -> str:
        """A credential by its variable's name. Raises Disabled where the operator gave none."""
        ...

    def draw(self, cost: int = 1) -> None:
        """Before every request: wait until the venue's budget, one for all processes, allows it.

        Raises RateLimited where that would take long, VenueUnavailable when the time of the run is over.
        """
        ...

    def token(self) -> bytes | None:
        """The login that was last kept for this venue; None: never."""
        ...

    def keep_token(self, new: bytes, instead_of: bytes | None) -> bool:
        """Keep a renewed login if the kept one is still `instead_of`. False: somebody else renewed it meanwhile."""
        ...

    def progress(self, done: int, total: int | None) -> None:
        """How many requests or pages of the run are done, and of how many where that is known."""
        ...
