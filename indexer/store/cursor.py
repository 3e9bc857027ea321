"""Where each chain's follower stands: the tip, the anchor, and the checkpoints between them."""

from datetime import datetime

from sqlalchemy import text

from indexer.errors import Moved
from indexer.model import BlockRef, ChainId, Cursor, Hash32, Header, Heads
from indexer.store import Tx

_READ = text("""
    select tip_number, tip_hash, anchor_number, anchor_hash, halted, rewinds
    from gazetteer.cursors where chain_id = :chain_id
""")

_LOCK = text("""
    select tip_number, tip_hash, anchor_number, anchor_hash, halted
    from gazetteer.cursors where chain_id = :chain_id for update
""")

_START = text("""
    with fresh as (
        insert into gazetteer.cursors
            (chain_id, tip_number, tip_hash, anchor_number, anchor_hash, tip_at, tip_block_at)
        values (:chain_id, :number, :hash, :number, :hash, :now, to_timestamp(:block_s))
        on conflict (chain_id) do nothing
        returning chain_id
    )
    insert into gazetteer.checkpoints (chain_id, number, hash)
    select chain_id, :number, :hash from fresh
""")

_CHECKPOINTS = text("""
    select number, hash from gazetteer.checkpoints where chain_id = :chain_id order by number desc
""")

_FORGET_ABOVE = text("delete from gazetteer.checkpoints where chain_id = :chain_id and number > :number")
_FORGET_BELOW = text("delete from gazetteer.checkpoints where chain_id = :chain_id and number < :number")
_FORGET_ALL = text("delete from gazetteer.checkpoints where chain_id = :chain_id")
_REMEMBER = text("""
    insert into gazetteer.checkpoints (chain_id, number, hash, endpoint)
    values (:chain_id, :number, :hash, :endpoint)
""")

_ADVANCE = text("""
    update gazetteer.cursors
    set tip_number = :number, tip_hash = :hash, tip_at = :now, tip_block_at = to_timestamp(:block_s),
        rewinds = rewinds + case when tip_number > :fork then 1 else 0 end
    where chain_id = :chain_id
""")

_ANCHOR = text("""
    update gazetteer.cursors set anchor_number = :number, anchor_hash = :hash where chain_id = :chain_id
""")

_HALT = text("update gazetteer.cursors set halted = :reason where chain_id = :chain_id")

_SIGHT = text("""
    insert into gazetteer.sightings as s
        (chain_id, head_number, head_block_at, safe_number, finalized_number, finalized_moved_at,
         endpoint, wakeups, note, seen_at)
    values (:chain_id, :head, to_timestamp(:head_s), :safe, :finalized, :now, :endpoint, :wakeups, :note, :now)
    on conflict (chain_id) do update set
        head_number = coalesce(excluded.head_number, s.head_number),
        head_block_at = coalesce(excluded.head_block_at, s.head_block_at),
        safe_number = greatest(s.safe_number, excluded.safe_number),
        finalized_number = greatest(s.finalized_number, excluded.finalized_number),
        finalized_moved_at = case when excluded.finalized_number > coalesce(s.finalized_number, -1)
                                  then excluded.finalized_moved_at else s.finalized_moved_at end,
        endpoint = coalesce(excluded.endpoint, s.endpoint),
        wakeups = excluded.wakeups,
        note = excluded.note,
        seen_at = excluded.seen_at
""")


def read(tx: Tx, chain_id: ChainId) -> Cursor | None:
    """Where the chain stands; None if it was never started."""
    row = tx.execute(_READ, {"chain_id": chain_id}).one_or_none()
    if row is None:
        return None
    return Cursor(
        chain_id=chain_id,
        tip=BlockRef(number=row.tip_number, hash=Hash32(row.tip_hash)),
        anchor=BlockRef(number=row.anchor_number, hash=Hash32(row.anchor_hash)),
        halted=row.halted,
        rewinds=row.rewinds,
    )


