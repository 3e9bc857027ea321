"""What history will cost: arithmetic, what an endpoint really serves, and which block a date is."""

from dataclasses import replace

import pytest

from indexer import known
from indexer.errors import MissingData
from indexer.flow.plan import REQUESTS_A_RANGE, block_at, cost, learn
from indexer.flow.ranges import FIRST_SPAN, LARGEST_SPAN, TARGET_LOGS
from indexer.model import Emitter
from indexer.sim.endpoint import Endpoint, in_process
from indexer.sim.faults import Fault
from indexer.sim.ledger import Habits, Ledger
from indexer.wire.node import HttpNode

ETHEREUM = known.chains()[0]
FACTORIES = [replace(each, from_block=1) for each in known.factories() if each.chain_id == ETHEREUM.id]
EMITTERS = [Emitter(topic0=topic, factory=each) for each in FACTORIES if each.enabled for topic in each.topics]


@pytest.fixture(scope="module")
def ledger():
    habits = Habits(tick_s=12.0, history_blocks=300_000, history_pools=3_000, reorg_share=0, stall_share=0)
    return Ledger(seed=5, chain=ETHEREUM, factories=FACTORIES, quotes=known.quote_rank(), habits=habits)


def node(ledger, *faults):
    return HttpNode("sim", in_process(Endpoint("a", ledger, faults=faults)))


@pytest.mark.parametrize("blocks", [0, 1, 999, 1_000, 1_001, 23_456_789])
@pytest.mark.parametrize("span", [1, 10, 500, 10_000, None])
def test_requests_are_just_enough_to_cover_every_block(blocks, span):
    told = cost(blocks, requests_per_s=10, span=span)
    for requests, each in zip(told.requests, (span, span) if span else (LARGEST_SPAN, FIRST_SPAN), strict=True):
        ranges = requests // REQUESTS_A_RANGE
        assert ranges * each >= blocks
        assert max(ranges - 1, 0) * each < max(blocks, 1)
    assert told.hours == tuple(requests / (10 * 0.5 * 3600) for requests in told.requests)


def test_dense_chains_are_not_promised_the_largest_span():
    least, most = cost(1_000_000, requests_per_s=10, logs_a_block=1.0).requests
    assert least == 1_000_000 // TARGET_LOGS * REQUESTS_A_RANGE
    assert most == 1_000_000 // FIRST_SPAN * REQUESTS_A_RANGE


def test_an_endpoint_without_a_cap_is_learned_to_serve_the_largest_span(ledger):
    final = ledger.view().finalized
    told = learn(node(ledger), EMITTERS, final)
    assert told.span == LARGEST_SPAN
    pools = [each for each in ledger.view().entries(final - told.blocks + 1, final) if each.kind == "pool"]
    assert len(pools) <= told.pools <= 1.01 * len(pools), "an estimate: forged announcements are found out later"
    assert told.pools > 2_000


@pytest.mark.parametrize("cap", [100, 1_500, 10_000])
def test_a_cap_is_learned_and_what_was_served_below_it_counts(ledger, cap):
    told = learn(node(ledger, Fault(name="range_cap", amount=cap)), EMITTERS, ledger.view().finalized)
    assert cap / 2 < told.span <= cap
    assert told.blocks >= told.span


def test_an_endpoint_that_serves_nothing_is_no_answer(ledger):
    with pytest.raises(Exception, match=r"503|502|500|504|server|Service|unavailable"):
        learn(node(ledger, Fault(name="server_error")), EMITTERS, ledger.view().finalized)


def test_a_date_becomes_its_first_block(ledger):
    view, served = ledger.view(), node(ledger)
    top = view.finalized
    for number in (1, 2, 12_345, 299_000, top):
        moment_s = view.block(number).timestamp_s
        found = block_at(served, moment_s, top)
        assert view.block(found).timestamp_s >= moment_s
        assert found == 0 or view.block(found - 1).timestamp_s < moment_s
    assert block_at(served, 0, top) == 0
    assert block_at(served, view.head.timestamp_s + 1_000_000, top) == top


def test_a_date_takes_few_requests(ledger):
    asked = []
    served = HttpNode("sim", in_process(Endpoint("a", ledger), before=lambda: asked.append(1)))
    block_at(served, ledger.view().block(123_456).timestamp_s, ledger.view().finalized)
    assert len(asked) <= 20


def test_a_header_that_is_not_served_is_no_date(ledger):
    with pytest.raises(MissingData, match="does not serve the header"):
        block_at(node(ledger), 2_000_000_000, ledger.view().head.number + 1_000_000)
