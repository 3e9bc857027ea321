"""Known factories and the pools of every family, through the tables and back."""

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from indexer import store
from indexer.dex import BY_NAME
from indexer.known import chains, factories
from indexer.model import Log, PoolCreated, address, hash32
from indexer.store import facts, pools
from indexer.store.pool_rows import Times

pytestmark = pytest.mark.slow

GOLDEN = json.loads((Path(__file__).parent / "golden" / "creation_logs.json").read_text(encoding="utf-8"))
NOW = datetime(2026, 8, 22, tzinfo=UTC)
KEPT = ("dex", "protocol", "token0", "token1", "fee_ppm", "fee_kind", "tick_spacing", "bin_step", "stable", "hooks",
        "deployer", "pool_index", "proof")  # fmt: skip


@pytest.fixture
def loaded(db):
    for _ in range(2):  # every start of every process does it again
        with store.begin(db) as tx:
            facts.load(tx, chains(), factories())
    return db


def test_every_known_factory_comes_back_as_it_was(loaded):
    for chain in chains():
        ours = [factory for factory in factories() if factory.chain_id == chain.id]
        with store.begin(loaded) as tx:
            back = facts.factories_of(tx, chain.id, [factory.address for factory in ours])
        assert back == {factory.address: dataclasses.replace(factory, topics=()) for factory in ours}


def test_the_enabled_factories_are_watched_by_each_of_their_topics_and_no_others(loaded):
    for chain in chains():
        with store.begin(loaded) as tx:
            emitters = facts.watched(tx, chain.id)
        assert {emitter.key for emitter in emitters} == {
            (factory.address, topic)
            for factory in factories()
            for topic in factory.topics
            if factory.enabled and factory.chain_id == chain.id
        }


@pytest.mark.parametrize("row", GOLDEN, ids=lambda row: f"{row['dex']}-{row['log']['topics'][0][2:8]}")
def test_a_golden_pool_of_every_family_is_kept_column_by_column(loaded, row):
    (chain,) = [chain for chain in chains() if chain.name == row["chain"]]
    with store.begin(loaded) as tx:
        emitters = facts.watched(tx, chain.id)
    log = Log(
        block_number=5_000_000,
        block_hash=hash32("05" * 32),
        tx_hash=hash32("06" * 32),
        log_index=3,
        address=address(row["log"]["address"]),
        topics=tuple(hash32(topic) for topic in row["log"]["topics"]),
        data=bytes.fromhex(row["log"]["data"][2:]),
    )
    (emitter,) = [emitter for emitter in emitters if emitter.key == (log.address, log.topics[0])]
    pool = BY_NAME[emitter.factory.protocol].decoders[log.topics[0]](log, emitter.factory)
    with store.begin(loaded) as tx:
        settled = pools.settle(
            tx, chain.id, 5_000_000, 5_000_000, [pool], [],
            emitters=emitters, source="head", times=Times(headers={}), until=None, now=NOW,
        )  # fmt: skip
        found = tx.execute(text("select * from gazetteer.pools")).one()
        asked = pools.to_ask(tx, chain.id, [pool.key]) if pool.asks else []
    assert (settled.new, settled.asks) == (1, int(pool.asks))
    assert (bytes(found.pool_key), bytes(found.emitter), found.block_number) == (pool.key, log.address, 5_000_000)
    assert kept(found) == kept(pool)
    assert [key for key, _ in asked] == ([pool.key] if pool.asks else [])


def kept(pool: PoolCreated) -> dict:
    values = {name: getattr(pool, name) for name in KEPT}
    return {name: bytes(value) if isinstance(value, memoryview) else value for name, value in values.items()}