def start(tx: Tx, chain_id: ChainId, at: Header, now: datetime) -> None:
    """Tip, anchor and only checkpoint are `at`. No-op where the chain was started before."""
    tx.execute(_START, _at(chain_id, at) | {"now": now})


def checkpoints(tx: Tx, chain_id: ChainId) -> tuple[BlockRef, ...]:
    """Newest first; the last one is the anchor."""
    rows = tx.execute(_CHECKPOINTS, {"chain_id": chain_id})
    return tuple(BlockRef(number=row.number, hash=Hash32(row.hash)) for row in rows)


def lock(tx: Tx, expected: Cursor) -> None:
    """Hold the cursor row until the end of the transaction. Raises Moved unless tip and anchor are as expected."""
    row = tx.execute(_LOCK, {"chain_id": expected.chain_id}).one_or_none()
    found = row and (row.tip_number, row.tip_hash, row.anchor_number, row.anchor_hash, row.halted)
    tip, anchor = expected.tip, expected.anchor
    if found != (tip.number, tip.hash, anchor.number, anchor.hash, expected.halted):
        message = f"chain {expected.chain_id} is no longer at {tip.number}"
        raise Moved(message)


def advance(
    tx: Tx,
    chain_id: ChainId,
    fork: BlockRef,
    new: Header,
    now: datetime,
    *,
    endpoint: str | None = None,
) -> None:
    """Checkpoints above `fork` are forgotten, `new` is remembered and becomes the tip. The cursor is locked.

    `endpoint` is the name of who read the blocks between.
    """
    tx.execute(_FORGET_ABOVE, {"chain_id": chain_id, "number": fork.number})
    tx.execute(_REMEMBER, {"chain_id": chain_id, "number": new.number, "hash": new.hash, "endpoint": endpoint})
    tx.execute(_ADVANCE, _at(chain_id, new) | {"now": now, "fork": fork.number})


def move_anchor(tx: Tx, chain_id: ChainId, to: BlockRef) -> None:
    """`to`, a checkpoint, becomes the anchor; older checkpoints are forgotten. The cursor is locked."""
    tx.execute(_FORGET_BELOW, {"chain_id": chain_id, "number": to.number})
    tx.execute(_ANCHOR, {"chain_id": chain_id, "number": to.number, "hash": to.hash})


def jump(tx: Tx, chain_id: ChainId, to: Header, now: datetime) -> None:
    """Tip, anchor and only checkpoint become `to`; what lies between is a hole for history."""
    tx.execute(_FORGET_ALL, {"chain_id": chain_id})
    tx.execute(_REMEMBER, {"chain_id": chain_id, "number": to.number, "hash": to.hash, "endpoint": None})
    tx.execute(_ADVANCE, _at(chain_id, to) | {"now": now, "fork": to.number})
    tx.execute(_ANCHOR, {"chain_id": chain_id, "number": to.number, "hash": to.hash})


def halt(tx: Tx, chain_id: ChainId, reason: str | None) -> None:
    """Stop the chain with a reason for a person, or let it go on (None)."""
    tx.execute(_HALT, {"chain_id": chain_id, "reason": reason})


def sight(
    tx: Tx,
    chain_id: ChainId,
    *,
    heads: Heads | None,
    endpoint: str | None,
    wakeups: str,
    note: str | None,
    now: datetime,
) -> None:
    """What the follower saw last, for people; without `heads` only why it saw nothing. Finality never goes back."""
    latest, safe, final = (heads.latest, heads.safe, heads.finalized) if heads else (None, None, None)
    tx.execute(
        _SIGHT,
        {
            "chain_id": chain_id,
            "head": latest and latest.number,
            "head_s": latest and latest.timestamp_s,
            "safe": safe and safe.number,
            "finalized": final and final.number,
            "endpoint": endpoint,
            "wakeups": wakeups,
            "note": note,
            "now": now,
        },
    )


def _at(chain_id: ChainId, header: Header) -> dict[str, object]:
    return {
        "chain_id": chain_id,
        "number": header.number,
        "hash": header.hash,
        "block_s": header.timestamp_s,
    }
