"""What the base tables have to hold once a ledger has stopped, and where they differ from it."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text

from indexer import store
from indexer.evm.erc20 import Described
from indexer.model import NATIVE, Factory, Field, instrument_hash, pool_natural_key
from indexer.sim.announce import Facts
from indexer.sim.blocks import Entry
from indexer.sim.ledger import Ledger
from indexer.sim.tokens import TokenSpec
from indexer.store import Db

MOST_SHOWN = 12
POOL_FACTS = (
    "emitter",
    "topic0",
    "dex",
    "protocol",
    "token0",
    "token1",
    "proof",
    "fee_ppm",
    "fee_kind",
    "bin_step",
    "stable",
    "hooks",
    "deployer",
    "pool_index",
)


def differences(db: Db, ledger: Ledger, factories: Sequence[Factory], *, audited: bool = False) -> list[str]:
    """One line for each thing that is missing, too much or wrong; empty when the register is exact.

    `audited`: a second endpoint has confirmed all of it; else nobody has confirmed any of it.
    """
    entries = list(ledger.view().entries(1, ledger.head.number))
    with store.begin(db) as tx:
        found = [
            *_cursor(tx, ledger),
            *_pools(tx, entries),
            *_ghosts(tx, ledger, entries),
            *_tokens(tx, ledger, entries),
            *_instruments(tx, ledger),
            *_rejected(tx, entries),
            *_coverage(tx, ledger, factories, audited=audited),
            *_left(tx),
            *_events(tx),
        ]
    return found[:MOST_SHOWN]


def _rows(tx: store.Tx, query: str) -> list[dict[str, Any]]:
    return [dict(row) for row in tx.execute(text(query)).mappings()]


def _cursor(tx: store.Tx, ledger: Ledger) -> Iterator[str]:
    (row,) = _rows(tx, "select * from gazetteer.cursors")
    head = ledger.head
    if (row["tip_number"], row["tip_hash"]) != (head.number, head.hash):
        yield f"tip is {row['tip_number']}, the head {head.number}"
    if (row["anchor_number"], row["anchor_hash"]) != (head.number, head.hash):
        yield f"anchor is {row['anchor_number']}, finalized {head.number}"
    if row["halted"] is not None:
        yield f"halted: {row['halted']}"


def _pools(tx: store.Tx, entries: Sequence[Entry]) -> Iterator[str]:
    rows = {row["pool_key"]: row for row in _rows(tx, "select * from gazetteer.pools where orphaned_at is null")}
    for entry in entries:
        if entry.kind != "pool":
            continue
        facts = entry.facts
        assert facts is not None
        row = rows.pop(facts.key, None)
        name = f"pool 0x{facts.key.hex()} of block {entry.log.block_number}"
        if row is None:
            yield f"{name} is missing"
        else:
            yield from (f"{name}: {what}" for what in _pool(row, entry, facts))
    yield from (f"pool 0x{key.hex()} of block {row['block_number']} is not on the chain" for key, row in rows.items())


def _pool(row: dict[str, Any], entry: Entry, facts: Facts) -> Iterator[str]:
    wanted = {name: getattr(facts, name) for name in POOL_FACTS}
    log = entry.log
    wanted |= {"block_number": log.block_number, "block_hash": log.block_hash, "tx_hash": log.tx_hash}
    wanted |= {"log_index": log.log_index, "created_at": datetime.fromtimestamp(log.timestamp_s or 0, UTC)}
    wanted["tick_spacing"] = facts.answered_tick_spacing if facts.asks else facts.tick_spacing
    for name, value in wanted.items():
        if row[name] != value:
            yield f"{name} is {row[name]!r}, should be {value!r}"
    if row["created_at_kind"] not in ("log", "header"):
        yield f"created_at is {row['created_at_kind']}"
    if facts.asks and row["answered_at"] is None:
        yield "was not asked"


def _ghosts(tx: store.Tx, ledger: Ledger, entries: Sequence[Entry]) -> Iterator[str]:
    """Orphaned rows have to be pools that a lost block announced."""
    there = {entry.facts.key for entry in entries if entry.facts is not None}
    lost = {e.facts.key for block in ledger.orphans() for e in ledger.entries(block) if e.facts is not None}
    for row in _rows(tx, "select pool_key, block_number from gazetteer.pools where orphaned_at is not null"):
        if row["pool_key"] in there:
            yield f"pool 0x{row['pool_key'].hex()} is orphaned, but on the chain"
        if row["pool_key"] not in lost:
            yield f"orphaned pool 0x{row['pool_key'].hex()} was never announced"


def _tokens(tx: store.Tx, ledger: Ledger, entries: Sequence[Entry]) -> Iterator[str]:
    rows = {row["address"]: row for row in _rows(tx, "select * from gazetteer.tokens")}
    view = ledger.view()
    sides = {side for entry in entries if entry.facts for side in (entry.facts.token0, entry.facts.token1)}
    for address in sorted(sides - {NATIVE}):
        row, spec = rows.get(address), view.contract(address, view.head)
        if row is None:
            yield f"token 0x{address.hex()} is missing"
            continue
        assert spec is None or isinstance(spec, TokenSpec), "a pool's side is a token or nobody"
        for name, value in _believed(spec).items():
            if row[name] != value:
                kind = spec.kind if spec else "nobody"
                yield f"token 0x{address.hex()} ({kind}): {name} is {row[name]!r}, not {value!r}"
    for address, row in rows.items():
        if row["provisional"]:
            yield f"token 0x{address.hex()} is provisional"


def _believed(spec: TokenSpec | None) -> dict[str, Any]:
    nobody = Field(status="no_code")
    told = Described(
        **{name: getattr(spec, name).believed if spec else nobody for name in ("symbol", "name", "decimals")}
    )
    wanted: dict[str, Any] = {"symbol": told.symbol.text, "name": told.name.text, "decimals": told.decimals.number}
    for name in ("symbol", "name", "decimals"):
        field: Field = getattr(told, name)
        wanted |= {f"{name}_status": field.status, f"{name}_raw": field.raw}
    return wanted


def _instruments(tx: store.Tx, ledger: Ledger) -> Iterator[str]:
    rows = _rows(
        tx,
        "select p.pool_key, p.dex, i.natural_key, i.hash, i.hash_salt from gazetteer.pools p"
        " full join gazetteer.instruments i using (chain_id, pool_key)",
    )
    for row in rows:
        if row["pool_key"] is None or row["natural_key"] is None:
            yield f"a pool without an instrument, or the other way round: {row}"
            continue
        key = pool_natural_key(ledger.chain.name, row["dex"], row["pool_key"])
        if (row["natural_key"], row["hash"] % 2**64) != (key, instrument_hash(key, row["hash_salt"])):
            yield f"instrument of 0x{row['pool_key'].hex()} is {row['natural_key']}"


def _rejected(tx: store.Tx, entries: Sequence[Entry]) -> Iterator[str]:
    kept = "select block_hash, log_index from gazetteer.rejected_logs where orphaned_at is null"
    rows = {(row["block_hash"], row["log_index"]) for row in _rows(tx, kept)}
    wanted = {(entry.log.block_hash, entry.log.log_index) for entry in entries if entry.kind == "rejected"}
    if rows != wanted:
        yield f"rejected logs: {len(wanted - rows)} are missing, {len(rows - wanted)} are too many"


def _coverage(tx: store.Tx, ledger: Ledger, factories: Sequence[Factory], *, audited: bool) -> Iterator[str]:
    enabled = {(f.address, topic) for f in factories if f.enabled for topic in f.topics}
    blocks = f"int8range(1, {ledger.head.number}, '[]')"
    confirmed = f"audited @> {blocks}" if audited else "isempty(audited)"
    rows = _rows(
        tx,
        "select address, topic0, scanned::text as ranges, audited::text as audited,"
        f" scanned @> {blocks} as whole, {confirmed} as confirmed from gazetteer.coverage",
    )
    for row in rows:
        if (row["address"], row["topic0"]) in enabled and not row["whole"]:
            yield f"coverage of 0x{row['address'].hex()} has a hole: {row['ranges']}"
        if (row["address"], row["topic0"]) in enabled and not row["confirmed"]:
            yield f"0x{row['address'].hex()} was audited in {row['audited']}, should be: {audited}"
    if missing := enabled - {(row["address"], row["topic0"]) for row in rows}:
        yield f"{len(missing)} emitters have no coverage"


def _left(tx: store.Tx) -> Iterator[str]:
    for row in _rows(
        tx, "select kind, count(*) as n, min(reason) as reason, bool_or(dead) as dead from gazetteer.work group by 1"
    ):
        yield f"{row['n']} rows of {row['kind']} work are left (dead: {row['dead']}): {row['reason']}"
    if scans := _rows(tx, "select * from gazetteer.scans"):
        yield f"{len(scans)} scans are left"


def _events(tx: store.Tx) -> Iterator[str]:
    """What the stream of events says has to be what the tables say."""
    told: dict[bytes, list[str]] = {}
    for row in _rows(tx, "select kind, subject from gazetteer.events where kind like 'pool.%' order by tx, id"):
        told.setdefault(row["subject"], []).append(row["kind"].removeprefix("pool."))
    for row in _rows(tx, "select pool_key, source, orphaned_at is not null as orphaned from gazetteer.pools"):
        kinds = told.pop(row["pool_key"], [])
        name = f"events of pool 0x{row['pool_key'].hex()}: {kinds}"
        if kinds[:1] != ["created"] or kinds.count("created") != 1:
            yield f"{name} do not begin with one created"
        alive = True
        for kind in kinds[1:]:
            if (kind == "orphaned") != alive and kind in ("orphaned", "revived"):
                yield f"{name} are out of order"
            alive = kind != "orphaned" if kind in ("orphaned", "revived") else alive
        if alive == row["orphaned"]:
            yield f"{name} end otherwise than the row"
        last_gone = max((at for at, kind in enumerate(kinds) if kind == "orphaned"), default=0)
        final = kinds[last_gone:].count("finalized")
        if row["source"] == "head" and not row["orphaned"] and final != 1:
            yield f"{name} say {final} times that it is final"
    yield from (f"events of a pool that is not there: {kinds}" for kinds in told.values())
