"""Pools of a site: how each factory is asked for one, and what the chain's own state says there is.

`register` is the other side of the comparison: it enumerates by counters, getters and the node's logs, decoded by
eth_abi, and shares no code with the product's decoders.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from eth_abi import decode, encode
from eth_utils.crypto import keccak

from indexer.model import NATIVE, Address
from tests.lab.anvil import Anvil, Tx, hexed, unhexed
from tests.lab.contracts import call_data
from tests.lab.deploy import Site

PRICE_ONE = 2**96
DYNAMIC_FEE = 0x800000
HOOKS = Address(b"\x7e" * 18 + b"\x00\x80")  # its last bits say that it acts before swaps
NO_HOOKS = Address(bytes(20))
V3_FEES = {"uniswap_v3": (100, 500, 3000, 10000), "pancakeswap_v3": (100, 500, 2500, 10000)}
V4_KEYS = ((100, 1, NO_HOOKS), (500, 10, NO_HOOKS), (3000, 60, NO_HOOKS), (DYNAMIC_FEE, 60, HOOKS))
POOLS_SLOT = 6  # of the PoolManager's storage
CALLS_AT_ONCE = 500
TOPICS = {
    "pair": keccak(text="PairCreated(address,address,address,uint256)"),
    "pool": keccak(text="PoolCreated(address,address,uint24,int24,address)"),
    "key": keccak(text="Initialize(bytes32,address,address,uint24,int24,address,uint160,int24)"),
    "algebra": keccak(text="Pool(address,address,address)"),
    "custom": keccak(text="CustomPool(address,address,address,address)"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """One pool as `api.pools` shows it; addresses and ids are hex text."""

    dex: str
    pool_id: str
    token0: str
    token1: str
    fee_ppm: int | None
    fee_kind: str
    tick_spacing: int | None = None
    hooks: str | None = None
    deployer: str | None = None
    index: int | None = None


Wish = tuple[str, Address, Address, int]
"""A pool that may be asked for: DEX, two tokens (either order), and which of the DEX's variants of that couple."""


def wishes(site: Site, tokens: Sequence[Address]) -> list[Wish]:
    """Every pool that these tokens could have here."""
    couples = list(combinations(tokens, 2))
    found: list[Wish] = []
    for dex in site.factories:
        variants = _variants(dex)
        sides = [*couples, *((NATIVE, token) for token in tokens)] if dex == "uniswap_v4" else couples
        found += [(dex, one, other, variant) for one, other in sides for variant in range(variants)]
    return found


def _variants(dex: str) -> int:
    if dex in V3_FEES:
        return len(V3_FEES[dex])
    return {"uniswap_v4": len(V4_KEYS), "camelot_v4": 2}.get(dex, 1)


def wish_tx(site: Site, wish: Wish) -> Tx:
    """The transaction that grants it. It fails where the pool is there already."""
    dex, one, other, variant = wish
    factory = site.factories[dex].address
    if dex in V3_FEES:
        return Tx(to=factory, data=call_data("createPool(address,address,uint24)", one, other, V3_FEES[dex][variant]))
    if dex == "uniswap_v4":
        key = (*sorted((one, other)), *V4_KEYS[variant])
        signature = "initialize((address,address,uint24,int24,address),uint160)"
        return Tx(to=factory, data=call_data(signature, key, PRICE_ONE))
    if dex == "quickswap_v3":
        return Tx(to=factory, data=call_data("createPool(address,address)", one, other))
    if dex != "camelot_v4":
        return Tx(to=factory, data=call_data("createPair(address,address)", one, other))
    if variant == 0:
        return Tx(to=factory, data=call_data("createPool(address,address,bytes)", one, other, b""))
    return Tx(to=site.custom_deployer, data=call_data("create(address,address,address)", factory, one, other))


def register(site: Site, tokens: Iterable[Address]) -> dict[str, Pool]:
    """Every pool of every factory by its id, as the chain's state is now. `tokens`: all that may be in a pool."""
    couples = list(combinations(sorted(set(tokens)), 2))
    found: list[Pool] = []
    for dex in site.factories:
        found += _ENUMERATE[dex](site, dex, couples)
    pools = {pool.pool_id: pool for pool in found}
    assert len(pools) == len(found), "the chain has one id twice"
    return pools


def announcements(site: Site) -> dict[str, set[tuple[str, int]]]:
    """For each pool id the (block hash, log index) of every log that announces it, as the node tells them."""
    found: dict[str, set[tuple[str, int]]] = {}
    for factory in site.factories.values():
        for kind, topic in TOPICS.items():
            for log in site.anvil.logs(factory.address, topic):
                found.setdefault(_announced(kind, log), set()).add((log["blockHash"], int(log["logIndex"], 16)))
    return found


def _announced(kind: str, log: dict[str, Any]) -> str:
    if kind == "key":
        return str(log["topics"][1])
    word = 1 if kind == "pool" else 0
    return hexed(unhexed(log["data"])[32 * word + 12 : 32 * word + 32])


