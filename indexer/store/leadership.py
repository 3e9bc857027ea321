"""One active follower a chain. It only saves work: what keeps two of them right is the compare-and-swap."""

from types import TracebackType
from typing import Self

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from indexer.model import ChainId
from indexer.store import Db

_LOCK_SPACE = 0x6761  # the first key of our advisory locks for followers
_TRY = text("select pg_try_advisory_lock(:space, :chain)")


class Leadership:
    """An advisory lock on a connection that does nothing else. Lost with the connection, taken again when free."""

    def __init__(self, db: Db, chain_id: ChainId) -> None:
        self._db = db
        self._chain = chain_id % 2**31
        self._connection: Connection | None = None

    def held(self) -> bool:
        """Whether this process leads; tries to become the leader if it does not. False while Postgres is away."""
        try:
            if self._connection is not None:
                self._connection.execute(text("select 1"))
                return True
            connection = self._db.connect().execution_options(isolation_level="AUTOCOMMIT")
            if connection.execute(_TRY, {"space": _LOCK_SPACE, "chain": self._chain}).scalar_one():
                self._connection = connection
                return True
            connection.close()
        except DBAPIError:
            self._forget()
        return False

    def _forget(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Give the lock back by closing its connection."""
        self._forget()
