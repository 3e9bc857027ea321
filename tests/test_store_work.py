"""Work is claimed by one at a time, survives whoever dies with it, and is given up only after five of them."""

import threading
from datetime import timedelta

import pytest

from indexer import store
from indexer.model import Lane
from indexer.store import work
from tests.lab import register
from tests.lab.announcing import rows
from tests.lab.register import NOW, made_token

LEASE_S = 60.0
THREADS = 6
KEYS = 300


@pytest.fixture
def tx(db):
    """A transaction on an empty register. Rolled back."""
    with db.connect() as connection, connection.begin():
        yield connection


def at(seconds):
    return NOW + timedelta(seconds=seconds)


def add(tx, *numbers, lane=Lane.HISTORY, now=NOW):
    work.add(tx, "token", "ethereum", [made_token(number) for number in numbers], lane, now)


def claim(tx, *, limit=10, now=NOW):
    return work.claim(tx, "token", "ethereum", limit=limit, lease_s=LEASE_S, now=now)


def numbered(claimed, most=20):
    names = {bytes(made_token(number)): number for number in range(most)}
    return sorted(names[key] for key in claimed.keys)


def lose(tx, times, now_s=0):
    """Claims whose worker is lost, one after the other; returns the moment after the last sweep."""
    for _ in range(times):
        assert claim(tx, now=at(now_s)) is not None
        now_s += LEASE_S + 1
        work.sweep(tx, at(now_s))
    return now_s


