"""The folder of real data beside the checkout, read into the recorded source of the simulated node."""

import gzip
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from indexer import known
from indexer.known import Chain
from indexer.model import NATIVE, Address, Factory, PoolKey, address, hash32
from indexer.sim.contracts import REVERT, Reply, word
from indexer.sim.described import FIELDS, RecordedToken
from indexer.sim.recorded import Recorded
from indexer.sim.recorded_pools import RecordedPool, can_rebuild, made_up_pool

V3_SPACING = {100: 1, 500: 10, 2500: 50, 3000: 60, 10000: 200}
PARTNER = {"ethereum": "uniswap_v3", "polygon": "uniswap_v3", "arbitrum": "uniswap_v3"}
BEYOND_BLOCKS = 1_000
EPOCH_S = 1_756_000_000

Record = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Records:
    """What the folder has of one chain. `outside` counts rows by the factory or family that nobody knows."""

    source: Recorded
    chain: Chain
    factories: tuple[Factory, ...]
    pools: dict[PoolKey, RecordedPool]
    tokens: dict[Address, RecordedToken]
    odd: frozenset[Address]
    outside: Counter[str]
    raw_logs: tuple[Record, ...]

    @property
    def sides(self) -> frozenset[Address]:
        """Every token of a pool, without the chain's own currency."""
        return frozenset(side for pool in self.pools.values() for side in (pool.token0, pool.token1)) - {NATIVE}

    def made_up(self) -> Counter[str]:
        """How many fields of the served pools and tokens nobody wrote down."""
        return self.source.made_up() + Counter(
            f"token {name}" for side in self.sides for name in self.tokens[side].made_up
        )


def read(shared: Path, chain_name: str) -> Records:
    """Pools of known factories and their tokens; each odd token that no such pool holds in a made-up one."""
    (chain,) = [chain for chain in known.chains() if chain.name == chain_name]
    data = shared / "data"
    outside: Counter[str] = Counter()
    ours = {f.address: replace(f, enabled=True) for f in known.factories() if f.chain_id == chain.id}
    raw_logs = tuple(_raw_logs(data, chain))
    pools = _merged([*_tables(data, chain, ours, outside), *_raw_pools(raw_logs, ours)])
    described, odd = _tokens(data, chain)
    held = {side for pool in pools.values() for side in (pool.token0, pool.token1)}
    (factory,) = [f for f in ours.values() if f.dex == PARTNER[chain_name]]
    (wrapped,) = _wrapped(chain)
    for token in sorted(odd - held - {NATIVE, wrapped}):
        pool = made_up_pool(factory, token, wrapped)
        pools[pool.key] = pool
    with_rows = {pool.factory.address for pool in pools.values()}
    enabled = {f.address for f in known.factories() if f.chain_id == chain.id and f.enabled}
    served = tuple(f for f in ours.values() if f.address in with_rows | enabled)
    sides = {side for pool in pools.values() for side in (pool.token0, pool.token1)} - {NATIVE}
    tokens = {side: described.get(side) or RecordedToken(address=side, returned={}) for side in sorted(sides)}
    head = BEYOND_BLOCKS + max(
        [f.from_block for f in served] + [pool.block_number for pool in pools.values() if pool.block_number]
    )
    source = Recorded(
        chain=chain,
        factories=served,
        pools=list(pools.values()),
        tokens={side: token.spec() for side, token in tokens.items()},
        head=head,
        epoch_s=EPOCH_S,
    )
    return Records(
        source=source,
        chain=chain,
        factories=served,
        pools=pools,
        tokens=tokens,
        odd=frozenset(odd) - {NATIVE},
        outside=outside,
        raw_logs=raw_logs,
    )


def _wrapped(chain: Chain) -> list[Address]:
    symbol = {"ethereum": "WETH", "polygon": "WPOL", "arbitrum": "WETH"}[chain.name]
    return [quote.address for quote in known.quote_rank() if quote.chain_id == chain.id and quote.symbol == symbol]


def _merged(found: Iterable[RecordedPool]) -> dict[PoolKey, RecordedPool]:
    """One record a pool: what later records say is added where earlier ones say nothing."""
    pools: dict[PoolKey, RecordedPool] = {}
    for pool in found:
        there = pools.setdefault(pool.key, pool)
        facts = ("factory", "token0", "token1", "fee", "tick_spacing", "hooks")
        assert all(getattr(there, name) == getattr(pool, name) for name in facts), "two records contradict each other"
        more = {}
        for name in ("count", "block_number", "block_hash", "block_s", "tx_hash", "log_index"):
            one, other = getattr(there, name), getattr(pool, name)
            assert None in (one, other) or one == other, "two records contradict each other"
            more[name] = other if one is None else one
        pools[pool.key] = replace(there, **more)
    return pools


