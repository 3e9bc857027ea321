"""The newest events, and who their subjects are, for people who watch."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text

from indexer.store import Tx
from indexer.store.events import Event

_NEWEST = text("""
    select tx, id, kind, chain, chain_id, subject, block_number, source, at, natural_key
    from api.events
    where (tx, id) <= (:tx, :id)
      and (cast(:kinds as text[]) is null or kind = any(cast(:kinds as text[])))
      and (cast(:chain as text) is null or chain = :chain)
    order by tx desc, id desc
    limit :limit
""")

_SUBJECTS = text("""
    with told as (
        select distinct chain_id, subject
        from unnest(cast(:chain_ids as bigint[]), cast(:subjects as text[])) as t(chain_id, subject)
    )
    select t.chain_id, t.subject, coalesce(p.dex, o.dex) as dex,
           coalesce(p.pair, o.symbol, k.symbol) as label,
           coalesce(p.token0_address, o.token0_address) as token0_address,
           coalesce(p.token1_address, o.token1_address) as token1_address
    from told t
    left join api.pools p on p.pool_id = t.subject and p.chain_id = t.chain_id
    left join api.orphaned_pools o on o.pool_id = t.subject and o.chain_id = t.chain_id
    left join api.tokens k on k.address = t.subject and k.chain_id = t.chain_id
""")


_LISTINGS = text("""
    select natural_key, exchange, scope, symbol from api.listings where natural_key = any(cast(:keys as text[]))
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whom an event is about. `label`: a pool's pair, a token's or a listing's symbol, None while it did not tell.

    `dex`: of pools. `exchange`, `scope`: of listings.
    """

    label: str | None
    dex: str | None = None
    token0_address: str | None = None
    token1_address: str | None = None
    exchange: str | None = None
    scope: str | None = None


About = dict[tuple[int | None, str | None], Subject]
"""By chain id and subject, or None and natural key."""


def newest(
    tx: Tx, upto: tuple[int, int], limit: int, kinds: Sequence[str] | None, chain: str | None
) -> tuple[Event, ...]:
    """The last events up to the key `upto`, oldest first; of these kinds and this chain where they are given."""
    told = {"tx": upto[0], "id": upto[1], "limit": limit, "kinds": list(kinds) if kinds else None, "chain": chain}
    rows = tx.execute(_NEWEST, told).all()
    return tuple(Event(**row._mapping) for row in reversed(rows))  # noqa: SLF001 - a row's public mapping


def key_of(event: Event) -> tuple[int | None, str | None]:
    """Where the subject of an event stands in `About`."""
    return event.chain_id, event.subject or event.natural_key


def subjects(tx: Tx, events: Sequence[Event]) -> About:
    """Who the events are about."""
    listings = sorted({each.natural_key for each in events if each.natural_key is not None})
    return _chains(tx, events) | (_listings(tx, listings) if listings else {})


def _listings(tx: Tx, keys: Sequence[str]) -> About:
    rows = tx.execute(_LISTINGS, {"keys": list(keys)})
    return {(None, row.natural_key): Subject(label=row.symbol, exchange=row.exchange, scope=row.scope) for row in rows}


def _chains(tx: Tx, events: Sequence[Event]) -> About:
    keys = sorted({(each.chain_id, each.subject) for each in events if each.chain_id is not None and each.subject})
    rows = tx.execute(_SUBJECTS, {"chain_ids": [key[0] for key in keys], "subjects": [key[1] for key in keys]})
    return {
        (row.chain_id, row.subject): Subject(
            label=row.label, dex=row.dex, token0_address=row.token0_address, token1_address=row.token1_address
        )
        for row in rows
    }
