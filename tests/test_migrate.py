"""The schema moves forward once, whoever calls; what stands on it is never lost in silence."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import text

from indexer import store
from indexer.errors import DatabaseUnavailable, Refused, SchemaBehind
from indexer.store import events, migrate

pytestmark = pytest.mark.slow


def sql(url, statement):
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else None


def test_a_migrated_database_is_exactly_what_the_tables_declare(postgres_url):
    assert migrate.drift(postgres_url) == []


def test_a_column_that_no_step_made_is_drift(postgres_url):
    sql(postgres_url, "alter table gazetteer.tokens add column colour text")
    sql(postgres_url, "drop index gazetteer.ix_pools_address")
    assert len(migrate.drift(postgres_url)) == 2


def test_every_step_lies_in_a_file_that_is_named_after_its_revision():
    steps = ScriptDirectory("migrations")
    assert {step.revision for step in steps.walk_revisions()} == migrate._known()
    assert steps.get_current_head() == migrate.latest()


def test_an_empty_database_is_behind_and_a_migrated_one_is_not(empty_postgres_url):
    db = store.connect(empty_postgres_url, name="test")
    with pytest.raises(SchemaBehind, match="gazetteer migrate"):
        migrate.check(db)
    migrate.upgrade(empty_postgres_url)
    migrate.check(db)
    db.dispose()


def test_processes_that_migrate_at_once_do_it_once(empty_postgres_url):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(migrate.upgrade, [empty_postgres_url] * 4))
    assert sql(empty_postgres_url, "select version_num from gazetteer.alembic_version") == [(migrate.latest(),)]
    assert migrate.drift(empty_postgres_url) == []


def test_a_database_of_a_newer_version_is_left_alone(postgres_url):
    sql(postgres_url, "update gazetteer.alembic_version set version_num = '9999'")
    with pytest.raises(SchemaBehind, match="newer version"):
        migrate.upgrade(postgres_url)
    db = store.connect(postgres_url, name="test")
    with pytest.raises(SchemaBehind, match="newer version"):
        migrate.check(db)
    db.dispose()


def test_the_second_upgrade_leaves_the_views_as_they_are(postgres_url):
    of_the_view = "select 'api.pools'::regclass::oid"
    before = sql(postgres_url, of_the_view)
    migrate.upgrade(postgres_url)
    assert sql(postgres_url, of_the_view) == before


def test_changed_views_are_created_anew_with_their_readers_rights(postgres_url):
    sql(postgres_url, "update gazetteer.meta set value = 'of another version' where key = 'api.digest'")
    sql(postgres_url, "create view api.of_an_older_version as select * from api.pools")
    migrate.upgrade(postgres_url)
    assert sql(postgres_url, "select to_regclass('api.of_an_older_version')") == [(None,)]
    assert sql(postgres_url, "select has_table_privilege('analyst', 'api.pools', 'select')") == [(True,)]


def test_a_view_that_somebody_built_on_ours_is_named_and_kept(postgres_url):
    sql(postgres_url, "create view public.mine as select pool_id from api.pools")
    sql(postgres_url, "delete from gazetteer.meta where key = 'api.digest'")
    with pytest.raises(Refused, match=r"view mine depends on view api\.pools"):
        migrate.upgrade(postgres_url)
    assert sql(postgres_url, "select * from public.mine") == []


def test_a_table_that_stays_locked_ends_as_an_error_and_changes_nothing(postgres_url, monkeypatch):
    monkeypatch.setattr(migrate, "LOCK_TRIES", 2)
    monkeypatch.setattr(migrate, "PAUSE_S", 0.0)
    sql(postgres_url, "delete from gazetteer.meta where key = 'api.digest'")
    with psycopg.connect(postgres_url) as reader:
        reader.execute("select * from api.pools").fetchall()
        with pytest.raises(DatabaseUnavailable, match="lock timeout"):
            migrate.upgrade(postgres_url)
    migrate.upgrade(postgres_url)
    assert sql(postgres_url, "select count(*) from api.pools") == [(0,)]


@pytest.fixture
def plain_user_url(postgres_server, empty_postgres_url):
    """An empty database that belongs to a user who may not create roles, on a server without the role `analyst`."""
    admin, database = postgres_server.url("postgres"), empty_postgres_url.rsplit("/", 1)[1]
    sql(admin, "create role plain login password 'plain'")
    sql(admin, f"alter database {database} owner to plain")
    sql(admin, "alter role analyst rename to analyst_elsewhere")
    yield postgres_server.url(database, "plain", "plain")
    sql(admin, "alter role analyst_elsewhere rename to analyst")
    sql(empty_postgres_url, "drop owned by plain cascade")
    sql(admin, f"alter database {database} owner to current_user")
    sql(admin, "drop role plain")


@pytest.mark.usefixtures("_template")
def test_without_the_right_to_create_roles_the_analyst_waits_for_somebody_who_has_it(postgres_server, plain_user_url):
    migrate.upgrade(plain_user_url)
    assert sql(plain_user_url, "select count(*) from api.pools") == [(0,)]
    assert migrate.drift(plain_user_url) == []
    sql(postgres_server.url("postgres"), "create role analyst login")
    try:
        migrate.upgrade(plain_user_url)
        assert sql(plain_user_url, "select has_table_privilege('analyst', 'api.pools', 'select')") == [(True,)]
    finally:
        sql(plain_user_url, "drop owned by plain cascade")
        sql(postgres_server.url("postgres"), "drop role analyst")


def test_events_of_a_restored_dump_lie_before_everything_to_come(postgres_url):
    told = "insert into gazetteer.events (tx, kind, subject, at) values (9000000000, 'pool.created', 'a', now()), "
    sql(postgres_url, told + "(9000000000, 'pool.created', 'b', now()), (9000000007, 'pool.created', 'c', now())")
    in_order = "select subject from api.events order by tx, id"
    assert sql(postgres_url, in_order) == []
    migrate.upgrade(postgres_url)
    sql(postgres_url, "insert into gazetteer.events (kind, subject, at) values ('pool.created', 'd', now())")
    assert sql(postgres_url, in_order) == [("0x61",), ("0x62",), ("0x63",), ("0x64",)]
    kept = "select tx from gazetteer.events order by tx, id"
    before = sql(postgres_url, kept)
    migrate.upgrade(postgres_url)
    assert sql(postgres_url, kept) == before


def test_events_written_while_a_migration_runs_stay_where_they_are(db):
    with store.begin(db) as migrating:
        migrating.execute(text("select pg_current_xact_id()"))
        with store.begin(db) as writing:
            writing.execute(text("insert into gazetteer.events (kind, at) values ('pool.created', now())"))
        assert events.rebase(migrating) == 0


def test_no_server_is_an_error_of_ours():
    with pytest.raises(DatabaseUnavailable):
        migrate.upgrade("postgresql://nobody@127.0.0.1:1/nowhere")
