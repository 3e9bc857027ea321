"""What each public view has to show of a simulated world, worked out from its truth without any SQL.

`truths` are the chains' truths as `indexer.sim.truth` tells them. Rows are by their key, columns by their name.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from indexer import known
from indexer.model import NATIVE as ZERO
from indexer.model import instrument_hash, pool_natural_key
from indexer.sim.world import World
from indexer.store import migrate

Row = Mapping[str, Any]
Rows = dict[tuple[Any, ...], Row]
Truths = Sequence[Mapping[str, Any]]

NATIVE = f"0x{ZERO.hex()}"

OF_LISTINGS = (
    *("venue_status", "tradable", "settle_symbol", "currency", "underlying", "tracks", "multiplier", "expiry_date"),
    *("expires_at", "strike_price", "option_type", "mic", "company_name", "sector", "market_cap"),
)
"""Columns of `api.instruments` that only venues fill."""


def pools(truths: Truths) -> Rows:
    """Every announced pool, with what its tokens say; all of them final."""
    quotes = _quotes()
    found: Rows = {}
    for truth in truths:
        tokens = {token["address"]: token for token in truth["tokens"]}
        for pool in truth["pools"]:
            found[truth["chain_id"], pool["pool_key"]] = _pool(truth, pool, tokens, quotes)
    return found


def new_pools(truths: Truths, since: datetime) -> Rows:
    """The pools created after `since`."""
    return {key: row for key, row in pools(truths).items() if row["created_at"] > since}


def pool_tokens(truths: Truths) -> Rows:
    """Each pool twice, once from each side."""
    same = ("chain", "chain_id", "dex", "protocol", "pool_id", "pool_address", "pair", "fee_ppm", "fee_kind", "status")
    found: Rows = {}
    for key, pool in pools(truths).items():
        for side, other in ((0, 1), (1, 0)):
            found[*key, side] = {
                **{name: pool[name] for name in (*same, "created_block", "created_at")},
                "side": side,
                "token_address": pool[f"token{side}_address"],
                "token_symbol": pool[f"token{side}_symbol"],
                "other_address": pool[f"token{other}_address"],
                "other_symbol": pool[f"token{other}_symbol"],
                "is_base": pool["base_address"] == pool[f"token{side}_address"],
            }
    return found


def tokens(truths: Truths) -> Rows:
    """Every token of a pool."""
    quotes = _quotes()
    found: Rows = {}
    for truth in truths:
        for token in truth["tokens"]:
            kind, rank = quotes.get((truth["chain_id"], token["address"]), (None, None))
            row = {"chain": truth["chain"], "chain_id": truth["chain_id"], "address": token["address"]}
            for name in ("symbol", "name", "decimals"):
                field = token[name]
                row |= {name: field["value"], f"{name}_status": field["status"], f"{name}_raw": field["raw"]}
            row |= {"provisional": False, "quote_kind": kind, "quote_rank": rank}
            found[truth["chain_id"], token["address"]] = row
    return found


def instruments(truths: Truths) -> Rows:
    """One for each pool."""
    same = ("symbol", "pool_address", "token0_address", "token1_address", "dex", "token0_decimals", "token1_decimals")
    more = ("pair", "fee_ppm", "fee_kind", "created_block", "created_at", "chain", "chain_id")
    sides = ("base_symbol", "quote_symbol")
    found: Rows = {}
    for key, pool in pools(truths).items():
        natural_key = pool_natural_key(pool["chain"], pool["dex"], bytes.fromhex(pool["pool_id"][2:]))
        found[key] = {
            **{name: pool[name] for name in (*same, *more, *sides)},
            **dict.fromkeys(OF_LISTINGS),
            "exchange": pool["dex"],
            "asset_type": "crypto",
            "asset_class": "crypto",
            "inst_class": "amm_pool",
            "scope": pool["chain"],
            "generation": 0,
            "status": "active",
            "identifier": pool["pool_id"],
            "natural_key": natural_key,
            "hash": instrument_hash(natural_key),
        }
    return found


def rejected_logs(truths: Truths) -> Rows:
    """Every log of a factory that announces nothing credible."""
    found: Rows = {}
    for truth in truths:
        for log in truth["rejected_logs"]:
            topics = log["topics"][2:]
            found[truth["chain_id"], log["block_hash"], log["log_index"]] = {
                "chain": truth["chain"],
                "chain_id": truth["chain_id"],
                "block_number": log["block_number"],
                "block_hash": log["block_hash"],
                "tx_hash": log["tx_hash"],
                "log_index": log["log_index"],
                "emitter_address": log["emitter"],
                "topics": [f"0x{topics[at : at + 64]}" for at in range(0, len(topics), 64)],
                "data": log["data"],
                "orphaned_at": None,
            }
    return found


def chain_status(truths: Truths) -> Rows:
    """Everything read and final, every factory listened to."""
    factories = World.factories()
    found: Rows = {}
    for truth in truths:
        emitters = sum(len(each.topics) for each in factories if each.chain_id == truth["chain_id"])
        heights = dict.fromkeys(("head", "finalized", "anchor", "tip"), truth["head"])
        found[(truth["chain_id"],)] = {
            "chain": truth["chain"],
            "chain_id": truth["chain_id"],
            "enabled": True,
            "ready": True,
            **heights,
            "lag_blocks": 0,
            "lag_s": 0,
            "emitters": emitters,
            "emitters_listened": emitters,
            "halted": None,
        }
    return found


def coverage(truths: Truths) -> Rows:
    """Every factory of these chains that is listened to: from its first block to the head, without a hole."""
    chains = {truth["chain_id"]: truth for truth in truths}
    found: Rows = {}
    for factory in World.factories():
        if factory.chain_id not in chains:
            continue
        address, truth = f"0x{factory.address.hex()}", chains[factory.chain_id]
        found[factory.chain_id, address] = {
            "chain": truth["chain"],
            "chain_id": factory.chain_id,
            "factory_address": address,
            **{name: getattr(factory, name) for name in ("dex", "protocol", "tier", "confidence", "source")},
            "enabled": True,
            "from_block": factory.from_block,
            "from_block_quality": factory.from_block_quality,
            "to_block": truth["head"],
            "scanned_blocks": truth["head"] - factory.from_block + 1,
            "missing_blocks": 0,
            "percent": 100,
            "holes": 0,
            "first_missing": None,
            "last_missing": None,
        }
    return found


def meta(_truths: Truths) -> Rows:
    """The versions."""
    versions = {"api_version": "1", "schema_revision": migrate.latest()}
    return {(key,): {"key": key, "value": value} for key, value in versions.items()}


def nothing(_truths: Truths) -> Rows:
    """A view that is empty once everything is done."""
    return {}


def _pool(truth: Mapping[str, Any], pool: Row, tokens: Mapping[str, Row], quotes: Mapping[Any, Any]) -> Row:
    chain_id, sides = truth["chain_id"], (pool["token0"], pool["token1"])
    symbols, decimals = (_told(tokens, sides, name) for name in ("symbol", "decimals"))
    base, quote = (1, 0) if _quote_first([quotes.get((chain_id, side), (None, None))[1] for side in sides]) else (0, 1)
    same = ("chain_id", "dex", "protocol", "fee_ppm", "fee_kind", "tick_spacing", "bin_step", "stable", "pool_index")
    row = {name: pool[name] for name in (*same, "proof", "block_hash", "tx_hash", "log_index")}
    for name, side in (("token0", 0), ("token1", 1), ("base", base), ("quote", quote)):
        row |= {f"{name}_address": sides[side], f"{name}_symbol": symbols[side], f"{name}_decimals": decimals[side]}
    return row | {
        "chain": truth["chain"],
        "pool_id": pool["pool_key"],
        "pool_address": pool["pool_key"] if len(pool["pool_key"]) == len(NATIVE) else None,
        "symbol": _joined(symbols),
        "pair": _joined([symbols[base], symbols[quote]]),
        "hooks_address": pool["hooks"],
        "deployer_address": pool["deployer"],
        "factory_address": pool["emitter"],
        "status": "finalized",
        "created_block": pool["block_number"],
        "created_at": datetime.fromtimestamp(pool["created_at_s"], UTC),
    }


def _told(tokens: Mapping[str, Row], sides: Iterable[str], name: str) -> list[Any]:
    return [tokens[side][name]["value"] for side in sides]


def _joined(symbols: Sequence[str | None]) -> str | None:
    first, second = symbols
    return None if first is None or second is None else f"{first}-{second}"


def _quote_first(ranks: Sequence[int | None]) -> bool:
    first, second = ranks
    return first is not None and (second is None or first < second)


def _quotes() -> dict[tuple[int, str], tuple[str, int]]:
    return {(each.chain_id, f"0x{each.address.hex()}"): (each.kind, each.rank) for each in known.quote_rank()}


VIEWS: Mapping[str, Callable[[Truths], Rows]] = {
    "pools": pools,
    "pool_tokens": pool_tokens,
    "tokens": tokens,
    "instruments": instruments,
    "rejected_logs": rejected_logs,
    "chain_status": chain_status,
    "coverage": coverage,
    "backlog": nothing,
    "dead": nothing,
    "meta": meta,
}
"""Views whose rows follow from the truth alone."""
