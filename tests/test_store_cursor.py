"""A cursor moves only for whoever knows where it stood; one process leads; a database that goes away is said so."""

import threading
from dataclasses import replace

import psycopg
import pytest
from sqlalchemy import text

from indexer import store
from indexer.errors import DatabaseUnavailable, Moved
from indexer.model import BlockRef
from indexer.store import coverage, cursor, pool_rows
from indexer.store.leadership import Leadership
from indexer.store.pool_rows import Times
from tests.lab import register
from tests.lab.announcing import announce, rows, settle
from tests.lab.register import ANCHOR, EMITTER, ETHEREUM, NOW, block_hash, header


@pytest.fixture
def tx(db):
    """A transaction on a register whose tip and anchor are block 1,000. Rolled back."""
    with db.connect() as connection, connection.begin():
        register.begin(connection)
        yield connection


def ref(number, branch=""):
    return BlockRef(number=number, hash=block_hash(number, branch))


def stands(tx):
    where = cursor.read(tx, ETHEREUM.id)
    return where.tip, where.anchor, cursor.checkpoints(tx, ETHEREUM.id)


def advance(tx, fork, to, branch=""):
    cursor.advance(tx, ETHEREUM.id, ref(fork), header(to, branch), NOW)


# --- the cursor ---


def test_a_chain_starts_once(tx):
    cursor.start(tx, ETHEREUM.id, header(2_000), NOW)
    assert stands(tx) == (ref(ANCHOR), ref(ANCHOR), (ref(ANCHOR),))


def test_a_step_remembers_its_end_and_forgets_what_a_fork_took_back(tx):
    advance(tx, ANCHOR, 1_005)
    advance(tx, 1_005, 1_010)
    assert stands(tx) == (ref(1_010), ref(ANCHOR), (ref(1_010), ref(1_005), ref(ANCHOR)))
    advance(tx, 1_005, 1_008, branch="b")
    assert stands(tx) == (ref(1_008, "b"), ref(ANCHOR), (ref(1_008, "b"), ref(1_005), ref(ANCHOR)))


def test_the_anchor_moves_to_a_checkpoint_and_forgets_what_is_older(tx):
    advance(tx, ANCHOR, 1_005)
    advance(tx, 1_005, 1_010)
    cursor.move_anchor(tx, ETHEREUM.id, ref(1_005))
    assert stands(tx) == (ref(1_010), ref(1_005), (ref(1_010), ref(1_005)))


def test_a_jump_leaves_one_checkpoint(tx):
    advance(tx, ANCHOR, 1_005)
    cursor.jump(tx, ETHEREUM.id, header(5_000), NOW)
    assert stands(tx) == (ref(5_000), ref(5_000), (ref(5_000),))


def test_an_anchor_above_the_tip_is_impossible(db):
    with store.begin(db) as tx:
        register.begin(tx)
    with pytest.raises(Exception, match="ck_cursors_order"), store.begin(db) as tx:
        cursor.move_anchor(tx, ETHEREUM.id, ref(1_001))


@pytest.mark.parametrize(
    "other",
    [
        {"tip": ref(1_001)},
        {"tip": ref(ANCHOR, "b")},
        {"anchor": ref(999)},
        {"anchor": ref(ANCHOR, "b")},
        {"halted": "a fork below the anchor"},
    ],
)
def test_whoever_expects_anything_else_is_told_that_it_moved(tx, other):
    where = cursor.read(tx, ETHEREUM.id)
    cursor.lock(tx, where)
    with pytest.raises(Moved):
        cursor.lock(tx, replace(where, **other))


def test_a_chain_that_was_never_started_has_no_cursor_and_cannot_be_locked(tx):
    where = cursor.read(tx, ETHEREUM.id)
    assert cursor.read(tx, 137) is None
    with pytest.raises(Moved):
        cursor.lock(tx, replace(where, chain_id=137))


