"""The schema moves forward once, whoever calls; what stands on it is never lost in silence."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from indexer import store
from indexer.errors import DatabaseUnavailable, Refused, SchemaBehind
from indexer.store import migrate


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


def test_no_server_is_an_error_of_ours():
    with pytest.raises(DatabaseUnavailable):
        migrate.upgrade("postgresql://nobody@127.0.0.1:1/nowhere")
