"""Real announcements and real pools from the folder beside the checkout, through the product's own decoding.

The folder's facts were made by others: decoded values are compared with what they recorded, derived addresses with
what the chain has.
"""

import gzip
import json
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from indexer.dex import BY_NAME
from indexer.errors import ProofMismatch
from indexer.evm.abi import encode_address, encode_int
from indexer.known import factories, parse_chains, parse_factories
from indexer.model import NATIVE, Address, Factory, Hash32, Header, Log, LogFilter, PoolCreated, address, hash32
from indexer.wire import parse

pytestmark = pytest.mark.shared

FACTORIES = {(factory.chain_id, factory.address): factory for factory in factories()}
PLACEHOLDER = Hash32(bytes(32))
V3_SPACING = {100: 1, 500: 10, 2500: 50, 3000: 60, 10000: 200}


def decode(log: Log, factory: Factory) -> PoolCreated:
    return BY_NAME[factory.protocol].decoders[log.topics[0]](log, factory)


def parsed(value: dict) -> Log:
    """One log as a node returned it, through the reader of node answers."""
    number = int(value["blockNumber"], 16)
    last = Header(number=number, hash=hash32(value["blockHash"]), parent_hash=PLACEHOLDER, timestamp_s=1)
    wanted = LogFilter(addresses=[address(value["address"])], topics=[hash32(value["topics"][0])])
    (log,), faults = parse.logs([value], number, last, wanted)
    assert faults == ()
    return log


@pytest.fixture(scope="module")
def raw(shared: Path) -> list[dict]:
    rows = json.loads((shared / "data" / "evm-logs" / "creation_logs_raw.json").read_text(encoding="utf-8"))
    assert len(rows) == 14
    return rows


def test_raw_logs_of_followed_chains_decode_and_prove_their_address(raw):
    proofs = Counter()
    for row in raw:
        if row["chain_id"] == 25 or row["event"] == "Aave.ReserveInitialized":
            continue
        log = parsed(row["log"])
        factory = FACTORIES[row["chain_id"], log.address]
        assert log.topics[0] in factory.topics
        pool = decode(log, factory)
        facts = recorded(row)
        assert {key: getattr(pool, key) for key in facts} == facts
        proofs[row["event"], pool.proof] += 1
    assert proofs == {
        ("UniswapV2.PairCreated", "create2"): 3,
        ("UniswapV3.PoolCreated", "create2"): 8,
        ("UniswapV4.Initialize", "pool_key"): 1,
    }


def recorded(row: dict) -> dict:
    """What the bytes of a row say, cut by hand at the places the event declares."""
    topics, data = row["log"]["topics"], row["log"]["data"][2:]
    words = [data[at : at + 64] for at in range(0, len(data), 64)]
    if row["event"] == "UniswapV2.PairCreated":
        pair = {"key": address(words[0][24:]), "pool_index": int(words[1], 16), "fee_ppm": 3000}
        return {"token0": address(topics[1][26:]), "token1": address(topics[2][26:]), **pair}
    if row["event"] == "UniswapV3.PoolCreated":
        pool = {"key": address(words[1][24:]), "fee_ppm": int(topics[3], 16), "tick_spacing": int(words[0], 16)}
        return {"token0": address(topics[1][26:]), "token1": address(topics[2][26:]), **pool}
    assert row["event"] == "UniswapV4.Initialize"
    key = {"key": hash32(topics[1]), "fee_ppm": int(words[0], 16), "tick_spacing": int(words[1], 16), "hooks": NATIVE}
    return {"token0": address(topics[2][26:]), "token1": address(topics[3][26:]), **key}


def test_a_raw_log_of_a_chain_nobody_follows_needs_two_rows_and_no_code(raw):
    (row,) = [row for row in raw if row["chain_id"] == 25]
    chain = {
        "id": 25,
        "name": "cronos",
        "genesis_hash": "0x" + "25" * 32,
        "block_time_s": 6,
        "poll_s": 2,
        "finality_depth": 1,
        "native_symbol": "CRO",
        "native_name": "Cronos",
    }
    factory = {"chain": "cronos", "dex": "vvs", "protocol": "uniswap_v2", "address": row["log"]["address"]}
    (ours,) = parse_factories([factory], "gazetteer.toml", parse_chains([chain], "gazetteer.toml"))
    pool = decode(parsed(row["log"]), ours)
    assert (pool.key.hex(), pool.pool_index) == ("09604d72cf89061a766328046b61f392d6f45c24", 30)
    assert (pool.fee_kind, pool.proof) == ("unknown", "log")


def test_a_raw_log_without_an_emitter_is_no_log(raw):
    (row,) = [row for row in raw if row["event"] == "Aave.ReserveInitialized"]
    number = int(row["log"]["blockNumber"], 16)
    last = Header(number=number, hash=PLACEHOLDER, parent_hash=PLACEHOLDER, timestamp_s=1)
    wanted = LogFilter(addresses=[NATIVE], topics=[hash32(row["log"]["topics"][0])])
    logs, faults = parse.logs([row["log"]], number, last, wanted)
    assert (logs, len(faults)) == ((), 1)
    assert not [f for f in factories() if hash32(row["log"]["topics"][0]) in f.topics]


