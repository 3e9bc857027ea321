"""A real node as the product reads and hears it: heads, windows, pins, forks, and wake-ups that survive a restart."""

import time
from contextlib import closing

import pytest

from indexer.errors import MissingData
from indexer.evm import erc20
from indexer.flow.reading import listening
from indexer.model import BlockRef, Call, CodeOf, Emitter, Hash32, LogFilter, Returned, Reverted
from indexer.wire.node import HttpNode
from indexer.wire.transport import HttpTransport
from indexer.wire.waker import Waker
from tests.lab import anvil, contracts, deploy, onchain, verdict, zoo
from tests.lab.anvil import Anvil, Tx, unhexed
from tests.lab.running import running
from tests.roles import eventually

pytestmark = pytest.mark.anvil

SLOTS = 2
RENAME = "rename(string,string)"
NOBODY = LogFilter(addresses=(), topics=())


@pytest.fixture
def site():
    anvil.required()
    with Anvil(1, slots=SLOTS) as node:
        yield deploy.build(node)


@pytest.fixture
def node(site):
    return HttpNode("anvil", HttpTransport(site.anvil.url))


@pytest.fixture
def changing(site):
    return contracts.deploy(site.anvil, contracts.ours("odd_tokens", "Changing"))


def rename(site, token, name):
    site.anvil.send(Tx(to=token, data=contracts.call_data(RENAME, name, name)))


def emitters(site):
    return [Emitter(topic0=topic, factory=factory) for factory in site.factories.values() for topic in factory.topics]


def create(site, dex, variant=0):
    return site.anvil.send(onchain.wish_tx(site, (dex, site.weth, site.usdc, variant)))


def symbol_at(node, token, pin):
    (answer,) = node.ask([Call(to=token, data=erc20.SYMBOL)], pin)
    return erc20.text_field(answer, 64).text


def test_heads_identity_and_headers_are_the_nodes_own(site, node):
    site.anvil.mine(3 * SLOTS)
    head = site.anvil.head()
    heads = node.heads()
    assert (heads.latest.number, heads.latest.hash) == (head, site.anvil.block_hash(head))
    assert heads.safe.ref == BlockRef(number=head - SLOTS, hash=site.anvil.block_hash("safe"))
    assert heads.finalized.ref == BlockRef(number=head - 2 * SLOTS, hash=site.anvil.block_hash("finalized"))
    assert node.chain_identity() == (1, site.chain.genesis_hash)
    first, beyond, last = node.headers([0, head + 1, head])
    assert (first.hash, beyond, last) == (site.chain.genesis_hash, None, heads.latest)


def test_a_window_holds_the_nodes_logs_and_the_headers_around_them(site, node):
    start = site.anvil.head()
    receipts = [create(site, "uniswap_v2"), create(site, "uniswap_v3", 2), create(site, "uniswap_v4")]
    site.anvil.mine()
    wanted, head = listening(emitters(site)), site.anvil.head()
    window = node.window(start + 1, head, wanted)
    logs = [log for receipt in receipts for log in receipt["logs"]]
    assert [(log.block_hash, log.tx_hash, log.log_index, log.data) for log in window.logs] == [
        (unhexed(log["blockHash"]), unhexed(log["transactionHash"]), int(log["logIndex"], 16), unhexed(log["data"]))
        for log in logs
    ]
    times = node.headers([log.block_number for log in window.logs])
    assert [log.timestamp_s for log in window.logs] == [header.timestamp_s for header in times]
    assert (window.before.hash, window.last.hash) == (site.anvil.block_hash(start), site.anvil.block_hash(head))
    assert window.faults == ()
    assert node.window(0, start, wanted).logs == ()
    with pytest.raises(MissingData):
        node.window(head, head + 1, wanted)


def test_a_pin_is_answered_as_of_its_block_whatever_happened_since(site, node, changing):
    before = node.heads().latest.ref
    rename(site, changing, "AFT")
    after = node.heads().latest.ref
    assert [symbol_at(node, changing, pin) for pin in (before, after, before)] == ["BEF", "AFT", "BEF"]
    born, gone, code = node.ask(
        [Call(to=changing, data=erc20.NAME), Call(to=zoo.STRANGER, data=erc20.NAME), CodeOf(address=zoo.STRANGER)],
        after,
    )
    assert isinstance(born, Returned)
    assert (gone, code) == (Returned(b""), Returned(b""))


def test_a_pin_before_a_tokens_birth_shows_no_code(site, node):
    before = node.heads().latest.ref
    token = zoo.born(site.anvil, "Late", "LATE", 18)
    assert node.ask([CodeOf(address=token)], before) == [Returned(b"")]
    assert node.ask([CodeOf(address=token)], node.heads().latest.ref) == [Returned(site.anvil.code(token))]


