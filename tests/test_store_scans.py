"""Claims of history: everything that is missing, each block of an emitter to one worker, newest first."""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexer import store
from indexer.model import Address, Emitter, Hash32
from indexer.store import coverage, cursor, facts, scans
from tests.lab import register
from tests.lab.announcing import EMITTERS, OTHER, OTHER_FACTORY, rows
from tests.lab.register import ANCHOR, EMITTER, ETHEREUM, FACTORY, NOW

LEASE_S = 60.0
THREADS = 4
SECOND_TOPIC = Hash32(bytes.fromhex("77" * 32))
MOST_CLAIMS = 500


@pytest.fixture
def tx(db):
    """A transaction on a register with two factories from block 100, whose anchor is block 1,000. Rolled back."""
    with db.connect() as connection, connection.begin():
        register.begin(connection, FACTORY, OTHER_FACTORY)
        yield connection


def at(seconds):
    return NOW + timedelta(seconds=seconds)


def claim(tx, *, span=10_000, floor=None, now=NOW):
    return scans.claim(tx, ETHEREUM.id, span=span, floor=floor, lease_s=LEASE_S, now=now)


def shown(scan):
    return scan.first, scan.last, {emitter.key for emitter in scan.emitters}


def cover(tx, first, last, *emitters):
    coverage.add(tx, ETHEREUM.id, [emitter.key for emitter in emitters or EMITTERS], first, last)


def claims(tx, span, floor=None):
    """Claims until nothing is left, as (block, key) pairs; no pair may come twice."""
    taken = []
    for _ in range(MOST_CLAIMS):
        scan = claim(tx, span=span, floor=floor)
        if scan is None:
            return taken
        assert scan.last - scan.first < span
        taken += pairs(scan)
    raise AssertionError("claims do not end")


def pairs(scan):
    return [(block, emitter.key) for block in range(scan.first, scan.last + 1) for emitter in scan.emitters]


def test_the_newest_missing_range_is_claimed_for_all_emitters_at_once(tx):
    both = {emitter.key for emitter in EMITTERS}
    assert shown(claim(tx, span=100)) == (901, 1_000, both)
    assert shown(claim(tx, span=100)) == (801, 900, both)
    assert shown(claim(tx, span=10_000)) == (FACTORY.from_block, 800, both)
    assert claim(tx) is None


def test_an_emitter_added_later_leaves_a_hole_that_is_exactly_its_own(tx):
    cover(tx, 300, ANCHOR, EMITTER)
    cover(tx, 700, ANCHOR, OTHER)
    assert shown(claim(tx)) == (300, 699, {OTHER.key})
    assert shown(claim(tx)) == (100, 299, {EMITTER.key, OTHER.key})
    assert claim(tx) is None


def test_a_factory_is_never_asked_for_blocks_before_its_first(tx):
    late = replace(OTHER_FACTORY, from_block=600)
    facts.load(tx, [ETHEREUM], [FACTORY, late])
    assert set(claims(tx, 10_000)) == {(block, EMITTER.key) for block in range(100, 1_001)} | {
        (block, OTHER.key) for block in range(600, 1_001)
    }


def test_a_factory_from_after_the_anchor_misses_nothing_yet(tx):
    facts.load(tx, [ETHEREUM], [replace(FACTORY, from_block=ANCHOR + 5), replace(OTHER_FACTORY, enabled=False)])
    assert claim(tx) is None


def test_two_topics_of_one_factory_are_two_holes(tx):
    facts.load(tx, [ETHEREUM], [replace(FACTORY, topics=(*FACTORY.topics, SECOND_TOPIC))])
    second = Emitter(topic0=SECOND_TOPIC, factory=FACTORY)
    cover(tx, 500, ANCHOR, EMITTER)
    assert shown(claim(tx)) == (500, ANCHOR, {second.key})
    both = claim(tx)
    assert shown(both) == (100, 499, {EMITTER.key, second.key})
    assert all(emitter.factory.topics == (emitter.topic0,) for emitter in both.emitters)


def test_nothing_is_claimed_below_the_floor_and_above_the_anchor(tx):
    assert {block for block, _ in claims(tx, 10_000, floor=950)} == set(range(950, ANCHOR + 1))


def test_nothing_is_claimed_of_a_chain_that_was_never_started(db):
    with db.connect() as tx, tx.begin():
        facts.load(tx, [ETHEREUM], [FACTORY])
        assert claim(tx) is None


def test_what_is_leased_is_missing_again_when_the_lease_has_run_out(tx):
    first = claim(tx)
    assert claim(tx, now=at(LEASE_S - 1)) is None
    again = claim(tx, now=at(LEASE_S))
    assert shown(again) == shown(first)
    assert not scans.mine(tx, first, at(LEASE_S))
    assert scans.mine(tx, again, at(LEASE_S))