def rebuilt(row: dict, index: int) -> Log:
    """A row of a dump as a log; block hash and log index are placeholders where the dump has none."""
    topics = [row[name] for name in ("topic0", "topic1", "topic2", "topic3") if row.get(name)]
    return Log(
        block_number=row["block_number"],
        block_hash=hash32(row["block_hash"]) if row["block_hash"] else PLACEHOLDER,
        tx_hash=hash32(row["transaction_hash"]),
        log_index=row["log_index"] if row["log_index"] is not None else index,
        address=address(row["address"]),
        topics=tuple(hash32(text) for text in topics),
        data=bytes.fromhex(row["data"][2:]),
        timestamp_s=row["block_timestamp"],
    )


def test_2720_uniswap_v1_logs_decode_to_their_recorded_facts(shared):
    rows = pq.read_table(shared / "data" / "evm-logs" / "univ1_ethereum_new_exchange.parquet").to_pylist()
    keys = set()
    for index, row in enumerate(rows):
        log = rebuilt(row, index)
        factory = FACTORIES[row["chain_id"], log.address]
        assert log.block_number >= factory.from_block
        pool = decode(log, factory)
        assert (pool.token0, pool.token1) == (NATIVE, address(row["topic1"][26:]))
        assert pool.key == address(row["topic2"][26:])
        assert (pool.dex, pool.proof, pool.fee_ppm, pool.fee_kind) == ("uniswap_v1", "log", 3000, "fixed")
        assert (pool.tick_spacing, pool.pool_index, pool.asks) == (None, None, False)
        keys.add(pool.key)
    assert len(rows) == len(keys) == 2720


def test_7654_uniswap_v3_logs_decode_to_their_recorded_facts_and_prove_their_address(shared):
    rows = pq.read_table(shared / "data" / "evm-logs" / "univ3_ethereum_pool_created.parquet").to_pylist()
    keys = set()
    for index, row in enumerate(rows):
        log = rebuilt(row, index)
        factory = FACTORIES[row["chain_id"], log.address]
        assert log.block_number >= factory.from_block
        pool = decode(log, factory)
        assert (pool.token0, pool.token1) == (address(row["topic1"][26:]), address(row["topic2"][26:]))
        assert (pool.fee_ppm, pool.fee_kind) == (int(row["topic3"], 16), "fixed")
        assert pool.tick_spacing == V3_SPACING[pool.fee_ppm]
        assert pool.key == address(row["data"][-40:])
        assert pool.proof == "create2"
        keys.add(pool.key)
    assert len(rows) == len(keys) == 7654


def announced(row: dict, factory: Factory) -> Log:
    """The log with which a V2 or V3 factory would have announced a recorded pool."""
    tokens = [Hash32(encode_address(address(row[name]))) for name in ("token0", "token1")]
    (topic0,) = factory.topics
    pool = encode_address(address(row["pool"]))
    if row["protocol"] == "v2":
        topics, data = (topic0, *tokens), pool + encode_int(row["pair_index"] or 0)
    else:
        fee = Hash32(encode_int(row["fee"]))
        topics, data = (topic0, *tokens, fee), encode_int(V3_SPACING.get(row["fee"], 1)) + pool
    return Log(
        block_number=row["created_block"] or 0,
        block_hash=PLACEHOLDER,
        tx_hash=PLACEHOLDER,
        log_index=0,
        address=factory.address,
        topics=topics,
        data=data,
    )


@pytest.mark.parametrize(("chain", "derivable"), [("ethereum", 52_995), ("polygon", 14_939), ("arbitrum", 24_739)])
def test_the_derived_address_is_the_real_one_for_every_pool_of_a_known_init_hash(shared, capsys, chain, derivable):
    rows = pq.read_table(shared / "data" / "pools" / f"pools_{chain}.parquet").to_pylist()
    proven: Counter[str] = Counter()
    mismatched = []
    for row in rows:
        factory = row["factory"] and FACTORIES.get((row["chain_id"], address(row["factory"])))
        if not factory or factory.init_code_hash is None:
            continue
        try:
            pool = decode(announced(row, factory), factory)
        except ProofMismatch:
            mismatched.append(row["pool"])
            continue
        assert (pool.proof, pool.key) == ("create2", address(row["pool"]))
        proven[factory.dex] += 1
    with capsys.disabled():
        told = ", ".join(f"{dex} {count:,}" for dex, count in proven.most_common())
        print(f"\n{chain}: {proven.total():,} addresses derived, {len(mismatched)} mismatches ({told})")  # noqa: T201
    assert mismatched == []
    assert proven.total() == derivable


