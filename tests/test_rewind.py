"""A chain is taken back to a block, and what is above it is read again until the register is right."""

from threading import Event

import pytest

from indexer import known, store
from indexer.errors import DatabaseUnavailable, Moved, Refused
from indexer.flow import audit, rewind, stamp
from indexer.flow.history import NothingMissing
from indexer.flow.ranges import Ranges
from indexer.sim.endpoint import Endpoint, in_process
from indexer.sim.faults import Fault
from indexer.sim.ledger import Habits, Ledger
from indexer.sim.server import Server
from indexer.sim.world import Site
from indexer.store import cursor, work
from indexer.wire.endpoints import Endpoints
from indexer.wire.node import HttpNode
from tests.commands import run, settled
from tests.lab.announcing import rows
from tests.lab.simulated import EPOCH, LEASE_S, World
from tests.truth import differences
from workers import wiring
from workers.follower import Follower
from workers.local.world import write_settings

pytestmark = pytest.mark.slow

HABITS = Habits(
    history_blocks=200,
    history_pools=30,
    pools_a_tick=2.0,
    reorg_share=0.0,
    idle_share=0.0,
    flaw_share=0.1,
    finality_depth=8,
    finality_step=1,
)
TOGETHER, APART = 30, 40
MOST_TURNS = 300


class Time:
    """The endpoints' and the follower's clock."""

    s = 0.0

    def __call__(self):
        return self.s


class NoWaker:
    mode = "polling"

    def wait(self, _timeout_s):
        """At once."""


@pytest.fixture
def world(db):
    """A chain of 200 blocks, all but eight of them final, and a register that has just started."""
    return World(db, habits=HABITS).start()


def ledger_of(world, seed=7):
    """The world's chain from its beginning; with another seed it goes on otherwise from where it is then."""
    made = Ledger(
        seed=7,
        chain=world.chain,
        factories=world.factories,
        quotes=known.quote_rank(),
        habits=HABITS,
        epoch_s=int(EPOCH.timestamp()),
    )
    for _ in range(TOGETHER):
        made.advance()
    made._words = (seed, world.chain.name)
    return made


def ask(world, query, **values):
    with store.begin(world.db) as tx:
        return rows(tx, query, **values)


def everything(world):
    """Every row of every table, but for what only says when somebody looked."""
    with store.begin(world.db) as tx:
        tables = [row[0] for row in rows(tx, "select tablename from pg_tables where schemaname = 'gazetteer'")]
        return {name: sorted(map(repr, rows(tx, f"select * from gazetteer.{name}"))) for name in tables}


def standing(world):
    with store.begin(world.db) as tx:
        return cursor.read(tx, world.chain.id)


def follower_of(world, endpoints, time):
    return Follower(
        db=world.db,
        chain=world.chain,
        endpoints=endpoints,
        waker=NoWaker(),
        kick=lambda *_: None,
        stop=Event(),
        ranges=Ranges(first_span=20),
        clock=world.clock,
        monotonic=time,
        halt_after_s=60.0,
    )


def endpoints_of(world, time, *endpoints):
    nodes = [HttpNode(each.name, in_process(each)) for each in endpoints]
    return Endpoints(nodes, world.chain.id, world.chain.genesis_hash, clock=time)


def settle(world, node, follower=None):
    """Everybody acts until nothing is left to do."""
    for _ in range(MOST_TURNS):
        world.now_s += 30
        before = standing(world)
        if follower is None:
            world.follow(node)
        else:
            follower.turn()
        idle = isinstance(world.scan(node), NothingMissing)
        done = (world.tokens(node), world.pools(node))
        stamped = stamp.stamp(world.db, node, world.chain)
        left = ask(world, "select 1 from gazetteer.work")
        if (
            idle
            and not left
            and not any(each.asked for each in done)
            and not stamped.pools
            and before == standing(world)
        ):
            return
    raise AssertionError("it does not come to rest")


def test_a_chain_halted_by_a_fork_below_its_anchor_goes_on_after_a_rewind_and_ends_right(world):
    time = Time()
    lost, won = ledger_of(world), ledger_of(world, seed=8)
    fork = lost.head.number
    for _ in range(APART):
        lost.advance()
    for _ in range(2 * APART):
        won.advance()
    assert lost.canonical(fork + 1).hash != won.canonical(fork + 1).hash
    one, other = Endpoint("a", lost), Endpoint("b", lost)
    endpoints = endpoints_of(world, time, one, other)
    follower = follower_of(world, endpoints, time)
    node = world.node(ledger=lost)
    follower.turn()
    while not isinstance(world.scan(node), NothingMissing):
        pass
    world.tokens(node)
    assert standing(world).anchor.number > fork
    one.rpc, other.rpc = Endpoint("a", won).rpc, Endpoint("b", won).rpc
    for _ in range(20):
        time.s += 10
        follower.turn()
    assert "gazetteer rewind ethereum --to BLOCK" in standing(world).halted
    nodes = [HttpNode(each.name, in_process(each)) for each in (one, other)]
    wrong = r"rewind to a block below (\d+)"
    with pytest.raises(Refused, match=wrong):
        rewind.plan(world.db, nodes, world.chain, standing(world).anchor.number)
    plan = rewind.plan(world.db, nodes, world.chain, fork)
    assert plan.endpoints == ("a", "b")
    assert rewind.rewind(world.db, world.chain, plan.to, world.clock) == plan.loss
    assert standing(world).halted is None
    assert standing(world).tip == standing(world).anchor == plan.to.ref
    assert (
        ask(world, "select 1 from gazetteer.pools where block_number > :fork and orphaned_at is null", fork=fork) == []
    )
    won.stop()
    time.s += 60
    settle(world, world.node(ledger=won), follower)
    found = differences(world.db, won, world.factories)
    ghosts = {f"orphaned pool 0x{e.facts.key.hex()} was never announced" for e in lost_pools(lost, fork)}
    assert [line for line in found if line not in ghosts] == []


