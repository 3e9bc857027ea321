"""One statement of a person: read only, with a time limit, answered in Postgres's own words."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Loader

from indexer.errors import DatabaseUnavailable
from indexer.store import CONNECT_S

BOOLEAN, JSON, JSONB = 16, 114, 3802
INTEGERS = frozenset([20, 21, 23, 26])
NUMBERS = INTEGERS | frozenset([700, 701, 790, 1700])

_Row = tuple[str | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """Postgres refused the statement: its message in one line, with line and column where it names a place."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of an answer. `type_id` is Postgres's own number of its type."""

    name: str
    type_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """Rows as text, as psql shows them; None is NULL. `more`: there are rows beyond those asked for."""

    columns: tuple[Column, ...]
    rows: list[_Row]
    more: bool


class _AsText(Loader):
    def load(self, data: Buffer) -> str:
        return bytes(data).decode("utf-8", "replace")


def ask(url: str, statement: str, *, most_rows: int | None, timeout_s: float) -> Answered | Failed:
    """Run one statement in a read-only session. Raises DatabaseUnavailable."""
    with _reading(url, timeout_s) as connection, connection.cursor() as cursor:
        try:
            return _streamed(cursor, statement, most_rows)
        except psycopg.OperationalError as error:
            if error.sqlstate is None or connection.closed:
                raise DatabaseUnavailable(_said(error)) from error
            return Failed(reason=_placed(error, statement))
        except psycopg.Error as error:
            return Failed(reason=_placed(error, statement))


def _streamed(cursor: psycopg.Cursor[_Row], statement: str, most_rows: int | None) -> Answered:
    """Only as many rows as are wanted come over, and no second statement is let in."""
    rows: list[_Row] = []
    more = False
    for row in cursor.stream(statement.encode()):
        if most_rows is not None and len(rows) == most_rows:
            more = True
            break
        rows.append(row)
    columns = tuple(Column(name=each.name, type_id=each.type_code) for each in cursor.description or ())
    return Answered(columns=columns, rows=rows, more=more)


@contextmanager
def _reading(url: str, timeout_s: float) -> Iterator[psycopg.Connection[_Row]]:
    options = f"-c default_transaction_read_only=on -c statement_timeout={int(timeout_s * 1000)} -c timezone=UTC"
    try:
        connection = psycopg.connect(
            url, autocommit=True, connect_timeout=CONNECT_S, options=options, application_name="gazetteer sql"
        )
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(_said(error)) from error
    for known in connection.adapters.types:
        for type_id in (known.oid, known.array_oid):
            if type_id:
                connection.adapters.register_loader(type_id, _AsText)
    try:
        yield connection
    finally:
        connection.close()


def _placed(error: psycopg.Error, statement: str) -> str:
    """Postgres's message in one line, with line and column where it names a position."""
    told = error.diag.message_primary or _said(error)
    at = error.diag.statement_position
    if at is not None:
        before = statement[: int(at) - 1]
        told += f" (line {before.count(chr(10)) + 1}, column {int(at) - before.rfind(chr(10)) - 1})"
    return f"{told}; {error.diag.message_hint}" if error.diag.message_hint else told


def _said(error: psycopg.Error) -> str:
    return str(error).strip().split("\n")[0]
