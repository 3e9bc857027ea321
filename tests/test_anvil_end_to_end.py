"""Three real EVM nodes, real factories, real processes: the register equals what the chains themselves enumerate."""

import logging
import os
import random
import signal
import time
from contextlib import ExitStack, suppress
from dataclasses import replace

import pytest
from eth_abi import encode

from indexer.flow.reading import announced, listening
from indexer.model import Emitter
from indexer.wire.node import HttpNode
from indexer.wire.transport import HttpTransport
from tests.lab import anvil, contracts, deploy, onchain, verdict, zoo
from tests.lab.anvil import Anvil, Tx, hexed
from tests.lab.running import running
from tests.lab.traffic import Traffic
from tests.roles import eventually

log = logging.getLogger(__name__)
pytestmark = pytest.mark.anvil

CHAIN_IDS = (1, 137, 42161)
SLOTS = 4
FINAL_AFTER = 2 * SLOTS
ROUNDS = 10
POOLS_A_BLOCK = 5
SETTLED_S = 120.0
SEED = 20
WORK = "select *, now() as asked_at from gazetteer.work order by due limit 10"
KILLS = 8
VICTIMS = ("follow.arbitrum", "worker.live:child", "worker.live", "worker.history", "worker.live:parent", "beat")
FAMOUS = {
    "ethereum": {
        "0xb4e16d0168e52d35cacd2c6185b44281ec28c9dc",  # USDC-WETH of V2
        "0x8ad599c3a0ff1de082011efddc58f1908eb6e6d8",  # of V3, 0.3 %
        "0x21c67e77068de97969ba93d4aab21826d33ca12bb9f565d8496e8fda8a82ca27",  # ETH-USDC of V4, 0.05 %
    },
    "polygon": {"0x19c5505638383337d2972ce68b493ad78e315147"},
    "arbitrum": {"0xc473e2aee3441bf9240be85eb122abb059a3b57c"},
}


@pytest.fixture
def traffics():
    """Three chains with their factories and tokens."""
    anvil.required()
    with ExitStack() as stack:
        yield [built(stack.enter_context(Anvil(chain_id, slots=SLOTS))) for chain_id in CHAIN_IDS]


@pytest.fixture
def arbitrum():
    """One of them."""
    anvil.required()
    with Anvil(42161, slots=SLOTS) as node:
        yield built(node)


def built(node):
    site = deploy.build(node)
    return Traffic(site=site, tokens=zoo.zoo(site), seed=SEED)


@pytest.fixture
def broker_url(valkey_url):
    return valkey_url.replace("db=0", "db=7")


def status(database_url, traffic):
    chain = traffic.site.chain.name
    return verdict.ask(database_url, "select * from api.chain_status where chain = %s", chain)[0]


def followed(database_url, traffic):
    """Wait until the follower stands at the head of the branch that is there now."""
    node, chain_id = traffic.site.anvil, traffic.site.chain.id
    query = "select tip_hash from gazetteer.cursors where chain_id = %s"
    head = node.block_hash("latest")
    eventually(lambda: verdict.ask(database_url, query, chain_id) == [{"tip_hash": head}], what=f"head of {chain_id}")


def finished(database_url, traffics, product, within_s=SETTLED_S):
    """Let the chains go on until nothing is left to do."""
    deadline = time.monotonic() + within_s
    while True:
        left = {each.site.chain.name: verdict.left(database_url, each.site, each.last) for each in traffics}
        if not any(left.values()):
            return
        assert time.monotonic() < deadline, (
            f"still to do after {within_s:g} s: {left} {verdict.ask(database_url, WORK)}\n{product.said()}"
        )
        for traffic in traffics:
            traffic.site.anvil.mine()
        time.sleep(0.2)


def begin(traffic):
    """A past for history to read, and a pool that is not final yet when the follower begins."""
    traffic.everybody()
    for _ in range(4):
        traffic.create(POOLS_A_BLOCK)
    traffic.site.anvil.mine(FINAL_AFTER)
    traffic.create(POOLS_A_BLOCK)


def live(traffic, number, database_url):
    """A round of a chain's life: new pools, at times a new token, at times another branch."""
    traffic.create(POOLS_A_BLOCK)
    if number % 4 == 1:
        traffic.newcomer(number)
    if number % 3 == 2:
        followed(database_url, traffic)
        traffic.create(POOLS_A_BLOCK)
        followed(database_url, traffic)
        assert traffic.reorg(2 + number % 4), "a chain that never changes its mind proves nothing"
    if number % 3 == 2 and number < ROUNDS / 2:
        followed(database_url, traffic)  # some branches are seen as they are, some only with what came later