def test_of_two_steps_from_the_same_tip_one_is_kept_whole_and_the_other_not_at_all(db):
    with store.begin(db) as tx:
        register.begin(tx)
        where = cursor.read(tx, ETHEREUM.id)
    start, ends = threading.Barrier(2), []

    def step(number):
        start.wait()
        try:
            with store.begin(db) as tx:
                cursor.lock(tx, where)
                settle(tx, 1_001, 1_005, [announce(number, 1_002)], until=1_005)
                coverage.listened(tx, ETHEREUM.id, [EMITTER], 1_001)
                advance(tx, ANCHOR, 1_005)
        except Moved:
            ends.append("moved")
        else:
            ends.append(number)

    threads = [threading.Thread(target=step, args=(number,)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ends, key=str)[1] == "moved"
    with store.begin(db) as tx:
        assert rows(tx, "select pool_key from gazetteer.pools") == [(announce(min(ends, key=str), 1_002).key,)]


def test_a_halt_keeps_its_reason_until_it_is_lifted(tx):
    cursor.halt(tx, ETHEREUM.id, "a fork below the anchor")
    assert cursor.read(tx, ETHEREUM.id).halted == "a fork below the anchor"
    cursor.halt(tx, ETHEREUM.id, None)
    assert cursor.read(tx, ETHEREUM.id).halted is None


def test_safe_and_finalized_never_go_back(tx):
    register.sight(tx, head=1_010, safe=1_005, finalized=1_004)
    register.sight(tx, head=1_008, safe=1_003, finalized=None)
    (seen,) = rows(tx, "select head_number, safe_number, finalized_number from gazetteer.sightings")
    assert tuple(seen) == (1_008, 1_005, 1_004)


# --- leadership ---


def terminate(url, name):
    """End every connection of the process that calls itself `name`."""
    with psycopg.connect(url, autocommit=True) as connection:
        query = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = %s"
        return len(connection.execute(query, [name]).fetchall())


def test_the_second_process_stands_by_and_takes_over_when_the_first_one_dies(postgres_url):
    first, second = store.connect(postgres_url, name="first"), store.connect(postgres_url, name="second")
    try:
        with Leadership(first, ETHEREUM.id) as leader, Leadership(second, ETHEREUM.id) as standby:
            assert leader.held()
            assert not standby.held()
            assert leader.held()
            assert terminate(postgres_url, "first") > 0
            assert eventually(standby.held)
            assert not leader.held()
            assert not leader.held()
        with Leadership(first, ETHEREUM.id) as leader:
            assert eventually(leader.held)
    finally:
        first.dispose()
        second.dispose()


def test_a_leader_whose_connection_was_cut_leads_again_if_nobody_else_does(postgres_url):
    engine = store.connect(postgres_url, name="alone")
    try:
        with Leadership(engine, ETHEREUM.id) as leader:
            assert leader.held()
            terminate(postgres_url, "alone")
            assert eventually(leader.held)
    finally:
        engine.dispose()


def test_each_chain_has_its_own_leader(db):
    with Leadership(db, ETHEREUM.id) as one, Leadership(db, 137) as other:
        assert one.held()
        assert other.held()


def test_nobody_leads_while_the_database_is_away():
    engine = store.connect("postgresql://nobody@127.0.0.1:1/nothing", name="lost")
    with Leadership(engine, ETHEREUM.id) as leader:
        assert not leader.held()


def eventually(true, tries=50):
    """A terminated backend lets its locks go when it has ended, a moment later."""
    pause = threading.Event()
    for _ in range(tries):
        if true():
            return True
        pause.wait(0.1)
    return False


# --- a database that goes away ---


def backend(tx):
    return tx.execute(text("select pg_backend_pid()")).scalar_one()


def kill(url, pid):
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("select pg_terminate_backend(%s, 5000)", [pid])


def count(db):
    with store.begin(db) as tx:
        return rows(tx, "select count(*) as n from gazetteer.pools")[0].n


def test_a_backend_that_dies_between_two_statements_is_the_database_being_away(db, postgres_url):
    def acts(tx):
        settle(tx, 1_001, 1_005, [announce(1, 1_002)])
        kill(postgres_url, backend(tx))
        settle(tx, 1_001, 1_005, [announce(2, 1_003)])

    assert is_away_while(db, acts)
    assert count(db) == 0


def test_a_backend_that_dies_before_the_commit_is_the_database_being_away(db, postgres_url):
    def acts(tx):
        settle(tx, 1_001, 1_005, [announce(1, 1_002)])
        kill(postgres_url, backend(tx))

    assert is_away_while(db, acts)
    assert count(db) == 0


def copied(tx, during):
    """Enough pools for COPY; `during` is called once, while they are sent."""
    calls = []

    def estimate(number):
        if not calls:
            calls.append(during())
        return number

    told = [announce(number, 900 + number // 8, index=number % 8) for number in range(pool_rows.COPY_FROM * 4)]
    settle(tx, 900, 1_200, told, source="history", times=Times(headers={}, estimate=estimate))


def test_a_backend_that_dies_in_the_middle_of_a_copy_is_the_database_being_away(db, postgres_url):
    def acts(tx):
        pid = backend(tx)
        copied(tx, lambda: kill(postgres_url, pid))

    assert is_away_while(db, acts)
    assert count(db) == 0


def test_a_copy_that_takes_too_long_is_the_database_being_away(db):
    def slow(tx):
        tx.execute(text("set local statement_timeout = '100ms'"))
        copied(tx, lambda: threading.Event().wait(0.5))

    assert is_away_while(db, slow)
    assert count(db) == 0


def is_away_while(db, acts):
    with store.begin(db) as tx:
        register.begin(tx)
    with pytest.raises(DatabaseUnavailable) as error, store.begin(db) as tx:
        acts(tx)
    return str(error.value)


def test_a_statement_that_takes_too_long_is_the_database_being_away(postgres_url):
    engine = store.connect(postgres_url, name="hasty", statement_s=0.1)
    try:
        with pytest.raises(DatabaseUnavailable, match="timeout"), store.begin(engine) as tx:
            tx.execute(text("select pg_sleep(5)"))
        with store.begin(engine) as tx:
            assert tx.execute(text("select 1")).scalar_one() == 1
    finally:
        engine.dispose()


def test_a_row_that_somebody_holds_for_too_long_is_the_database_being_away(db):
    with store.begin(db) as tx:
        register.begin(tx)
        where = cursor.read(tx, ETHEREUM.id)

    def waits(tx):
        tx.execute(text("set local lock_timeout = '50ms'"))
        cursor.lock(tx, where)

    with store.begin(db) as holder:
        cursor.lock(holder, where)
        with pytest.raises(DatabaseUnavailable, match="lock timeout"), store.begin(db) as tx:
            waits(tx)


def test_a_transaction_that_idled_for_too_long_is_the_database_being_away(db):
    def idles(tx):
        tx.execute(text("set local idle_in_transaction_session_timeout = '50ms'"))
        threading.Event().wait(0.5)
        tx.execute(text("select 1"))

    assert is_away_while(db, idles)


def test_a_server_that_is_not_there_is_the_database_being_away():
    engine = store.connect("postgresql://nobody:sesame@127.0.0.1:1/nothing", name="lost")
    with pytest.raises(DatabaseUnavailable) as error, store.begin(engine):
        pass
    assert "sesame" not in str(error.value)


def test_an_engine_works_on_after_all_its_connections_died(db, postgres_url):
    assert count(db) == 0
    terminate(postgres_url, "test")
    assert count(db) == 0
