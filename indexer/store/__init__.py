"""How it is remembered: Postgres, and the public views. The only room that speaks SQL."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection as Tx
from sqlalchemy import Engine as Db
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from indexer.errors import DatabaseUnavailable
from indexer.store import arrays
from indexer.store.patience import SLACK_S, limit

__all__ = ["Db", "Tx", "begin", "connect"]

CONNECT_S = 5
STATEMENT_S = 30
LOCK_S = 5
IDLE_IN_TRANSACTION_S = 30
SILENT_PEER_S = 10


def connect(url: str, *, name: str, statement_s: float = STATEMENT_S, pool_size: int = 2) -> Db:
    """An engine for one process. Nothing is opened before the first use, so it may be made before a fork.

    `url` is a libpq URL (postgresql://...). Sessions are in UTC with timeouts, so that a dead peer or a
    forgotten lock ends as DatabaseUnavailable instead of as silence.
    """
    options = {
        "statement_timeout": f"{int(statement_s * 1000)}",
        "lock_timeout": f"{LOCK_S * 1000}",
        "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_S * 1000}",
        "timezone": "UTC",
    }
    db = create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        pool_size=pool_size,
        max_overflow=0,
        pool_pre_ping=True,
        pool_recycle=1800,
        connect_args={
            "application_name": name[:63],
            "connect_timeout": CONNECT_S,
            "keepalives_idle": SILENT_PEER_S,
            "keepalives_interval": 5,
            "keepalives_count": 2,
            "tcp_user_timeout": SILENT_PEER_S * 1000,
            "options": " ".join(f"-c {key}={value}" for key, value in options.items()),
        },
    )
    limit(db, statement_s + SLACK_S)
    arrays.install(db)
    return db


@contextmanager
def begin(db: Db) -> Iterator[Tx]:
    """One transaction: committed at the end, rolled back by any error.

    Raises DatabaseUnavailable when Postgres is away, a timeout struck or a deadlock was broken: nothing was kept,
    or, if it went away during the commit, reading again tells.
    """
    try:
        with db.begin() as tx:
            yield tx
    except OperationalError as error:
        raise DatabaseUnavailable(_reason(error)) from error
    except PoolTimeout as error:
        raise DatabaseUnavailable("every connection of this process is in use") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise DatabaseUnavailable(_reason(error)) from error
        raise


def _reason(error: DBAPIError) -> str:
    """The driver's own words, without the statement and its parameters."""
    return str(error.orig).strip().split("\n")[0]