def test_a_pin_that_a_reorg_removed_is_missing_data(site, node, changing):
    rename(site, changing, "GONE")
    kept, pin = node.headers([site.anvil.head() - 1])[0].ref, node.heads().latest.ref
    assert symbol_at(node, changing, pin) == "GONE"
    site.anvil.reorg(1)
    assert node.heads().latest.number == pin.number
    with pytest.raises(MissingData):
        symbol_at(node, changing, pin)
    assert symbol_at(node, changing, kept) == "BEF"
    assert symbol_at(node, changing, node.heads().latest.ref) == "BEF"


@pytest.mark.parametrize("ahead", [0, 7])
def test_a_block_that_never_was_is_missing_data(site, node, changing, ahead):
    pin = BlockRef(number=site.anvil.head() + ahead, hash=Hash32(b"\x99" * 32))
    with pytest.raises(MissingData):
        symbol_at(node, changing, pin)


def test_reverts_are_answers_with_their_data_and_a_batch_goes_on(site, node):
    refuses = contracts.deploy(site.anvil, contracts.ours("odd_tokens", "Refuses"))
    symbol, decimals = node.ask(
        [Call(to=refuses, data=erc20.SYMBOL), Call(to=refuses, data=erc20.DECIMALS)], node.heads().latest.ref
    )
    assert isinstance(symbol, Reverted)
    assert symbol.data == contracts.call_data("Error(string)", "no symbol")
    assert decimals == Returned((6).to_bytes(32, "big"))


@pytest.fixture
def waker(site):
    made = Waker([site.anvil.ws_url], listening(emitters(site)), first_pause_s=0.05)
    eventually(lambda: made.mode == "websocket", what="the subscription")
    yield made
    made.close()


def notices(waker):
    return waker._connection.notices


def test_new_heads_and_logs_of_a_real_node_are_heard(site, waker):
    waker.wait(0)  # the subscription itself is a wake-up
    heard = notices(waker)
    site.anvil.mine()
    eventually(lambda: notices(waker) == heard + 1, what="the head")
    began = time.monotonic()
    waker.wait(30)
    assert time.monotonic() - began < 15, "it waited for the timeout, though there was a notice"
    create(site, "uniswap_v3")
    eventually(lambda: notices(waker) == heard + 3, what="the head and the log of one block")


def test_a_waker_polls_while_the_node_is_away_and_hears_again_when_it_is_back():
    anvil.required()
    with Anvil(1) as node, closing(Waker([node.ws_url], NOBODY, first_pause_s=0.05)) as waker:
        eventually(lambda: waker.mode == "websocket", what="the subscription")
        node.stop()
        eventually(lambda: waker.mode == "polling", what="the loss")
        waker.wait(0)
        began = time.monotonic()
        waker.wait(0.3)
        assert time.monotonic() - began >= 0.3, "there was nothing to hear"
        with Anvil(1, port=node.port) as again:
            eventually(lambda: waker.mode == "websocket", what="the subscription")
            heard = notices(waker)
            again.mine()
            eventually(lambda: notices(waker) > heard, what="a head of the node that came back")


def test_a_follower_goes_on_when_its_node_was_restarted(postgres_url, valkey_url, tmp_path):
    anvil.required()
    state = ("--state", str(tmp_path / "chain.json"))
    with Anvil(1, slots=SLOTS, args=state) as node:
        site = deploy.build(node)
        node.mine(3 * SLOTS)
        with running(tmp_path, [site], postgres_url, valkey_url.replace("db=0", "db=8")):
            registered(postgres_url, create(site, "uniswap_v2"))
            wakeups(postgres_url, "websocket")
            node.stop()
            wakeups(postgres_url, "polling")
            with Anvil(1, slots=SLOTS, port=node.port, args=state) as again:
                assert again.block_hash(0) == site.chain.genesis_hash
                wish = ("uniswap_v3", site.weth, site.usdc, 1)
                registered(postgres_url, again.send(onchain.wish_tx(site, wish)))
                wakeups(postgres_url, "websocket")


def registered(database_url, receipt):
    tx_hash = receipt["transactionHash"]
    query = "select 1 from api.pools where tx_hash = %s"
    eventually(lambda: verdict.ask(database_url, query, tx_hash), what="the pool")


def wakeups(database_url, mode):
    query = "select wakeups from api.chain_status where chain = 'ethereum'"
    eventually(lambda: verdict.ask(database_url, query) == [{"wakeups": mode}], what=mode)


@pytest.mark.parametrize(("ci", "outcome"), [("1", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_without_a_node_these_tests_are_skipped_and_in_ci_they_fail(monkeypatch, tmp_path, ci, outcome):
    monkeypatch.setattr(anvil, "LAB", tmp_path)
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="scripts/chainlab"):
        anvil.required()
