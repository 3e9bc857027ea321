"""Everybody locks in the same order: many writers of the same rows wait for each other, and never in a circle."""

import random
import threading
from dataclasses import replace

import pytest

from indexer import known, store
from indexer.errors import Moved
from indexer.model import Lane, PoolAnswers
from indexer.store import consent, coverage, facts, pools, scans, times, tokens, work
from tests.lab import register
from tests.lab.announcing import EMITTERS, OTHER_FACTORY, alive, announce, place, rows, settle
from tests.lab.register import ANCHOR, EMITTER, ETHEREUM, FACTORY, NOW, header, made_token, named

THREADS = 4
ROUNDS = 25
HOT = [made_token(1_000 + number) for number in range(12)]
POOLS_A_ROUND = 8
LATER = NOW.replace(year=2030)


@pytest.fixture
def deadlocks(db):
    """How many deadlocks Postgres had to break in this database so far."""
    with store.begin(db) as tx:
        register.begin(tx, FACTORY, OTHER_FACTORY)

    def counted():
        with store.begin(db) as tx:
            query = "select deadlocks from pg_stat_database where datname = current_database()"
            return rows(tx, query)[0].deadlocks

    return counted


def together(*acts):
    """Run these in threads that start at once; whatever one of them raises fails the test."""
    start, errors = threading.Barrier(len(acts)), []

    def run(act):
        start.wait()
        try:
            act()
        except BaseException as error:  # noqa: BLE001 - told by the test, not lost in the thread
            errors.append(error)

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def hot_pools(chance, thread, turn):
    """New pools between hot tokens, in a random order, in blocks of this thread's own."""
    block = 101 + thread * 200 + turn
    made = [
        replace(
            announce(thread * 10_000 + turn * 100 + number, block, index=number, asks=True),
            token0=chance.choice(HOT),
            token1=chance.choice(HOT),
        )
        for number in range(POOLS_A_ROUND)
    ]
    chance.shuffle(made)
    return block, made


def test_settles_and_answers_about_the_same_hot_tokens_at_once_never_deadlock_and_all_rows_are_right(db, deadlocks):
    told = {}

    def settles(thread):
        chance = random.Random(thread)

        def act():
            for turn in range(ROUNDS):
                block, made = hot_pools(chance, thread, turn)
                told[thread, turn] = made
                with store.begin(db) as tx:
                    source = chance.choice(("head", "history"))
                    settle(tx, block, block, made, source=source)
                    coverage.add(tx, ETHEREUM.id, [emitter.key for emitter in EMITTERS], block, block)

        return act

    def resolves(thread):
        chance = random.Random(100 + thread)

        def act():
            for turn in range(ROUNDS):
                with store.begin(db) as tx:
                    claimed = work.claim(tx, "token", "ethereum", limit=5, lease_s=600, now=LATER)
                if claimed is None:
                    continue
                answers = [named(key, f"T{turn}") for key in claimed.keys]
                chance.shuffle(answers)
                with store.begin(db) as tx:
                    tokens.mentioned(tx, ETHEREUM.id, claimed.keys, lock=True)
                    mine = work.mine(tx, claimed, LATER)
                    tokens.write(tx, [answer for answer in answers if answer.address in mine], NOW)
                    if chance.random() < 0.5:
                        work.done(tx, claimed, claimed.keys)
                    else:
                        work.again(tx, claimed, claimed.keys, NOW, "once more")

        return act

    together(*(settles(thread) for thread in range(THREADS)), *(resolves(thread) for thread in range(2)))
    assert deadlocks() == 0
    everything = {place(pool): pool for made in told.values() for pool in made}
    with store.begin(db) as tx:
        assert alive(tx) == set(everything)
        sides = {side for pool in everything.values() for side in (pool.token0, pool.token1)}
        found = rows(tx, "select address, symbol from gazetteer.tokens where address != :native", native=bytes(20))
        assert {bytes(row.address) for row in found} == sides
        assert len(rows(tx, "select 1 from gazetteer.instruments")) == len(everything)
        waiting = {bytes(row.key) for row in rows(tx, "select key from gazetteer.work where kind = 'token'")}
        assert {bytes(row.address) for row in found if row.symbol is None} <= waiting
        (covered,) = rows(
            tx,
            "select scanned::text as ranges from gazetteer.coverage where address = :address",
            address=FACTORY.address,
        )
    assert covered.ranges.count("[") == THREADS


def test_a_pool_that_is_moved_while_it_is_answered_is_no_deadlock(db, deadlocks):
    """The head moves the same pools to and fro; a worker answers for them; another one stamps their times."""
    numbers = range(POOLS_A_ROUND)

    def moves():
        for turn in range(ROUNDS):
            made = [announce(number, 1_001 + number, index=number, asks=True, branch=str(turn)) for number in numbers]
            with store.begin(db) as tx:
                settle(tx, 1_001, 1_050, made[::-1])
                coverage.listened(tx, ETHEREUM.id, EMITTERS, 1_001)

    def answers():
        for _ in range(ROUNDS):
            with store.begin(db) as tx:
                claimed = work.claim(tx, "pool", "ethereum", limit=5, lease_s=600, now=LATER)
            if claimed is None:
                continue
            with store.begin(db) as tx:
                there = pools.hold(tx, ETHEREUM.id, claimed.keys)
                mine = work.mine(tx, claimed, LATER)
                told = [(key, PoolAnswers(tick_spacing=60)) for key in sorted(mine & set(there), reverse=True)]
                pools.answer(tx, ETHEREUM.id, told, header(1_050).ref, NOW)
                work.again(tx, claimed, claimed.keys, NOW, "once more")

    def stamps():
        for turn in range(ROUNDS):
            headers = [header(1_001 + number, str(turn)) for number in reversed(numbers)]
            with store.begin(db) as tx:
                times.exact(tx, ETHEREUM.id, headers)

    together(moves, answers, answers, stamps, stamps)
    assert deadlocks() == 0
    with store.begin(db) as tx:
        assert len(alive(tx)) == POOLS_A_ROUND


