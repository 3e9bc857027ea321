"""Coverage is exactly what was listened to: no more, so that a hole is seen; no less, so that nothing is read twice."""

from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexer import store
from indexer.model import Address, Emitter, Hash32
from indexer.store import consent, coverage, facts
from tests.lab import register
from tests.lab.announcing import EMITTERS, OTHER, OTHER_FACTORY, rows
from tests.lab.register import ANCHOR, EMITTER, ETHEREUM, FACTORY

SECOND_TOPIC = Hash32(bytes.fromhex("77" * 32))
KEYS = 3


@pytest.fixture
def tx(db):
    """A transaction on a register with two factories, whose tip and anchor are block 1,000. Rolled back."""
    with db.connect() as connection, connection.begin():
        register.begin(connection, FACTORY, OTHER_FACTORY)
        yield connection


def blocks(tx, emitter=EMITTER, upto=1_200):
    """The covered blocks of one (emitter, topic0)."""
    query = """
        select n from gazetteer.coverage c, generate_series(0, :upto) as n
        where c.address = :address and c.topic0 = :topic0 and c.scanned @> cast(n as bigint)
    """
    values = {"address": emitter.factory.address, "topic0": emitter.topic0, "upto": upto}
    return {row.n for row in rows(tx, query, **values)}


def span(first, last):
    return set(range(first, last + 1))


def step(tx, first, emitters=EMITTERS):
    coverage.listened(tx, ETHEREUM.id, emitters, first)


def anchor(tx, above, to):
    coverage.credit(tx, ETHEREUM.id, above, to)


def test_moving_the_anchor_credits_what_was_listened_to_and_no_block_more(tx):
    step(tx, 1_001)
    step(tx, 1_011)
    anchor(tx, ANCHOR, 1_015)
    assert blocks(tx) == blocks(tx, OTHER) == span(1_001, 1_015)
    anchor(tx, 1_015, 1_020)
    assert blocks(tx) == span(1_001, 1_020)


def test_a_step_after_a_fork_is_listened_to_from_the_fork_or_earlier(tx):
    step(tx, 1_001)
    step(tx, 1_011)
    step(tx, 1_006)  # back to block 1,005
    anchor(tx, ANCHOR, 1_020)
    assert blocks(tx) == span(1_001, 1_020)


def test_a_factory_added_while_following_is_credited_only_from_where_it_was_listened_to(tx):
    step(tx, 1_001, [EMITTER])
    step(tx, 1_011)
    anchor(tx, ANCHOR, 1_020)
    assert blocks(tx) == span(1_001, 1_020)
    assert blocks(tx, OTHER) == span(1_011, 1_020)


def test_a_factory_added_while_following_is_credited_from_the_fork_that_was_read_with_it(tx):
    step(tx, 1_001, [EMITTER])
    step(tx, 1_011)
    step(tx, 1_004)
    anchor(tx, ANCHOR, 1_020)
    assert blocks(tx, OTHER) == span(1_004, 1_020)


def test_a_gap_in_listening_leaves_a_hole(tx):
    step(tx, 1_001)
    step(tx, 1_011, [OTHER])  # a process of an older release does not know the first factory
    step(tx, 1_021)
    anchor(tx, ANCHOR, 1_030)
    assert blocks(tx) == span(1_021, 1_030)
    assert blocks(tx, OTHER) == span(1_001, 1_030)


def test_what_nobody_listens_to_any_more_is_not_credited(tx):
    step(tx, 1_001)
    step(tx, 1_011, [])
    anchor(tx, ANCHOR, 1_020)
    assert blocks(tx) == blocks(tx, OTHER) == set()


def test_an_anchor_below_where_listening_began_credits_nothing(tx):
    step(tx, 1_001, [EMITTER])
    step(tx, 1_011)
    anchor(tx, ANCHOR, 1_010)
    assert blocks(tx, OTHER) == set()


def test_a_second_topic_of_a_known_factory_leaves_a_hole_of_its_own(tx):
    step(tx, 1_001)
    anchor(tx, ANCHOR, 1_010)
    facts.load(tx, [ETHEREUM], [replace(FACTORY, topics=(*FACTORY.topics, SECOND_TOPIC)), OTHER_FACTORY])
    second = Emitter(topic0=SECOND_TOPIC, factory=FACTORY)
    assert second.key in {emitter.key for emitter in facts.watched(tx, ETHEREUM.id)}
    step(tx, 1_021, [*EMITTERS, second])
    anchor(tx, 1_010, 1_030)
    assert blocks(tx) == span(1_001, 1_030)
    assert blocks(tx, second) == span(1_021, 1_030)


def test_a_topic_that_is_no_longer_decoded_is_forgotten_and_begins_anew(tx):
    both = replace(FACTORY, topics=(*FACTORY.topics, SECOND_TOPIC))
    second = Emitter(topic0=SECOND_TOPIC, factory=FACTORY)
    facts.load(tx, [ETHEREUM], [both])
    coverage.add(tx, ETHEREUM.id, [second.key, EMITTER.key], 500, 600)
    facts.load(tx, [ETHEREUM], [FACTORY])
    facts.load(tx, [ETHEREUM], [both])
    assert blocks(tx, second) == set()
    assert blocks(tx) == span(500, 600)


