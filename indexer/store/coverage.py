"""What was really listened to, by (emitter, topic0): the proof that nothing is missing."""

from collections.abc import Sequence

from sqlalchemy import text

from indexer.model import Address, ChainId, Emitter, Hash32
from indexer.store import Tx

# Every key of the chain is touched, in key order: whom this step did not hear has a gap from here on.
_LISTENED = text("""
    with heard as (
        select * from unnest(cast(:addresses as bytea[]), cast(:topics as bytea[])) as h(address, topic0)
    ), old as (
        select c.address, c.topic0, h.address is not null as heard
        from gazetteer.coverage c left join heard h using (address, topic0)
        where c.chain_id = :chain_id
          and c.listened_from is distinct from
              case when h.address is not null then least(c.listened_from, :first) end
        order by c.address, c.topic0
        for update of c
    )
    update gazetteer.coverage c
    set listened_from = case when old.heard then least(c.listened_from, :first) end
    from old
    where c.chain_id = :chain_id and c.address = old.address and c.topic0 = old.topic0
""")

# All keys are locked, also those that have nothing to gain: a jump touches them all a moment later.
_CREDIT = text("""
    with locked as (
        select address, topic0 from gazetteer.coverage
        where chain_id = :chain_id
        order by address, topic0
        for update
    )
    update gazetteer.coverage c
    set scanned = c.scanned + int8multirange(int8range(greatest(c.listened_from, :first), :last, '[]'))
    from locked
    where c.chain_id = :chain_id and c.address = locked.address and c.topic0 = locked.topic0
      and c.listened_from <= :last
""")

_ADD = text("""
    with due as (
        select c.address, c.topic0
        from gazetteer.coverage c
        join unnest(cast(:addresses as bytea[]), cast(:topics as bytea[])) as k(address, topic0)
          using (address, topic0)
        where c.chain_id = :chain_id
        order by c.address, c.topic0
        for update of c
    )
    update gazetteer.coverage c
    set scanned = c.scanned + int8multirange(int8range(:first, :last, '[]'))
    from due
    where c.chain_id = :chain_id and c.address = due.address and c.topic0 = due.topic0
""")

_CONFIRM = text("""
    with due as (
        select c.address, c.topic0
        from gazetteer.coverage c
        join unnest(cast(:addresses as bytea[]), cast(:topics as bytea[])) as k(address, topic0)
          using (address, topic0)
        where c.chain_id = :chain_id
        order by c.address, c.topic0
        for update of c
    )
    update gazetteer.coverage c
    set audited = c.audited + cast(:blocks as int8multirange) * c.scanned
    from due
    where c.chain_id = :chain_id and c.address = due.address and c.topic0 = due.topic0
""")


def listened(tx: Tx, chain_id: ChainId, emitters: Sequence[Emitter], first: int) -> None:
    """A head step has listened to exactly these emitters from block `first` up to the tip."""
    keys = [emitter.key for emitter in emitters]
    tx.execute(_LISTENED, {"chain_id": chain_id, "first": first} | _columns(keys))


def credit(tx: Tx, chain_id: ChainId, above: int, to: int) -> None:
    """The anchor moves from `above` to `to`: what the head lane listened to in between is covered."""
    tx.execute(_CREDIT, {"chain_id": chain_id, "first": above + 1, "last": to})


def add(tx: Tx, chain_id: ChainId, keys: Sequence[tuple[Address, Hash32]], first: int, last: int) -> None:
    """A history scan has read first..last for these (emitter, topic0)."""
    tx.execute(_ADD, {"chain_id": chain_id, "first": first, "last": last} | _columns(keys))


def confirm(
    tx: Tx,
    chain_id: ChainId,
    keys: Sequence[tuple[Address, Hash32]],
    blocks: Sequence[tuple[int, int]],
) -> None:
    """An audit has confirmed these ranges, given as (first, last), for these (emitter, topic0)."""
    told = "{" + ",".join(f"[{first},{last}]" for first, last in blocks) + "}"
    tx.execute(_CONFIRM, {"chain_id": chain_id, "blocks": told} | _columns(keys))


def _columns(keys: Sequence[tuple[Address, Hash32]]) -> dict[str, list[bytes]]:
    ordered = sorted(keys)
    return {"addresses": [address for address, _ in ordered], "topics": [topic for _, topic in ordered]}