def test_the_id_of_every_recorded_v4_pool_is_the_hash_of_its_key(shared, capsys):
    path = shared / "data" / "pools" / "degenbot_first_200_uniswap_v4_pools.json.gz"
    rows = json.loads(gzip.decompress(path.read_bytes()))
    known = json.loads((shared / "facts" / "known-pools.json").read_text(encoding="utf-8"))
    rows += [
        {**row, "pool_id": row["address"], "token0": row["token0"]["address"], "token1": row["token1"]["address"]}
        for row in known
        if row["protocol"] == "uniswap_v4"
    ]
    (manager,) = [f for f in factories() if f.protocol == "uniswap_v4" and f.chain_id == 1]
    for row in rows:
        (topic0,) = manager.topics
        words = [encode_address(address(row[name])) for name in ("token0", "token1")]
        key = encode_int(row["fee"]) + encode_int(row["tick_spacing"]) + encode_address(address(row["hooks"]))
        pool = decode(
            made(manager, (topic0, hash32(row["pool_id"]), *words), key + encode_int(1) + encode_int(0)), manager
        )
        assert (pool.proof, pool.key.hex()) == ("pool_key", row["pool_id"][2:])
        assert (pool.fee_kind, pool.fee_ppm) == (("dynamic", None) if row["fee"] == 0x800000 else ("fixed", row["fee"]))
        assert (pool.tick_spacing, pool.hooks) == (row["tick_spacing"], address(row["hooks"]))
    with capsys.disabled():
        print(f"\nuniswap_v4: {len(rows)} ids derived, 0 mismatches")  # noqa: T201
    assert len(rows) == 202


def made(factory: Factory, topics: tuple[bytes, ...], data: bytes) -> Log:
    return Log(
        block_number=0,
        block_hash=PLACEHOLDER,
        tx_hash=PLACEHOLDER,
        log_index=0,
        address=factory.address,
        topics=tuple(Hash32(topic) for topic in topics),
        data=data,
    )


def test_the_known_pools_of_these_families_are_derived(shared, capsys):
    """Pools of every derivable family, each announced as its factory would, with what is not recorded made up."""
    known = json.loads((shared / "facts" / "known-pools.json").read_text(encoding="utf-8"))
    proven: Counter[str] = Counter()
    for row in known:
        if row["id_kind"] != "address" or not row["verified_by"].startswith("CREATE2"):
            continue
        factory = FACTORIES[row["chain_id"], address(row["factory"])]
        pool = decode(known_log(row, factory), factory)
        assert pool.key == address(row["address"])
        assert pool.proof == "create2", factory.dex
        proven[factory.protocol] += 1
    with capsys.disabled():
        print(f"\nknown pools derived: {dict(proven)}")  # noqa: T201
    assert proven.total() == 55
    assert set(proven) == {
        "uniswap_v2", "uniswap_v3", "algebra_v1", "algebra_v1_9", "solidly", "solidly_v3", "ramses_cl",
    }  # fmt: skip


def known_log(row: dict, factory: Factory) -> Log:
    tokens = tuple(encode_address(address(row[name]["address"])) for name in ("token0", "token1"))
    pool = encode_address(Address(address(row["address"])))
    if factory.protocol == "uniswap_v2":
        return made(factory, (factory.topics[0], *tokens), pool + encode_int(1))
    if factory.protocol.startswith("algebra"):
        return made(factory, (factory.topics[0], *tokens), pool)
    if factory.protocol == "solidly":
        (flagged,) = [topic for topic in factory.topics if topic.hex().startswith("c4805696")]
        return made(factory, (flagged, *tokens), encode_int(row["stable"]) + pool + encode_int(1))
    fee = row["fee"] if isinstance(row["fee"], int) else 500  # not recorded where an owner may change it
    return made(factory, (factory.topics[0], *tokens, encode_int(fee)), encode_int(row["tick_spacing"]) + pool)


def test_known_factories_are_those_of_the_catalogue(shared):
    """Every deployment of these families, in full, with its place, start and confidence."""
    rows = json.loads((shared / "facts" / "dex-catalogue.json").read_text(encoding="utf-8"))
    families = set(BY_NAME)
    told = {
        (row["chain_id"], address(row["address"])): row
        for row in rows
        if row["family"] in families and row["tier"] in ("core", "long_tail")
    }
    assert set(told) == set(FACTORIES)
    for key, factory in FACTORIES.items():
        row = told[key]
        assert (factory.dex, factory.tier, factory.confidence) == (row["protocol"], row["tier"], row["confidence"])
        assert factory.from_block == (row["start_block"] or 0)
        assert hash32(row["topic0"]) in factory.topics
        if factory.tier == "core":
            assert {hash32(extra["topic0"]) for extra in row.get("extra_events", ())} <= set(factory.topics)
            assert factory.protocol == row["family"]
        if factory.init_code_hash is not None:
            assert factory.init_code_hash == hash32(row["init_code_hash"])
            assert (factory.create2_deployer or factory.address) == address(row["create2_deployer"])
