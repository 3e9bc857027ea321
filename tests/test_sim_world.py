"""The demo's world: the same for the same seed, at any pace, across any kill; and what a register must make of it."""

import json
from dataclasses import replace

import pytest

from indexer import known
from indexer.errors import BadSetting
from indexer.sim.blocks import Block
from indexer.sim.calendar import LONGEST_SLEEP_S, Calendar
from indexer.sim.world import HABITS, Running, World, fresh_blocks

SMALL = {name: replace(habits, history_blocks=2_000, history_pools=60) for name, habits in HABITS.items()}


def world(seed=5, wall=lambda: 0.0):
    return World(seed, epoch_s=1_700_000_000, habits=SMALL, wall=wall)


class Clock:
    def __init__(self):
        self.wall, self.steady = 1_700_000_000.0, 50.0

    def pass_s(self, seconds):
        self.wall += seconds
        self.steady += seconds

    def calendar(self, path, seed=5):
        return Calendar(seed, path, wall=lambda: self.wall, steady=lambda: self.steady)


def test_the_same_seed_and_time_make_the_same_world_at_any_pace():
    at_once, slowly = world(), world()
    at_once.advance_to(120.0)
    for tenth in range(1_201):
        slowly.advance_to(tenth / 10)
    assert at_once.status() == slowly.status()
    assert at_once.truth()[1]["pools"] == slowly.truth()[1]["pools"]
    assert world(seed=6).chains[0].genesis_hash != at_once.chains[0].genesis_hash


def test_a_minute_brings_hundreds_of_pools_and_a_fork():
    live = world()
    live.advance_to(0)
    before = sum(len(chain["pools"]) for chain in live.truth())
    live.advance_to(60.0)
    after = sum(len(chain["pools"]) for chain in live.truth())
    assert 150 < after - before < 600
    assert sum(1 for ledger in live.ledgers.values() for _ in ledger.orphans()) > 0


def test_its_rows_are_settings():
    live = world()
    chains = known.parse_chains(live.chain_rows("127.0.0.1:4000"), "demo")
    assert [chain.name for chain in chains] == ["ethereum", "polygon", "arbitrum"]
    for chain, made in zip(chains, live.chains, strict=True):
        assert replace(chain, endpoints=(), source="simulated") == made
        assert chain.endpoints[:2] == tuple(f"{way}://127.0.0.1:4000/{chain.name}/a" for way in ("http", "ws"))
        assert len(chain.endpoints) == 6
    factories = known.parse_factories(live.factory_rows(), "demo", chains)
    assert {replace(factory, source="") for factory in factories} == {
        replace(factory, source="") for factory in live.factories()
    }


def test_the_truth_is_json_and_whole():
    live = world()
    live.advance_to(40.0)
    for ledger, told in zip(live.ledgers.values(), json.loads(json.dumps(live.truth())), strict=True):
        pools, tokens = told["pools"], {token["address"]: token for token in told["tokens"]}
        assert len({pool["pool_key"] for pool in pools}) == len(pools) > 60
        assert {side for pool in pools for side in (pool["token0"], pool["token1"])} == set(tokens)
        assert not {pool["pool_key"] for pool in pools} & set(told["gone"])
        for pool in pools:
            assert pool["block_hash"] == "0x" + ledger.canonical(pool["block_number"]).hash.hex()
        asked = [pool for pool in pools if pool["protocol"].startswith("algebra")]
        assert all(pool["fee_ppm"] is None and pool["fee_kind"] == "dynamic" for pool in asked)
        rejected = {(log["block_hash"], log["log_index"]) for log in told["rejected_logs"]}
        assert rejected.isdisjoint({(pool["block_hash"], pool["log_index"]) for pool in pools})


def test_a_block_is_published_when_its_time_has_come():
    now = [0.0]
    live = world(wall=lambda: now[0])
    live.advance_to(3.0)
    assert live.published_at_s == {}  # an earlier process may have told of these
    for now[0] in (3.5, 4.0, 4.5, 5.0):
        live.advance_to(now[0])
    ledger = live.ledgers["arbitrum"]
    assert live.published_at_s[ledger.head.hash] == 5.0
    assert set(live.published_at_s.values()) == {3.5, 4.0, 4.5, 5.0}


def test_fresh_blocks_are_those_above_the_fork():
    ledger = world().ledgers["ethereum"]
    for _ in range(300):
        before = ledger.view()
        ledger.advance()
        fresh = fresh_blocks(ledger, before.head)
        assert all(isinstance(block, Block) and not before.has(block) for block in fresh)
        if fresh:
            assert before.block(fresh[0].number - 1).hash == fresh[0].parent_hash
            assert fresh[-1] is ledger.head


def test_time_goes_on_after_a_kill_and_never_back(tmp_path):
    clock, path = Clock(), tmp_path / "world.json"
    first = clock.calendar(path)
    told = 0.0
    for _ in range(100):
        clock.pass_s(0.7)
        assert first.now_s() >= told
        told = first.now_s()
    clock.pass_s(0.1)  # killed here; nothing is written at the end
    second = clock.calendar(path)
    assert second.epoch_s == first.epoch_s
    assert told <= second.now_s() <= told + 6
    clock.pass_s(10)
    assert second.now_s() == pytest.approx(clock.wall - first.epoch_s)  # not pushed into the future
    clock.pass_s(600)  # it was away for a while, and caught up
    third = clock.calendar(path)
    assert third.now_s() == pytest.approx(clock.wall - first.epoch_s, abs=6)
    clock.pass_s(86_400)  # away for a day: most of it never happens
    assert clock.calendar(path).now_s() <= third.now_s() + LONGEST_SLEEP_S + 6
    clock.wall -= 10_000_000  # a clock that was set back
    assert clock.calendar(path).now_s() >= third.now_s()


def test_the_end_of_time_is_kept(tmp_path):
    clock, path = Clock(), tmp_path / "world.json"
    running = Running(world(), clock.calendar(path))
    clock.pass_s(30.0)
    running.pump()
    running.stop()
    end = running.status()
    clock.pass_s(500.0)
    running.pump()
    assert running.status() == end
    assert all(chain["stopped"] and chain["finalized"] == chain["head"] for chain in end)
    assert Running(world(), clock.calendar(path)).status() == end


def test_the_file_of_another_world_is_refused(tmp_path):
    clock, path = Clock(), tmp_path / "world.json"
    clock.calendar(path)
    with pytest.raises(BadSetting, match="seed 5, not 6"):
        clock.calendar(path, seed=6)
    path.write_text("{}")
    with pytest.raises(BadSetting, match="remove it"):
        clock.calendar(path)
