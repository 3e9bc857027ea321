"""The rows of a range become what the chain says of it, whatever was there; and each change is told once."""

from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexer import store
from indexer.errors import Moved
from indexer.model import PoolAnswers, instrument_hash
from indexer.store import coverage, pool_rows, pools
from indexer.store.pool_rows import Times
from tests.lab import register
from tests.lab.announcing import (
    EMITTERS,
    OTHER,
    OTHER_FACTORY,
    alive,
    announce,
    events_of,
    place,
    pool_key,
    refuse,
    rejected_places,
    rows,
    settle,
)
from tests.lab.register import EMITTER, ETHEREUM, FACTORY, NOW, made_token

KEYS = 5
FIRST_BLOCK = 990  # history's lowest block in the property; the cursor starts at block 1,000
INDEXES = 4


@pytest.fixture
def tx(db):
    """A transaction on a register with two factories, whose tip and anchor are block 1,000. Rolled back."""
    with db.connect() as connection, connection.begin():
        register.begin(connection, FACTORY, OTHER_FACTORY)
        yield connection


# --- one case after the other ---


def test_what_an_answer_no_longer_holds_is_orphaned_and_comes_back_as_the_same_row(tx):
    settle(tx, 1_001, 1_005, [announce(1, 1_002), announce(2, 1_004)])
    assert settle(tx, 1_001, 1_005, [announce(2, 1_004)]).orphaned == 1
    assert alive(tx) == {place(announce(2, 1_004))}
    back = announce(1, 1_003, branch="b")
    settled = settle(tx, 1_001, 1_005, [back, announce(2, 1_004)])
    assert (settled.new, settled.revived, settled.moved, settled.orphaned) == (0, 1, 0, 0)
    assert alive(tx) == {place(back), place(announce(2, 1_004))}
    assert events_of(tx, pool_key(1)) == [("created", "head"), ("orphaned", "head"), ("revived", "head")]
    assert events_of(tx, pool_key(2)) == [("created", "head")]


def test_blocks_after_the_answer_are_taken_back_up_to_the_old_tip(tx):
    settle(tx, 1_001, 1_010, [announce(1, 1_002), announce(2, 1_009), announce(3, 1_012)])
    settle(tx, 1_001, 1_004, [announce(1, 1_002)], until=1_010)
    assert alive(tx) == {place(announce(1, 1_002)), place(announce(3, 1_012))}


def test_an_answer_says_nothing_about_emitters_it_was_not_asked_for(tx):
    settle(tx, 1_001, 1_005, [announce(1, 1_002), announce(2, 1_003, emitter=OTHER)])
    settle(tx, 1_001, 1_005, [], emitters=[EMITTER])
    assert alive(tx) == {place(announce(2, 1_003, emitter=OTHER))}


def keep(tx, first, last, told, source):
    """What a lane keeps: the rows, and that it was listened to."""
    settle(tx, first, last, told, source=source)
    if source == "head":
        coverage.listened(tx, ETHEREUM.id, EMITTERS, first)
    else:
        coverage.add(tx, ETHEREUM.id, [emitter.key for emitter in EMITTERS], first, last)


@pytest.mark.parametrize(
    ("source", "first", "last"),
    [("head", 1_001, 1_009), ("history", 901, 909)],
)
def test_the_same_key_from_another_emitter_is_rejected_and_the_first_stays(tx, source, first, last):
    holder, late = announce(1, first + 1), announce(1, first + 7, emitter=OTHER)
    keep(tx, first, first + 5, [holder], source)
    keep(tx, first + 6, last, [late], source)
    assert alive(tx) == {place(holder)}
    assert rejected_places(tx) == {(late.log.block_hash, late.log.log_index)}
    (row,) = rows(tx, "select reason from gazetteer.rejected_logs")
    assert holder.log.address.hex() in row.reason
    assert rows(tx, "select venue from gazetteer.instruments") == [("uniswap_v2",)]