def test_pools_of_the_same_keys_from_two_lanes_at_once_are_settled_once(db, deadlocks):
    """History and the head announce the same keys in other blocks; whoever comes second reads again."""
    numbers = list(range(40))
    moved = []

    def lane(seed, first, source):
        chance = random.Random(seed)

        def act():
            for at in range(0, len(numbers), 10):
                made = [announce(number, first + number, index=seed) for number in numbers[at : at + 10]]
                chance.shuffle(made)
                for _ in range(10):
                    try:
                        with store.begin(db) as tx:
                            settle(tx, first + at, first + at + 9, made, source=source)
                            coverage.add(tx, ETHEREUM.id, [EMITTER.key], first + at, first + at + 9)
                    except Moved:
                        moved.append(source)
                    else:
                        break
                else:
                    raise AssertionError("moved again and again")

        return act

    together(lane(1, 500, "history"), lane(2, 700, "history"), lane(3, ANCHOR + 1, "head"))
    assert deadlocks() == 0
    with store.begin(db) as tx:
        assert alive(tx) == {place(announce(number, 500 + number, index=1)) for number in numbers}
        kinds = rows(tx, "select subject from gazetteer.events where kind = 'pool.created'")
        assert len(kinds) == len(numbers)


def test_claims_sweeps_sightings_and_gifts_back_of_the_same_work_never_deadlock(db, deadlocks):
    keys = [made_token(number) for number in range(60)]

    def sees(seed):
        chance = random.Random(seed)

        def act():
            for _ in range(ROUNDS):
                some = chance.sample(keys, 20)
                with store.begin(db) as tx:
                    work.add(tx, "token", "ethereum", some, chance.choice(list(Lane)), NOW)
                with store.begin(db) as tx:
                    work.hurry(tx, "token", "ethereum", chance.sample(keys, 20), Lane.LIVE)

        return act

    def works():
        for _ in range(ROUNDS):
            with store.begin(db) as tx:
                claimed = work.claim(tx, "token", "ethereum", limit=20, lease_s=-1, now=LATER)
            if claimed is not None:
                with store.begin(db) as tx:
                    work.again(tx, claimed, claimed.keys, NOW, "gave it back")

    def sweeps():
        for _ in range(ROUNDS):
            with store.begin(db) as tx:
                work.sweep(tx, LATER)
                work.retry(tx, LATER)

    together(sees(1), sees(2), works, works, sweeps)
    assert deadlocks() == 0


def test_scans_that_finish_while_the_anchor_moves_and_others_claim_never_deadlock(db, deadlocks):
    def scan():
        for _ in range(ROUNDS):
            with store.begin(db) as tx:
                claimed = scans.claim(tx, ETHEREUM.id, span=20, floor=None, lease_s=600, now=NOW)
            if claimed is None:
                return
            with store.begin(db) as tx:
                assert scans.mine(tx, claimed, NOW)
                settle(tx, claimed.first, claimed.last, [], source="history")
                coverage.add(tx, ETHEREUM.id, [each.key for each in claimed.emitters], claimed.first, claimed.last)
                scans.release(tx, claimed.lease_id)

    def listens():
        """Steps that heard one emitter later than the other, and after each of them a jump of the anchor."""
        for turn in range(ROUNDS):
            step = ANCHOR + 2 * turn + 1
            with store.begin(db) as tx:
                coverage.listened(tx, ETHEREUM.id, EMITTERS[1:], step)
            with store.begin(db) as tx:
                coverage.listened(tx, ETHEREUM.id, EMITTERS, step + 1)
            with store.begin(db) as tx:
                coverage.credit(tx, ETHEREUM.id, step - 1, step)
                coverage.listened(tx, ETHEREUM.id, (), step + 2)

    together(scan, scan, listens)
    assert deadlocks() == 0
    with store.begin(db) as tx:
        assert rows(tx, "select 1 from gazetteer.scans") == []
        assert consent.chains_with_holes(tx) == []


def test_processes_that_start_at_once_load_the_same_facts_without_harm(db):
    def loads():
        for _ in range(3):
            with store.begin(db) as tx:
                facts.load(tx, known.chains(), known.factories())

    together(*[loads] * THREADS)
    with store.begin(db) as tx:
        assert len(rows(tx, "select 1 from gazetteer.factories")) == len(known.factories())


def test_the_same_new_tokens_seen_by_many_at_once_are_each_new_to_one_of_them(db, deadlocks):
    addresses, fresh = [made_token(number) for number in range(300)], []
    at_once = threading.Barrier(THREADS, timeout=10)

    def sees():
        for address in addresses:
            with store.begin(db) as tx:
                rows(tx, "select 1")  # the transaction is open: what is left is the insert itself
                at_once.wait()
                fresh.extend(tokens.seen(tx, ETHEREUM.id, [address], NOW))

    together(*[sees] * THREADS)
    assert deadlocks() == 0
    assert sorted(fresh) == sorted(addresses)
