"""What a register must hold in the end about one simulated chain, as JSON. Made from what was announced and deployed.

Bytes are 0x hex. `pools` and `rejected_logs` have the columns of the register's tables; a pool that was asked has its
answer in `tick_spacing`. `gone` are keys of pools that were announced only on branches that lost: a register may have
them, marked as orphaned. `published_at_s` is the wall time at which a block was first there to be read, by hash; a
block that this process did not publish has none.
"""

from collections.abc import Iterator, Mapping

from indexer.known import Chain
from indexer.model import NATIVE, Address, Field, Hash32
from indexer.sim.blocks import Entry
from indexer.sim.ledger import Ledger
from indexer.sim.shapes import Json, hexed
from indexer.sim.tokens import TokenSpec


def truth(ledger: Ledger, published_at_s: Mapping[Hash32, float] | None = None) -> Json:
    """The whole truth about the branch of now."""
    view = ledger.view()
    entries = [entry for entry in view.entries(0, view.head.number) if entry.kind != "noise"]
    pools = [pool_row(entry, ledger.chain) for entry in entries if entry.kind == "pool"]
    keys = {str(pool["pool_key"]) for pool in pools}
    gone = {hexed(key) for key in _orphaned_keys(ledger)}
    published = {hexed(at): when for at, when in (published_at_s or {}).items()}
    return {
        "chain_id": ledger.chain.id,
        "chain": ledger.chain.name,
        "genesis_hash": hexed(ledger.chain.genesis_hash),
        "head": view.head.number,
        "finalized": view.finalized,
        "stopped": ledger.stopped,
        "pools": pools,
        "tokens": [token_row(spec) for spec in _tokens(ledger, entries)] + _native_row(ledger.chain, pools),
        "rejected_logs": [rejected_row(entry, ledger.chain) for entry in entries if entry.kind == "rejected"],
        "gone": sorted(gone - keys),
        "published_at_s": {
            str(pool["block_hash"]): published[str(pool["block_hash"])]
            for pool in pools
            if pool["block_hash"] in published
        },
    }


def pool_row(entry: Entry, chain: Chain) -> Json:
    """One pool with the columns of `gazetteer.pools`, and the time of its block in Unix seconds."""
    facts, log = entry.facts, entry.log
    if facts is None:
        raise ValueError(entry.kind)
    return {
        "chain_id": chain.id,
        "pool_key": hexed(facts.key),
        "emitter": hexed(facts.emitter),
        "topic0": hexed(facts.topic0),
        "dex": facts.dex,
        "protocol": facts.protocol,
        "token0": hexed(facts.token0),
        "token1": hexed(facts.token1),
        "fee_ppm": facts.fee_ppm,
        "fee_kind": facts.fee_kind,
        "tick_spacing": facts.answered_tick_spacing if facts.asks else facts.tick_spacing,
        "bin_step": facts.bin_step,
        "stable": facts.stable,
        "hooks": None if facts.hooks is None else hexed(facts.hooks),
        "deployer": None if facts.deployer is None else hexed(facts.deployer),
        "pool_index": facts.pool_index,
        "proof": facts.proof,
        "block_number": log.block_number,
        "block_hash": hexed(log.block_hash),
        "tx_hash": hexed(log.tx_hash),
        "log_index": log.log_index,
        "created_at_s": log.timestamp_s,
    }


def rejected_row(entry: Entry, chain: Chain) -> Json:
    """One log that announces nothing credible, with the columns of `gazetteer.rejected_logs`."""
    log = entry.log
    return {
        "chain_id": chain.id,
        "block_hash": hexed(log.block_hash),
        "log_index": log.log_index,
        "block_number": log.block_number,
        "tx_hash": hexed(log.tx_hash),
        "emitter": hexed(log.address),
        "topics": hexed(b"".join(log.topics)),
        "data": hexed(log.data),
    }


def token_row(spec: TokenSpec) -> Json:
    """One token and what is to be believed of it. `kind` is its place in the zoo."""
    return {
        "address": hexed(spec.address),
        "kind": spec.kind,
        "symbol": _field(spec.symbol.believed),
        "name": _field(spec.name.believed),
        "decimals": _field(spec.decimals.believed),
    }


def _field(field: Field) -> Json:
    value = field.number if field.text is None else field.text
    return {"status": field.status, "value": value, "raw": None if field.raw is None else hexed(field.raw)}


def _native_row(chain: Chain, pools: list[Json]) -> list[Json]:
    """The chain's own currency, if a pool has it on one side: nobody is asked about it."""
    if hexed(NATIVE) not in {side for pool in pools for side in (pool["token0"], pool["token1"])}:
        return []
    told = {"symbol": chain.native_symbol, "name": chain.native_name, "decimals": chain.native_decimals}
    fields = {name: {"status": "ok", "value": value, "raw": None} for name, value in told.items()}
    return [{"address": hexed(NATIVE), "kind": "native", **fields}]


def _tokens(ledger: Ledger, entries: list[Entry]) -> Iterator[TokenSpec]:
    """Every token of a pool of this branch, once, in the order of their addresses."""
    specs: dict[Address, TokenSpec] = dict(ledger.quotes)
    sides: set[Address] = set()
    for entry in entries:
        if entry.facts is not None and entry.creation is not None:
            sides |= {entry.facts.token0, entry.facts.token1}
            specs.update((spec.address, spec) for spec in entry.creation.tokens)
    return (specs[side] for side in sorted(sides - {NATIVE}))


def _orphaned_keys(ledger: Ledger) -> Iterator[bytes]:
    for block in ledger.orphans():
        for entry in ledger.entries(block):
            if entry.facts is not None:
                yield entry.facts.key
