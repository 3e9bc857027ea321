"""What is scanned is read again through another endpoint, and becomes what both together say."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer import store
from indexer.errors import NodeUnavailable
from indexer.flow import audit, weighing
from indexer.flow.history import NothingMissing
from indexer.flow.ranges import Ranges
from indexer.model import Hash32
from indexer.sim.faults import Fault
from indexer.store import cursor, readings
from tests.lab.announcing import announce, refuse, rows
from tests.lab.register import block_hash
from tests.lab.simulated import LEASE_S, World

pytestmark = pytest.mark.slow

MOST_RANGES = 1_000
FALSE = Hash32(b"\xfa" * 32)


@pytest.fixture
def world(db):
    """A chain of 400 blocks with forty pools, of which 368 are final, and a register that has just started."""
    return World(db).start()


def ask(world, query, **values):
    with store.begin(world.db) as tx:
        return rows(tx, query, **values)


def change(world, query, **values):
    ask(world, query + " returning 1", **values)


def scan_all(world, *nodes):
    """All of history, by these endpoints in turn."""
    for number in range(MOST_RANGES):
        if isinstance(world.scan(nodes[number % len(nodes)], span=50), NothingMissing):
            return
    raise AssertionError("scans do not end")


def look(world, *nodes, span=100, **decided):
    spans = {}
    return audit.audit(
        world.db,
        nodes,
        world.chain,
        lambda name: spans.setdefault(name, Ranges(first_span=span, largest_span=span)),
        world.clock,
        lease_s=LEASE_S,
        **decided,
    )


def audit_all(world, *nodes, **decided):
    done = []
    for _ in range(MOST_RANGES):
        audited = look(world, *nodes, **decided)
        if isinstance(audited, audit.NothingToAudit):
            return done
        assert isinstance(audited, audit.Audited), audited.error
        done.append(audited)
    raise AssertionError("audits do not end")


def blamed(done):
    return sum((Counter(audited.blamed) for audited in done), Counter())


def final(world):
    with store.begin(world.db) as tx:
        return cursor.read(tx, world.chain.id).anchor.number


def pools(world):
    return {bytes(row.pool_key): row for row in ask(world, "select * from gazetteer.pools where orphaned_at is null")}


def rejected(world, last):
    query = "select block_hash, log_index from gazetteer.rejected_logs where orphaned_at is null"
    return ask(world, query + " and block_number <= :last", last=last)


def exact(world):
    """Every pool and every refused log up to the anchor, at its place on the chain, and nothing else."""
    entries = world.entries(1, final(world))
    below = {key: row for key, row in pools(world).items() if row.block_number <= final(world)}
    there = {key: (row.block_hash, row.tx_hash, row.log_index) for key, row in below.items()}
    wanted = {e.facts.key: (e.log.block_hash, e.log.tx_hash, e.log.log_index) for e in entries if e.kind == "pool"}
    refused = {(e.log.block_hash, e.log.log_index) for e in entries if e.kind == "rejected"}
    return there == wanted and {tuple(row) for row in rejected(world, final(world))} == refused


def audited_blocks(world):
    (row,) = ask(world, "select min(audited_blocks), max(audited_blocks) from api.coverage where enabled")
    return tuple(row)


def liar(world, name, fault, share=1.0, seed=0):
    return world.node(name=name, faults=[Fault(name=fault, share=share)], seed=seed)


@pytest.mark.parametrize(("fault", "share"), [("no_logs", 1.0), ("no_logs", 0.4), ("partial_logs", 1.0)])
def test_what_one_endpoint_omitted_another_brings(world, fault, share):
    scan_all(world, liar(world, "a", fault, share))
    missing = len(world.pool_keys(1, final(world))) - len(pools(world))
    assert missing > 0
    done = audit_all(world, world.node(name="b"), world.node(name="c"))
    assert exact(world)
    assert audited_blocks(world) == (final(world), final(world))
    found = blamed(done)
    assert set(found) == {("a", "omitted_logs")}
    assert found["a", "omitted_logs"] >= missing
    (row,) = ask(world, "select * from api.endpoint_health where last_lie_at is not null")
    assert (row.endpoint, row.omitted_logs, row.invented_logs) == ("a", found["a", "omitted_logs"], 0)
    assert row.last_lie_at == world.clock()
    assert {row.endpoint for row in ask(world, "select * from api.endpoint_health where upheld_blocks > 0")} == {
        "b",
        "c",
    }, "where two differ everybody is heard"


def test_pools_that_an_audit_brings_are_events_and_have_their_tokens_asked(world):
    scan_all(world, liar(world, "a", "no_logs"))
    assert ask(world, "select 1 from gazetteer.work") == []
    audit_all(world, world.node(name="b"), world.node(name="a"))
    told = ask(world, "select subject, kind from gazetteer.events")
    assert {(bytes(row.subject), row.kind) for row in told} == {(key, "pool.created") for key in pools(world)}
    asked = {bytes(row.key) for row in ask(world, "select key from gazetteer.work where kind = 'token'")}
    sides = {bytes(side) for row in pools(world).values() for side in (row.token0, row.token1)}
    assert asked == sides - {bytes(20)}


@pytest.mark.parametrize("fault", ["no_logs", "partial_logs"])
def test_what_the_second_endpoint_omits_is_not_taken_away(world, fault):
    scan_all(world, world.node(name="a"))
    before = pools(world)
    done = audit_all(world, liar(world, "b", fault), world.node(name="a"))
    assert {audited.endpoints[0] for audited in done} == {"b"}
    assert pools(world) == before
    assert exact(world)
    assert {who for who, _ in blamed(done)} == {"b"}


def test_of_two_that_omit_different_logs_the_union_is_kept(world):
    one, other = Forgetful(world.node(name="a"), {0, 1}), Forgetful(world.node(name="b"), {1, 2})
    scan_all(world, one)
    done = audit_all(world, other, one)
    found, whole = pools(world), world.pool_keys(1, final(world))
    assert found.keys() < whole
    assert {who for who, _ in blamed(done)} == {"a", "b"}
    assert all(row.block_number <= final(world) for row in found.values())


def test_where_all_but_one_may_lie_every_endpoint_is_heard(world):
    nodes = [liar(world, "a", "partial_logs", seed=1), liar(world, "b", "no_logs"), world.node(name="c")]
    scan_all(world, nodes[0])
    audit_all(world, *nodes, witnesses=3)
    assert exact(world)
    assert audited_blocks(world) == (final(world), final(world))


class Forgetful:
    """An endpoint that has lost a part of the logs, whoever asks and however often: the same ones as its twin."""

    def __init__(self, node, lost=frozenset({0})):
        self.node, self.name, self.lost = node, node.name, lost

    def __getattr__(self, name):
        return getattr(self.node, name)

    def window(self, first, last, wanted):
        window = self.node.window(first, last, wanted)
        return replace(window, logs=tuple(log for log in window.logs if log.tx_hash[0] % 4 not in self.lost))


def test_two_that_omit_the_same_logs_agree_and_only_a_third_witness_finds_out(world):
    """Two endpoints behind one backend: what both omit is missing from rows that are called audited."""
    same = [Forgetful(world.node(name=name)) for name in "ab"]
    scan_all(world, same[0])
    assert not blamed(audit_all(world, *same))
    assert audited_blocks(world) == (final(world), final(world))
    assert not exact(world)
    change(world, "update gazetteer.coverage set audited = '{}'")
    done = audit_all(world, *same, world.node(name="c"), witnesses=3)
    assert exact(world)
    assert {who for who, _ in blamed(done)} == {"a", "b"}
    assert {name for audited in done for name in audited.upheld} == {"c"}
    (row,) = ask(world, "select endpoint, last_upheld_at from api.endpoint_health where upheld_blocks > 0")
    assert tuple(row) == ("c", world.clock())


@pytest.mark.parametrize("seed", range(5))
def test_history_and_head_that_two_endpoints_omit_alike_end_exact_by_an_honest_third(db, seed):
    world = World(db, seed=seed).start()
    nodes = [*(Forgetful(world.node(name=name)) for name in "ab"), world.node(name="c")]
    scan_all(world, *nodes[:2])
    for _ in range(100):
        world.ledger.advance()
    world.follow(nodes[seed % 2], blocks=10)
    assert not exact(world)
    audit_all(world, *nodes, witnesses=3)
    assert exact(world)
    assert audited_blocks(world) == (final(world), final(world))


def test_where_two_differ_every_other_endpoint_is_heard_however_few_are_wanted(world):
    same = [Forgetful(world.node(name=name)) for name in "ac"]
    scan_all(world, same[0])
    nodes = [liar(world, "b", "no_logs"), *same, world.node(name="d")]
    done = audit_all(world, *nodes, witnesses=2)
    assert exact(world)
    heard = {audited.endpoints for audited in done}
    assert {endpoints for endpoints in heard if len(endpoints) > 1} == {("b", "a", "c", "d")}


def test_a_further_endpoint_that_fails_is_told_of_and_holds_nothing_up(world):
    scan_all(world, liar(world, "a", "no_logs"))
    broken = liar(world, "c", "server_error")
    done = audit_all(world, world.node(name="b"), broken, world.node(name="d"))
    assert exact(world)
    assert {node for audited in done for node, _ in audited.failed} == {broken}


def test_an_endpoint_that_is_asked_twice_has_one_voice(world):
    """Its first reading is in the rows, its second one is heard: that makes no majority."""
    scan_all(world, world.node(name="a"))
    change(world, "update gazetteer.pools set token0 = :forged where block_number = :block", forged=bytes(19) + b"1",
           block=ask(world, "select max(block_number) from gazetteer.pools")[0][0])  # fmt: skip
    false, true, other = announce(1, 11), replace(announce(1, 11), token0=announce(2, 11).token0), heard("c")
    told = [heard("b", true), heard("a", false)]
    assert weighing.weigh(told, heard("a", false), hashes()).undecided == [11]
    assert weighing.weigh([*told, other], heard("a", false), hashes()).undecided == [11]
    audit_all(world, world.node(name="b"), world.node(name="a"))
    assert exact(world)


def test_a_single_endpoint_scans_but_confirms_nothing(world):
    node = world.node(name="a")
    scan_all(world, node)
    assert look(world, node) == audit.NothingToAudit()
    assert look(world) == audit.NothingToAudit()
    (row,) = ask(world, "select distinct percent, audited_blocks, audited_percent from api.coverage where enabled")
    assert (row.percent, row.audited_blocks, row.audited_percent) == (100, 0, 0)


def test_an_endpoint_does_not_confirm_what_it_read_itself_and_another_does_alone(world):
    one, other = world.node(name="a"), world.node(name="b")
    scan_all(world, one)
    assert look(world, one) == audit.NothingToAudit()
    assert {audited.endpoints for audited in audit_all(world, one, other)} == {("b",)}


def test_where_both_may_have_read_a_block_both_read_it_again(world):
    one, other = world.node(name="a"), world.node(name="b")
    scan_all(world, one, other)
    done = audit_all(world, one, other, span=1_000)
    assert {audited.endpoints for audited in done} == {("a", "b")}
    assert audited_blocks(world) == (final(world), final(world))


def test_with_one_of_two_endpoints_at_hand_only_what_the_other_read_is_audited(world):
    one, other = world.node(name="a"), world.node(name="b")
    for number in range(MOST_RANGES):
        scanned = world.scan((one, other)[number % 2], span=50)
        if isinstance(scanned, NothingMissing):
            break
    done = audit_all(world, one)
    assert 0 < sum(audited.last - audited.first + 1 for audited in done) < final(world)
    assert all(audited.endpoints == ("a",) for audited in done)
    with store.begin(world.db) as tx:
        assert not any("a" in readings.of(tx, world.chain.id, each.first, each.last)[0] for each in done)


def test_blocks_whose_readers_nobody_knows_are_read_by_two(world):
    one, other = world.node(name="a"), world.node(name="b")
    scan_all(world, one)
    change(world, "delete from gazetteer.readings")
    assert look(world, other) == audit.NothingToAudit()
    assert {audited.endpoints for audited in audit_all(world, one, other)} == {("a", "b")}


def test_what_the_head_read_is_audited_once_the_anchor_has_passed(world):
    one, other = world.node(name="a"), world.node(name="b")
    began = final(world)
    for _ in range(100):
        world.ledger.advance()
    world.follow(one, blocks=10)
    done = audit_all(world, one, other)
    assert {audited.endpoints for audited in done} == {("b",)}
    assert (done[-1].first, done[0].last) == (began + 1, final(world))
    assert not blamed(done)


def test_a_head_that_was_read_by_a_liar_is_put_right(world):
    for _ in range(100):
        world.ledger.advance()
    world.follow(liar(world, "a", "no_logs"), blocks=10)
    assert not pools(world)
    scan_all(world, world.node(name="b"))
    audit_all(world, world.node(name="a"), world.node(name="b"))
    assert exact(world)


def test_a_pool_under_a_false_hash_moves_to_the_block_that_two_endpoints_have(world):
    scan_all(world, world.node(name="a"))
    change(world, "update gazetteer.pools set block_hash = :false where block_number = :block", false=FALSE, block=1 + (
        ask(world, "select min(block_number) - 1 from gazetteer.pools")[0][0]))  # fmt: skip
    done = audit_all(world, world.node(name="b"), world.node(name="a"))
    assert exact(world)
    assert set(blamed(done)) == {("a", "wrong_hashes")}
    moved = ask(world, "select count(*) from gazetteer.events where kind = 'pool.moved'")[0][0]
    assert moved == blamed(done)["a", "wrong_hashes"]


def test_a_pool_that_is_in_no_block_goes_and_its_inventor_is_counted(world):
    scan_all(world, world.node(name="a"))
    (key,) = ask(world, "select pool_key from gazetteer.pools limit 1")[0]
    change(world, """insert into gazetteer.pools select chain_id, :made, emitter, topic0, dex, protocol, token0, token1,
        fee_ppm, fee_kind, tick_spacing, bin_step, stable, hooks, deployer, pool_index, proof, block_number, :false,
        tx_hash, 4000, created_at, created_at_kind, first_seen, source from gazetteer.pools where pool_key = :key""",
        made=bytes(20), false=FALSE, key=key)  # fmt: skip
    done = audit_all(world, world.node(name="b"), world.node(name="a"))
    assert exact(world)
    assert blamed(done) == {("a", "invented_logs"): 1}
    gone = ask(
        world, "select orphaned_at is not null as gone from gazetteer.pools where pool_key = :key", key=bytes(20)
    )
    assert [row.gone for row in gone] == [True]


class Forger:
    """An endpoint whose header of one block is made up."""

    def __init__(self, node, block):
        self.node, self.block, self.name = node, block, node.name

    def __getattr__(self, name):
        return getattr(self.node, name)

    def headers(self, numbers):
        return [
            replace(header, hash=FALSE) if header.number == self.block else header
            for header in self.node.headers(numbers)
        ]


def test_a_block_that_two_endpoints_name_differently_waits_for_a_third(world):
    scan_all(world, liar(world, "a", "no_logs"))
    block = max(entry.log.block_number for entry in world.entries(1, final(world)) if entry.kind == "pool")
    two = (Forger(world.node(name="b"), block), world.node(name="a"))
    done = audit_all(world, *two)
    assert [each for audited in done for each in audited.undecided] == [block]
    assert audited_blocks(world) == (final(world) - 1, final(world) - 1)
    assert block not in {row.block_number for row in pools(world).values()}
    assert look(world, *two, world.node(name="c")) == audit.NothingToAudit(), "it is put off for a while"
    world.now_s += audit.UNDECIDED_S + 1
    audit_all(world, *two, world.node(name="c"))
    assert exact(world)
    assert audited_blocks(world) == (final(world), final(world))


def test_an_endpoint_with_another_block_at_our_anchor_decides_nothing(world):
    scan_all(world, liar(world, "a", "no_logs"))
    before = pools(world)
    stranger = world.node(name="b", ledger=world.elsewhere())
    done = look(world, stranger, world.node(name="a"), span=30)
    assert isinstance(done, audit.Unread)
    assert done.node is stranger
    assert pools(world) == before
    assert ask(world, "select 1 from gazetteer.scans") == [], "the claim was given back"
    assert audited_blocks(world) == (0, 0)


def test_an_endpoint_that_fails_gives_the_claim_back(world):
    scan_all(world, world.node(name="a"))
    done = look(world, liar(world, "b", "server_error"), world.node(name="a"))
    assert (done.node.name, type(done.error)) == ("b", NodeUnavailable)
    assert ask(world, "select 1 from gazetteer.scans") == []


def test_a_lost_lease_writes_nothing(world):
    scan_all(world, liar(world, "a", "no_logs"))

    def sleep():
        world.now_s += LEASE_S + 1

    assert look(world, world.node(name="b", during=sleep), world.node(name="a")).lost
    assert not pools(world)
    assert audited_blocks(world) == (0, 0)


def test_a_range_is_audited_by_one_worker_at_a_time(world):
    scan_all(world, world.node(name="a"))
    inner = []

    def another():
        if not inner:
            inner.append(None)
            inner[0] = look(world, world.node(name="c"), world.node(name="a"))

    outer = look(world, world.node(name="b", during=another), world.node(name="a"))
    assert inner[0].last < outer.first
    assert not outer.lost


def test_a_halted_chain_is_not_audited(world):
    scan_all(world, world.node(name="a"))
    change(world, "update gazetteer.cursors set halted = 'a person has to decide'")
    assert look(world, world.node(name="b"), world.node(name="a")) == audit.NothingToAudit()


def test_a_factory_that_is_added_later_is_audited_for_its_own_blocks_only(db):
    world = World(db)
    late = next(each for each in world.factories if each.enabled)
    change(world, "update gazetteer.factories set enabled = false where address = :address", address=late.address)
    world.start()
    one, other = world.node(name="a"), world.node(name="b")
    scan_all(world, one)
    audit_all(world, one, other)
    change(world, "update gazetteer.factories set enabled = true where address = :address", address=late.address)
    scan_all(world, other)
    done = audit_all(world, one, other)
    assert {audited.endpoints for audited in done} == {("a",)}, "the other endpoint has read it this time"
    assert exact(world)


def test_readers_are_forgotten_once_all_is_audited(world):
    scan_all(world, world.node(name="a"))
    audit_all(world, world.node(name="b"), world.node(name="a"))
    assert ask(world, "select 1 from gazetteer.readings where not isempty(ranges)") == []


def test_an_endpoint_with_too_many_ranges_counts_as_having_read_all_between(world):
    with store.begin(world.db) as tx:
        for block in range(0, 2 * readings.MOST_RANGES, 2):
            readings.add(tx, world.chain.id, "a", block, block)
        assert readings.of(tx, world.chain.id, 1, 1) == (frozenset(), False)
        readings.add(tx, world.chain.id, "a", 10_000, 10_000)
        assert readings.of(tx, world.chain.id, 1, 9_999) == (frozenset({"a"}), True)


def test_a_range_that_one_of_the_endpoints_refuses_is_audited_in_smaller_ones(world):
    scan_all(world, world.node(name="a"))
    change(world, "delete from gazetteer.readings")
    capped = world.node(name="b", faults=[Fault(name="range_cap", amount=7)])
    first = look(world, world.node(name="a"), capped)
    assert first.last - first.first < 7
    audit_all(world, world.node(name="a"), capped)
    assert audited_blocks(world) == (final(world), final(world))


# what several readings of one range say, without endpoints

FIRST, LAST = 10, 14
BLOCKS = st.integers(FIRST, LAST)


def heard(endpoint, *told):
    pools_, others = [t for t in told if hasattr(t, "key")], [t for t in told if not hasattr(t, "key")]
    return weighing.reading(endpoint, FIRST, LAST, pools_, others)


def hashes(*blocks):
    return {block: block_hash(block) for block in blocks or range(FIRST, LAST + 1)}


def test_two_announcements_at_one_place_are_decided_by_a_third_reading():
    true, forged = announce(1, 11), replace(announce(1, 11), token0=announce(2, 11).token0)
    stored = heard("a", forged)
    assert weighing.weigh([heard("b", true)], stored, hashes()).undecided == [11]
    weighed = weighing.weigh([heard("b", true), heard("c", true)], stored, hashes())
    assert (weighed.undecided, weighed.created) == ([], [true])
    assert weighed.blamed == {("a", "invented_logs"): 1}


def test_an_undecided_block_keeps_what_is_stored():
    stored = heard("a", announce(1, 11), refuse(11, index=3))
    weighed = weighing.weigh([heard("b", announce(2, 11, index=1))], stored, {})
    assert (weighed.created, weighed.rejected) == ([announce(1, 11)], [refuse(11, index=3)])
    assert (weighed.undecided, weighed.blamed) == ([11], {})


def test_an_omitted_second_announcement_of_one_transaction_is_no_omission_of_the_first():
    early, late = announce(1, 11, index=4), announce(1, 11, index=5)
    weighed = weighing.weigh([heard("b", early)], heard("a", late), hashes())
    assert weighed.created == [late]
    assert weighed.blamed == {("b", "omitted_logs"): 1}


def test_what_is_stored_of_a_rejected_log_is_enough_to_know_it_again():
    long = refuse(11, data=b"x" * 5_000)
    row = replace(long, log=replace(long.log, data=long.log.data[: weighing.DATA_BYTES]))
    assert weighing.disputed([heard("b", long), heard("a", row)]) == []
    other = replace(long, log=replace(long.log, data=b"y"))
    assert weighing.disputed([heard("b", other), heard("a", row)]) == [11]


@st.composite
def lies(draw):
    """A chain's announcements, and readings of it: each omits some, shows some under a false hash, invents some."""
    truth = {}
    for index in range(draw(st.integers(0, 8))):
        block = draw(BLOCKS)
        told = announce(index, block, index=index) if draw(st.booleans()) else refuse(block, index=index)
        truth[index] = told
    shown = []
    for name in "abc"[: draw(st.integers(2, 3))]:
        false = Hash32(name.encode() * 32)  # of his own: what everybody tells alike is believed
        told = []
        for each in truth.values():
            fate = draw(st.sampled_from(["shown", "shown", "omitted", "false hash"]))
            if fate == "shown":
                told.append(each)
            elif fate == "false hash":
                told.append(replace(each, log=replace(each.log, block_hash=false)))
        if draw(st.booleans()):
            made = announce(90, draw(BLOCKS), index=9)
            told.append(replace(made, log=replace(made.log, block_hash=false)))
        shown.append(heard(name, *told))
    return list(truth.values()), shown


@given(lies())
def test_whatever_lies_are_told_the_union_of_what_is_under_true_hashes_is_true(case):
    truth, (stored, *told) = case
    everything = {each for reading in (stored, *told) for each in reading.told.values()}
    weighed = weighing.weigh(told, stored, hashes())
    assert {*weighed.created, *weighed.rejected} == {each for each in truth if each in everything}
    assert weighed.undecided == []
    for reading in (stored, *told):
        false = sum(1 for each in reading.told.values() if each.log.block_hash != block_hash(each.log.block_number))
        lacks = sum(1 for each in truth if each in everything and each not in reading.told.values())
        count = {what: weighed.blamed[reading.endpoint, what] for what in ("omitted_logs", "wrong_hashes")}
        assert count["omitted_logs"] + count["wrong_hashes"] == lacks
        assert false == 0 or count["wrong_hashes"] + weighed.blamed[reading.endpoint, "invented_logs"] > 0
