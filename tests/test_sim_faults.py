"""An honest endpoint is read exactly; every fault gives its named error or a right reading, never a wrong one."""

import orjson
import pytest

from indexer import known
from indexer.errors import (
    AnswerTooLarge,
    BadAnswer,
    FilterTooLarge,
    GazetteerError,
    MethodOff,
    MissingData,
    NodeUnavailable,
    RangeRefused,
    RateLimited,
    TimedOut,
    TooManyBlocks,
    TooManyLogs,
)
from indexer.evm import erc20
from indexer.evm.dialogue import together
from indexer.flow.asking import Multicalls, ask_alone, ask_together
from indexer.model import BlockRef, Call, CodeOf, LogFilter, Returned, Reverted
from indexer.sim.endpoint import Endpoint, in_process
from indexer.sim.faults import RANGE_WORDS, RESULT_WORDS, Fault
from indexer.sim.ledger import Habits, Ledger
from indexer.sim.rpc import Manners
from indexer.wire.node import HttpNode

ETHEREUM = known.chains()[0]
HABITS = Habits(history_blocks=3_000, history_pools=900, pools_a_tick=2.0, reorg_share=0.1, flaw_share=0.05)
BOTH = Multicalls(limited=ETHEREUM.uniswap_multicall, unlimited=ETHEREUM.multicall3)


@pytest.fixture(scope="module")
def ledger():
    made = Ledger(seed=11, chain=ETHEREUM, factories=known.factories(), quotes=known.quote_rank(), habits=HABITS)
    made.advance_to(200)
    return made


@pytest.fixture(scope="module")
def wanted(ledger):
    addresses = sorted(factory.address for factory in ledger.factories)
    return LogFilter(addresses=addresses, topics=sorted({t for f in ledger.factories for t in f.topics}))


def node(ledger, *faults, manners=None, **more):
    return HttpNode("a", in_process(Endpoint("a", ledger, faults=faults, manners=manners, seed=3), **more))


def truth(ledger, first, last, wanted):
    return tuple(
        entry.log
        for entry in ledger.view().entries(first, last)
        if entry.log.address in wanted.addresses and entry.log.topics[0] in wanted.topics
    )


def unstamped(logs):
    return [(log.block_hash, log.tx_hash, log.log_index, log.address, log.topics, log.data) for log in logs]


@pytest.mark.parametrize("span", [(1, 900), (2_900, 3_150), (3_100, 3_100)])
def test_an_honest_endpoint_is_read_exactly(ledger, wanted, span):
    window = node(ledger).window(*span, wanted)
    assert window.logs == truth(ledger, *span, wanted)
    assert window.faults == ()
    assert window.before.hash == ledger.canonical(span[0] - 1).hash
    assert window.last.hash == ledger.canonical(span[1]).hash
    assert window.finalized.number == ledger.view().finalized


def test_an_older_node_says_no_times_and_knows_no_hashes(ledger, wanted):
    old = node(ledger, manners=Manners(stamped=False, by_hash=False))
    logs = old.window(2_900, 3_100, wanted).logs
    assert unstamped(logs) == unstamped(truth(ledger, 2_900, 3_100, wanted))
    assert {log.timestamp_s for log in logs} == {None}
    pin = ledger.canonical(3_100)
    answers = old.ask([CodeOf(address=ETHEREUM.multicall3)], BlockRef(number=pin.number, hash=pin.hash))
    assert isinstance(answers[0], Returned)
    assert answers[0].data


def test_heads_and_identity(ledger):
    honest = node(ledger)
    heads, view = honest.heads(), ledger.view()
    assert (heads.latest.hash, heads.safe.number, heads.finalized.number) == (view.head.hash, view.safe, view.finalized)
    assert honest.chain_identity() == (1, ETHEREUM.genesis_hash)
    assert node(ledger, Fault(name="other_chain")).chain_identity()[0] == 2
    assert node(ledger, Fault(name="other_genesis")).chain_identity()[1] != ETHEREUM.genesis_hash
    assert node(ledger, Fault(name="no_finalized")).heads().finalized is None
    stale = node(ledger, Fault(name="stale_finality", amount=60)).heads()
    assert stale.latest.hash == view.head.hash
    assert stale.finalized.number < view.finalized


