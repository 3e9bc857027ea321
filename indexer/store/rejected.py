"""Logs of watched emitters that announced nothing credible, kept with the reason."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text

from indexer.model import ChainId, Emitter
from indexer.model.pool import Rejected
from indexer.store import Tx

DATA_BYTES = 4096
OUSTED = "this pool key was announced earlier"
"""Why a pool's own row became a rejected log; of such a log only its place and its first topic are kept."""

_WRITE = text("""
    insert into gazetteer.rejected_logs
        (chain_id, block_hash, log_index, block_number, tx_hash, emitter, topics, data, reason, seen_at)
    select :chain_id, block_hash, log_index, block_number, tx_hash, emitter, topics, data, reason, :now
    from unnest(cast(:block_hashes as bytea[]), cast(:log_indexes as bigint[]), cast(:block_numbers as bigint[]),
                cast(:tx_hashes as bytea[]), cast(:emitters as bytea[]), cast(:topics as bytea[]),
                cast(:datas as bytea[]), cast(:reasons as text[]))
         as t(block_hash, log_index, block_number, tx_hash, emitter, topics, data, reason)
    order by block_hash, log_index
    on conflict (chain_id, block_hash, log_index) do update
        set orphaned_at = null, reason = excluded.reason, topics = excluded.topics, data = excluded.data
""")

_GONE = text("""
    update gazetteer.rejected_logs r set orphaned_at = :now
    where r.chain_id = :chain_id and r.block_number between :first and :last and r.orphaned_at is null
      and (r.emitter, substring(r.topics for 32)) in (
          select address, topic0
          from unnest(cast(:watched as bytea[]), cast(:watched_topics as bytea[])) as e(address, topic0))
      and (r.block_hash, r.log_index) not in (
          select block_hash, log_index
          from unnest(cast(:block_hashes as bytea[]), cast(:log_indexes as bigint[])) as t(block_hash, log_index))
""")

# Of a pool's own announcement the row keeps where it stands and its topic0; the rest was not kept.
_OUST = text("""
    insert into gazetteer.rejected_logs
        (chain_id, block_hash, log_index, block_number, tx_hash, emitter, topics, data, reason, seen_at)
    select :chain_id, block_hash, log_index, block_number, tx_hash, emitter, topic0, null, :reason, :now
    from unnest(cast(:block_hashes as bytea[]), cast(:log_indexes as bigint[]), cast(:block_numbers as bigint[]),
                cast(:tx_hashes as bytea[]), cast(:emitters as bytea[]), cast(:topics as bytea[]))
         as t(block_hash, log_index, block_number, tx_hash, emitter, topic0)
    order by block_hash, log_index
    on conflict (chain_id, block_hash, log_index) do update set orphaned_at = null, reason = excluded.reason
""")


def oust(tx: Tx, chain_id: ChainId, rows: Sequence[Any], now: datetime) -> None:
    """Pool rows whose key was announced earlier: their own announcements, known by place and topic0."""
    if not rows:
        return
    ordered = sorted(rows, key=lambda row: (row.block_hash, row.log_index))
    tx.execute(
        _OUST,
        {
            "chain_id": chain_id,
            "now": now,
            "reason": OUSTED,
            "block_hashes": [row.block_hash for row in ordered],
            "log_indexes": [row.log_index for row in ordered],
            "block_numbers": [row.block_number for row in ordered],
            "tx_hashes": [row.tx_hash for row in ordered],
            "emitters": [row.emitter for row in ordered],
            "topics": [row.topic0 for row in ordered],
        },
    )


def settle(
    tx: Tx,
    chain_id: ChainId,
    first: int,
    last: int,
    rejected: Sequence[Rejected],
    *,
    emitters: Sequence[Emitter],
    now: datetime,
) -> None:
    """Make the rejected logs of these emitters in first..last equal to the answer; others become orphaned."""
    logs = sorted(rejected, key=lambda each: (each.log.block_hash, each.log.log_index))
    keys: dict[str, object] = {
        "chain_id": chain_id,
        "now": now,
        "block_hashes": [each.log.block_hash for each in logs],
        "log_indexes": [each.log.log_index for each in logs],
    }
    if logs:
        columns = {
            "block_numbers": [each.log.block_number for each in logs],
            "tx_hashes": [each.log.tx_hash for each in logs],
            "emitters": [each.log.address for each in logs],
            "topics": [b"".join(each.log.topics) for each in logs],
            "datas": [each.log.data[:DATA_BYTES] for each in logs],
            "reasons": [each.reason for each in logs],
        }
        tx.execute(_WRITE, keys | columns)
    watched = {
        "first": first,
        "last": last,
        "watched": [emitter.factory.address for emitter in emitters],
        "watched_topics": [emitter.topic0 for emitter in emitters],
    }
    tx.execute(_GONE, keys | watched)
