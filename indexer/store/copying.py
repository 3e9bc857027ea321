"""COPY inside a transaction of ours: the quickest way for many rows into one table."""

from collections.abc import Iterable, Sequence
from typing import Any

import psycopg

from indexer.errors import DatabaseUnavailable
from indexer.store import Tx


def copy(tx: Tx, table: str, columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[Any]]) -> None:
    """Rows into `table`; `columns` are names and Postgres's types, in the order of a row's values."""
    names = ", ".join(name for name, _ in columns)
    driver: Any = tx.connection.driver_connection
    try:
        with driver.cursor() as cursor, cursor.copy(f"copy {table} ({names}) from stdin (format binary)") as copying:
            copying.set_types([kind for _, kind in columns])
            for row in rows:
                copying.write_row(row)
    except psycopg.OperationalError as error:  # the driver's own, which SQLAlchemy does not see
        raise DatabaseUnavailable(str(error).strip().split("\n")[0]) from error