def _pairs(site: Site, dex: str, _couples: object) -> list[Pool]:
    factory = site.factories[dex]
    count = _uint(site.anvil.read(factory.address, call_data("allPairsLength()")))
    pairs = _addresses(site.anvil, [(factory.address, call_data("allPairs(uint256)", at)) for at in range(count)])
    return [
        Pool(
            dex=dex,
            pool_id=hexed(pair),
            token0=hexed(token0),
            token1=hexed(token1),
            fee_ppm=factory.fee_ppm,
            fee_kind=factory.fee_kind,
            index=at,
        )
        for at, (pair, token0, token1) in enumerate(zip(pairs, *_sides(site.anvil, pairs), strict=True), 1)
    ]


def _v3(site: Site, dex: str, couples: Sequence[tuple[Address, Address]]) -> list[Pool]:
    factory = site.factories[dex]
    asked = [
        (factory.address, call_data("getPool(address,address,uint24)", *couple, fee))
        for couple in couples
        for fee in V3_FEES[dex]
    ]
    pools = _standing(site.anvil, asked)
    fees = _words(site.anvil, [(pool, call_data("fee()")) for pool in pools])
    spacings = _words(site.anvil, [(pool, call_data("tickSpacing()")) for pool in pools])
    return [
        Pool(
            dex=dex,
            pool_id=hexed(pool),
            token0=hexed(token0),
            token1=hexed(token1),
            fee_ppm=_uint(fee),
            fee_kind=factory.fee_kind,
            tick_spacing=_uint(spacing),
        )
        for pool, token0, token1, fee, spacing in zip(pools, *_sides(site.anvil, pools), fees, spacings, strict=True)
    ]


def _v4(site: Site, dex: str, _couples: object) -> list[Pool]:
    manager = site.factories[dex].address
    found: list[Pool] = []
    for log in site.anvil.logs(manager, TOPICS["key"]):
        fee, spacing, hooks, _, _ = decode(["uint24", "int24", "address", "uint160", "int24"], unhexed(log["data"]))
        _, pool_id, side0, side1 = log["topics"]
        dynamic = fee == DYNAMIC_FEE
        found.append(
            Pool(
                dex=dex,
                pool_id=pool_id,
                token0=hexed(unhexed(side0)[12:]),
                token1=hexed(unhexed(side1)[12:]),
                fee_ppm=None if dynamic else fee,
                fee_kind="dynamic" if dynamic else "fixed",
                tick_spacing=spacing,
                hooks=hooks,
            )
        )
    slots = [keccak(encode(["bytes32", "uint256"], [unhexed(pool.pool_id), POOLS_SLOT])) for pool in found]
    prices = _words(site.anvil, [(manager, call_data("extsload(bytes32)", slot)) for slot in slots])
    assert all(_uint(price) for price in prices), "the manager's logs tell of a pool that its state does not hold"
    return found


def _algebra(site: Site, dex: str, couples: Sequence[tuple[Address, Address]]) -> list[Pool]:
    factory = site.factories[dex].address
    asked = [(factory, call_data("poolByPair(address,address)", *couple)) for couple in couples]
    return _with_spacing(site, dex, _standing(site.anvil, asked), None)


def _integral(site: Site, dex: str, couples: Sequence[tuple[Address, Address]]) -> list[Pool]:
    factory, deployer = site.factories[dex].address, site.custom_deployer
    by = "customPoolByPair(address,address,address)"
    custom = _standing(site.anvil, [(factory, call_data(by, deployer, *couple)) for couple in couples])
    return _algebra(site, dex, couples) + _with_spacing(site, dex, custom, deployer)


def _with_spacing(site: Site, dex: str, pools: Sequence[Address], deployer: Address | None) -> list[Pool]:
    spacings = _words(site.anvil, [(pool, call_data("tickSpacing()")) for pool in pools])
    return [
        Pool(
            dex=dex,
            pool_id=hexed(pool),
            token0=hexed(token0),
            token1=hexed(token1),
            fee_ppm=None,
            fee_kind="dynamic",
            tick_spacing=_uint(spacing),
            deployer=None if deployer is None else hexed(deployer),
        )
        for pool, token0, token1, spacing in zip(pools, *_sides(site.anvil, pools), spacings, strict=True)
    ]


_ENUMERATE: dict[str, Callable[[Site, str, Sequence[tuple[Address, Address]]], list[Pool]]] = {
    "uniswap_v2": _pairs,
    "quickswap_v2": _pairs,
    "uniswap_v3": _v3,
    "pancakeswap_v3": _v3,
    "uniswap_v4": _v4,
    "quickswap_v3": _algebra,
    "camelot_v4": _integral,
}


def _sides(anvil: Anvil, pools: Sequence[Address]) -> tuple[list[Address], list[Address]]:
    return (
        _addresses(anvil, [(pool, call_data("token0()")) for pool in pools]),
        _addresses(anvil, [(pool, call_data("token1()")) for pool in pools]),
    )


def _standing(anvil: Anvil, asked: Sequence[tuple[bytes, bytes]]) -> list[Address]:
    """The pools among the answers; where there is none the answer is zero."""
    return [pool for pool in _addresses(anvil, asked) if any(pool)]


def _addresses(anvil: Anvil, asked: Sequence[tuple[bytes, bytes]]) -> list[Address]:
    return [Address(word[12:]) for word in _words(anvil, asked)]


def _words(anvil: Anvil, asked: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
    words: list[bytes] = []
    for start in range(0, len(asked), CALLS_AT_ONCE):
        words += anvil.read_many(asked[start : start + CALLS_AT_ONCE])
    return words


def _uint(word: bytes) -> int:
    return int.from_bytes(word, "big")