def lost_pools(ledger, above):
    return [e for e in ledger.view().entries(above + 1, ledger.head.number) if e.kind == "pool"]


@pytest.fixture
def whole(world):
    """A register that holds a chain that has stopped, all of it."""
    for _ in range(60):
        world.ledger.advance()
    world.ledger.stop()
    settle(world, world.node())
    assert differences(world.db, world.ledger, world.factories) == []
    return world


def taken_back(world, number, *nodes):
    plan = rewind.plan(world.db, nodes or [world.node()], world.chain, number)
    return rewind.rewind(world.db, world.chain, plan.to, world.clock)


def spoil(world):
    """The oldest pool as a wrong decoder would have written it; returns its block."""
    ((block,),) = ask(world, "select min(block_number) from gazetteer.pools")
    changed = """update gazetteer.pools set token0 = token1, fee_ppm = 12345, dex = 'uniswap_v9'
                 where block_number = :block returning 1"""
    ask(world, changed, block=block)
    assert differences(world.db, world.ledger, world.factories) != []
    return block


def test_what_a_decoder_got_wrong_is_read_again_after_a_rewind_below_it(whole):
    block = spoil(whole)
    loss = taken_back(whole, block - 1)
    alive = len(whole.pool_keys())
    assert sum(loss.pools.values()) == alive
    settle(whole, whole.node())
    assert differences(whole.db, whole.ledger, whole.factories) == []
    kinds = dict(map(tuple, ask(whole, "select kind, count(*) from gazetteer.events group by kind")))
    assert kinds["pool.orphaned"] == kinds["pool.revived"] == kinds["pool.created"] == alive


def test_a_dry_rewind_changes_nothing_and_says_what_it_would(whole):
    before = everything(whole)
    plan = rewind.plan(whole.db, [whole.node()], whole.chain, 100)
    assert everything(whole) == before
    above = [entry for entry in whole.entries(101) if entry.kind == "pool"]
    assert sum(plan.loss.pools.values()) == len(above)
    assert plan.loss.pools == {
        dex: sum(1 for entry in above if entry.facts.dex == dex) for dex in {entry.facts.dex for entry in above}
    }
    assert plan.loss.rejected == sum(1 for entry in whole.entries(101) if entry.kind == "rejected")
    emitters = ask(whole, "select count(*) from gazetteer.coverage where not isempty(scanned)")[0][0]
    assert plan.loss.scanned == emitters * (whole.ledger.head.number - 100)
    assert (plan.loss.audited, plan.loss.leases, plan.loss.tip) == (0, 0, whole.ledger.head.number)


def test_coverage_audits_and_their_readers_go_back_too(whole):
    for _ in range(MOST_TURNS):
        nodes = [whole.node(name="b"), whole.node(name="c")]
        done = audit.audit(whole.db, nodes, whole.chain, lambda _: Ranges(), whole.clock, lease_s=LEASE_S)
        if isinstance(done, audit.NothingToAudit):
            break
    loss = taken_back(whole, 100)
    assert loss.audited == loss.scanned > 0
    left = ask(whole, "select scanned, audited, listened_from from gazetteer.coverage where not isempty(scanned)")
    assert {(max(r.upper for r in row.scanned), max(r.upper for r in row.audited)) for row in left} == {(101, 101)}
    assert {row.listened_from for row in left} == {None}
    assert ask(whole, "select 1 from gazetteer.readings where ranges && int8range(101, null)") == []
    assert [(row.number,) for row in ask(whole, "select number from gazetteer.checkpoints")] == [(100,)]


def test_tokens_asked_above_are_in_doubt_and_asked_again(whole):
    ((count,),) = ask(whole, "select count(*) from gazetteer.tokens where pin_number > 100")
    assert count > 0
    assert taken_back(whole, 100).tokens == count
    ((doubted,),) = ask(whole, "select count(*) from gazetteer.tokens where provisional")
    ((waiting,),) = ask(whole, "select count(*) from gazetteer.work where kind = 'token'")
    assert doubted == waiting == count