def test_the_register_equals_what_three_chains_enumerate(traffics, postgres_url, broker_url, tmp_path):
    began = time.monotonic()
    for traffic in traffics:
        begin(traffic)
    with running(tmp_path, [traffic.site for traffic in traffics], postgres_url, broker_url) as product:
        for number in range(ROUNDS):
            for traffic in traffics:
                live(traffic, number, postgres_url)
        finished(postgres_url, traffics, product)
        listening = {status(postgres_url, traffic)["wakeups"] for traffic in traffics}
    assert listening == {"websocket"}
    for traffic in traffics:
        pools = verdict.judge(postgres_url, traffic.site, traffic.tokens)
        lives = lived(postgres_url, traffic.site)
        assert lives.keys() == {f"pool.{what}" for what in ("created", "orphaned", "revived", "moved", "finalized")}
        log.info("%s: %d pools, %s, %.1f s", traffic.site.chain.name, pools, lives, time.monotonic() - began)


def lived(database_url, site):
    """How often each thing happened to a pool. Both lanes brought some, and the famous ones are there."""
    pools = verdict.ask(database_url, "select pool_id, source from api.pools where chain_id = %s", site.chain.id)
    assert {row["source"] for row in pools} == {"head", "history"}
    orphaned = verdict.ask(database_url, "select pool_id from api.orphaned_pools where chain_id = %s", site.chain.id)
    assert orphaned, "what a reorg took for good is remembered apart"
    assert FAMOUS[site.chain.name] <= {row["pool_id"] for row in pools}
    query = "select kind, count(*) as n from api.events where chain_id = %s and kind like 'pool.%%' group by kind"
    return {row["kind"]: row["n"] for row in verdict.ask(database_url, query, site.chain.id)}


def test_processes_killed_at_any_moment_lose_nothing(arbitrum, postgres_url, broker_url, tmp_path):
    began = time.monotonic()
    traffic, dice = arbitrum, random.Random(SEED)
    begin(traffic)
    with ExitStack() as stack:
        product = stack.enter_context(
            running(tmp_path, [traffic.site], postgres_url, broker_url, lease_s=4, task_s=2),
        )
        followed(postgres_url, traffic)
        for number in range(KILLS):
            traffic.create(POOLS_A_BLOCK)
            if number % 3 == 1:
                traffic.newcomer(number)
            time.sleep(dice.uniform(0, 0.4))  # so that they die in the middle of something else each time
            kill(product, VICTIMS[number % len(VICTIMS)], stack)
            if number % 4 == 3:
                traffic.reorg(3)
        finished(postgres_url, [traffic], product)
    pools = verdict.judge(postgres_url, traffic.site, traffic.tokens)
    log.info("%d pools, %d kills, %.1f s", pools, KILLS, time.monotonic() - began)


def kill(product, victim, stack):
    """With SIGKILL, and start it again: a role with all its processes, or only the parent, whose children go on.

    Or one child, which its parent replaces.
    """
    name, _, part = victim.partition(":")
    role = product.roles[name]
    if part == "child":
        for child in role.children()[:1]:
            role.kill_one(child)
        return
    if part == "parent":
        stack.callback(bury, role.process.pid)
        role.kill_one(role.process.pid)
        role.process.wait()
    else:
        role.kill()
    role.restart()


def bury(group):
    """End what a dead parent left."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def test_custom_pools_are_derived_from_their_deployer(arbitrum):
    site, pool = arbitrum.site, contracts.INTEGRAL_POOL
    factory = replace(site.factories["camelot_v4"], init_code_hash=deploy.init_code_hash(pool))
    for variant in (0, 1):
        site.anvil.send(onchain.wish_tx(site, ("camelot_v4", site.weth, site.usdc, variant)))
    node = HttpNode("anvil", HttpTransport(site.anvil.url))
    emitters = [Emitter(topic0=topic, factory=factory) for topic in factory.topics]
    window = node.window(1, site.anvil.head(), listening(emitters))
    derived = {created.deployer: created.proof for created in announced(emitters, window.logs).created}
    assert derived == {None: "create2", site.custom_deployer: "create2"}


def test_another_token_that_a_reorg_puts_at_the_same_address_is_asked_anew(postgres_url, valkey_url, tmp_path):
    query = "select symbol from api.tokens where address = %s"
    with Anvil(42161, slots=4) as node:
        traffic = built(node)
        begin(traffic)
        with running(tmp_path, [traffic.site], postgres_url, valkey_url.replace("db=0", "db=9")) as product:
            token = zoo.born(node, "Old", "OLD", 6)
            wish = onchain.wish_tx(traffic.site, ("uniswap_v2", token, traffic.site.weth, 0))
            node.send(wish)
            told = lambda: any(row["symbol"] == "OLD" for row in verdict.ask(postgres_url, query, hexed(token)))  # noqa: E731
            eventually(told, what="the token's first answer")
            creation, types, values = deploy.plain("New", "NEW", 18)
            node.reorg(2, [(Tx(to=None, data=creation + encode(types, values)), 0), (wish, 1)])
            traffic.tokens[token] = zoo.ok("NEW", "New", 18)
            traffic.create(3)
            finished(postgres_url, [traffic], product)
        verdict.judge(postgres_url, traffic.site, traffic.tokens)