def _tables(data: Path, chain: Chain, ours: dict[Address, Factory], outside: Counter[str]) -> Iterator[RecordedPool]:
    for row in pq.read_table(data / "pools" / f"pools_{chain.name}.parquet").to_pylist():
        factory = ours.get(address(row["factory"])) if row["factory"] else None
        if factory is None or not can_rebuild(factory):
            outside[f"{row['dex'] or 'factory not recorded'} {row['factory'] or ''}".strip()] += 1
            continue
        yield _pool_of(row, factory)
    if chain.name == "ethereum":
        by_dex = {factory.dex: factory for factory in ours.values()}
        yield from _logs_of_uniswap(data, by_dex)
        yield from _lists_of_uniswap(data, by_dex)
        outside["balancer_v2"] += len(_json(data / "pools" / "balancer_v2_mainnet.json.gz"))
        curve = _json(data / "pools" / "curve_getPools_all_ethereum.json.gz")
        outside["curve"] += len(curve["data"]["poolData"])
        for row in _json(data / "pools" / "tycho_expected_components.json"):
            if row["substreams"] in _TYCHO:
                yield _component(row, by_dex[_TYCHO[row["substreams"]]])
            else:
                outside[row["substreams"].removeprefix("ethereum-")] += 1


def _pool_of(row: Record, factory: Factory) -> RecordedPool:
    return RecordedPool(
        factory=factory,
        key=PoolKey(address(row["pool"])),
        token0=address(row["token0"]),
        token1=address(row["token1"]),
        fee=row["fee"],
        tick_spacing=row["tick_spacing"],
        count=None if row["pair_index"] is None else row["pair_index"] + 1,
        block_number=row["created_block"],
        block_s=row["created_ts"],
        tx_hash=hash32(row["tx_hash"]) if row["tx_hash"] else None,
    )


def _logs_of_uniswap(data: Path, by_dex: dict[str, Factory]) -> Iterator[RecordedPool]:
    for row in pq.read_table(data / "evm-logs" / "univ1_ethereum_new_exchange.parquet").to_pylist():
        yield RecordedPool(
            factory=by_dex["uniswap_v1"],
            key=PoolKey(address(row["topic2"][26:])),
            token0=NATIVE,
            token1=address(row["topic1"][26:]),
            block_number=row["block_number"],
            block_hash=hash32(row["block_hash"]),
            block_s=row["block_timestamp"],
            tx_hash=hash32(row["transaction_hash"]),
        )
    for row in pq.read_table(data / "evm-logs" / "univ3_ethereum_pool_created.parquet").to_pylist():
        yield RecordedPool(
            factory=by_dex["uniswap_v3"],
            key=PoolKey(address(row["data"][-40:])),
            token0=address(row["topic1"][26:]),
            token1=address(row["topic2"][26:]),
            fee=int(row["topic3"], 16),
            tick_spacing=int(row["data"][2:66], 16),
            block_number=row["block_number"],
            block_s=row["block_timestamp"],
            tx_hash=hash32(row["transaction_hash"]),
        )


def _lists_of_uniswap(data: Path, by_dex: dict[str, Factory]) -> Iterator[RecordedPool]:
    for row in _json(data / "pools" / "degenbot_first_200_uniswap_v3_pools.json.gz"):
        yield RecordedPool(
            factory=by_dex["uniswap_v3"],
            key=PoolKey(address(row["pool_address"])),
            token0=address(row["token0"]),
            token1=address(row["token1"]),
            fee=row["fee"],
            tick_spacing=V3_SPACING[row["fee"]],
        )
    for row in _json(data / "pools" / "degenbot_first_200_uniswap_v4_pools.json.gz"):
        yield RecordedPool(
            factory=by_dex["uniswap_v4"],
            key=PoolKey(hash32(row["pool_id"])),
            token0=address(row["token0"]),
            token1=address(row["token1"]),
            fee=row["fee"],
            tick_spacing=row["tick_spacing"],
            hooks=address(row["hooks"]),
        )


_TYCHO = {
    "ethereum-uniswap-v2": "uniswap_v2",
    "ethereum-uniswap-v3": "uniswap_v3",
    "ethereum-uniswap-v4": "uniswap_v4",
}


def _component(row: Record, factory: Factory) -> RecordedPool:
    told = row["static_attributes"]
    fee = {"uniswap_v2": None, "uniswap_v3": told.get("fee"), "uniswap_v4": told.get("key_lp_fee")}[factory.dex]
    spacing = {
        "uniswap_v3": V3_SPACING.get(int(fee or "0x0", 16)),
        "uniswap_v4": int(told.get("tick_spacing", "0"), 16),
    }
    token0, token1 = sorted(map(address, row["tokens"]))
    return RecordedPool(
        factory=factory,
        key=PoolKey(bytes.fromhex(row["component_id"][2:])),
        token0=token0,
        token1=token1,
        fee=None if fee is None else int(fee, 16),
        tick_spacing=spacing.get(factory.dex),
        hooks=address(told["hooks"]) if "hooks" in told else None,
        tx_hash=hash32(row["creation_tx"]),
    )