TRANSPORT = [
    ("hang", 0, TimedOut),
    ("slow", 60, TimedOut),
    ("cut", 0, NodeUnavailable),
    ("rate_limited", 7, RateLimited),
    ("server_error", 0, NodeUnavailable),
    ("truncated", 0, NodeUnavailable),
    ("not_json", 0, NodeUnavailable),
    ("one_error", 0, NodeUnavailable),
    ("lost_reply", 0, BadAnswer),
    ("doubled_reply", 0, BadAnswer),
]


@pytest.mark.parametrize(("name", "amount", "error"), TRANSPORT)
def test_what_breaks_an_exchange_is_a_named_error(ledger, wanted, name, amount, error):
    broken = node(ledger, Fault(name=name, amount=amount))
    for read in (broken.heads, lambda: broken.window(3_000, 3_100, wanted), lambda: broken.headers([1, 2])):
        with pytest.raises(error):
            read()


def test_a_retry_after_is_told(ledger):
    with pytest.raises(RateLimited) as caught:
        node(ledger, Fault(name="rate_limited", amount=7)).heads()
    assert caught.value.retry_after_s == 7


def test_a_body_that_is_too_large_asks_for_less(ledger, wanted):
    with pytest.raises(AnswerTooLarge):
        node(ledger, Fault(name="too_large")).heads()
    with pytest.raises(TooManyLogs):
        node(ledger, Fault(name="too_large")).window(3_000, 3_100, wanted)


def test_replies_in_any_order_and_small_batches_are_read_exactly(ledger, wanted):
    for fault in (Fault(name="shuffled"), Fault(name="batch_refused", amount=2), Fault(name="batch_refused", amount=1)):
        assert node(ledger, fault).window(2_900, 3_100, wanted).logs == truth(ledger, 2_900, 3_100, wanted)


@pytest.mark.parametrize("words", range(len(RANGE_WORDS)))
def test_a_cap_on_the_range_is_a_cap_in_whatever_words(ledger, wanted, words):
    capped = node(ledger, Fault(name="range_cap", amount=100, words=words))
    with pytest.raises(TooManyBlocks) as caught:
        capped.window(1_000, 2_999, wanted)
    assert caught.value.cap in (100, None)
    assert capped.window(1_000, 1_099, wanted).logs == truth(ledger, 1_000, 1_099, wanted)


@pytest.mark.parametrize("words", range(len(RESULT_WORDS)))
def test_a_cap_on_the_answer_is_no_cap_on_the_range(ledger, wanted, words):
    capped = node(ledger, Fault(name="result_cap", amount=20, words=words))
    with pytest.raises((TooManyLogs, TimedOut)) as caught:
        capped.window(1_000, 2_999, wanted)
    assert getattr(caught.value, "last", None) in (None, 1_999)
    assert capped.window(1_000, 1_030, wanted).logs == truth(ledger, 1_000, 1_030, wanted)


def test_a_filter_that_is_too_wide_is_split(ledger, wanted):
    split = node(ledger, Fault(name="filter_cap", amount=5))
    assert split.window(2_900, 3_100, wanted).logs == truth(ledger, 2_900, 3_100, wanted)
    with pytest.raises(FilterTooLarge):
        node(ledger, Fault(name="filter_cap", amount=0)).window(2_900, 3_100, wanted)


def test_what_an_endpoint_cannot_do_is_told(ledger, wanted):
    with pytest.raises(MethodOff):
        node(ledger, Fault(name="method_off")).window(2_900, 3_100, wanted)
    pin = ledger.canonical(3_100)
    with pytest.raises(MissingData):
        node(ledger, Fault(name="no_state")).ask(
            [Call(to=ETHEREUM.multicall3, data=b"")], BlockRef(number=pin.number, hash=pin.hash)
        )
    by_number = node(ledger, Fault(name="no_by_hash"))
    pin = BlockRef(number=pin.number, hash=pin.hash)
    assert by_number.ask([CodeOf(address=ETHEREUM.multicall3)], pin) == node(ledger).ask(
        [CodeOf(address=ETHEREUM.multicall3)], pin
    )


IN_THE_LOGS = ("doubled_logs", "foreign_logs", "outside_logs", "removed_logs", "malformed_logs")