def test_a_factory_that_is_switched_off_keeps_its_coverage_but_is_not_watched(tx):
    coverage.add(tx, ETHEREUM.id, [EMITTER.key], 500, 600)
    facts.load(tx, [ETHEREUM], [OTHER_FACTORY])
    assert {emitter.key for emitter in facts.watched(tx, ETHEREUM.id)} == {OTHER.key}
    assert blocks(tx) == span(500, 600)
    facts.load(tx, [ETHEREUM], [FACTORY, OTHER_FACTORY])
    assert {emitter.key for emitter in facts.watched(tx, ETHEREUM.id)} == {EMITTER.key, OTHER.key}


def test_chains_with_holes_are_those_that_miss_a_block_above_their_floor(tx):
    assert consent.chains_with_holes(tx) == ["ethereum"]
    keys = [emitter.key for emitter in EMITTERS]
    coverage.add(tx, ETHEREUM.id, keys, 500, ANCHOR)
    assert consent.chains_with_holes(tx) == ["ethereum"]
    consent.decide(tx, ETHEREUM.id, floor=500, consent=False)
    assert consent.chains_with_holes(tx) == []
    consent.decide(tx, ETHEREUM.id, floor=499, consent=True)
    assert consent.chains_with_holes(tx) == ["ethereum"]
    coverage.add(tx, ETHEREUM.id, keys, FACTORY.from_block, 500)
    consent.decide(tx, ETHEREUM.id, floor=None, consent=False)
    assert consent.chains_with_holes(tx) == []
    assert consent.read(tx, ETHEREUM.id) == consent.Consent(floor=None, keyed=True)


# --- any life of a chain ---


@dataclass
class Heard:
    """Block by block and key by key, who was heard when it was read last. No ranges in it.

    `forked`: blocks were taken back. A gap among them is forgotten here; the register may leave a hole for it, which
    history fills, but never says more than was heard.
    """

    forked: bool = False

    tip: int = ANCHOR
    anchor: int = ANCHOR
    by: dict = field(default_factory=dict)  # block -> places of the emitters that were asked for
    covered: dict = field(default_factory=lambda: {place: set() for place in range(KEYS)})

    def step(self, back, ahead, places):
        fork = max(self.anchor, self.tip - back)
        self.forked = self.forked or fork < self.tip
        last = fork + 1 + ahead
        self.by |= dict.fromkeys(range(fork + 1, last + 1), places)
        self.by = {block: heard for block, heard in self.by.items() if block <= last}
        self.tip = last
        return fork + 1

    def move(self, to):
        """A key counts from where it has been heard up to the tip without a gap; a gap forgets what was before it."""
        for place in range(KEYS):
            heard = [block for block in range(self.anchor + 1, self.tip + 1) if place not in self.by[block]]
            since = max(heard, default=self.anchor) + 1
            self.covered[place] |= set(range(since, to + 1))
        self.anchor = to


def emitters_of(size):
    factories = [replace(FACTORY, address=Address(bytes([number + 1]) * 20)) for number in range(size)]
    return [Emitter(topic0=FACTORY.topics[0], factory=factory) for factory in factories]


PLACES = st.frozensets(st.integers(0, KEYS - 1))
LIFE = st.lists(
    st.one_of(
        st.tuples(st.just("step"), st.integers(0, 12), st.integers(0, 9), PLACES),
        st.tuples(st.just("anchor"), st.integers(1, 20), st.just(0), PLACES),
        st.tuples(st.just("scan"), st.integers(0, 60), st.integers(0, 30), PLACES),
    ),
    min_size=1,
    max_size=20,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(life=LIFE)
def test_after_any_steps_forks_anchors_and_scans_coverage_is_what_was_heard(db, life):
    emitters, heard = emitters_of(KEYS), Heard()
    with db.connect() as tx, tx.begin():
        register.begin(tx, *(emitter.factory for emitter in emitters))
        for kind, one, other, places in life:
            chosen = [emitters[place] for place in places]
            if kind == "step":
                step(tx, heard.step(one, other, places), chosen)
            elif kind == "anchor" and heard.tip > heard.anchor:
                to = min(heard.anchor + one, heard.tip)
                anchor(tx, heard.anchor, to)
                heard.move(to)
            elif kind == "scan":
                first, last = ANCHOR - one, min(ANCHOR - one + other, heard.anchor)
                coverage.add(tx, ETHEREUM.id, [emitter.key for emitter in chosen], first, last)
                for place in places:
                    heard.covered[place] |= span(first, last)
            for place, emitter in enumerate(emitters):
                assert blocks(tx, emitter) <= heard.covered[place]
                assert heard.forked or blocks(tx, emitter) == heard.covered[place]
        tx.get_transaction().rollback()


def scan(db, keys, first, last):
    with store.begin(db) as tx:
        coverage.add(tx, ETHEREUM.id, keys, first, last)


def test_two_scans_at_once_both_count(db):
    with store.begin(db) as tx:
        register.begin(tx, FACTORY, OTHER_FACTORY)
    keys = [emitter.key for emitter in EMITTERS]
    with ThreadPoolExecutor(1) as pool:
        with store.begin(db) as one:
            coverage.add(one, ETHEREUM.id, keys, 500, 600)
            waits = pool.submit(scan, db, keys[::-1], 601, 700)
            assert not wait([waits], timeout=0.2).done
        waits.result(timeout=10)
    with store.begin(db) as tx:
        assert blocks(tx) == blocks(tx, OTHER) == span(500, 700)
