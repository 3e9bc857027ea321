"""A connection that does not wait for ever: what the server's own timeouts cannot end, this side ends.

A statement that never reached the server, or whose answer was swallowed on the way by something that goes on
acknowledging, leaves a client waiting for good; neither keepalives nor tcp_user_timeout notice.
"""

from typing import Any

import psycopg
from psycopg.errors import _WaitTimeout
from sqlalchemy import Engine, event

SLACK_S = 5.0
"""How much longer than the server's own limit this side waits."""


class Patient(psycopg.Connection[Any]):
    """Waits at most `answer_s` for each answer, then closes itself and raises OperationalError."""

    answer_s: float | None = None

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:  # noqa: ANN401 - psycopg's own
        """As psycopg's, with a limit where none is given."""
        try:
            return super().wait(gen, interval, self.answer_s if timeout is None else timeout)
        except _WaitTimeout:
            self.pgconn.finish()
            raise psycopg.OperationalError(f"no answer within {self.answer_s:g} s") from None


def limit(db: Engine, answer_s: float) -> None:
    """Make every connection of this engine a patient one."""

    def open_(_dialect: object, _record: object, words: list[Any], options: dict[str, Any]) -> Patient:
        connection = Patient.connect(*words, **options)
        connection.answer_s = answer_s
        return connection

    event.listen(db, "do_connect", open_)