@pytest.mark.parametrize("name", IN_THE_LOGS)
@pytest.mark.parametrize("span", [(2_800, 3_100), (5, 5)])
def test_logs_that_are_none_are_faults_beside_the_good_ones(ledger, wanted, name, span):
    window = node(ledger, Fault(name=name)).window(*span, wanted)
    assert window.logs == truth(ledger, *span, wanted)
    assert len(window.faults) > 0 or (name == "doubled_logs" and not window.logs)


def test_two_logs_at_one_place_or_two_hashes_of_one_block_are_no_answer(ledger, wanted):
    with pytest.raises(BadAnswer):
        node(ledger, Fault(name="doubled_indexes")).window(2_800, 3_100, wanted)
    last = truth(ledger, 2_800, 3_100, wanted)[-1].block_number
    with pytest.raises(MissingData):
        node(ledger, Fault(name="other_hash")).window(2_800, last, wanted)


def test_a_liar_shows_the_true_hashes(ledger, wanted):
    honest = node(ledger).window(2_800, 3_100, wanted)
    for name in ("partial_logs", "no_logs"):
        lied = node(ledger, Fault(name=name)).window(2_800, 3_100, wanted)
        assert (lied.before, lied.last) == (honest.before, honest.last)
        assert set(lied.logs) < set(honest.logs)


def test_a_lagging_endpoint_has_not_seen_the_newest_blocks(ledger, wanted):
    head = ledger.head.number
    lagging = node(ledger, Fault(name="lagging", amount=20))
    seen = ledger.view(20)
    assert lagging.heads().latest.hash == seen.head.hash
    assert lagging.headers([head]) == [None]
    with pytest.raises(MissingData):
        lagging.window(head - 2, head, wanted)
    with pytest.raises(MissingData):
        lagging.ask([CodeOf(address=ETHEREUM.multicall3)], BlockRef(number=head, hash=ledger.head.hash))
    lax = Endpoint("a", ledger, faults=[Fault(name="lagging", amount=20)], manners=Manners(refuses_beyond_head=False))
    query = {"fromBlock": hex(head - 2), "toBlock": hex(head)}
    body = orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_getLogs", "params": [query]})
    assert orjson.loads(lax.handle(body))["result"] == []
    with pytest.raises(MissingData):
        HttpNode("a", in_process(lax)).window(head - 2, head, wanted)


def test_a_head_that_goes_back_and_forth_is_seen_to(ledger):
    shaky = node(ledger, Fault(name="backwards", amount=15, share=0.5))
    numbers = {shaky.heads().latest.number for _ in range(40)}
    assert numbers == {ledger.head.number, ledger.view(15).head.number}


def test_null_blocks_are_missing_and_never_a_window(ledger, wanted):
    forgetful = node(ledger, Fault(name="null_blocks"))
    whole = 0
    for _ in range(40):
        try:
            window = forgetful.window(3_000, 3_100, wanted)
        except MissingData:
            continue
        whole += 1
        assert window.logs == truth(ledger, 3_000, 3_100, wanted)
    assert 0 < whole < 40


def test_a_batch_that_was_fanned_out_is_refused_or_belongs_together(wanted):
    ledger = Ledger(
        seed=12,
        chain=ETHEREUM,
        factories=known.factories(),
        quotes=known.quote_rank(),
        habits=Habits(history_blocks=500, history_pools=10, pools_a_tick=2.0, reorg_share=0.4),
    )
    ledger.advance_to(60)
    fanned = node(ledger, Fault(name="fanned_out", amount=6), before=ledger.advance)
    torn = whole = 0
    for _ in range(150):
        last = ledger.head.number - 4
        try:
            window = fanned.window(max(last - 10, 501), last, wanted)
        except (MissingData, RangeRefused):
            torn += 1
            continue
        whole += 1
        by_hash = {ledger.find(log.block_hash).number for log in window.logs}
        assert by_hash == {log.block_number for log in window.logs}
    assert torn
    assert whole


