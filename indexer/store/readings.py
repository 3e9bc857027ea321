"""Which endpoint read which blocks, until they are audited: nobody confirms what only they themselves have read.

An endpoint may be named for more than it read, never for less: too many names only ask for one more reading.
"""

from sqlalchemy import text

from indexer.model import ChainId
from indexer.store import Tx

MOST_RANGES = 1_000
"""From so many ranges on, an endpoint counts as having read everything between its lowest and its highest block."""

_ADD = text("""
    insert into gazetteer.readings as r (chain_id, endpoint, ranges)
    select :chain_id, endpoint, int8multirange(int8range(:first, :last, '[]'))
    from unnest(cast(:endpoints as text[])) as e(endpoint)
    order by endpoint
    on conflict (chain_id, endpoint) do update set ranges =
        case when (select count(*) from unnest(r.ranges + excluded.ranges)) > :most
             then int8multirange(range_merge(r.ranges + excluded.ranges))
             else r.ranges + excluded.ranges end
""")

_OF_THE_HEAD = text("""
    select distinct endpoint from gazetteer.checkpoints
    where chain_id = :chain_id and number between :first and :last and endpoint is not null
""")

# What some (emitter, topic0) still waits to be audited for stays known, whoever else was audited there.
_FORGET = text("""
    with done as (
        select cast(:blocks as int8multirange) - coalesce(range_agg(scanned - audited), '{}') as blocks
        from gazetteer.coverage where chain_id = :chain_id
    ), old as (
        select r.endpoint from gazetteer.readings r, done
        where r.chain_id = :chain_id and r.ranges && done.blocks
        order by r.endpoint
        for update of r
    )
    update gazetteer.readings r set ranges = r.ranges - done.blocks
    from old, done where r.chain_id = :chain_id and r.endpoint = old.endpoint
""")

_OF = text("""
    select coalesce(array_agg(endpoint) filter (where ranges && int8range(:first, :last, '[]')), '{}') as endpoints,
           coalesce(range_agg(ranges) @> int8range(:first, :last, '[]'), false) as all_known
    from gazetteer.readings where chain_id = :chain_id
""")


def add(tx: Tx, chain_id: ChainId, endpoint: str, first: int, last: int) -> None:
    """`endpoint` has read first..last."""
    _add(tx, chain_id, [endpoint], first, last)


def credit(tx: Tx, chain_id: ChainId, above: int, to: int) -> None:
    """The anchor moves from `above` to `to`: whoever took a step of the head lane between may have read all of it."""
    rows = tx.execute(_OF_THE_HEAD, {"chain_id": chain_id, "first": above + 1, "last": to})
    _add(tx, chain_id, sorted(row.endpoint for row in rows), above + 1, to)


def of(tx: Tx, chain_id: ChainId, first: int, last: int) -> tuple[frozenset[str], bool]:
    """Who may have read a part of first..last, and whether that is all who did."""
    row = tx.execute(_OF, {"chain_id": chain_id, "first": first, "last": last}).one()
    return frozenset(row.endpoints), row.all_known


def forget(tx: Tx, chain_id: ChainId, first: int, last: int) -> None:
    """What was audited in first..last no longer needs its readers."""
    tx.execute(_FORGET, {"chain_id": chain_id, "blocks": f"{{[{first},{last}]}}"})


def _add(tx: Tx, chain_id: ChainId, endpoints: list[str], first: int, last: int) -> None:
    told = {"chain_id": chain_id, "endpoints": endpoints, "first": first, "last": last, "most": MOST_RANGES}
    tx.execute(_ADD, told)
