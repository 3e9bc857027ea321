"""What keeps a register going when wake-ups are lost, and what makes its estimated times exact."""

from datetime import timedelta

import pytest

from indexer import store
from indexer.flow import stamp, sweep
from indexer.flow.ranges import Ranges
from indexer.flow.sweep import Due
from indexer.model import Lane
from indexer.sim.faults import Fault
from indexer.sim.rpc import Manners
from indexer.store import times, work
from tests.lab.announcing import rows
from tests.lab.simulated import LEASE_S, World

UNSTAMPED = Manners(stamped=False)


@pytest.fixture
def world(db):
    """A register whose history was read from an endpoint that puts no times into logs."""
    world = World(db).start()
    ranges = Ranges(first_span=40, largest_span=40)
    for _ in range(10):
        world.scan(world.node(manners=UNSTAMPED), ranges=ranges)
    return world


def ask(db, query, **values):
    with store.begin(db) as tx:
        return rows(tx, query, **values)


def claim(world):
    with store.begin(world.db) as tx:
        return work.claim(tx, "token", world.chain.name, limit=3, lease_s=LEASE_S, now=world.clock())


# --- sweep ---


def test_leases_that_ran_out_come_back_and_are_due_at_once(world):
    claim(world)
    assert sweep.sweep(world.db, world.clock).returned == 0
    world.now_s += LEASE_S
    swept = sweep.sweep(world.db, world.clock)
    assert (swept.returned, swept.dead) == (3, 0)
    assert Due(kind="token", scope="ethereum", lane=Lane.HISTORY) in swept.due
    assert sweep.sweep(world.db, world.clock).returned == 0


def test_scans_of_the_dead_are_removed(world):
    query = (
        "insert into gazetteer.scans (lease_id, chain_id, first_block, last_block, emitters, lease_until)"
        " values (gen_random_uuid(), 1, 1, 2, '[]', :until) returning 1"
    )
    ask(world.db, query, until=world.clock() + timedelta(seconds=LEASE_S))
    sweep.sweep(world.db, world.clock)
    assert len(ask(world.db, "select 1 from gazetteer.scans")) == 1
    world.now_s += LEASE_S
    sweep.sweep(world.db, world.clock)
    assert ask(world.db, "select 1 from gazetteer.scans") == []


def test_a_key_whose_workers_always_die_is_given_up_and_nothing_is_due_for_it(world):
    with store.begin(world.db) as tx:
        tx.exec_driver_sql("delete from gazetteer.work where key != (select min(key) from gazetteer.work)")
    dead = []
    for _ in range(5):
        assert claim(world) is not None
        world.now_s += LEASE_S
        swept = sweep.sweep(world.db, world.clock)
        dead.append(swept.dead)
    assert dead == [0, 0, 0, 0, 1]
    assert swept.due == ()
    assert claim(world) is None


# --- stamp ---


def stamp_all(world, node=None):
    stamped = []
    while (done := stamp.stamp(world.db, node or world.node(), world.chain)).blocks:
        stamped.append(done)
        assert len(stamped) < 50
    return stamped


def test_estimated_times_become_those_of_their_blocks(world):
    estimated = ask(world.db, "select 1 from gazetteer.pools where created_at_kind = 'estimated'")
    assert estimated
    stamped = stamp_all(world)
    assert sum(done.pools for done in stamped) == len(estimated)
    assert all(done.blocks <= stamp.BLOCKS_A_BATCH for done in stamped)
    query = "select block_number, extract(epoch from created_at) as at, created_at_kind from gazetteer.pools"
    for row in ask(world.db, query):
        assert int(row.at) == world.ledger.canonical(row.block_number).timestamp_s
        assert row.created_at_kind == "header"
    with store.begin(world.db) as tx:
        assert times.chains_with_estimates(tx) == []


def test_a_block_of_another_branch_lends_its_time_to_nobody(world):
    before = ask(world.db, "select pool_key, created_at, created_at_kind from gazetteer.pools order by 1")
    stamped = stamp.stamp(world.db, world.node(ledger=world.elsewhere()), world.chain)
    assert stamped.blocks > 0
    assert stamped.pools == 0
    assert ask(world.db, "select pool_key, created_at, created_at_kind from gazetteer.pools order by 1") == before


def test_blocks_that_an_endpoint_does_not_have_are_left_for_another(world):
    blank = world.node(faults=[Fault(name="null_blocks", share=1.0)])
    estimated = len(ask(world.db, "select 1 from gazetteer.pools where created_at_kind = 'estimated'"))
    some = stamp.stamp(world.db, blank, world.chain).pools
    assert some < estimated
    assert some + sum(done.pools for done in stamp_all(world)) == estimated


def test_where_logs_carry_their_times_there_is_nothing_to_stamp(db):
    world = World(db).start()
    world.scan(span=10_000)
    assert stamp.stamp(db, world.node(), world.chain) == stamp.Stamped(blocks=0, pools=0)
    assert ask(db, "select distinct created_at_kind from gazetteer.pools") == [("log",)]