def test_within_one_answer_the_earlier_announcement_of_a_key_wins(tx):
    first, second = announce(1, 1_002, index=3, emitter=OTHER), announce(1, 1_002, index=4)
    settle(tx, 1_001, 1_005, [second, first])
    assert alive(tx) == {place(first)}
    assert rejected_places(tx) == {(second.log.block_hash, 4)}


def test_an_earlier_announcement_found_later_takes_the_key_and_the_later_one_is_rejected(tx):
    late, early = announce(1, 980), announce(1, 950, emitter=OTHER)
    settle(tx, 971, 1_000, [late], source="history")
    settle(tx, 941, 970, [early], source="history")
    assert alive(tx) == {place(early)}
    assert rejected_places(tx) == {(late.log.block_hash, late.log.log_index)}
    assert rows(tx, "select venue from gazetteer.instruments") == [(OTHER_FACTORY.dex,)]


def test_a_log_that_lost_its_key_is_kept_whole_once_it_is_read_again(tx):
    late, early = announce(1, 980), announce(1, 950, emitter=OTHER)
    settle(tx, 971, 1_000, [late], source="history")
    settle(tx, 941, 970, [early], source="history")
    coverage.add(tx, ETHEREUM.id, [emitter.key for emitter in EMITTERS], 941, 1_000)
    ((data,),) = rows(tx, "select data from gazetteer.rejected_logs")
    assert data is None, "of a pool's row the log was not kept"
    settle(tx, 971, 1_000, [late], source="history")
    ((data, topics),) = rows(tx, "select data, topics from gazetteer.rejected_logs")
    assert (bytes(data), bytes(topics)) == (late.log.data, b"".join(late.log.topics))


def test_a_second_announcement_by_the_same_emitter_is_rejected_in_whatever_order_they_are_read(tx):
    late, early = announce(1, 980, tx="late"), announce(1, 950)
    settle(tx, 971, 1_000, [late], source="history")
    settle(tx, 941, 970, [early], source="history")
    assert alive(tx) == {place(early)}
    assert rejected_places(tx) == {(late.log.block_hash, late.log.log_index)}


def test_an_orphaned_holder_gives_way_to_another_emitter(tx):
    settle(tx, 1_001, 1_005, [announce(1, 1_002, asks=True)])
    settle(tx, 1_001, 1_005, [])
    taken = announce(1, 1_004, emitter=OTHER, branch="b")
    settled = settle(tx, 1_001, 1_005, [taken])
    assert (settled.revived, alive(tx), rejected_places(tx)) == (1, {place(taken)}, set())
    (instrument,) = rows(tx, "select natural_key, hash, venue from gazetteer.instruments")
    assert instrument.natural_key == f"v1|{OTHER_FACTORY.dex}|ethereum|0x{pool_key(1).hex()}|0"
    assert instrument.hash % 2**64 == instrument_hash(instrument.natural_key)
    assert instrument.venue == OTHER_FACTORY.dex


def test_rejected_logs_follow_forks_too(tx):
    lost, kept = refuse(1_002), refuse(1_003)
    settle(tx, 1_001, 1_005, [], refused=[lost, kept])
    assert rejected_places(tx) == {(each.log.block_hash, 0) for each in (lost, kept)}
    settle(tx, 1_001, 1_005, [], refused=[kept])
    assert rejected_places(tx) == {(kept.log.block_hash, 0)}
    settle(tx, 1_001, 1_005, [], refused=[lost, kept])
    assert rejected_places(tx) == {(each.log.block_hash, 0) for each in (lost, kept)}
    assert len(rows(tx, "select 1 from gazetteer.rejected_logs")) == 2


def test_the_data_of_a_rejected_log_is_cut(tx):
    settle(tx, 1_001, 1_005, [], refused=[refuse(1_002, data=b"x" * 10_000)])
    assert rows(tx, "select octet_length(data) from gazetteer.rejected_logs") == [(4096,)]