def test_a_fault_strikes_by_its_schedule_and_by_its_share(ledger):
    own = Ledger(seed=1, chain=ETHEREUM, factories=known.factories(), habits=Habits(history_blocks=10, history_pools=0))
    timed = node(own, Fault(name="hang", every_ticks=10, for_ticks=3), before=own.advance)
    rare = node(ledger, Fault(name="hang", share=0.25))

    def fails(read):
        try:
            read()
        except TimedOut:
            return True
        return False

    struck = [own.tick % 10 for _ in range(40) if fails(timed.heads)]
    assert set(struck) == {0, 1, 2}
    assert 20 < sum(fails(rare.heads) for _ in range(200)) < 80


def test_every_fault_is_survived_beside_an_honest_endpoint(ledger, wanted):
    """Whatever a faulty endpoint says of a final range, it is true or one of our errors, unless it hides logs."""
    names = [name for name, _, _ in TRANSPORT] + [*IN_THE_LOGS, "null_blocks", "shuffled", "doubled_indexes"]
    right, errors = 0, 0
    for name in names:
        shaky = node(ledger, Fault(name=name, amount=30, share=0.5))
        for first in range(1, 3_000, 250):
            try:
                window = shaky.window(first, first + 249, wanted)
            except GazetteerError:
                errors += 1
                continue
            right += 1
            assert window.logs == truth(ledger, first, first + 249, wanted)
    assert right > len(names)
    assert errors > len(names)


def tokens_of(ledger, *kinds):
    specs = {t.address: t for b in range(1, 3_001) for c, _ in ledger.canonical(b).creations for t in c.tokens}
    return [spec for spec in specs.values() if spec.kind in kinds]


def test_burners_and_bombs_harm_nobody_in_a_multicall(ledger):
    harmful = tokens_of(ledger, "gas_burner", "gas_burner_of_all", "return_bomb")
    good = tokens_of(ledger, "good")[:60]
    specs = sorted([*harmful, *good], key=lambda spec: spec.address)
    assert len(harmful) >= 3
    pin = BlockRef(number=3_000, hash=ledger.canonical(3_000).hash)
    for ways in (BOTH, Multicalls(limited=None, unlimited=BOTH.unlimited), Multicalls(limited=None, unlimited=None)):
        reader = node(ledger)
        told = together(
            erc20.questions_of([spec.address for spec in specs]),
            lambda asked, reader=reader, ways=ways: ask_together(reader, ways, asked, pin),
        )
        for spec, described in zip(specs, told, strict=True):
            assert described.symbol == spec.symbol.believed, spec.kind
            assert described.name == spec.name.believed, spec.kind
            assert described.decimals == spec.decimals.believed, spec.kind


def test_the_whole_zoo_is_believed_as_it_should_be(ledger):
    specs = [t for b in range(1, 3_001) for c, _ in ledger.canonical(b).creations for t in c.tokens]
    odd = [spec for spec in specs if spec.kind != "good"]
    assert len({spec.kind for spec in odd}) > 12
    pin = BlockRef(number=3_000, hash=ledger.canonical(3_000).hash)
    told = together(
        erc20.questions_of([spec.address for spec in odd]), lambda asked: ask_alone(node(ledger), asked, pin)
    )
    for spec, described in zip(odd, told, strict=True):
        assert (described.symbol, described.name, described.decimals) == (
            spec.symbol.believed,
            spec.name.believed,
            spec.decimals.believed,
        ), spec.kind


def test_a_token_of_a_later_block_has_no_code_before(ledger):
    block = next(b for b in map(ledger.canonical, range(3_050, 3_150)) if b.creations)
    token = next(t for c, _ in block.creations for t in c.tokens if t.has_code)
    reader = node(ledger)
    before, at = (ledger.canonical(block.number - back) for back in (1, 0))
    code = [
        reader.ask([CodeOf(address=token.address)], BlockRef(number=pin.number, hash=pin.hash))[0].data
        for pin in (before, at)
    ]
    assert code[0] == b""
    assert code[1]


def test_an_orphaned_pin_is_not_answered(ledger):
    gone = next(iter(ledger.orphans()))
    for manners in (Manners(), Manners(by_hash=False)):
        with pytest.raises(MissingData):
            node(ledger, manners=manners).ask(
                [CodeOf(address=ETHEREUM.multicall3)], BlockRef(number=gone.number, hash=gone.hash)
            )


