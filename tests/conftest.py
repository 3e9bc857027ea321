"""Real servers for the tests: PostgreSQL and Valkey as embedded ones, each once a session."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest

from indexer import store
from indexer.store import Db, migrate
from workers.app import app
from workers.local.postgres import Postgres
from workers.local.valkey import Valkey

os.environ["GAZETTEER_VENUES"] = "none"  # no test asks a real exchange: whoever lists venues says where they are
SHARED = Path(__file__).parents[2] / "shared"
TEMPLATE = "gazetteer_template"
SCATTERED = ("test_simulation", "test_planted")
_numbers = count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where tests run in several processes, a file's tests stay together, but for those that are many and alike."""
    for item in items:
        if item.path.stem not in SCATTERED:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the checkout."""
    if not (SHARED / "data").is_dir():
        pytest.skip("no folder of real data beside the checkout")
    return SHARED


@pytest.fixture(scope="session")
def server_root() -> Iterator[Path]:
    """A directory that an unprivileged server may reach, short enough for Unix sockets."""
    root = Path(tempfile.mkdtemp(prefix="gz-"))
    root.chmod(0o711)
    yield root
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server(server_root: Path) -> Iterator[Postgres]:
    """One PostgreSQL for the session, without durability: nobody crashes it."""
    server = Postgres(server_root / "pg", durable=False)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def _template(postgres_server: Postgres) -> str:
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as connection:
        connection.execute(f"create database {TEMPLATE}")
    migrate.upgrade(postgres_server.url(TEMPLATE))
    return TEMPLATE


@pytest.fixture
def empty_postgres_url(postgres_server: Postgres) -> Iterator[str]:
    """A database with nothing in it."""
    yield from _database(postgres_server, "template1")


@pytest.fixture
def postgres_url(postgres_server: Postgres, _template: str) -> Iterator[str]:
    """A migrated database of the test's own."""
    yield from _database(postgres_server, _template)


@pytest.fixture
def db(postgres_url: str) -> Iterator[Db]:
    """An engine on a migrated database of the test's own."""
    engine = store.connect(postgres_url, name="test", pool_size=8)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def valkey_server(server_root: Path) -> Iterator[Valkey]:
    """One broker for the session."""
    server = Valkey(server_root / "vk")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def valkey_url(valkey_server: Valkey) -> str:
    """The session's broker. Tests use keys of their own."""
    return valkey_server.url


def _database(server: Postgres, template: str) -> Iterator[str]:
    name = f"t{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(f"create database {name} template {template}")
    yield server.url(name)
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)")


@pytest.fixture
def fresh_app(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Celery application without connections to the broker of another test of this process."""
    monkeypatch.setattr(app, "_pool", None)
    monkeypatch.setattr(app.amqp, "_producer_pool", None)
