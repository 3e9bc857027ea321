"""Tokens and pools answer through real multicalls of a simulated chain; nobody writes what is not his any more."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import text

from indexer import store
from indexer.errors import MissingData, NodeUnavailable, RateLimited, Retryable
from indexer.flow import asking, resolve
from indexer.model import Lane
from indexer.sim.faults import Fault
from indexer.store import work
from tests.lab.announcing import rows
from tests.lab.simulated import HABITS, LEASE_S, World

ASKING = ("algebra_v1", "algebra_v1_9", "algebra_integral")


@pytest.fixture
def world(db):
    """Forty pools in history, twenty at the head; everything read, nothing asked yet."""
    world = World(db).start()
    world.ledger.advance_to(20)
    world.follow()
    world.scan(span=10_000)
    return world


def ask(db, query, **values):
    with store.begin(db) as tx:
        return rows(tx, query, **values)


def left(db, kind="token"):
    return ask(db, "select key, losses, reason, lease_id, due from gazetteer.work where kind = :kind", kind=kind)


def believed(world):
    """What the zoo keeper believes of each token that was deployed for a pool."""
    specs = {}
    for number in world.ledger.eventful(1, world.ledger.head.number):
        for creation, _ in world.ledger.canonical(number).creations:
            specs |= {spec.address: spec for spec in creation.tokens}
    return specs


def resolve_all(world, passes=60):
    for _ in range(passes):
        world.tokens()
        world.now_s += 30
        world.follow()
        if not left(world.db):
            return
    raise AssertionError(f"tokens are left: {left(world.db)}")


def test_every_token_is_believed_to_be_what_it_is_whatever_it_answers(world):
    before = len(left(world.db))
    world.ledger.stop()
    resolve_all(world)
    assert before > 40
    specs = believed(world)
    assert len({spec.kind for spec in specs.values()}) > 3
    found = ask(world.db, "select * from gazetteer.tokens where resolved_at is not null")
    checked = 0
    for row in found:
        spec = specs.get(row.address)
        if spec is not None:
            checked += 1
            assert (row.symbol_status, row.symbol) == (spec.symbol.believed.status, spec.symbol.believed.text), spec
            assert (row.name_status, row.name) == (spec.name.believed.status, spec.name.believed.text), spec
            assert (row.decimals_status, row.decimals) == (
                spec.decimals.believed.status,
                spec.decimals.believed.number,
            ), spec
            assert not row.provisional
    assert checked > 40
    assert ask(world.db, "select 1 from gazetteer.tokens where symbol_status = 'pending'") == []


def test_positive_answers_are_kept_at_once_and_negative_ones_wait_for_finality(world):
    resolved = world.tokens()
    assert resolved.asked == resolved.written > resolved.provisional > 0
    waiting = {row.key for row in left(world.db)}
    negative = {row.address for row in ask(world.db, "select address from gazetteer.tokens where provisional")}
    assert waiting == negative
    assert {row.reason for row in left(world.db)} == {"a negative waits for finality"}
    assert all(row.due > world.clock() for row in left(world.db))
    assert world.tokens().asked == 0


def test_a_negative_of_a_pool_that_is_not_final_is_not_asked_again_before_it_is(world):
    world.tokens()
    (anchor,) = ask(world.db, "select anchor_number from gazetteer.cursors")
    world.now_s += 1_000
    again = world.tokens()
    fresh = {
        side
        for row in ask(world.db, "select * from gazetteer.pools where block_number > :anchor", anchor=anchor[0])
        for side in (row.token0, row.token1)
    }
    still = {row.key for row in left(world.db)}
    assert again.early == len(still) > 0
    assert still <= fresh


def test_two_workers_at_once_ask_each_token_once(world):
    before = len(left(world.db))
    with ThreadPoolExecutor(2) as threads:
        asked = [resolved.asked for resolved in threads.map(lambda _: world.tokens(), range(4))]
    assert sum(asked) == before
    query = "select subject, count(*) as n from gazetteer.events where kind = 'token.resolved' group by 1"
    told = ask(world.db, query)
    assert len(told) == before
    assert {row.n for row in told} == {1}


@pytest.mark.parametrize("kind", ["token", "pool"])
@pytest.mark.parametrize("exchange", [1, 2])
def test_a_node_that_fails_in_the_middle_gives_the_claim_back_and_no_loss_is_counted(db, kind, exchange):
    world = World(db, chain="polygon", protocols=ASKING).start()
    world.scan(span=10_000)
    before = {row.key for row in left(db, kind)}
    assert before
    calls = []

    def during():
        calls.append(1)
        if len(calls) == exchange:
            raise NodeUnavailable("it went away")

    asks = world.tokens if kind == "token" else world.pools
    with pytest.raises(NodeUnavailable):
        asks(world.node(during=during))
    assert len(calls) == exchange
    given_back = left(db, kind)
    assert {row.key for row in given_back} == before
    assert {(row.losses, row.lease_id) for row in given_back} == {(0, None)}
    assert {row.reason for row in given_back} == {"NodeUnavailable: it went away"}
    world.now_s += 2
    assert asks().written > 0


def test_confirmations_that_were_answered_are_kept_when_the_rest_is_refused(world, monkeypatch):
    world.ledger.stop()
    world.tokens()
    world.follow()
    world.now_s += 1_000
    with store.begin(world.db) as tx:
        tx.execute(text("update gazetteer.work set lane = :lane"), {"lane": Lane.HISTORY})
    before = {row.key for row in left(world.db)}
    assert len(before) > 4
    monkeypatch.setattr(asking, "ALONE_A_BATCH", 6)  # two tokens
    calls = []

    def during():
        calls.append(1)
        if len(calls) == 2:
            raise RateLimited("slow down")

    with pytest.raises(RateLimited):
        world.tokens(world.node(during=during))
    after = left(world.db)
    answered = before - {row.key for row in after}
    assert 0 < len(answered) <= 2
    assert not answered & {
        row.address for row in ask(world.db, "select address from gazetteer.tokens where provisional")
    }
    assert {(row.losses, row.lease_id, row.reason) for row in after} == {(0, None, "RateLimited: slow down")}
    resolve_all(world)


def test_a_batch_of_new_tokens_holds_none_of_history(world):
    lanes = dict(ask(world.db, "select lane, count(*) from gazetteer.work where kind = 'token' group by 1"))
    assert lanes.keys() == {Lane.LIVE, Lane.HISTORY}
    first, second = (
        resolve.resolve_tokens(world.db, world.node(), world.chain, world.clock, lease_s=LEASE_S) for _ in range(2)
    )
    assert (first.asked, first.full) == (lanes[Lane.LIVE], True)
    assert (second.asked, second.full) == (lanes[Lane.HISTORY], False)


def test_a_batch_asks_only_so_many_alone_and_leaves_the_others_due(world, monkeypatch):
    world.ledger.stop()
    world.tokens()
    world.follow()
    world.now_s += 1_000
    before = len(left(world.db))
    monkeypatch.setattr(resolve, "MOST_AGAIN", 2)
    done = resolve.resolve_tokens(world.db, world.node(), world.chain, world.clock, lease_s=LEASE_S)
    assert (done.asked, done.full) == (2, True)
    assert len(left(world.db)) == before - 2
    assert {(row.lease_id, row.due <= world.clock()) for row in left(world.db)} == {(None, True)}


def test_answers_of_history_that_a_fork_puts_in_doubt_do_not_stand_before_new_tokens(db):
    world = World(db, habits=replace(HABITS, reorg_share=1.0, deepest_reorg=4, finality_depth=100)).start()
    world.ledger.advance_to(6)
    world.follow()
    world.scan(span=10_000)
    world.tokens()
    (rewinds,) = ask(db, "select rewinds from gazetteer.cursors")
    world.ledger.advance_to(7)
    world.follow()
    assert ask(db, "select rewinds from gazetteer.cursors") > [rewinds]
    query = """
        select w.lane, exists (
            select from gazetteer.pools p
            where p.source = 'head' and w.key in (p.token0, p.token1)
        ) as is_new
        from gazetteer.work w join gazetteer.tokens t on t.address = w.key
        where w.kind = 'token' and t.resolved_at is not null
    """
    doubted = ask(db, query)
    assert {row.lane for row in doubted if not row.is_new} == {Lane.HISTORY}


@pytest.mark.parametrize("swept", [True, False], ids=["swept", "not yet swept"])
@pytest.mark.parametrize("kind", ["token", "pool"])
def test_who_lost_the_lease_while_asking_writes_nothing(db, kind, swept):
    world = World(db, chain="polygon", protocols=ASKING).start()
    world.scan(span=10_000)
    tables = ("tokens", "pools", "events")
    before = [ask(db, f"select * from gazetteer.{table} order by 1, 2") for table in tables]
    keys = {row.key for row in left(db, kind)}
    assert keys

    def too_slow():
        world.now_s = LEASE_S
        if swept:
            with store.begin(db) as tx:
                work.sweep(tx, world.clock())

    asks = world.tokens if kind == "token" else world.pools
    assert asks(world.node(during=too_slow)).written == 0
    assert [ask(db, f"select * from gazetteer.{table} order by 1, 2") for table in tables] == before
    assert {row.key for row in left(db, kind)} == keys
    with store.begin(db) as tx:
        work.sweep(tx, world.clock())
    assert {row.losses for row in left(db, kind)} == {1}
    assert asks().written == len(keys)


def test_an_endpoint_behind_our_tip_is_not_asked(world):
    world.ledger.advance_to(30)
    world.follow()
    with pytest.raises(MissingData, match="behind our tip"):
        world.tokens(world.node(faults=[Fault(name="lagging", amount=5)]))
    assert {row.losses for row in left(world.db)} == {0}


def test_an_endpoint_without_state_gives_the_claim_back(world):
    before = len(left(world.db))
    with pytest.raises(Retryable):
        world.tokens(world.node(faults=[Fault(name="no_state")]))
    assert len(left(world.db)) == before
    assert ask(world.db, "select 1 from gazetteer.events where kind like 'token.%'") == []


def test_nothing_is_claimed_before_the_chain_was_started(db):
    world = World(db)
    assert world.tokens() == world.pools()
    assert world.tokens().asked == 0


# --- pools with questions of their own ---


def answers(world, last=None):
    """By key, what each pool says when it is asked; some say nothing."""
    return {
        entry.facts.key: entry.facts.answered_tick_spacing
        for entry in world.entries(1, last)
        if entry.kind == "pool" and entry.facts.asks
    }


def test_a_pool_is_asked_what_its_event_left_open(db):
    world = World(db, chain="polygon", protocols=ASKING).start()
    world.scan(span=10_000)
    wanted = answers(world, world.ledger.view().finalized)
    assert len(wanted) > 20
    resolved = world.pools()
    assert resolved.asked == resolved.written == len(wanted)
    assert dict(ask(db, "select pool_key, tick_spacing from gazetteer.pools")) == wanted
    assert ask(db, "select 1 from gazetteer.pools where answered_at is null or answered_block is null") == []
    assert left(db, "pool") == []


def test_a_pool_that_another_branch_does_not_have_is_asked_again(db):
    world = World(db, chain="polygon", protocols=ASKING).start()
    world.ledger.advance_to(10)
    world.follow()
    keys = {row.key for row in left(db, "pool")}
    assert keys
    elsewhere = world.elsewhere()
    elsewhere.advance_to(10)
    resolved = world.pools(world.node(ledger=elsewhere))
    assert (resolved.written, resolved.early) == (0, len(keys))
    assert {row.key for row in left(db, "pool")} == keys
    for _ in range(2):
        world.now_s += 1_000
        world.pools()
        world.ledger.stop()
        world.follow()
    assert dict(ask(db, "select pool_key, tick_spacing from gazetteer.pools")).items() <= answers(world).items()
    assert left(db, "pool") == []


def test_a_pool_that_says_nothing_although_it_is_final_is_left_unknown(db):
    world = World(db, chain="polygon", protocols=ASKING).start()
    world.scan(span=10_000)
    keys = {row.key for row in left(db, "pool")}
    assert world.pools(world.node(ledger=world.elsewhere())).written == len(keys)
    assert left(db, "pool") == []
    assert {row.tick_spacing for row in ask(db, "select tick_spacing from gazetteer.pools")} == {None}