def test_a_worker_in_the_middle_of_a_scan_writes_nothing_after_a_rewind(world):
    loss = []

    def back():
        if not loss:
            loss.append(None)
            loss[0] = taken_back(world, 20)

    done = world.scan(world.node(during=back), span=1_000)
    assert (done.lost, done.first <= 20 < done.last, loss[0].leases) == (True, True, 1)
    assert ask(world, "select 1 from gazetteer.pools") == []
    assert ask(world, "select 1 from gazetteer.coverage where not isempty(scanned)") == []
    world.ledger.stop()
    settle(world, world.node())
    assert differences(world.db, world.ledger, world.factories) == []


def test_a_follower_in_the_middle_of_a_step_writes_nothing_after_a_rewind(whole):
    taken_back(whole, whole.ledger.head.number - 20)
    loss = []

    def back():
        if not loss:
            loss.append(None)
            loss[0] = taken_back(whole, 20)

    with pytest.raises(Moved):
        whole.follow(whole.node(during=back))
    assert standing(whole).tip.number == 20


def test_a_rewind_that_fails_in_the_middle_takes_nothing(whole, monkeypatch):
    before = everything(whole)

    def broken(*_):
        raise DatabaseUnavailable("gone")

    monkeypatch.setattr(work, "add", broken)
    with pytest.raises(DatabaseUnavailable):
        taken_back(whole, 100)
    assert everything(whole) == before


def test_a_block_that_is_not_final_or_not_read_or_disputed_or_told_by_nobody_is_refused(world):
    for _ in range(20):
        world.ledger.advance()
    world.follow()
    chain, tip = world.chain, standing(world).tip.number
    with pytest.raises(Refused, match="is not final"):
        rewind.plan(world.db, [world.node()], chain, tip)
    with pytest.raises(Refused, match=f"read up to block {tip}"):
        rewind.plan(world.db, [world.node()], chain, tip + 1)
    other = world.node(name="b", ledger=world.elsewhere())
    with pytest.raises(Refused, match="the endpoints disagree about block 100"):
        rewind.plan(world.db, [world.node(), other], chain, 100)
    broken = world.node(name="c", faults=[Fault(name="server_error")])
    with pytest.raises(Refused, match="no endpoint of ethereum tells block 100"):
        rewind.plan(world.db, [broken], chain, 100)
    plan = rewind.plan(world.db, [broken, world.node()], chain, 100)
    assert (plan.endpoints, len(plan.silent)) == (("a",), 1)


def test_a_chain_that_was_never_followed_is_refused(db):
    world = World(db, habits=HABITS)
    with pytest.raises(Refused, match="never followed"):
        rewind.plan(db, [world.node()], world.chain, 10)
    (header,) = world.node().headers([10])
    with pytest.raises(Refused, match="never followed"):
        rewind.rewind(db, world.chain, header, world.clock)


# the command, over HTTP


@pytest.fixture
def place(whole, postgres_url, monkeypatch, tmp_path):
    """The environment of a person at the register of `whole`."""
    server = Server([Site(chain="ethereum", path=f"/{name}", endpoint=Endpoint(name, whole.ledger)) for name in "ab"])
    server.start()
    chain = {
        "id": 1,
        "name": "ethereum",
        "genesis_hash": "0x" + whole.chain.genesis_hash.hex(),
        "block_time_s": 12.0,
        "poll_s": 1.0,
        "finality_depth": 8,
        "native_symbol": "ETH",
        "native_name": "Ether",
        "endpoints": [f"http://{server.address}/{name}" for name in "ab"],
    }
    write_settings(tmp_path, [chain], [])
    monkeypatch.chdir(tmp_path)
    with settled(monkeypatch, GAZETTEER_DATABASE_URL=postgres_url, GAZETTEER_CHAINS="ethereum"):
        yield
        wiring.db().dispose()
    server.close()


@pytest.mark.usefixtures("place")
def test_the_command_says_what_is_taken_back_asks_and_takes_it(whole):
    before = everything(whole)
    dry = run("rewind", "ethereum", "--to", "100", "--dry")
    assert dry.exit_code == 0, dry.exception
    assert f"block 100 is 0x{whole.node().headers([100])[0].hash.hex()}" in dry.stdout
    count = len([entry for entry in whole.entries(101) if entry.kind == "pool"])
    assert f"to be taken back: blocks 101 to {whole.ledger.head.number}" in dry.stdout
    (line,) = [line for line in dry.stdout.splitlines() if line.startswith("all pools")]
    assert line.split()[-1] == str(count)
    assert dry.stdout.endswith("nothing was changed\n")
    assert run("rewind", "ethereum", "--to", "100", input="n\n").exit_code == 0
    assert everything(whole) == before
    done = run("rewind", "ethereum", "--to", "100", "--yes")
    assert done.exit_code == 0, done.exception
    assert f"ethereum stands at block 100; {count} pools were taken back" in done.stdout
    assert standing(whole).anchor.number == 100


@pytest.mark.usefixtures("place")
def test_the_command_refuses_a_block_that_was_not_read(whole):
    result = run("rewind", "ethereum", "--to", "999999")
    assert isinstance(result.exception, Refused)
    assert standing(whole).tip.number == whole.ledger.head.number