def _raw_logs(data: Path, chain: Chain) -> Iterator[Record]:
    for row in _json(data / "evm-logs" / "creation_logs_raw.json"):
        if row["chain_id"] == chain.id and row["complete"]:
            yield row["log"]


def _raw_pools(logs: Iterable[Record], ours: dict[Address, Factory]) -> Iterator[RecordedPool]:
    """Logs as a node returned them, cut at the places that their events declare."""
    for log in logs:
        factory = ours[address(log["address"])]
        topics, words = log["topics"], [log["data"][at : at + 64] for at in range(2, len(log["data"]), 64)]
        sides = [address(topic[26:]) for topic in topics[1:]]
        told: Record
        if factory.protocol == "uniswap_v2":
            told = {"key": address(words[0][24:]), "count": int(words[1], 16)}
        elif factory.protocol == "uniswap_v3":
            told = {"key": address(words[1][24:]), "fee": int(topics[3], 16), "tick_spacing": int(words[0], 16)}
        else:
            sides = sides[1:]
            told = {"key": hash32(topics[1]), "fee": int(words[0], 16), "tick_spacing": int(words[1], 16)}
            told["hooks"] = address(words[2][24:])
        stamp = log.get("blockTimestamp")
        yield RecordedPool(
            factory=factory,
            token0=sides[0],
            token1=sides[1],
            block_number=int(log["blockNumber"], 16),
            block_hash=hash32(log["blockHash"]),
            block_s=int(stamp, 16) if stamp else None,
            tx_hash=hash32(log["transactionHash"]),
            log_index=int(log["logIndex"], 16),
            **told,
        )


def _tokens(data: Path, chain: Chain) -> tuple[dict[Address, RecordedToken], set[Address]]:
    """Tokens by address, and those that are odd or whose very bytes were recorded."""
    told: dict[Address, Record] = {}
    odd: set[Address] = set()
    for row in _described(data, chain):
        there = told.setdefault(address(row["address"]), {})
        there |= {name: row[name] for name in FIELDS if row.get(name) is not None and name not in there}
    for row in _json(data / "tokens" / "weird_tokens.json.gz"):
        if row["chain_id"] == chain.id:
            odd.add(address(row["address"]))
            assert {name: row[name] for name in FIELDS if row[name] is not None}.items() <= told[
                address(row["address"])
            ].items()
    returned: dict[Address, dict[str, Reply]] = {}
    for row in _json(data / "tokens" / "erc20_metadata_raw_returns.json.gz"):
        if row["chain_id"] == chain.id:
            reply = Reply(data=bytes.fromhex(row["returndata"][2:]), reverts=not row["success"])
            returned.setdefault(address(row["address"]), {})[row["call"]] = reply
    if chain.name == "ethereum":
        for number, row in enumerate(_json(data / "tokens" / "static_overrides_broken_tokens_ethereum.json")["tokens"]):
            returned[address(row["address"])] = _broken(number, row)
    odd |= set(returned)
    return {
        where: RecordedToken(address=where, returned=returned.get(where, {}), **told.get(where, {}))
        for where in {*told, *returned}
    }, odd


def _broken(number: int, row: Record) -> dict[str, Reply]:
    """One of the ways that the list of broken tokens names: 32 bytes of text, a revert, or the number one."""
    ways = [
        lambda text: Reply(data=text.encode().ljust(32, b"\0")),
        lambda _text: REVERT,
        lambda _text: Reply(data=word(1)),
    ]
    say = ways[number % len(ways)]
    return {"symbol": say(row["symbol"]), "name": say(row["name"]), "decimals": Reply(data=word(row["decimals"]))}


def _described(data: Path, chain: Chain) -> Iterator[Record]:
    """Every record of a token in words, those that were read from the chain first."""
    yield from pq.read_table(data / "tokens" / f"tokens_{chain.name}.parquet").to_pylist()
    if chain.name == "ethereum":
        for row in pq.read_table(data / "evm-logs" / "univ3_ethereum_pool_created.parquet").to_pylist():
            for side, topic in (("token0", "topic1"), ("token1", "topic2")):
                names = {name: row[f"{side}_{name}"] for name in ("symbol", "name")}
                yield {"address": row[topic][26:], **names}
    for path in sorted((data / "tokens" / "lists").glob("*.json.gz")):
        listed = _json(path)
        for row in listed["tokens"] if isinstance(listed, dict) else listed:
            if row.get("chainId", 1) == chain.id:
                yield row


def _json(path: Path) -> Any:
    raw = path.read_bytes()
    return json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)
