"""One log of every protocol and event, real where one is public, and what has to come out of it."""

import dataclasses
import json
from pathlib import Path

import pytest

from indexer.dex import ALL, BY_NAME
from indexer.errors import ProofMismatch, UndecodableLog
from indexer.known import chains, factories, parse_factories
from indexer.model import Log, PoolCreated, address, hash32

GOLDEN = json.loads((Path(__file__).parent / "golden" / "creation_logs.json").read_text(encoding="utf-8"))
BY_CHAIN = {chain.name: chain.id for chain in chains()}
NAMES = [f"{row['dex']}-{row['log']['topics'][0][2:8]}" for row in GOLDEN]


def log_of(row: dict) -> Log:
    found = row["log"]
    return Log(
        block_number=int(found["blockNumber"], 16),
        block_hash=hash32(found["blockHash"]),
        tx_hash=hash32(found["transactionHash"]),
        log_index=int(found["logIndex"], 16),
        address=address(found["address"]),
        topics=tuple(hash32(topic) for topic in found["topics"]),
        data=bytes.fromhex(found["data"][2:]),
    )


def factory_of(row: dict):
    emitter = address(row["log"]["address"])
    (factory,) = [f for f in factories() if (f.chain_id, f.address) == (BY_CHAIN[row["chain"]], emitter)]
    return factory


def decoded(row: dict) -> PoolCreated:
    log, factory = log_of(row), factory_of(row)
    return BY_NAME[factory.protocol].decoders[log.topics[0]](log, factory)


@pytest.mark.parametrize("row", GOLDEN, ids=NAMES)
def test_a_golden_log_decodes_to_its_recorded_facts(row):
    pool = decoded(row)
    facts = dataclasses.asdict(pool)
    del facts["log"]
    told = {key: "0x" + value.hex() if isinstance(value, bytes) else value for key, value in facts.items()}
    silent = {"fee_ppm", "tick_spacing", "bin_step", "stable", "hooks", "deployer", "pool_index"} - set(row["expected"])
    expected = {**dict.fromkeys(silent), "asks": False, "dex": row["dex"], "protocol": row["protocol"]}
    assert told == {**expected, **row["expected"]}
    assert pool.log == log_of(row)


def test_every_protocol_and_every_event_of_it_has_a_golden_log():
    shown = {(row["protocol"], hash32(row["log"]["topics"][0])) for row in GOLDEN}
    assert {(dex.name, topic) for dex in ALL for topic in dex.decoders} == shown


def test_the_registry_lists_each_protocol_once():
    assert len(BY_NAME) == len(ALL)


@pytest.mark.parametrize("row", GOLDEN, ids=NAMES)
def test_a_golden_log_that_lost_a_word_or_won_a_topic_is_refused(row):
    log, factory = log_of(row), factory_of(row)
    decode = BY_NAME[factory.protocol].decoders[log.topics[0]]
    for broken in (
        dataclasses.replace(log, data=log.data + bytes(32)),
        dataclasses.replace(log, data=log.data[:-1] if log.data else b"\x01"),
        dataclasses.replace(log, topics=(*log.topics, log.topics[0])),
        dataclasses.replace(log, topics=log.topics[:-1]),
        dataclasses.replace(log, topics=()),
    ):
        with pytest.raises(UndecodableLog):
            decode(broken, factory)


@pytest.mark.parametrize(
    "row", [row for row in GOLDEN if row["expected"]["proof"] != "log"], ids=lambda row: row["dex"]
)
def test_an_announced_address_that_is_not_the_derived_one_is_refused(row):
    log, factory = log_of(row), factory_of(row)
    swapped = dataclasses.replace(log, topics=(*log.topics[:-2], log.topics[-1], log.topics[-2]))
    with pytest.raises((ProofMismatch, UndecodableLog)):
        BY_NAME[factory.protocol].decoders[log.topics[0]](swapped, factory)
    key = bytes.fromhex(row["expected"]["key"][2:])
    lied = dataclasses.replace(
        log,
        topics=tuple(hash32((bytes(31) + b"\x07").hex()) if topic == key else topic for topic in log.topics),
        data=log.data.replace(key, key[:-1] + bytes([key[-1] ^ 1])),
    )
    with pytest.raises(ProofMismatch):
        BY_NAME[factory.protocol].decoders[log.topics[0]](lied, factory)


def test_a_fork_of_a_known_dex_is_one_row():
    """Somebody's V2 fork: the real QuickSwap log, read through a row as gazetteer.toml would hold it."""
    (real,) = [row for row in GOLDEN if row["dex"] == "quickswap_v2"]
    row = {"chain": "polygon", "dex": "my_fork", "protocol": "uniswap_v2", "address": real["log"]["address"]}
    (factory,) = parse_factories([row], "gazetteer.toml")
    log = log_of(real)
    assert log.topics[0] in factory.topics
    pool = BY_NAME[factory.protocol].decoders[log.topics[0]](log, factory)
    assert (pool.dex, pool.protocol, pool.proof) == ("my_fork", "uniswap_v2", "log")
    assert (pool.fee_ppm, pool.fee_kind) == (None, "unknown")
    assert (factory.tier, factory.from_block, factory.from_block_quality) == ("own", 0, "unknown")
