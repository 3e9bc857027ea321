"""The real history of three chains, as far as it was recorded, through backfill and resolution into the tables."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

import pytest
from sqlalchemy import text

from indexer import known, store
from indexer.errors import RateLimited
from indexer.flow import follow, history, resolve
from indexer.flow.ranges import LARGEST_SPAN as DEFAULT_SPAN
from indexer.flow.ranges import Ranges
from indexer.known import Chain
from indexer.model import NATIVE, Factory, PoolKey, address, hash32
from indexer.sim.described import RecordedToken
from indexer.sim.endpoint import Endpoint, in_process
from indexer.sim.faults import Fault
from indexer.sim.recorded import MADE_UP_COUNT, Recorded
from indexer.sim.recorded_pools import RecordedPool
from indexer.sim.shapes import hexed
from indexer.store import Db, facts
from indexer.wire.node import HttpNode
from tests.recorded import EPOCH_S, Records, read
from tests.truth import POOL_FACTS

LEASE_S = 60.0
MOST_SCANS = 20_000
MOST_BATCHES = 5_000
MOST_ROUNDS = 10
MOST_SHOWN = 20

LIMITS = {
    "ethereum": (
        Fault(name="range_cap", amount=50_000, words=1),
        Fault(name="result_cap", amount=500, words=0),
        Fault(name="filter_cap", amount=20),
        Fault(name="rate_limited", amount=1, share=0.01),
    ),
    "polygon": (
        Fault(name="range_cap", amount=90_000, words=5),
        Fault(name="result_cap", amount=350, words=2),
        Fault(name="batch_refused", amount=10),
        Fault(name="rate_limited", share=0.01),
    ),
    "arbitrum": (
        Fault(name="result_cap", amount=2_000, words=1),
        Fault(name="no_by_hash"),
        Fault(name="rate_limited", share=0.01),
    ),
}
"""As providers have them; the words are those of several."""
LARGEST_SPAN = {"arbitrum": 500_000}
"""420 million blocks are many: an endpoint without a cap is asked for more of them at once."""


@dataclass
class Reading:
    """One register that reads one source to its end, at its own time."""

    db: Db
    source: Recorded
    limits: Sequence[Fault] = ()
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    tally: Counter[str] = field(default_factory=Counter)

    @property
    def chain(self) -> Chain:
        return self.source.chain

    def run(self) -> None:
        endpoint = Endpoint("recorded", self.source, faults=self.limits, seed=self.chain.name)
        node = HttpNode("recorded", in_process(endpoint))
        with store.begin(self.db) as tx:
            facts.load(tx, [self.chain], self.source.factories)
        endpoint.faults = ()
        follow.start(self.db, node, self.chain, self.clock)
        endpoint.faults = tuple(self.limits)
        began = monotonic()
        self._backfill(node)
        self.tally["backfill_ms"] = int((monotonic() - began) * 1000)
        began = monotonic()
        self._resolve(node)
        self.tally["resolve_ms"] = int((monotonic() - began) * 1000)

    def clock(self, _tx: object) -> datetime:
        return self.now

    def _backfill(self, node: HttpNode) -> None:
        ranges = Ranges(largest_span=LARGEST_SPAN.get(self.chain.name, DEFAULT_SPAN))
        for _ in range(MOST_SCANS):
            span = ranges.span()
            try:
                done = history.scan(self.db, node, self.chain, ranges, self.clock, lease_s=LEASE_S)
            except RateLimited:
                assert ranges.span() >= span, (
                    "a rate limit shrank the span; what was read before it may have widened it"
                )
                self.tally["told to slow down"] += 1
                continue
            if isinstance(done, history.NothingMissing):
                return
            self.tally["scans"] += 1
            self.tally["refusals"] += done.requests - 1
            self.tally["most rows at once"] = max(self.tally["most rows at once"], done.pools)
        raise AssertionError("history never ends")

    def _resolve(self, node: HttpNode) -> None:
        for _ in range(MOST_ROUNDS):
            for _ in range(MOST_BATCHES):
                try:
                    done = resolve.resolve_tokens(self.db, node, self.chain, self.clock, lease_s=LEASE_S)
                except RateLimited:
                    self.tally["told to slow down"] += 1
                    self.now += timedelta(seconds=5)
                    continue
                if not done.asked:
                    break
                self.tally["batches of tokens"] += 1
            self.now += timedelta(minutes=10)
            if not self.rows("select 1 from gazetteer.work"):
                return
        raise AssertionError("work is left over")

    def rows(self, query: str) -> list[dict[str, Any]]:
        with store.begin(self.db) as tx:
            return [dict(row) for row in tx.execute(text(query)).mappings()]


def differences(reading: Reading) -> list[str]:
    """One line for each thing that is missing, too much or wrong, by what the source announced and answers."""
    source = reading.source
    entries = [
        entry for number in source.eventful(0, source.head_number) for entry in source.entries(source.canonical(number))
    ]
    found = [*_pools(reading, entries), *_tokens(reading, entries), *_rejected(reading, entries), *_coverage(reading)]
    instruments = reading.rows("select count(*) as n from gazetteer.instruments")[0]["n"]
    if instruments != sum(entry.kind == "pool" for entry in entries):
        found.append(f"{instruments} instruments")
    return found


def _pools(reading: Reading, entries):
    rows = {row["pool_key"]: row for row in reading.rows("select * from gazetteer.pools")}
    for entry in entries:
        if entry.kind != "pool":
            continue
        row, log = rows.pop(entry.facts.key, None), entry.log
        if row is None:
            yield f"pool {hexed(entry.facts.key)} is missing"
            continue
        wanted = {name: getattr(entry.facts, name) for name in POOL_FACTS}
        wanted |= {name: getattr(log, name) for name in ("block_number", "block_hash", "tx_hash", "log_index")}
        wanted |= {"tick_spacing": entry.facts.tick_spacing, "chain_id": reading.chain.id, "orphaned_at": None}
        wanted |= {"created_at": datetime.fromtimestamp(log.timestamp_s, UTC), "created_at_kind": "log"}
        for name, value in wanted.items():
            if row[name] != value:
                yield f"pool {hexed(entry.facts.key)}: {name} is {row[name]!r}, not {value!r}"
    yield from (f"pool {hexed(key)} was never announced" for key in rows)


def _tokens(reading: Reading, entries):
    rows = {row["address"]: row for row in reading.rows("select * from gazetteer.tokens")}
    rows.pop(NATIVE)
    view = reading.source.view()
    sides = {side for entry in entries if entry.facts for side in (entry.facts.token0, entry.facts.token1)}
    for side in sorted(sides - {NATIVE}):
        row, spec = rows.pop(side, None), view.contract(side, view.head)
        if row is None:
            yield f"token {hexed(side)} is missing"
            continue
        if row["provisional"]:
            yield f"token {hexed(side)} is provisional"
        for name, column in (("symbol", "text"), ("name", "text"), ("decimals", "number")):
            believed = getattr(spec, name).believed
            wanted = believed.status, getattr(believed, column), believed.raw
            if (row[f"{name}_status"], row[name], row[f"{name}_raw"]) != wanted:
                yield f"token {hexed(side)}: {name} is {row[f'{name}_status']} {row[name]!r}, not {wanted}"
    yield from (f"token {hexed(where)} is of no pool" for where in rows)


def _rejected(reading: Reading, entries):
    rows = {(row["block_hash"], row["log_index"]) for row in reading.rows("select * from gazetteer.rejected_logs")}
    wanted = {(entry.log.block_hash, entry.log.log_index) for entry in entries if entry.kind == "rejected"}
    if rows != wanted:
        yield f"rejected logs: {len(wanted - rows)} are missing, {len(rows - wanted)} are too many"


def _coverage(reading: Reading):
    whole = f"scanned @> int8range(f.from_block, {reading.source.head_number}, '[]')"
    query = (
        f"select {whole} as whole, scanned from gazetteer.coverage join gazetteer.factories f using (chain_id, address)"
    )
    rows = reading.rows(query)
    if len(rows) != sum(len(factory.topics) for factory in reading.source.factories):
        yield f"{len(rows)} emitters have coverage"
    yield from (f"coverage has a hole: {row['scanned']}" for row in rows if not row["whole"])


def unlike_the_records(reading: Reading, records: Records) -> list[str]:
    """The rows against the records themselves: chain, factory, pool, tokens, fee; nothing was rebuilt in between."""
    rows = reading.rows("select chain_id, emitter, pool_key, token0, token1, fee_ppm from gazetteer.pools")
    held = {
        row["pool_key"]: (row["chain_id"], row["emitter"], row["token0"], row["token1"], row["fee_ppm"]) for row in rows
    }
    wanted = {
        key: (records.chain.id, pool.factory.address, pool.token0, pool.token1, _fee_ppm(pool))
        for key, pool in records.pools.items()
    }
    unlike = [key for key in held.keys() | wanted.keys() if held.get(key) != wanted.get(key)]
    return [f"{hexed(key)}: {held.get(key)}, recorded as {wanted.get(key)}" for key in sorted(unlike)]


def _fee_ppm(pool: RecordedPool) -> int | None:
    if pool.factory.protocol in ("uniswap_v1", "uniswap_v2"):
        return pool.factory.fee_ppm
    return None if pool.fee == 0x800000 else pool.fee


LEAST = {"ethereum": (57_000, 3_600), "polygon": (16_000, 1_100), "arbitrum": (25_000, 700)}
"""Pools and odd tokens that the folder is known to have."""
RAW_LOGS = {"ethereum": 8, "polygon": 1, "arbitrum": 3}
PRICE_AT = 2 + 3 * 64
"""Where the price of a Uniswap V4 pool begins in the hex of its log: it was not recorded."""


@pytest.fixture(scope="module", params=tuple(LEAST))
def records(request, shared) -> Records:
    """One chain at a time, read once for all tests of it."""
    return read(shared, request.param)


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_recorded_history_of_a_chain_ends_as_exactly_its_pools_and_tokens(db, records, capsys):
    chain = records.chain.name
    least_pools, least_odd = LEAST[chain]
    reading = Reading(db, records.source, LIMITS[chain])
    reading.run()
    with capsys.disabled():
        print(*_told(records, reading), sep="\n")  # noqa: T201 - what was compared is part of the result
    assert differences(reading)[:MOST_SHOWN] == []
    assert unlike_the_records(reading, records)[:MOST_SHOWN] == []
    assert records.odd <= {row["address"] for row in reading.rows("select address from gazetteer.tokens")}
    assert len(records.pools) >= least_pools
    assert len(records.odd) >= least_odd
    assert reading.tally["refusals"] > 0
    assert reading.tally["told to slow down"] > 0
    assert not [pool for pool in records.pools.values() if pool.made_up and pool.block_number]
    assert reading.rows("select * from gazetteer.rejected_logs") == [], "a recorded row contradicts itself"


def _told(records: Records, reading: Reading):
    made_up = sum(pool.made_up for pool in records.pools.values())
    recorded, odd, outside = len(records.pools) - made_up, len(records.odd), records.outside
    rejected = len(reading.rows("select * from gazetteer.rejected_logs"))
    yield f"\n{records.chain.name}: {recorded:,} recorded pools and {made_up:,} made-up ones"
    yield f"  {len(records.factories)} factories, {len(records.sides):,} tokens, {odd:,} of them odd"
    yield f"  {rejected} records that contradict themselves"
    yield f"  done: {dict(reading.tally)}"
    yield f"  made up: {dict(sorted(records.made_up().items()))}"
    yield f"  out of scope: {outside.total():,} rows of {len(outside)} unknown factories or families: " + ", ".join(
        f"{what} {count}" for what, count in sorted(outside.items(), key=lambda pair: (-pair[1], pair[0]))
    )


@pytest.mark.shared
@pytest.mark.slow
def test_a_rebuilt_log_is_the_one_that_a_node_returned(records):
    assert len(records.raw_logs) == RAW_LOGS[records.chain.name]
    for raw in records.raw_logs:
        number, index = int(raw["blockNumber"], 16), int(raw["logIndex"], 16)
        block = records.source.canonical(number)
        (log,) = [entry.log for entry in records.source.entries(block) if entry.log.log_index == index]
        assert [hexed(topic) for topic in log.topics] == raw["topics"]
        assert hexed(log.data)[:PRICE_AT] == raw["data"][:PRICE_AT]
        assert len(hexed(log.data)) == len(raw["data"])
        assert (hexed(log.block_hash), hexed(log.tx_hash)) == (raw["blockHash"], raw["transactionHash"])
        assert hexed(log.address) == raw["address"]


ETHEREUM = next(chain for chain in known.chains() if chain.name == "ethereum")
UNI, USDC, WETH = (
    address(text)
    for text in (
        "0x1f9840a85d5af5bf1d1762f925bdaddc4201f984",
        "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48",
        "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2",
    )
)


def _factory(dex: str) -> Factory:
    (factory,) = [f for f in known.factories() if f.chain_id == ETHEREUM.id and f.dex == dex]
    return replace(factory, from_block=10)


def _pair(**other: Any) -> RecordedPool:
    """USDC and WETH at Uniswap V2, the first pair that it made."""
    pool = RecordedPool(
        factory=_factory("uniswap_v2"),
        key=PoolKey(address("0xb4e16d0168e52d35cacd2c6185b44281ec28c9dc")),
        token0=USDC,
        token1=WETH,
        count=1,
    )
    return replace(pool, **other)


def _pool(**other: Any) -> RecordedPool:
    """UNI and WETH at Uniswap V3, the first pool that it made."""
    pool = RecordedPool(
        factory=_factory("uniswap_v3"),
        key=PoolKey(address("0x1d42064fc4beb5f8aaf85f4617ae8b3b5b8bd801")),
        token0=UNI,
        token1=WETH,
        fee=3000,
        tick_spacing=60,
        block_number=500,
        block_s=1_620_157_956,
        tx_hash=hash32("0x37d8f4b1b371fde9e4b1942588d16a1cbf424b7c66e731ec915aca785ca2efcf"),
    )
    return replace(pool, **other)


def _source(*pools: RecordedPool) -> Recorded:
    tokens = [RecordedToken(address=UNI, symbol="U\0NI ", name="Uniswap", decimals=18, returned={})]
    tokens += [RecordedToken(address=each, returned={}) for each in (USDC, WETH)]
    return Recorded(
        chain=ETHEREUM,
        factories=[_factory("uniswap_v2"), _factory("uniswap_v3")],
        pools=pools,
        tokens={token.address: token.spec() for token in tokens},
        head=1_000,
        epoch_s=EPOCH_S,
    )


def test_a_record_that_contradicts_itself_is_rejected_and_its_neighbours_are_kept(db):
    swapped = _pair(token0=WETH, token1=USDC, block_number=500, count=None)
    other_fee = _pool(fee=500, tick_spacing=10)
    source = _source(_pair(), _pool(), swapped, other_fee)
    reading = Reading(db, source)
    reading.run()
    assert differences(reading) == []
    rejected = reading.rows("select * from gazetteer.rejected_logs order by log_index")
    assert [row["block_number"] for row in rejected] == [500, 500]
    assert all("CREATE2 derives" in row["reason"] for row in rejected)
    assert {row["pool_key"] for row in reading.rows("select pool_key from gazetteer.pools")} == {
        _pair().key,
        _pool().key,
    }


def test_what_nobody_wrote_down_is_made_up_the_same_every_time_and_counted():
    one, other = _source(_pair(), _pool()), _source(_pool(), _pair())
    numbers = list(one.eventful(0, 1_000))
    assert len(numbers) == 2
    assert numbers == list(other.eventful(0, 1_000))
    for number in numbers:
        block = one.canonical(number)
        assert block == other.canonical(number) or block.hash == other.canonical(number).hash
        assert one.entries(block) == other.entries(block)
        assert one.find(block.hash).number == number
    assert one.made_up() == {"block_number": 1, "block_s": 1, "block_hash": 2, "tx_hash": 1, "log_index": 2}


def test_a_recorded_block_keeps_its_hash_and_time_and_links_to_its_neighbours():
    block_hash = hash32("0x" + "5a" * 32)
    source = _source(_pool(block_hash=block_hash), _pair(block_number=400, block_s=1_620_157_856))
    block, after = source.canonical(500), source.canonical(501)
    assert (block.hash, block.timestamp_s) == (block_hash, 1_620_157_956)
    assert after.parent_hash == block_hash
    assert block.parent_hash == source.canonical(499).hash
    assert source.find(block_hash).number == 500
    assert source.canonical(450).timestamp_s == 1_620_157_906
    assert source.canonical(0).hash == ETHEREUM.genesis_hash
    with pytest.raises(IndexError):
        source.canonical(1_001)


def test_a_count_that_nobody_wrote_down_cannot_be_taken_for_a_recorded_one():
    source = _source(_pair(count=None))
    (number,) = source.eventful(0, 1_000)
    (entry,) = source.entries(source.canonical(number))
    assert entry.facts.pool_index > MADE_UP_COUNT
    assert source.made_up()["count"] == 1


def test_records_that_claim_one_place_or_two_hashes_of_a_block_are_refused():
    with pytest.raises(ValueError, match="one index"):
        _source(_pool(log_index=3), _pair(block_number=500, log_index=3))
    with pytest.raises(ValueError, match="two recorded hashes"):
        _source(_pool(block_hash=hash32("01" * 32)), _pair(block_number=500, block_hash=hash32("02" * 32)))
    with pytest.raises(ValueError, match="two recorded times"):
        _source(_pool(), _pair(block_number=500, block_s=1))