def test_what_a_pool_was_asked_is_asked_again_where_it_stands_elsewhere(tx):
    settle(tx, 1_001, 1_005, [announce(1, 1_002, asks=True)])
    pools.answer(tx, ETHEREUM.id, [(pool_key(1), PoolAnswers(tick_spacing=60))], register.header(1_005).ref, NOW)
    tx.exec_driver_sql("delete from gazetteer.work")
    settle(tx, 1_001, 1_005, [announce(1, 1_002, asks=True)])
    assert rows(tx, "select tick_spacing, answered_block from gazetteer.pools") == [(60, 1_005)]
    assert rows(tx, "select 1 from gazetteer.work where kind = 'pool'") == []
    settle(tx, 1_001, 1_005, [announce(1, 1_003, asks=True, branch="b")])
    assert rows(tx, "select tick_spacing, answered_block from gazetteer.pools") == [(None, None)]
    assert rows(tx, "select key from gazetteer.work where kind = 'pool'") == [(pool_key(1),)]


def test_a_finalized_reading_wins_over_what_the_head_wrote(tx):
    """After a jump of the anchor, blocks that the head read on a branch that lost are a hole like any other."""
    settle(tx, 1_001, 1_010, [announce(1, 1_002), announce(2, 1_003), announce(3, 1_004)])
    told = [announce(1, 1_002), announce(2, 1_005, branch="final"), announce(4, 1_006)]
    settle(tx, 1_001, 1_010, told, source="history")
    assert alive(tx) == {place(pool) for pool in told}
    assert events_of(tx, pool_key(1)) == [("created", "head"), ("finalized", "history")]
    assert events_of(tx, pool_key(2)) == [("created", "head"), ("moved", "history")]
    assert events_of(tx, pool_key(3)) == [("created", "head"), ("orphaned", "history")]
    assert events_of(tx, pool_key(4)) == [("created", "history")]
    sources = dict(rows(tx, "select pool_key, source from gazetteer.pools where orphaned_at is null"))
    assert sources == {pool_key(1): "head", pool_key(2): "history", pool_key(4): "history"}


@pytest.mark.parametrize("emitter", EMITTERS)
def test_what_the_head_left_on_a_branch_that_lost_does_not_keep_a_key_from_the_chain(tx, emitter):
    """Days later the anchor jumps over the lost blocks; the pool was announced again a little later."""
    lost, kept = announce(1, 1_003), announce(1, 1_006, emitter=emitter, branch="won")
    keep(tx, 1_001, 1_004, [lost], "head")
    coverage.listened(tx, ETHEREUM.id, (), 5_001)
    keep(tx, 1_005, 1_010, [kept], "history")
    assert alive(tx) == {place(kept)}
    keep(tx, 1_001, 1_004, [], "history")
    assert alive(tx) == {place(kept)}
    assert rejected_places(tx) == set()


@pytest.mark.parametrize("emitter", EMITTERS)
def test_what_the_head_left_behind_keeps_its_key_in_the_end_if_it_was_right(tx, emitter):
    first, second = announce(1, 1_003), announce(1, 1_006, emitter=emitter)
    keep(tx, 1_001, 1_004, [first], "head")
    coverage.listened(tx, ETHEREUM.id, (), 5_001)
    keep(tx, 1_005, 1_010, [second], "history")
    keep(tx, 1_001, 1_004, [first], "history")
    assert alive(tx) == {place(first)}
    assert rejected_places(tx) == {(second.log.block_hash, second.log.log_index)}


def test_a_pool_that_history_confirmed_is_not_told_to_be_final_again(tx):
    settle(tx, 1_001, 1_010, [announce(1, 1_002)])
    for _ in range(2):
        settle(tx, 1_001, 1_010, [announce(1, 1_002)], source="history")
    coverage.add(tx, ETHEREUM.id, [EMITTER.key], 1_001, 1_010)
    assert events_of(tx, pool_key(1)).count(("finalized", "history")) == 1