def test_a_lease_that_was_given_back_is_missing_again_at_once(tx):
    first = claim(tx)
    scans.release(tx, first.lease_id)
    assert not scans.mine(tx, first, NOW)
    assert shown(claim(tx)) == shown(first)


def test_a_sweep_removes_only_leases_that_ran_out(tx):
    claim(tx, span=100)
    kept = claim(tx, span=100, now=at(30))
    assert scans.sweep(tx, at(LEASE_S)) == 1
    assert rows(tx, "select lease_id from gazetteer.scans") == [(kept.lease_id,)]


def test_a_chain_of_a_large_id_is_claimed_too(tx):
    big = replace(ETHEREUM, id=2**40 + 5, name="large")
    factory = replace(FACTORY, chain_id=big.id)
    facts.load(tx, [ETHEREUM, big], [FACTORY, factory])
    cursor.start(tx, big.id, register.header(ANCHOR), NOW)
    assert scans.claim(tx, big.id, span=10, floor=None, lease_s=LEASE_S, now=NOW).last == ANCHOR


def emitters_of(from_blocks):
    factories = [
        replace(FACTORY, address=Address(bytes([number + 1]) * 20), from_block=block)
        for number, block in enumerate(from_blocks)
    ]
    return [Emitter(topic0=FACTORY.topics[0], factory=factory) for factory in factories]


COVERED = st.lists(st.tuples(st.integers(0, 3), st.integers(940, 1_000), st.integers(0, 40)), max_size=8)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    covered=COVERED,
    leased=st.integers(0, 3),
    from_blocks=st.lists(st.integers(940, 1_005), min_size=1, max_size=4),
    floor=st.none() | st.integers(930, 1_003),
    span=st.integers(4, 80),
)
def test_claims_are_exactly_the_holes_each_block_of_an_emitter_once(db, covered, leased, from_blocks, floor, span):
    emitters = emitters_of(from_blocks)
    missing = {
        (block, emitter.key)
        for emitter in emitters
        for block in range(max(emitter.factory.from_block, floor or 0), ANCHOR + 1)
    }
    with db.connect() as tx, tx.begin():
        register.begin(tx, *(emitter.factory for emitter in emitters))
        for who, first, size in covered:
            emitter = emitters[who % len(emitters)]
            last = min(first + size, ANCHOR)
            cover(tx, first, last, emitter)
            missing -= {(block, emitter.key) for block in range(first, last + 1)}
        for _ in range(leased):
            scan = claim(tx, span=span, floor=floor)
            missing -= set(pairs(scan)) if scan else set()
        taken = claims(tx, span, floor)
        assert len(taken) == len(set(taken))
        assert set(taken) == missing
        tx.get_transaction().rollback()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(covered=COVERED, span=st.integers(4, 30))
def test_claims_come_newest_first(db, covered, span):
    emitters = emitters_of([940, 960])
    with db.connect() as tx, tx.begin():
        register.begin(tx, *(emitter.factory for emitter in emitters))
        for who, first, size in covered:
            cover(tx, first, min(first + size, ANCHOR), emitters[who % 2])
        lasts = []
        while (scan := claim(tx, span=span)) is not None:
            lasts.append(scan.last)
        assert lasts == sorted(lasts, reverse=True)
        tx.get_transaction().rollback()


def test_claimers_at_once_share_nothing_and_leave_nothing(db):
    with store.begin(db) as tx:
        register.begin(tx, FACTORY, replace(OTHER_FACTORY, from_block=500))
        cover(tx, 600, 700, EMITTER)
        cover(tx, 650, 800, OTHER)
    start, taken, errors = threading.Barrier(THREADS), [], []

    def claim_all(number):
        try:
            start.wait()
            for _ in range(MOST_CLAIMS):
                with store.begin(db) as tx:
                    scan = claim(tx, span=17 + number)
                if scan is None:
                    return
                taken.extend(pairs(scan))
                if scan.first % 2:  # some finish while others claim
                    with store.begin(db) as tx:
                        cover(tx, scan.first, scan.last, *scan.emitters)
                        scans.release(tx, scan.lease_id)
        except Exception as error:  # noqa: BLE001 - told by the test, not lost in the thread
            errors.append(error)

    threads = [threading.Thread(target=claim_all, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(taken) == len(set(taken))
    holes = {(block, EMITTER.key) for block in range(100, ANCHOR + 1) if not 600 <= block <= 700}
    holes |= {(block, OTHER.key) for block in range(500, ANCHOR + 1) if not 650 <= block <= 800}
    assert set(taken) == holes
