"""How the schema moves forward: alembic's steps, then the public views. There is no way back.

The steps lie in `migrations/` beside this package, in a checkout and in an installed wheel alike; they are found
through this package's own place, so that a `migrations/` in the working directory is never taken for them. A step's
file is named after its revision (`0001_...py`), so that a process that only checks need not import alembic.
"""

import logging
import time
from pathlib import Path
from typing import Any

from psycopg.errors import DeadlockDetected, DependentObjectsStillExist, LockNotAvailable
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

import indexer
from indexer.errors import DatabaseUnavailable, Refused, SchemaBehind
from indexer.store import Db, Tx, begin, connect, events, public
from indexer.store.schema import SCHEMA, metadata

COMMAND = "gazetteer migrate"
LOCK_KEY = 0x67617A6574746572  # one migration at a time in one database
TURN_S = 300  # how long to wait while another process migrates
STEP_S = 600  # one statement of a step
LOCK_S = 3  # how long a step may wait for a table, and hold up those behind it
LOCK_TRIES = 20
PAUSE_S = 0.5

_PLACE = Path(indexer.__file__).parents[1] / "migrations"
_LOG = logging.getLogger(__name__)


def _ours(name: str | None, kind: str, _parents: object) -> bool:
    return kind != "schema" or name == SCHEMA


OPTIONS: dict[str, Any] = {
    "target_metadata": metadata,
    "include_schemas": True,
    "include_name": _ours,
    "version_table_schema": SCHEMA,
    "compare_type": True,
    "compare_server_default": True,
}

_TURN = text(f"""
    select set_config('lock_timeout', '{TURN_S}s', true), pg_advisory_xact_lock({LOCK_KEY}),
           set_config('lock_timeout', '{LOCK_S}s', true)
""")
_VERSIONED = text(f"select to_regclass('{SCHEMA}.alembic_version') is not null")
_REVISION = text(f"select version_num from {SCHEMA}.alembic_version")


def upgrade(url: str) -> None:
    """Bring the database to this version and re-create the public views where they changed: all of it or nothing.

    Any number of processes may call this at once: one works, the others wait and find nothing to do. Raises
    DatabaseUnavailable when Postgres is away or a table stayed locked, SchemaBehind when a newer version of this
    program has migrated the database already, Refused when somebody else's views stand on the public ones.
    """
    db = connect(url, name="gazetteer migrate", statement_s=STEP_S, pool_size=1)
    try:
        for tries_left in reversed(range(LOCK_TRIES)):
            try:
                return _upgrade(db)
            except DatabaseUnavailable as error:
                if tries_left == 0 or not _stood_in_a_queue(error):
                    raise
            except DBAPIError as error:
                if not isinstance(error.orig, DependentObjectsStillExist):
                    raise
                raise Refused(_stands_on(error.orig)) from error
            _LOG.warning("migration: a table is in use, trying again")
            time.sleep(PAUSE_S)
    finally:
        db.dispose()


def latest() -> str:
    """The revision that this version of the program needs."""
    known = _known()
    if not known:
        message = f"no migrations in {_PLACE}"
        raise FileNotFoundError(message)
    return max(known)


def check(db: Db) -> None:
    """Raise SchemaBehind unless the database is at this version's revision."""
    with begin(db) as tx:
        found = _revision(tx)
    if found == latest():
        return
    if found is not None and found not in _known():
        raise SchemaBehind(_newer(found))
    message = f"the database is at revision {found or 'none'}, this version needs {latest()}: run `{COMMAND}`"
    raise SchemaBehind(message)


def drift(url: str) -> list[Any]:
    """What differs between the migrated database and `schema.metadata`, in alembic's terms; empty when nothing."""
    from alembic.autogenerate import compare_metadata  # noqa: PLC0415 - only those who migrate or compare wait for it
    from alembic.migration import MigrationContext  # noqa: PLC0415

    db = connect(url, name="gazetteer drift", pool_size=1)
    try:
        with begin(db) as tx:
            # a user named like the schema has it in its search path and would see tables without a schema
            tx.exec_driver_sql("set local search_path = pg_catalog")
            tx.dialect.default_schema_name = "pg_catalog"
            found: list[Any] = compare_metadata(MigrationContext.configure(tx, opts=OPTIONS), metadata)
            return found
    finally:
        db.dispose()


def _upgrade(db: Db) -> None:
    with begin(db) as tx:
        tx.execute(_TURN)
        tx.execute(text(f"create schema if not exists {SCHEMA}"))
        found = _revision(tx)
        if found is not None and found not in _known():
            raise SchemaBehind(_newer(found))
        if found != latest():
            from alembic import command  # noqa: PLC0415
            from alembic.config import Config  # noqa: PLC0415

            if found is not None:
                public.clear(tx)
            config = Config(attributes={"connection": tx})
            config.set_main_option("script_location", str(_PLACE).replace("%", "%%"))
            command.upgrade(config, "head")
        public.apply(tx)
        events.rebase(tx)


def _revision(tx: Tx) -> str | None:
    if not tx.execute(_VERSIONED).scalar_one():
        return None
    found: str | None = tx.execute(_REVISION).scalar_one_or_none()
    return found


def _known() -> frozenset[str]:
    return frozenset(path.stem.partition("_")[0] for path in (_PLACE / "versions").glob("[0-9]*.py"))


def _newer(found: str) -> str:
    return (
        f"the database was migrated by a newer version of gazetteer (to {found}, this one knows {latest()}): "
        "install that version"
    )


def _stands_on(error: DependentObjectsStillExist) -> str:
    return (
        "the public views have to be created anew, but objects of others stand on them "
        f"({error.diag.message_detail}): drop those, run `{COMMAND}`, and create them again"
    )


def _stood_in_a_queue(error: DatabaseUnavailable) -> bool:
    cause = getattr(error.__cause__, "orig", None)
    return isinstance(cause, LockNotAvailable | DeadlockDetected)