def test_the_copy_path_and_the_array_path_write_the_same_rows(db):
    told = [
        announce(number, 901 + number // INDEXES, index=number % INDEXES, emitter=EMITTERS[number % 2])
        for number in range(pool_rows.COPY_FROM)
    ]
    odd = Times(headers={901: 1_700_000_000, 905: 1_700_000_048})
    written = []
    for chunk in (len(told), 100):
        with db.connect() as tx, tx.begin():
            register.begin(tx, FACTORY, OTHER_FACTORY)
            for at in range(0, len(told), chunk):
                part = told[at : at + chunk]
                settle(tx, part[0].log.block_number, part[-1].log.block_number, part, source="history", times=odd)
            written.append(
                (
                    rows(tx, "select * from gazetteer.pools order by pool_key"),
                    rows(tx, "select * from gazetteer.instruments order by natural_key"),
                    rows(tx, "select chain_id, address, symbol_status from gazetteer.tokens order by address"),
                    rows(tx, "select kind, scope, key, lane from gazetteer.work order by key"),
                    rows(tx, "select kind, subject, block_number, source from gazetteer.events order by subject"),
                )
            )
            tx.get_transaction().rollback()
    assert len(written[0][0]) == pool_rows.COPY_FROM
    assert {row.created_at_kind for row in written[0][0]} == {"header", None}
    assert written[0] == written[1]


def test_a_key_that_somebody_else_writes_meanwhile_is_moved(db):
    with store.begin(db) as tx:
        register.begin(tx, FACTORY, OTHER_FACTORY)
    with db.connect() as other, other.begin():
        settle(other, 1_001, 1_005, [announce(1, 1_002)])
        other.get_transaction().commit()
        with pytest.raises(Moved), store.begin(db) as tx:
            pool_rows.insert(tx, ETHEREUM.id, [announce(1, 1_002)], Times(headers={}), source="head", now=NOW)


# --- any sequence of answers ---


@dataclass
class Chain:
    """What the chain last said of each (block, emitter), and what a register must hold after that. No SQL in it."""

    tip: int = 1_000
    anchor: int = 1_000
    branch: dict = field(default_factory=dict)  # block -> name of its branch
    said: dict = field(default_factory=dict)  # (block, emitter's place) -> announcements
    covered: set = field(default_factory=set)  # (block, emitter's place) that are final and read

    def announcements(self, marks, blocks, emitters):
        """`marks`, any numbers, become announcements inside of what is read, each log at a place of its own."""
        taken, told = set(), []
        for key, at, who, index in marks:
            block, emitter = blocks[at % len(blocks)], emitters[who % len(emitters)]
            if (block, index) in taken or any(
                pool.log.log_index == index
                for (there, _), pools_there in self.said.items()
                for pool in pools_there
                if there == block
            ):
                continue
            taken.add((block, index))
            told.append(
                announce(key, block, index=index, emitter=EMITTERS[emitter], branch=self.branch.get(block, "final"))
            )
        return told

    def forget(self, block):
        """A fork has taken it back."""
        self.branch.pop(block, None)
        for who in (0, 1):
            self.said.pop((block, who), None)

    def read(self, blocks, emitters, told):
        for block in blocks:
            for emitter in emitters:
                address = EMITTERS[emitter].factory.address
                self.said[block, emitter] = [
                    pool for pool in told if pool.log.block_number == block and pool.log.address == address
                ]

    def stranded(self):
        """Blocks that the head read before a jump and that history has not read: nobody knows whether they stand."""
        return {block for block, who in self.said if block <= self.anchor and (block, who) not in self.covered}

    def winners(self):
        """The earliest announcement of each key; and the places of all others, which are rejected."""
        everything = sorted(
            (pool for pools_there in self.said.values() for pool in pools_there),
            key=lambda pool: (pool.log.block_number, pool.log.log_index),
        )
        first = {}
        for pool in everything:
            first.setdefault(pool.key, pool)
        return first, {(pool.log.block_hash, pool.log.log_index) for pool in everything if first[pool.key] is not pool}


def changes(before, after):
    """What has to be told of each key whose row is another one now."""
    kinds = {}
    for key, now in after.items():
        was = before.get(key, "never")
        if was == now:
            continue
        if was == "never":
            kinds[key] = "created"
        elif now[0] is None:
            kinds[key] = "orphaned"
        else:
            kinds[key] = "revived" if was[0] is None else "moved"
    return kinds


def states(tx):
    """By key: where the row stands (None: it is orphaned), and which statement of which transaction wrote it last."""
    query = "select *, xmin, ctid from gazetteer.pools"
    placed, written = {}, {}
    for row in rows(tx, query):
        at = (bytes(row.emitter), bytes(row.block_hash), row.log_index, bytes(row.tx_hash))
        placed[bytes(row.pool_key)] = (None,) if row.orphaned_at else at
        written[bytes(row.pool_key)] = (row.xmin, row.ctid)
    return placed, written


MARKS = st.lists(
    st.tuples(st.integers(0, KEYS - 1), st.integers(0, 20), st.integers(0, 1), st.integers(0, INDEXES - 1)),
    max_size=6,
)
NUMBER = st.integers(0, 30)
STEP = st.one_of(
    st.tuples(st.just("head"), NUMBER, NUMBER, MARKS),
    st.tuples(st.just("same"), NUMBER, NUMBER, MARKS),
    st.tuples(st.just("anchor"), NUMBER, NUMBER, MARKS),
    st.tuples(st.just("jump"), NUMBER, NUMBER, MARKS),
    st.tuples(st.just("history"), NUMBER, NUMBER, MARKS),
    st.tuples(st.just("history one"), NUMBER, NUMBER, MARKS),
)


def step(tx, chain, kind, low, high, marks, number):
    """One thing that happens, to the register and to the model. Returns the lane that wrote."""
    if kind in ("head", "same"):
        head(tx, chain, low, high, marks, f"b{number}" if kind == "head" else None)
        return "head"
    if kind == "anchor":
        anchor(tx, chain, low)
    elif kind == "jump":
        jump(tx, chain, low)
    else:
        emitters = (high % 2,) if kind == "history one" else (0, 1)
        first = FIRST_BLOCK + low % (chain.anchor - FIRST_BLOCK + 1)
        history(tx, chain, range(first, min(first + high, chain.anchor) + 1), emitters, marks)
    return "history"


def head(tx, chain, low, high, marks, branch):
    """The head reads (fork, last], perhaps on another branch, perhaps a shorter one."""
    fork = chain.anchor + low % (chain.tip - chain.anchor + 1)
    last = fork + 1 + high % 8
    blocks, gone = range(fork + 1, last + 1), range(last + 1, chain.tip + 1)
    told = [pool for block in blocks for who in (0, 1) for pool in chain.said.get((block, who), [])]
    for block in gone:
        chain.forget(block)
    if branch is not None:
        for block in blocks:
            chain.forget(block)
            chain.branch[block] = branch
        told = chain.announcements(marks, blocks, (0, 1))
    chain.read(blocks, (0, 1), told)
    settle(tx, fork + 1, last, told, until=max(last, chain.tip))
    coverage.listened(tx, ETHEREUM.id, EMITTERS, fork + 1)
    chain.tip = last


def anchor(tx, chain, low):
    """Blocks become final, and the head's pools in them are told to be so."""
    to = chain.anchor + low % (chain.tip - chain.anchor + 1)
    if to > chain.anchor:
        coverage.credit(tx, ETHEREUM.id, chain.anchor, to)
        pools.finalize(tx, ETHEREUM.id, chain.anchor, to, NOW)
        chain.covered |= {(block, who) for block in range(chain.anchor + 1, to + 1) for who in (0, 1)}
        chain.anchor = to


def jump(tx, chain, low):
    """Days later: tip and anchor are far ahead, and what lies between, also what the head read, is a hole."""
    coverage.listened(tx, ETHEREUM.id, (), chain.tip + 1)
    chain.anchor = chain.tip = chain.tip + 1 + low % 4
    chain.branch = {block: name for block, name in chain.branch.items() if (block, 0) in chain.covered}


def history(tx, chain, blocks, emitters, marks):
    """A hole is read, and may contradict what the head wrote there before a jump."""
    hole = [block for block in blocks if all((block, who) not in chain.covered for who in emitters)]
    if not hole or len(hole) != len(blocks):
        return
    for block in hole:
        for who in emitters:
            chain.said.pop((block, who), None)
    told = chain.announcements(marks, hole, emitters)
    chain.read(hole, emitters, told)
    chain.covered |= {(block, who) for block in hole for who in emitters}
    settle(tx, hole[0], hole[-1], told, source="history", emitters=[EMITTERS[who] for who in emitters])
    coverage.add(tx, ETHEREUM.id, [EMITTERS[who].key for who in emitters], hole[0], hole[-1])


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEP, min_size=1, max_size=14), rest=st.lists(MARKS, max_size=8))
def test_after_any_answers_of_both_lanes_the_rows_are_what_the_chain_last_said(db, steps, rest):
    chain, told = Chain(), {}
    with db.connect() as tx, tx.begin():
        register.begin(tx, FACTORY, OTHER_FACTORY)
        for number, (kind, low, high, marks) in enumerate(steps):
            observed(tx, told, lambda: step(tx, chain, kind, low, high, marks, number))  # noqa: B023 - called at once
            if not chain.stranded():
                check_rows(tx, chain)
        for number, block in enumerate(sorted(chain.stranded(), reverse=True)):
            for who in (0, 1):  # block by block, newest first, each emitter alone: the smallest scans there are
                marks = rest[number] if number < len(rest) else []
                observed(tx, told, lambda: history(tx, chain, [block], (who,), marks) or "history")  # noqa: B023
        check_rows(tx, chain)
        check_the_end(tx, told)
        tx.get_transaction().rollback()


