"""What may happen between two statements? And what time is it then?"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from sqlalchemy import event

from indexer.store import Db

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
LONGEST_WAIT_S = 60.0


class Killed(BaseException):
    """The process is gone: nothing of it runs any more, not even what handles errors."""


class Time:
    """The simulation's own clock: database time, monotonic time and the endpoints' time in one."""

    def __init__(self) -> None:
        self.s = 0.0

    def monotonic(self) -> float:
        return self.s

    def database(self, _tx: object) -> datetime:
        return EPOCH + timedelta(seconds=self.s)

    def pass_(self, seconds: float) -> None:
        self.s += min(seconds, LONGEST_WAIT_S)


@contextmanager
def struck(db: Db, strike: Callable[[], None], before_commit: Callable[[], None]) -> Iterator[None]:
    """Before every statement and every commit something may end the process or take the database away."""

    def at_statement(*_: object) -> None:
        strike()

    def at_commit(*_: object) -> None:
        before_commit()

    event.listen(db, "before_cursor_execute", at_statement)
    event.listen(db, "commit", at_commit)
    try:
        yield
    finally:
        event.remove(db, "before_cursor_execute", at_statement)
        event.remove(db, "commit", at_commit)
