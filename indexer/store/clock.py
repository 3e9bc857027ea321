"""Whose time decides leases and schedules: the database's, one for all processes."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import text

from indexer.store import Tx

Clock = Callable[[Tx], datetime]
"""Production reads the database; the simulation brings its own."""


def database_time(tx: Tx) -> datetime:
    """The wall clock of the database server, with its time zone."""
    moment: datetime = tx.execute(text("select clock_timestamp()")).scalar_one()
    return moment
