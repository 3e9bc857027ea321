"""`gazetteer backfill`: the plan, the decision, and reading to the end, against simulated endpoints over HTTP."""

import json
import os
import re
import signal
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from indexer import known, store
from indexer.errors import Refused
from indexer.flow import follow
from indexer.flow.plan import cost
from indexer.sim.endpoint import Endpoint
from indexer.sim.faults import Fault
from indexer.sim.ledger import Habits, Ledger
from indexer.sim.server import Server
from indexer.sim.world import Site
from indexer.store import consent
from indexer.store import plan as rows
from tests.commands import close, run, settled
from tests.lab.terminal import CTRL_C, Terminal
from tests.roles import Role, eventually
from workers import wiring
from workers.cli.progress import ChainProgress, heading
from workers.local.world import write_settings
from workers.plan import ChainPlan, EndpointPlan, plan_lines, shown

pytestmark = pytest.mark.slow

KEY = "k3y0f4111ty0u5h0u1dn3v3rs33"
EPOCH_S = 1_700_000_000
HABITS = Habits(
    tick_s=12.0, history_blocks=60_000, history_pools=300, idle_share=0, reorg_share=0, stall_share=0, flaw_share=0
)


@pytest.fixture(scope="module")
def ledger():
    chain = replace(known.chains()[0], block_time_s=12.0)
    factories = [replace(each, from_block=1) for each in known.factories()]
    return Ledger(seed=3, chain=chain, factories=factories, quotes=known.quote_rank(), habits=HABITS, epoch_s=EPOCH_S)


@pytest.fixture(scope="module")
def server(ledger):
    capped = Endpoint("b", ledger, faults=[Fault(name="range_cap", amount=2_000)])
    sites = [
        Site(chain="ethereum", path="/a", endpoint=Endpoint("a", ledger)),
        Site(chain="ethereum", path="/b", endpoint=capped),
        Site(chain="ethereum", path=f"/{KEY}", endpoint=Endpoint("k", ledger)),
    ]
    server = Server(sites)
    server.start()
    yield server
    server.close()


def configured(directory, ledger, server):
    """A gazetteer.toml whose Ethereum is the simulated one."""
    facts = [
        {
            "chain": "ethereum",
            "dex": each.dex,
            "protocol": each.protocol,
            "address": "0x" + each.address.hex(),
            "from_block": each.from_block,
            "from_block_quality": "configured",
            "topics": ["0x" + topic.hex() for topic in each.topics],
            "fee_kind": each.fee_kind,
            "tier": each.tier,
            "confidence": each.confidence,
            "source": "simulated",
        }
        for each in ledger.factories
    ]
    row = {
        "id": 1,
        "name": "ethereum",
        "genesis_hash": "0x" + ledger.chain.genesis_hash.hex(),
        "block_time_s": 12.0,
        "poll_s": 1.0,
        "finality_depth": 32,
        "native_symbol": "ETH",
        "native_name": "Ether",
        "endpoints": [f"http://{server.address}/a"],
    }
    write_settings(directory, [row], facts)
    path = directory / "gazetteer.toml"
    path.write_text(path.read_text().replace('history = "all"', 'history = "public"'))


@pytest.fixture
def place(postgres_url, ledger, server, monkeypatch, tmp_path):
    """Environment of a register that knows its facts and has read nothing yet."""
    configured(tmp_path, ledger, server)
    monkeypatch.chdir(tmp_path)
    env = {
        "GAZETTEER_DATABASE_URL": postgres_url,
        "GAZETTEER_CHAINS": "ethereum",
        "GAZETTEER_RPC_ETHEREUM": f"http://{server.address}/a,http://{server.address}/b",
    }
    with settled(monkeypatch, **env):
        wiring.load_facts()
        yield env


def keyed(monkeypatch, server):
    """From here on the only endpoint has a key."""
    monkeypatch.setenv("GAZETTEER_RPC_ETHEREUM", f"http://{server.address}/{KEY}")
    close()


def missing(db, floor=None):
    with store.begin(db) as tx:
        return rows.missing(tx, 1, floor=floor)


def decided(db):
    with store.begin(db) as tx:
        return consent.read(tx, 1)