def test_claimers_at_once_never_share_a_key_and_leave_none(db):
    with store.begin(db) as tx:
        add(tx, *range(KEYS))
    start, claims, errors = threading.Barrier(THREADS), [], []

    def claim_all():
        try:
            start.wait()
            while True:
                with store.begin(db) as tx:
                    claimed = claim(tx, limit=7)
                if claimed is None:
                    return
                claims.append(claimed.keys)
        except Exception as error:  # noqa: BLE001 - told by the test, not lost in the thread
            errors.append(error)

    threads = [threading.Thread(target=claim_all) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    keys = [key for claimed in claims for key in claimed]
    # a claimer that found everything locked by others may leave early: what is left is claimed by the next one
    with store.begin(db) as tx:
        while (claimed := claim(tx, limit=100)) is not None:
            keys += claimed.keys
    assert len(keys) == len(set(keys)) == KEYS


def test_a_claim_takes_the_live_lane_first_then_what_is_due_longest(tx):
    add(tx, 1, now=at(-30))
    add(tx, 2, now=at(-90))
    add(tx, 3, lane=Lane.LIVE, now=at(-1))
    assert [numbered(claim(tx, limit=1)) for _ in range(3)] == [[3], [2], [1]]
    assert claim(tx) is None


def test_a_live_sighting_raises_the_lane_and_brings_it_forward(tx):
    add(tx, 1, now=at(500))
    add(tx, 2, now=at(0))
    assert numbered(claim(tx, limit=1)) == [2]
    add(tx, 1, lane=Lane.LIVE, now=at(1))
    assert rows(tx, "select lane, due from gazetteer.work where lease_id is null") == [(0, at(1))]
    add(tx, 1, lane=Lane.HISTORY, now=at(2))
    assert rows(tx, "select lane, due from gazetteer.work where lease_id is null") == [(0, at(1))]


def test_a_claim_of_the_live_lane_leaves_history_to_others(tx):
    add(tx, 1, 2)
    add(tx, 3, lane=Lane.LIVE)
    lane = {"limit": 10, "lease_s": LEASE_S, "now": NOW, "slowest": Lane.LIVE}
    assert numbered(work.claim(tx, "token", "ethereum", **lane)) == [3]
    assert work.claim(tx, "token", "ethereum", **lane) is None
    assert numbered(claim(tx)) == [1, 2]


def test_hurrying_raises_only_what_waits_in_a_slower_lane(tx):
    add(tx, 1)
    work.hurry(tx, "token", "ethereum", [made_token(1), made_token(2)], Lane.LIVE)
    assert rows(tx, "select lane from gazetteer.work") == [(0,)]


def test_what_is_due_in_the_future_is_not_claimed(tx):
    add(tx, 1, now=at(10))
    assert claim(tx, now=at(9)) is None
    assert work.due(tx, at(9)) == []
    assert numbered(claim(tx, now=at(10))) == [1]


def test_other_kinds_and_chains_are_not_claimed(tx):
    work.add(tx, "pool", "ethereum", [made_token(1)], Lane.LIVE, NOW)
    work.add(tx, "token", "polygon", [made_token(1)], Lane.LIVE, NOW)
    assert claim(tx) is None


def test_a_full_claim_says_so(tx):
    add(tx, 1, 2, 3)
    assert [claim(tx, limit=2).full for _ in range(2)] == [True, False]


def test_a_lease_that_ran_out_or_went_to_another_is_not_mine(tx):
    add(tx, 1, 2)
    claimed = claim(tx)
    assert work.mine(tx, claimed, at(LEASE_S - 1)) == set(claimed.keys)
    assert work.mine(tx, claimed, at(LEASE_S)) == frozenset()
    work.sweep(tx, at(LEASE_S))
    other = claim(tx, now=at(LEASE_S))
    assert work.mine(tx, claimed, at(LEASE_S)) == frozenset()
    assert work.mine(tx, other, at(LEASE_S)) == set(other.keys)


def test_a_lost_lease_writes_nothing(tx):
    add(tx, 1)
    lost = claim(tx)
    work.sweep(tx, at(LEASE_S))
    other = claim(tx, now=at(LEASE_S))
    before = rows(tx, "select * from gazetteer.work")
    assert work.done(tx, lost, lost.keys) == 0
    assert work.again(tx, lost, lost.keys, at(500), "too late") == 0
    assert rows(tx, "select * from gazetteer.work") == before
    assert work.done(tx, other, other.keys) == 1


def test_a_sweep_takes_back_only_what_ran_out_and_counts_each_loss_once(tx):
    add(tx, 1)
    early = claim(tx, now=at(0))
    add(tx, 2)
    late = claim(tx, now=at(30))
    swept = work.sweep(tx, at(LEASE_S))
    assert (swept.returned, swept.dead) == (1, 0)
    assert work.sweep(tx, at(LEASE_S)) == work.Swept(returned=0, dead=0)
    losses = dict(rows(tx, "select key, losses from gazetteer.work"))
    assert losses == {early.keys[0]: 1, late.keys[0]: 0}


def test_giving_back_is_no_loss(tx):
    add(tx, 1)
    for _ in range(10):
        claimed = claim(tx)
        assert work.again(tx, claimed, claimed.keys, NOW, "the node hiccuped") == 1
    assert rows(tx, "select losses, dead, reason from gazetteer.work") == [(0, False, "the node hiccuped")]


def test_a_key_that_cost_two_leases_is_claimed_alone_and_before_the_others(tx):
    add(tx, 1)
    now_s = lose(tx, 2)
    add(tx, 2, 3, 4, lane=Lane.LIVE)
    alone = claim(tx, now=at(now_s))
    assert (numbered(alone), alone.losses) == ([1], 2)
    together = claim(tx, now=at(now_s))
    assert (numbered(together), together.losses) == ([2, 3, 4], 0)


def test_five_losses_are_the_death_of_a_key_with_a_reason(tx):
    add(tx, 1)
    now_s = lose(tx, 4)
    assert claim(tx, now=at(now_s)) is not None
    assert work.sweep(tx, at(now_s + LEASE_S)) == work.Swept(returned=0, dead=1)
    assert rows(tx, "select dead, losses, reason, lease_id from gazetteer.work") == [
        (True, 5, "its worker was lost 5 times", None)
    ]
    assert claim(tx, now=at(10_000)) is None
    assert work.due(tx, at(10_000)) == []


def test_dead_work_stays_dead_when_it_is_seen_again_and_comes_back_by_retry(tx):
    add(tx, 1)
    now_s = lose(tx, 5)
    add(tx, 1, lane=Lane.LIVE, now=at(now_s))
    assert claim(tx, now=at(now_s)) is None
    assert work.retry(tx, at(now_s), kind="pool") == 0
    assert work.retry(tx, at(now_s), key=made_token(2)) == 0
    assert work.retry(tx, at(now_s), key=made_token(1)) == 1
    back = claim(tx, now=at(now_s))
    assert (numbered(back), back.losses) == ([1], 0)
    assert work.retry(tx, at(now_s)) == 0


def test_what_is_due_is_told_by_kind_chain_and_lane(tx):
    register.begin(tx)
    add(tx, 1, lane=Lane.LIVE)
    add(tx, 2)
    work.add(tx, "pool", "ethereum", [made_token(3)], Lane.HISTORY, NOW)
    assert work.due(tx, NOW) == [
        ("pool", "ethereum", Lane.HISTORY),
        ("token", "ethereum", Lane.LIVE),
        ("token", "ethereum", Lane.HISTORY),
    ]
    claim(tx, limit=1)
    assert ("token", "ethereum", Lane.LIVE) not in work.due(tx, NOW)


def test_two_sweeps_at_once_count_a_loss_once(db):
    with store.begin(db) as tx:
        add(tx, *range(5))
        claim(tx)
    with db.connect() as first, first.begin(), db.connect() as second, second.begin():
        counts = [work.sweep(tx, at(LEASE_S)).returned for tx in (first, second)]
        assert counts == [5, 0]
        first.get_transaction().commit()
        second.get_transaction().commit()
    with store.begin(db) as tx:
        assert rows(tx, "select distinct losses from gazetteer.work") == [(1,)]