def test_a_revert_and_a_burnt_limit_are_answers(ledger):
    loud = tokens_of(ledger, "revert", "gas_burner")
    pin = BlockRef(number=3_000, hash=ledger.canonical(3_000).hash)
    symbols = [Call(to=spec.address, data=bytes.fromhex("95d89b41"), gas=100_000) for spec in loud]
    answers = node(ledger).ask(symbols, pin)
    assert all(isinstance(answer, Reverted) for answer in answers)
    assert {spec.kind for spec in loud} == {"revert", "gas_burner"}


def test_a_pool_that_is_asked_says_its_tick_spacing():
    made = Ledger(
        seed=3,
        chain=known.chains()[2],
        factories=[f for f in known.factories() if f.protocol.startswith("algebra")],
        habits=Habits(history_blocks=100, history_pools=60),
    )
    reader = node(made)
    pin = BlockRef(number=100, hash=made.canonical(100).hash)
    said = set()
    for entry in made.view().entries(0, 100):
        if entry.facts is None:
            continue
        (answer,) = reader.ask([Call(to=entry.facts.key, data=bytes.fromhex("d0c93a7c"))], pin)
        spacing = entry.facts.answered_tick_spacing
        said.add(spacing)
        assert answer == Returned(spacing.to_bytes(32, "big")) if spacing else isinstance(answer, Reverted)
    assert len(said) > 3
    assert None in said


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", -32700),
        (b"[]", -32600),
        (b"7", -32600),
        (b'{"id":1,"method":"eth_coinbase","params":[]}', -32601),
        (b'{"id":1,"method":"eth_getBlockByNumber","params":[]}', -32602),
        (b'{"id":1,"method":"eth_getBlockByNumber","params":["7"]}', -32602),
        (b'{"id":1,"method":"eth_getLogs","params":[{"fromBlock":"0x9","toBlock":"0x8"}]}', -32602),
        (b'{"id":1,"method":"eth_getLogs","params":[{"fromBlock":"0x1","toBlock":"0xffffffff"}]}', -32602),
        (b'{"id":1,"method":"eth_getLogs","params":[{"address":"0x12"}]}', -32602),
    ],
)
def test_a_question_that_is_none_is_refused_as_by_a_real_node(ledger, body, code):
    assert orjson.loads(Endpoint("a", ledger).handle(body))["error"]["code"] == code


def test_a_batch_above_the_limit_gets_one_reply_in_the_name_of_its_first_request(ledger):
    asked = [{"jsonrpc": "2.0", "id": number, "method": "eth_chainId", "params": []} for number in (5, 6, 7)]
    told = orjson.loads(Endpoint("a", ledger, manners=Manners(most_requests=2)).handle(orjson.dumps(asked)))
    assert [(reply["id"], reply["error"]["code"]) for reply in told] == [(5, -32600)]
    told = orjson.loads(Endpoint("a", ledger).handle(orjson.dumps(asked)))
    assert [(reply["id"], reply["result"]) for reply in told] == [(5, "0x1"), (6, "0x1"), (7, "0x1")]


def test_filters_mean_what_they_mean_at_a_real_node(ledger):
    def logs(**query):
        body = {"jsonrpc": "2.0", "id": 1, "method": "eth_getLogs", "params": [query]}
        return orjson.loads(Endpoint("a", ledger).handle(orjson.dumps(body)))["result"]

    every = logs(fromBlock="0x0", toBlock="latest")
    assert len(every) == len(list(ledger.view().entries(0, ledger.head.number)))
    one = next(log for log in every if len(log["topics"]) == 4)
    same = logs(fromBlock="earliest", toBlock="latest", address=one["address"], topics=[None, one["topics"][1]])
    assert one in same
    assert all(log["address"] == one["address"] and log["topics"][1] == one["topics"][1] for log in same)
    either = logs(
        fromBlock="0x0", toBlock="latest", topics=[[one["topics"][0], "0x" + "11" * 32], [], one["topics"][2]]
    )
    assert one in either
    assert all(len(log["topics"]) == 4 for log in logs(fromBlock="0x0", toBlock="latest", topics=[None] * 4))
    assert logs(blockHash=one["blockHash"]) == [log for log in every if log["blockHash"] == one["blockHash"]]
    assert logs() == [log for log in every if log["blockNumber"] == hex(ledger.head.number)]
    assert one["blockTimestamp"] == hex(ledger.canonical(int(one["blockNumber"], 16)).timestamp_s)
