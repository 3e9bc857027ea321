"""`gazetteer tail` and `work`: events in order, none missed or doubled; the dead are seen and come back."""

import json
import os
import signal
import time
from datetime import timedelta

import pytest
from sqlalchemy import text

from indexer import store
from indexer.model import Lane
from indexer.store import events, work
from indexer.store.clock import database_time
from tests.commands import run, settled
from tests.lab import register as made
from tests.roles import Role, eventually
from workers.local.postgres import Postgres

pytestmark = pytest.mark.slow

CHAIN = made.ETHEREUM.name


@pytest.fixture
def url(postgres_url, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with settled(monkeypatch, GAZETTEER_DATABASE_URL=postgres_url):
        yield postgres_url


@pytest.fixture
def started(db, url):  # noqa: ARG001 - the commands find it
    with store.begin(db) as tx:
        made.begin(tx)
    return db


def announce(db, number, *, source_history=True):
    with store.begin(db) as tx:
        if source_history:
            made.scanned(tx, number, number, [made.created(number, number)])
        else:
            made.step(tx, number, number, [made.created(number, number)])


def objects(result):
    return [json.loads(row) for row in result.stdout.splitlines()]


def all_ended(db):
    """Nothing holds events back: also a server's own transaction in another database would (autovacuum)."""
    held = text("select pg_snapshot_xmin(s) = pg_snapshot_xmax(s) from pg_current_snapshot() as s")
    with db.connect() as connection:
        eventually(lambda: connection.execute(held).scalar_one(), what="the end of all transactions")


@pytest.mark.usefixtures("url")
def test_the_newest_twenty_are_printed_oldest_first(started):
    for number in range(100, 130):
        announce(started, number)
    all_ended(started)
    told = objects(run("tail", "--json"))
    assert [each["block_number"] for each in told] == list(range(110, 130))
    assert {each["kind"] for each in told} == {"pool.created"}
    assert {each["source"] for each in told} == {"history"}


def test_a_line_says_when_what_where_who_and_the_id_to_ask_for(started):
    with store.begin(started) as tx:
        made.step(tx, 1_001, 1_001, [made.created(1, 1_001)])
        made.resolve(tx, made.named(made.made_token(1), "AAA"), made.named(made.WETH, "WETH"))
    all_ended(started)
    first, *others = run("tail").stdout.splitlines()
    pool = "0x" + made.created(1, 1_001).key.hex()
    assert (
        first == f"2026-09-01 12:00:00 pool.created   ethereum  AAA-WETH       uniswap_v2           {pool} block 1001"
    )
    assert sorted(row.split()[4] for row in others) == ["AAA", "WETH"]
    announce(started, 500)
    all_ended(started)
    assert run("tail").stdout.splitlines()[-1].endswith("block 500 (history)")


def test_a_symbol_cannot_act_on_the_terminal(started):
    with store.begin(started) as tx:
        made.step(tx, 1_001, 1_001, [made.created(1, 1_001)])
        made.resolve(tx, made.named(made.made_token(1), "A\x1b[2J\u202eB"), made.named(made.WETH, "WETH"))
    all_ended(started)
    out = run("tail").stdout + run("tail", "--json").stdout
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert "A\\x1b[2J\\u202eB-WETH" in out


def test_only_the_wanted_kinds_and_chain_are_printed(started):
    with store.begin(started) as tx:
        made.step(tx, 1_001, 1_001, [made.created(1, 1_001)])
        made.resolve(tx, made.named(made.made_token(1), "AAA"))
    all_ended(started)
    assert [each["kind"] for each in objects(run("tail", "--json", "--kinds", "token.resolved"))] == ["token.resolved"]
    assert objects(run("tail", "--json", "--chain", "polygon")) == []
    assert len(objects(run("tail", "--json", "--chain", CHAIN, "--kinds", "pool.created, token.resolved"))) == 2


def test_reading_on_after_a_key_prints_everything_behind_it_once(started):
    for number in range(100, 140):
        announce(started, number)
    all_ended(started)
    first = objects(run("tail", "--json", "--after", "0:0"))
    assert [each["block_number"] for each in first] == list(range(100, 140))
    middle = first[17]
    all_ended(started)
    rest = objects(run("tail", "--json", "--after", f"{middle['tx']}:{middle['id']}"))
    assert rest == first[18:]


@pytest.mark.usefixtures("url")
def test_a_key_that_is_none_is_refused_with_its_form():
    result = run("tail", "--after", "12")
    assert result.exit_code == 2
    assert "1234:56" in result.stderr


def test_an_open_transaction_holds_back_what_came_later_and_nothing_is_missed(started):
    announce(started, 100)
    all_ended(started)
    key = objects(run("tail", "--json"))[-1]
    after = f"{key['tx']}:{key['id']}"
    with started.begin() as slow:
        made.settle(slow, 200, 200, [made.created(200, 200)], source="history")
        announce_other(started, 300)
        assert objects(run("tail", "--json", "--after", after)) == []
    told = objects(run("tail", "--json", "--after", after))
    assert sorted(each["block_number"] for each in told) == [200, 300]


def announce_other(db, number):
    """An event of a transaction that waits for nobody."""
    with store.begin(db) as tx:
        tx.execute(
            text(
                "insert into gazetteer.events (kind, chain_id, block_number, at) values ('pool.created', 1, :n, now())"
            ),
            {"n": number},
        )


@pytest.fixture
def own_server(server_root):
    server = Postgres(server_root / "tail")
    server.start()
    yield server
    server.stop()


def test_following_survives_a_restart_of_the_database_and_ends_by_ctrl_c(own_server, tmp_path):
    from indexer.store import migrate  # noqa: PLC0415

    url = own_server.url()
    migrate.upgrade(url)
    db = store.connect(url, name="test")
    with store.begin(db) as tx:
        made.begin(tx)
    announce(db, 100)
    log = tmp_path / "tail.log"
    role = Role(log, {"GAZETTEER_DATABASE_URL": url}, "tail", "--follow", "--json")
    try:
        eventually(lambda: '"block_number": 100' in role.said(), what="the first event")
        own_server.kill()
        eventually(lambda: "the database is away" in role.said(), what="the notice")
        time.sleep(0.5)
        own_server.start()
        assert own_server.url() == url
        db.dispose()
        for number in range(101, 111):
            announce(db, number)
        eventually(lambda: '"block_number": 110' in role.said(), what="the last event")
        os.kill(role.process.pid, signal.SIGINT)
        assert role.process.wait(20) == 0
    finally:
        role.stop()
        db.dispose()
    numbers = [json.loads(row)["block_number"] for row in role.said().splitlines() if row.startswith("{")]
    assert numbers == list(range(100, 111))
    assert role.said().count("the database is away") == 1
    assert "to go on from here: gazetteer tail --follow --after " in role.said().splitlines()[-1]


def kill_one(db, key, kind="token", chain=CHAIN):
    """Work that lost five leases."""
    with store.begin(db) as tx:
        now = database_time(tx)
        work.add(tx, kind, chain, [key], Lane.LIVE, now)
        for lost in range(work.LOSSES_DEAD):
            later = now + timedelta(hours=lost)
            assert work.claim(tx, kind, chain, limit=10, lease_s=60, now=later)
            work.sweep(tx, later + timedelta(minutes=30))


def test_what_is_left_is_listed_by_chain_kind_and_lane(started):
    with store.begin(started) as tx:
        now = database_time(tx)
        work.add(tx, "token", CHAIN, [bytes([number]) * 20 for number in range(1, 6)], Lane.LIVE, now)
        work.add(tx, "pool", CHAIN, [b"\x07" * 32], Lane.HISTORY, now - timedelta(seconds=90))
        claimed = work.claim(tx, "token", CHAIN, limit=2, lease_s=600, now=now)
        assert claimed is not None
        work.again(tx, claimed, claimed.keys[:1], now + timedelta(hours=1), "busy")
    rows = [row.split() for row in run("work", "list").stdout.splitlines()]
    assert rows[2][:7] == [CHAIN, "pool", "history", "1", "0", "0", "0"]
    assert rows[3][:7] == [CHAIN, "token", "live", "3", "1", "1", "0"]
    assert 89 <= int(rows[2][7]) <= 150


def test_the_dead_are_shown_with_their_reason_and_come_back_by_key_chain_or_kind(started):
    token, other, pool = b"\x01" * 20, b"\x02" * 20, b"\x03" * 32
    kill_one(started, token)
    kill_one(started, other, chain="polygon")
    kill_one(started, pool, kind="pool")
    listed = run("work", "dead").stdout
    assert "0x" + token.hex() in listed
    assert "its worker was lost 5 times" in listed
    assert run("work", "dead", "--kind", "pool").stdout.count("0x") == 1
    assert run("work", "retry", "0X" + token.hex().upper()).stdout == "1 is due again\n"
    assert "0x" + token.hex() not in run("work", "dead").stdout
    assert run("work", "retry", "--chain", CHAIN, "--kind", "token").stdout == "0 are due again\n"
    assert run("work", "retry", "--chain", "polygon").stdout == "1 is due again\n"
    assert run("work", "retry").stdout == "1 is due again\n"
    assert run("work", "dead").stdout == "nothing is dead\n"
    with store.begin(started) as tx:
        assert work.claim(tx, "pool", CHAIN, limit=10, lease_s=60, now=database_time(tx)) is not None


@pytest.mark.usefixtures("url")
def test_a_key_of_another_length_is_refused():
    result = run("work", "retry", "0x1234")
    assert result.exit_code == 2
    assert "neither an address" in result.stderr


def test_a_database_with_nothing_to_do_says_so(started):
    assert run("work", "list").stdout == "nothing is left to ask\n"
    with store.begin(started) as tx:
        assert events.last(tx) == events.START
    all_ended(started)
    assert run("tail").stdout == ""
