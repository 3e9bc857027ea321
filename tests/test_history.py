"""History is filled from the newest hole down, whatever endpoints refuse; what is not credible is not kept."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import event

from indexer import store
from indexer.errors import BadAnswer, MissingData, NodeUnavailable, Suspicious, TooManyBlocks
from indexer.flow.history import READ_S, NothingMissing
from indexer.flow.ranges import TARGET_LOGS, Ranges
from indexer.sim.faults import Fault
from indexer.sim.rpc import Manners
from indexer.store import facts
from tests.lab.announcing import rows
from tests.lab.simulated import HABITS, LEASE_S, World

MOST_SCANS = 1_000


@pytest.fixture
def world(db):
    """A chain of 400 blocks with forty pools, of which 368 are final, and a register that has just started."""
    return World(db).start()


def ask(db, query, **values):
    with store.begin(db) as tx:
        return rows(tx, query, **values)


def anchor(db):
    return ask(db, "select anchor_number from gazetteer.cursors")[0][0]


def kept(db):
    return {bytes(row.pool_key) for row in ask(db, "select pool_key from gazetteer.pools where orphaned_at is null")}


def scan_all(world, node=None, **decided):
    done = []
    for _ in range(MOST_SCANS):
        scanned = world.scan(node, **decided)
        if isinstance(scanned, NothingMissing):
            return done
        done.append(scanned)
    raise AssertionError("scans do not end")


def leases(db):
    return ask(db, "select 1 from gazetteer.scans")


def covered(db):
    query = """
        select distinct scanned from gazetteer.coverage c join gazetteer.factories f using (chain_id, address)
        where f.enabled
    """
    ((blocks,),) = ask(db, query)
    return [(each.lower, each.upper - 1) for each in blocks]


def spans_of(size):
    """What is known of an endpoint that serves so many blocks at a time."""
    return Ranges(first_span=size, largest_span=size)


def fails_at(number, error):
    """To be called before every exchange: one of them fails."""
    calls = itertools.count(1)

    def during():
        if next(calls) == number:
            raise error

    return during


def test_all_of_history_is_read_newest_first_and_every_pool_and_refused_log_is_kept(world):
    done = scan_all(world, ranges=spans_of(5))
    assert len(done) > 5
    lasts = [scanned.last for scanned in done]
    assert lasts == sorted(lasts, reverse=True)
    assert (lasts[0], done[-1].first) == (anchor(world.db), 1)
    entries = world.entries(1, anchor(world.db))
    assert kept(world.db) == {entry.facts.key for entry in entries if entry.kind == "pool"}
    refused = {(entry.log.block_hash, entry.log.log_index) for entry in entries if entry.kind == "rejected"}
    found = ask(world.db, "select block_hash, log_index from gazetteer.rejected_logs")
    assert {(bytes(row.block_hash), row.log_index) for row in found} == refused
    assert refused
    assert sum(scanned.pools for scanned in done) == len(kept(world.db))
    query = """
        select 1 from gazetteer.coverage c join gazetteer.factories f using (chain_id, address)
        where f.enabled and not c.scanned @> int8range(1, :anchor, '[]')
    """
    assert ask(world.db, query, anchor=anchor(world.db)) == []
    assert leases(world.db) == []


def test_nothing_is_missing_before_a_chain_was_started(db):
    assert isinstance(World(db).scan(), NothingMissing)


def test_nothing_below_the_floor_is_read(world):
    done = scan_all(world, floor=300)
    assert min(scanned.first for scanned in done) == 300
    assert kept(world.db) == world.pool_keys(300, anchor(world.db))


def test_several_workers_fill_it_together(world):
    with ThreadPoolExecutor(4) as threads:
        done = [each for part in threads.map(lambda _: scan_all(world, span=20), range(4)) for each in part]
    assert kept(world.db) == world.pool_keys(1, anchor(world.db))
    assert sum(scanned.pools for scanned in done) == len(kept(world.db))
    created = ask(world.db, "select source, count(*) from gazetteer.events where kind = 'pool.created' group by 1")
    assert [tuple(row) for row in created] == [("history", len(kept(world.db)))]


@pytest.mark.parametrize(
    "fault", [Fault(name="range_cap", amount=7), Fault(name="result_cap", amount=2), Fault(name="filter_cap", amount=3)]
)
def test_what_an_endpoint_refuses_is_asked_in_smaller_pieces(world, fault):
    scan_all(world, world.node(faults=[fault]), ranges=Ranges(first_span=500))
    assert kept(world.db) == world.pool_keys(1, anchor(world.db))


def test_a_range_that_is_refused_down_to_one_block_is_given_back(world):
    with pytest.raises(TooManyBlocks):
        world.scan(world.node(faults=[Fault(name="range_cap", amount=0)]))
    assert leases(world.db) == []
    assert kept(world.db) == set()


def test_a_node_that_fails_gives_the_range_back_at_once(world):
    with pytest.raises(NodeUnavailable):
        world.scan(world.node(faults=[Fault(name="cut")]))
    assert leases(world.db) == []
    assert world.scan(span=100).last == anchor(world.db)


def test_spans_that_follow_each_other_are_read_under_one_lease_and_kept_in_one_transaction(world):
    top, commits = anchor(world.db), []
    event.listen(world.db, "commit", commits.append)
    scanned = world.scan(ranges=spans_of(10))
    assert (scanned.first, scanned.last, scanned.requests) == (top - 79, top, 8)
    assert len(commits) == 2, "one for the claim, one for all that was read"
    assert covered(world.db) == [(top - 79, top)]
    assert kept(world.db) == world.pool_keys(top - 79, top)
    assert leases(world.db) == []


def test_a_node_that_fails_after_some_spans_loses_only_the_rest(world):
    top = anchor(world.db)
    with pytest.raises(NodeUnavailable):
        world.scan(world.node(during=fails_at(4, NodeUnavailable("gone"))), ranges=spans_of(10))
    assert covered(world.db) == [(top - 29, top)]
    assert kept(world.db) == world.pool_keys(top - 29, top)
    assert leases(world.db) == []
    assert world.scan(ranges=spans_of(10)).last == top - 30


def test_a_span_that_is_refused_is_made_smaller_and_is_the_last_of_its_claim(world):
    top, ranges = anchor(world.db), spans_of(10)
    scanned = world.scan(world.node(faults=[Fault(name="range_cap", amount=7)]), ranges=ranges)
    assert (scanned.first, scanned.last, scanned.requests) == (top - 6, top, 2)
    assert leases(world.db) == []
    again = world.scan(world.node(faults=[Fault(name="range_cap", amount=7)]), ranges=ranges)
    assert (again.first, again.last, again.requests) == (top - 62, top - 7, 8)


def test_no_span_is_begun_when_a_scan_has_taken_its_time(world):
    top = anchor(world.db)

    def slow():
        world.now_s += READ_S / 2.5

    node = world.node(during=slow)
    scanned = world.scan(node, ranges=spans_of(10))
    assert (scanned.first, scanned.last) == (top - 29, top)
    assert leases(world.db) == []


def test_no_span_is_begun_when_there_is_enough_for_one_transaction(db):
    world = World(db, habits=replace(HABITS, history_pools=4_000)).start()
    scanned = world.scan(ranges=spans_of(46))
    assert TARGET_LOGS <= scanned.logs < 2 * TARGET_LOGS
    assert scanned.requests in range(2, 8)
    assert kept(db) == world.pool_keys(scanned.first, scanned.last)
    assert leases(db) == []


def test_who_lost_the_lease_after_some_spans_writes_nothing_of_any(world):
    during = itertools.count()

    def too_slow():
        world.now_s = LEASE_S if next(during) > 3 else 0.0

    assert world.scan(world.node(during=too_slow), ranges=spans_of(10)).lost
    assert (kept(world.db), covered(world.db)) == (set(), [])


def test_who_lost_the_lease_while_reading_writes_nothing(world):
    def too_slow():
        world.now_s = LEASE_S

    scanned = world.scan(world.node(during=too_slow))
    assert (scanned.lost, scanned.pools) == (True, 0)
    assert kept(world.db) == set()
    assert ask(world.db, "select 1 from gazetteer.coverage where scanned != '{}'") == []
    assert ask(world.db, "select 1 from gazetteer.events") == []
    assert world.scan(span=100).last == anchor(world.db)


def test_of_two_who_read_the_same_range_only_the_one_with_the_lease_writes(world):
    inner = []

    def overtaken():
        if not inner:
            world.now_s = LEASE_S
            inner.append(None)
            inner.append(world.scan(span=100))

    outer = world.scan(world.node(during=overtaken), span=100)
    assert (outer.first, outer.last) == (inner[1].first, inner[1].last)
    assert (outer.lost, inner[1].lost) == (True, False)
    assert kept(world.db) == world.pool_keys(outer.first, outer.last)


def test_an_endpoint_that_does_not_know_the_range_to_be_final_is_not_believed(db):
    world = World(db)
    world.ledger.advance_to(60)
    world.start()
    with pytest.raises(MissingData, match="has finalized"):
        world.scan(world.node(faults=[Fault(name="stale_finality", amount=60)]))
    assert leases(world.db) == []


def test_an_endpoint_without_the_tag_is_believed_by_depth(db):
    world = World(db)
    node = world.node(manners=Manners(tags=("latest",)))
    world.start(node)
    assert anchor(db) == HABITS.history_blocks - world.chain.finality_depth
    scan_all(world, node)
    assert kept(db) == world.pool_keys(1, anchor(db))


def test_an_endpoint_with_another_block_at_the_anchor_is_not_believed(world):
    with pytest.raises(BadAnswer, match="another block at the anchor"):
        world.scan(world.node(ledger=world.elsewhere()))
    assert (kept(world.db), leases(world.db)) == (set(), [])


def test_logs_that_nobody_asked_for_are_suspicious_unless_there_is_nobody_else_to_ask(world):
    node = world.node(faults=[Fault(name="foreign_logs")])
    with pytest.raises(Suspicious):
        world.scan(node)
    assert leases(world.db) == []
    scan_all(world, node, strict=False)
    assert kept(world.db) == world.pool_keys(1, anchor(world.db))


def test_a_factory_that_became_known_later_is_read_alone_where_the_others_were_read(db):
    late = next(each for each in World(db).factories if each.enabled and each.protocol == "uniswap_v3")
    world = World(db)
    others = [replace(each, enabled=each.enabled and each != late) for each in world.factories]
    with store.begin(db) as tx:
        facts.load(tx, [world.chain], others)
    world.start()
    scan_all(world)
    theirs = {e.facts.key for e in world.entries(1, anchor(db)) if e.kind == "pool" and e.log.address == late.address}
    assert theirs
    assert kept(db) == world.pool_keys(1, anchor(db)) - theirs
    before = dict(ask(db, "select pool_key, cast(xmin as text) from gazetteer.pools"))
    with store.begin(db) as tx:
        facts.load(tx, [world.chain], world.factories)
    done = scan_all(world)
    assert (done[0].last, done[-1].first) == (anchor(db), 1)
    assert kept(db) == world.pool_keys(1, anchor(db))
    after = dict(ask(db, "select pool_key, cast(xmin as text) from gazetteer.pools"))
    assert {key: after[key] for key in before} == before


def test_creation_times_are_the_logs_own_or_estimated_between_two_headers(db):
    world = World(db).start()
    scan_all(world, world.node(manners=Manners(stamped=False)), ranges=spans_of(40))
    kinds = {row.created_at_kind for row in ask(db, "select created_at_kind from gazetteer.pools")}
    assert "estimated" in kinds
    assert kinds <= {"estimated", "header"}
    query = "select block_number, extract(epoch from created_at) as at, created_at_kind as kind from gazetteer.pools"
    for row in ask(db, query):
        off_s = abs(int(row.at) - world.ledger.canonical(row.block_number).timestamp_s)
        assert off_s <= (0 if row.kind == "header" else 40)
