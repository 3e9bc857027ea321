"""Events in an order that a reader can follow by key: none is ever shown before one that comes later."""

import random
import threading

import psycopg
import pytest

from indexer import store
from indexer.model import ChainId
from indexer.store import events
from tests.lab import register
from tests.lab.register import ETHEREUM, WETH, created, made_token, named

WRITERS = 6
ROUNDS = 25
LONGEST_OPEN_S = 0.03

_WRITE = """
    insert into gazetteer.events (kind, chain_id, subject, at)
    values ('pool.created', 1, %s, clock_timestamp()) returning tx, id
"""


def write(url, number, stop_early, told):
    """Transactions that stay open for a random while, some rolled back, each with its events at random moments."""
    chance = random.Random(number)
    wait = threading.Event()
    with psycopg.connect(url) as connection:
        for turn in range(ROUNDS):
            keys = []
            for _ in range(chance.randint(1, 3)):
                keys.append(connection.execute(_WRITE, [bytes([number, turn])]).fetchone())
                wait.wait(chance.uniform(0, LONGEST_OPEN_S))
            if chance.random() < stop_early:
                connection.rollback()
            else:
                connection.commit()
                told += keys


def read_on(db, key, limit):
    with store.begin(db) as tx:
        found = [event.key for event in events.after(tx, key, limit)]
    return found, found[-1] if found else key


@pytest.mark.parametrize("limit", [1, 7, 1_000])
def test_a_reader_by_key_misses_nothing_however_long_writers_stay_open(db, postgres_url, limit):
    told = [[] for _ in range(WRITERS)]
    writers = [threading.Thread(target=write, args=(postgres_url, n, 0.2, told[n])) for n in range(WRITERS)]
    for writer in writers:
        writer.start()
    seen, key = [], events.START
    while any(writer.is_alive() for writer in writers):
        found, key = read_on(db, key, limit)
        seen += found
    for writer in writers:
        writer.join()
    found, key = read_on(db, key, 10_000)
    seen += found
    committed = sorted(key for keys in told for key in keys)
    assert len(committed) > WRITERS * ROUNDS / 2
    assert seen == committed


def test_an_event_waits_for_the_transaction_that_began_to_write_before_it(db, postgres_url):
    with psycopg.connect(postgres_url) as early, psycopg.connect(postgres_url) as late:
        first = early.execute(_WRITE, [b"early"]).fetchone()
        second = late.execute(_WRITE, [b"late"]).fetchone()
        late.commit()
        assert read_on(db, events.START, 10)[0] == []
        early.commit()
        assert read_on(db, events.START, 10)[0] == [first, second]


def test_a_long_reader_holds_nothing_back(db, postgres_url):
    with psycopg.connect(postgres_url) as reader, psycopg.connect(postgres_url) as writer:
        reader.execute("select count(*) from api.events").fetchall()
        key = writer.execute(_WRITE, [b"now"]).fetchone()
        writer.commit()
        assert read_on(db, events.START, 10)[0] == [key]


def kinds(db):
    with store.begin(db) as tx:
        return [(event.kind, event.source, event.subject) for event in events.after(tx, events.START, 100)]


def test_each_thing_that_happens_to_a_pool_is_told_once_in_order(db):
    pool = "0x" + created(1, 1).key.hex()
    with store.begin(db) as tx:
        register.begin(tx)
    for block, branch in ((1_001, ""), (None, "b"), (1_002, "c"), (1_003, "d")):
        with store.begin(db) as tx:
            there = [] if block is None else [created(1, block, branch=branch)]
            register.step(tx, 1_001, 1_003, there, branch=branch)
    with store.begin(db) as tx:
        register.anchor(tx, 1_003)
    assert kinds(db) == [
        ("pool.created", "head", pool),
        ("pool.orphaned", "head", pool),
        ("pool.revived", "head", pool),
        ("pool.moved", "head", pool),
        ("pool.finalized", "head", pool),
    ]


def test_a_backfilled_pool_is_told_once_and_marked_so(db):
    with store.begin(db) as tx:
        register.begin(tx)
        register.scanned(tx, 900, 1_000, [created(1, 950)])
        register.scanned(tx, 900, 1_000, [created(1, 950)])
    assert kinds(db) == [("pool.created", "history", "0x" + created(1, 1).key.hex())]


def test_a_token_is_told_when_it_first_answers_and_when_it_answers_otherwise(db):
    token = made_token(1)
    with store.begin(db) as tx:
        register.begin(tx)
        register.step(tx, 1_001, 1_001, [created(1, 1_001)])
    for symbol in ("ONE", "ONE", "TWO"):
        with store.begin(db) as tx:
            register.resolve(tx, named(token, symbol))
    assert kinds(db)[1:] == [
        ("token.resolved", "resolve", "0x" + token.hex()),
        ("token.changed", "resolve", "0x" + token.hex()),
    ]


def test_the_last_key_is_where_following_begins(db):
    with store.begin(db) as tx:
        assert events.last(tx) == events.START
        register.begin(tx)
        register.step(tx, 1_001, 1_001, [created(1, 1_001, WETH, made_token(3)), created(2, 1_001)])
    with store.begin(db) as tx:
        told = events.after(tx, events.START, 100)
        assert events.last(tx) == told[-1].key
        assert {(event.chain, event.chain_id) for event in told} == {("ethereum", ChainId(ETHEREUM.id))}
        assert events.after(tx, events.last(tx), 100) == ()