@pytest.mark.usefixtures("place")
def test_the_dry_plan_says_what_each_endpoint_serves_and_writes_nothing(db, ledger):
    result = run("backfill", "--dry")
    assert result.exit_code == 0, result.exception
    lines = result.stdout.splitlines()
    final = ledger.view().finalized
    assert lines[0] == f"ethereum: {final:,} of {final:,} blocks missing (0.00 % read)"
    assert "127.0.0.1" in lines[1]
    assert lines[2] == "    8 requests, under 1 min (serves 32,000 blocks at once)"
    assert "#2" in lines[3]
    assert "(serves 2,000 blocks at once)" in lines[4]
    assert lines[4].split()[0] == str(4 * -(-final // 2_000))
    pools = int(re.search(r"for about ([\d,]+) pools \(an estimate", lines[5])[1].replace(",", ""))
    assert 200 <= pools <= 400, "300 were announced"
    assert max(map(len, lines)) < 80
    with store.begin(db) as tx:
        assert tx.execute(text("select count(*) from gazetteer.cursors")).scalar_one() == 0
        assert tx.execute(text("select count(*) from gazetteer.pools")).scalar_one() == 0


@pytest.mark.usefixtures("place")
def test_without_asking_the_plan_is_between_two_bounds_and_says_on_what_it_stands():
    lines = plan_lines()
    assert re.fullmatch(r"    4 to 240 requests, under 1 min", lines[2]), lines
    assert "disk: not known before something was read" in lines[5]
    assert lines[6].startswith("Assumed: 250 requests a second at one endpoint for history (half of")
    stands_on = " ".join(lines[6:])
    assert "An endpoint that was not asked serves 1,000 to 100,000 blocks at once." in stands_on
    assert "Audits then read it once more, through other endpoints" in stands_on, "there are two endpoints"
    assert max(map(len, lines)) < 80


@pytest.mark.usefixtures("place")
def test_a_plan_of_many_words_is_broken_between_them(monkeypatch):
    place = "a-name-that-is-much-longer-than-a-terminal-is-wide." * 2 + "example"
    monkeypatch.setenv("GAZETTEER_RPC_ETHEREUM", "http://127.0.0.1:9,http://127.0.0.1:7,http://127.0.0.1:5")
    close()
    lines = plan_lines()
    assert lines[0].startswith("ethereum: no endpoint answers (")
    assert max(map(len, lines)) < 80
    assert len(lines) > 1
    assert all(line.startswith("  ") for line in lines[1:])
    why = "the endpoint said that it is not able to answer this kind of question on this plan of yours today"
    of = ChainPlan(
        chain="ethereum",
        missing=rows.Missing(total=10, blocks=5, holes=1, first_block=0, lowest=0, newest=4),
        endpoints=(EndpointPlan(name=place, keyed=True, allowed=True, cost=cost(5, requests_per_s=1), failed=why),),
    )
    told = shown([of])
    assert f"  {place}" in told, "half a name is of no use"
    assert why in " ".join(line.strip() for line in told)
    assert max(len(line) for line in told if place not in line) < 80


@pytest.mark.usefixtures("place")
def test_an_endpoint_with_a_key_is_neither_asked_nor_counted_before_consent(monkeypatch, server):
    keyed(monkeypatch, server)
    result = run("backfill", "--dry")
    assert "only by consent (--yes)" in result.stdout
    assert "requests," not in result.stdout
    assert KEY not in result.output


@pytest.mark.usefixtures("place")
def test_an_unreachable_chain_is_said_and_nothing_is_decided(db, monkeypatch):
    monkeypatch.setenv("GAZETTEER_RPC_ETHEREUM", f"http://127.0.0.1:9/{KEY}")
    close()
    result = run("backfill", "--since", "2023-12-01")
    assert isinstance(result.exception, Refused)
    assert "ethereum: no endpoint answers (" in result.stderr
    assert KEY not in result.output + str(result.exception)
    assert decided(db).floor is None
    assert "no endpoint answers" in run("backfill", "--dry").stdout


@pytest.mark.usefixtures("place")
def test_reading_here_ends_when_nothing_is_missing_and_holds_every_pool(db, ledger):
    result = run("backfill", "--here")
    assert result.exit_code == 0, result.exception
    assert missing(db).blocks == 0
    assert "100.00 %" in result.stdout.splitlines()[-1]
    assert "done" in result.stdout.splitlines()[-1]
    truth = [each for each in ledger.view().entries(1, ledger.view().finalized) if each.kind == "pool"]
    with store.begin(db) as tx:
        assert tx.execute(text("select count(*) from gazetteer.pools")).scalar_one() == len(truth)
    assert run("backfill", "--dry").stdout.startswith("ethereum: nothing is missing of")


@pytest.mark.usefixtures("place")
def test_a_date_becomes_the_floor_and_nothing_below_it_is_read(db, ledger):
    block = 50_000
    moment = datetime.fromtimestamp(ledger.view().block(block).timestamp_s, UTC)
    result = run("backfill", "--here", "--since", moment.isoformat())
    assert result.exit_code == 0, result.exception
    assert decided(db).floor == block
    assert missing(db, block).blocks == 0
    assert missing(db).blocks == block - 1
    with store.begin(db) as tx:
        assert tx.execute(text("select min(block_number) from gazetteer.pools")).scalar_one() >= block
    assert run("backfill", "--here").exit_code == 0
    assert decided(db).floor == block, "what was decided stays until it is decided anew"
    assert run("backfill", "--here", "--since", "0").exit_code == 0
    assert missing(db).blocks == 0


@pytest.mark.usefixtures("place")
def test_a_word_that_is_neither_date_nor_block_is_refused():
    result = run("backfill", "--since", "yesterday")
    assert result.exit_code == 2
    assert "write 2024-01-31, or a block's number" in result.stderr


def test_a_blocks_number_needs_one_chain(monkeypatch, postgres_url, tmp_path):
    monkeypatch.chdir(tmp_path)
    with settled(monkeypatch, GAZETTEER_DATABASE_URL=postgres_url):
        result = run("backfill", "--since", "123")
    assert result.exit_code == 2
    assert "name it with --chains" in result.stderr


@pytest.mark.usefixtures("place")
def test_a_keyed_endpoint_is_spent_only_after_yes_and_then_at_once(db, monkeypatch, server):
    keyed(monkeypatch, server)
    assert not wiring.endpoints("ethereum", "history").count
    refused = run("backfill")
    assert "nobody consented: --yes" in refused.stderr
    assert "nothing that can be read" in str(refused.exception), "and nobody is left to wait for nothing"
    assert not decided(db).keyed
    assert run("backfill", "--here", "--yes").exit_code == 0
    assert decided(db).keyed
    assert missing(db).blocks == 0
    assert wiring.endpoints("ethereum", "history").count == 1


@pytest.mark.usefixtures("place")
def test_history_that_is_switched_off_is_refused_with_its_place(monkeypatch):
    monkeypatch.setenv("GAZETTEER_HISTORY", "none")
    close()
    result = run("backfill")
    assert isinstance(result.exception, Refused)
    assert "history = none (GAZETTEER_HISTORY)" in str(result.exception)


def test_without_a_worker_that_is_said_and_the_decision_is_kept(db, place, valkey_url, tmp_path):
    role_env = place | {"GAZETTEER_BROKER_URL": valkey_url}
    log = tmp_path / "role.log"
    done = Role(log, role_env, "backfill", "--since", "2023-11-15")
    try:
        assert done.process.wait(60) == 0, done.said()
    finally:
        done.stop()
    assert "no worker answers; start one: gazetteer worker (or read in this process: --here)" in log.read_text()
    assert decided(db).floor is not None


def test_workers_read_it_while_the_progress_is_shown_until_nothing_is_missing(db, place, valkey_url, tmp_path):
    env = place | {"GAZETTEER_BROKER_URL": valkey_url}
    worker = Role(tmp_path / "worker.log", env, "worker", "--lane", "history", "--concurrency", "1")
    backfill = None
    try:
        eventually(lambda: "ready" in worker.said(), what="the worker")
        backfill = Role(tmp_path / "backfill.log", env, "backfill")
        assert backfill.process.wait(120) == 0, backfill.said()
    finally:
        if backfill is not None:
            backfill.stop()
        worker.stop()
    assert missing(db).blocks == 0
    last = backfill.said().splitlines()[-1]
    assert last.startswith("ethereum")
    assert "100.00 %" in last


def test_ctrl_c_loses_nothing_and_the_next_one_goes_on(db, place, tmp_path):
    slow = place | {"GAZETTEER_REQUESTS_PER_S": "8", "GAZETTEER_PROCESSES": "1"}
    role = Role(tmp_path / "here.log", slow, "backfill", "--here")
    try:
        eventually(lambda: (found := missing(db)) and 0 < found.blocks < found.total, what="the first ranges")
        os.kill(role.process.pid, signal.SIGINT)
        assert role.process.wait(60) == 0, role.said()
    finally:
        role.stop()
    assert "nothing is lost: gazetteer backfill --here goes on from here" in role.said()
    with store.begin(db) as tx:
        assert tx.execute(text("select count(*) from gazetteer.scans")).scalar_one() == 0, "a lease was left behind"
    left = missing(db)
    assert 0 < left.blocks < left.total
    assert run("backfill", "--here").exit_code == 0
    assert missing(db).blocks == 0


def test_progress_says_rate_time_to_go_and_the_date_reached_in_80_columns():
    progress = ChainProgress(chain="ethereum")
    for second, left in ((0, 400_000_000), (10, 399_000_000)):
        found = rows.Missing(total=450_000_000, blocks=left, holes=1, first_block=0, lowest=0, newest=left)
        progress.look(found, datetime(2021, 5, 4, tzinfo=UTC), float(second))
    told = progress.line()
    assert progress.per_s == 100_000
    assert told.split() == [
        "ethereum", "#...........", "11.33", "%", "399,000,000", "100,000", "1:06:30", "2021-05-04",
    ]  # fmt: skip
    assert len(told) == len(heading()) < 80
    progress.chain = "binance-smart-chain"
    assert progress.line().startswith("binance-… #")
    assert progress.line(119).startswith("binance-smart-chain  ####....")
    assert len(progress.line(119)) == len(heading(119)) < 120


@pytest.mark.usefixtures("place")
def test_the_date_reached_is_of_the_lowest_block_above_the_hole(db, ledger):
    node = wiring.endpoints("ethereum", "live").choose()
    follow.start(wiring.db(), node, wiring.chain("ethereum"), wiring.clock)
    run("backfill", "--here", "--since", "40000")
    found = missing(db)
    with store.begin(db) as tx:
        reached = rows.time_near(tx, 1, found.newest + 1)
    first = next(each for each in ledger.view().entries(40_000, 60_000) if each.kind == "pool")
    assert abs(reached.timestamp() - ledger.view().block(first.log.block_number).timestamp_s) <= 12 * 1_000
    assert json.loads(run("status", "--json").stdout)["chains"][0]["blocks_to_read"] == 0


# on a real terminal

SIZES = [(24, 80), (40, 120)]


@pytest.fixture
def only_keyed(place, server):
    """The environment of a register whose only endpoint has a key."""
    return place | {"GAZETTEER_RPC_ETHEREUM": f"http://{server.address}/{KEY}"}


def whole(screen, columns):
    """No line is broken by the terminal, and none holds the key."""
    assert KEY not in screen
    return all(len(line) < columns for line in screen.splitlines())


@pytest.mark.parametrize(("rows", "columns"), SIZES)
def test_a_person_who_says_yes_has_seen_the_price_and_history_is_read(db, only_keyed, tmp_path, rows, columns):
    with Terminal(tmp_path, only_keyed, "backfill", "--here", rows=rows, columns=columns) as terminal:
        screen = terminal.until("[y/N]:")
        assert "requests," in screen, "what it costs is said before it is asked for"
        assert "(keyed)" in screen
        assert len(screen.splitlines()) <= rows
        assert not decided(db).keyed
        terminal.press("y\r")
        assert terminal.end() == 0, terminal.screen()
    assert whole(terminal.screen(), columns), terminal.screen()
    assert decided(db).keyed
    assert missing(db).blocks == 0


def test_a_person_who_says_no_is_told_and_nothing_is_read(db, only_keyed, tmp_path):
    with Terminal(tmp_path, only_keyed, "backfill", "--here") as terminal:
        terminal.until("[y/N]:")
        terminal.press("n\r")
        assert terminal.end() == 2
    assert "nobody consented: --yes" in terminal.screen()
    assert whole(terminal.screen(), 80)
    assert not decided(db).keyed
    with store.begin(db) as tx:
        assert tx.execute(text("select count(*) from gazetteer.pools")).scalar_one() == 0


def test_ctrl_c_at_the_question_decides_nothing_and_says_so(db, only_keyed, tmp_path):
    with Terminal(tmp_path, only_keyed, "backfill", "--since", "40000", "--here") as terminal:
        terminal.until("[y/N]:")
        terminal.press(CTRL_C)
        assert terminal.end() == 130
    assert "nothing was decided for ethereum, and nothing is read" in terminal.screen()
    assert "Traceback" not in terminal.output
    assert (decided(db).keyed, decided(db).floor) == (False, None)


@pytest.mark.parametrize(("rows", "columns"), SIZES)
def test_progress_is_one_line_a_chain_that_is_drawn_over_itself(db, place, server, tmp_path, rows, columns):
    capped = {"GAZETTEER_RPC_ETHEREUM": f"http://{server.address}/b"}
    slow = place | capped | {"GAZETTEER_REQUESTS_PER_S": "8", "GAZETTEER_PROCESSES": "1"}
    with Terminal(tmp_path, slow, "backfill", "--here", rows=rows, columns=columns) as terminal:
        terminal.until("blocks left")
        terminal.until("0:0")  # a time to go
        terminal.press(CTRL_C)
        assert terminal.end() == 0
    screen = terminal.screen()
    assert whole(screen, columns), screen
    lines = screen.splitlines()
    (heading,) = [line for line in lines if line.startswith("chain")]
    (line,) = [line for line in lines if line.startswith("ethereum")]
    assert len(line) <= len(heading) < columns
    assert lines[-1] == "nothing is lost: gazetteer backfill --here goes on from here"
    assert "Traceback" not in terminal.output
    assert "\x1b[?25h" in terminal.output, "the cursor came back"
    assert missing(db).blocks > 0