def observed(tx, told, act):
    """Rows that stand where they stood are not written; of all others it is told what happened to them."""
    placed, written = states(tx)
    with tx.begin_nested():
        source = act()
    placed_now, written_now = states(tx)
    kinds = changes(placed, placed_now)
    assert {key for key, version in written_now.items() if written.get(key) != version} == set(kinds)
    for key, kind in kinds.items():
        told.setdefault(key, []).append((kind, source))


def check_rows(tx, chain):
    first, others = chain.winners()
    assert alive(tx) == {place(pool) for pool in first.values()}
    assert rejected_places(tx) == others


def check_the_end(tx, told):
    """Events, instruments, tokens and work, once everything has happened."""
    for key, happened in told.items():
        events = events_of(tx, key)
        assert [event for event in events if event[0] != "finalized"] == happened
        assert len(events) - len(happened) <= 1
    final = rows(
        tx,
        """
        select pool_key from gazetteer.pools p
        where source = 'head' and orphaned_at is null
          and exists (select from gazetteer.coverage c where c.address = p.emitter and c.scanned @> p.block_number)
    """,
    )
    assert all(sum(kind == "finalized" for kind, _ in events_of(tx, bytes(row.pool_key))) == 1 for row in final)
    venues = {bytes(row.pool_key): row.venue for row in rows(tx, "select pool_key, venue from gazetteer.instruments")}
    dexes = {bytes(row.pool_key): row.dex for row in rows(tx, "select pool_key, dex from gazetteer.pools")}
    assert venues == dexes
    sides = {made_token(number) for number in range(KEYS) if pool_key(number) in venues}
    tokens = {bytes(row.address) for row in rows(tx, "select address from gazetteer.tokens where resolved_at is null")}
    work = {bytes(row.key) for row in rows(tx, "select key from gazetteer.work where kind = 'token'")}
    assert tokens == work
    assert sides <= tokens
