"""What people look at: where each chain stands, how much is there, which pools are new.

`live` and `newest` read little and may be asked every second; `totals` counts whole tables, a tenth of a second
for a million pools, and is for every few seconds.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from indexer.model import ChainId
from indexer.store import Tx

_SEEN_AGE = text("""
    select extract(epoch from clock_timestamp() - seen_at)::float from gazetteer.sightings where chain_id = :chain_id
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainLive:
    """One enabled chain now. Block numbers, None where nobody has told yet.

    `lag_s` is by the chain's own clock, `seen_age_s` how old the sighting is. `wanted_blocks` are the blocks up to the
    anchor of all enabled factories together, `missing_blocks` those of them that were not listened to, `percent` the
    share that was, cut to 4 digits. `pools_last_minute` were written by the head lane.
    """

    chain: str
    chain_id: ChainId
    ready: bool
    head: int | None
    tip: int | None
    safe: int | None
    finalized: int | None
    anchor: int | None
    lag_blocks: int | None
    lag_s: float | None
    emitters: int
    emitters_listened: int
    endpoint: str | None
    wakeups: str | None
    note: str | None
    halted: str | None
    seen_at: datetime | None
    seen_age_s: float | None
    wanted_blocks: int | None
    missing_blocks: int | None
    percent: float | None
    pools_last_minute: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainTotals:
    """How much there is of one chain. Pending: waits to be asked, or is being asked; dead: given up."""

    chain: str
    chain_id: ChainId
    pools: int
    orphaned: int
    tokens: int
    tokens_pending: int
    pools_pending: int
    dead: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPool:
    """A pool as a line on a screen. `pair` is None until both tokens told their symbols."""

    chain: str
    dex: str
    pair: str | None
    token0_address: str
    token1_address: str
    fee_ppm: int | None
    fee_kind: str
    pool_id: str
    status: str
    created_at: datetime | None


_LIVE = text("""
    with covered as (
        select chain_id, sum(scanned_blocks + missing_blocks)::bigint as wanted, sum(missing_blocks)::bigint as missing
        from api.coverage where enabled group by chain_id
    ), fresh as (
        select chain_id, count(*) as pools
        from gazetteer.pools
        where source = 'head' and first_seen > now() - interval '60 seconds' and orphaned_at is null
        group by chain_id
    )
    select s.chain, s.chain_id, s.ready, s.head, s.tip, s.safe, s.finalized, s.anchor, s.lag_blocks,
           s.lag_s::float as lag_s, coalesce(s.emitters, 0) as emitters,
           coalesce(s.emitters_listened, 0) as emitters_listened, s.endpoint, s.wakeups, s.note, s.halted, s.seen_at,
           extract(epoch from now() - s.seen_at)::float as seen_age_s,
           c.wanted as wanted_blocks, c.missing as missing_blocks,
           case when c.wanted = 0 then 100
                else trunc(100 * (c.wanted - c.missing)::numeric / c.wanted, 4) end::float as percent,
           coalesce(f.pools, 0) as pools_last_minute
    from api.chain_status s
    left join covered c on c.chain_id = s.chain_id
    left join fresh f on f.chain_id = s.chain_id
    where s.enabled
    order by s.chain_id
""")

_TOTALS = text("""
    with pools as (
        select chain_id, count(*) filter (where orphaned_at is null) as there, count(orphaned_at) as orphaned
        from gazetteer.pools group by chain_id
    ), tokens as (
        select chain_id, count(*) as there from gazetteer.tokens group by chain_id
    ), work as (
        select scope, count(*) filter (where kind = 'token' and not dead) as tokens,
               count(*) filter (where kind = 'pool' and not dead) as pools, count(*) filter (where dead) as dead
        from gazetteer.work where kind in ('token', 'pool') group by scope
    )
    select c.name as chain, c.chain_id, coalesce(p.there, 0) as pools, coalesce(p.orphaned, 0) as orphaned,
           coalesce(t.there, 0) as tokens, coalesce(w.tokens, 0) as tokens_pending,
           coalesce(w.pools, 0) as pools_pending, coalesce(w.dead, 0) as dead
    from gazetteer.chains c
    left join pools p on p.chain_id = c.chain_id
    left join tokens t on t.chain_id = c.chain_id
    left join work w on w.scope = c.name
    where c.enabled
    order by c.chain_id
""")

_NEWEST = text("""
    select chain, dex, pair, token0_address, token1_address, fee_ppm, fee_kind, pool_id, status, created_at
    from api.pools
    order by created_at desc
    limit :limit
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """What venues list: live and gone listings, of them reborn ones; scopes whose last list is suspect or failed."""

    venues: int
    live: int
    gone: int
    reborn: int
    suspect: int
    failing: int


def live(tx: Tx) -> tuple[ChainLive, ...]:
    """Every enabled chain, by chain id."""
    return tuple(ChainLive(**row._mapping) for row in tx.execute(_LIVE))  # noqa: SLF001 - a row's public mapping


def totals(tx: Tx) -> tuple[ChainTotals, ...]:
    """Every enabled chain, by chain id."""
    return tuple(ChainTotals(**row._mapping) for row in tx.execute(_TOTALS))  # noqa: SLF001


def newest(tx: Tx, limit: int) -> tuple[NewPool, ...]:
    """The pools announced last on any chain, the newest first."""
    return tuple(NewPool(**row._mapping) for row in tx.execute(_NEWEST, {"limit": limit}))  # noqa: SLF001


def seen_age_s(tx: Tx, chain_id: ChainId) -> float | None:
    """How long ago the chain's follower last told of its turn; None where none ever did."""
    age_s: float | None = tx.execute(_SEEN_AGE, {"chain_id": chain_id}).scalar_one_or_none()
    return age_s


_LISTED = text("""
    select
        count(distinct venue) as venues,
        count(*) filter (where gone_at is null) as live,
        count(*) filter (where gone_at is not null) as gone,
        count(*) filter (where generation > 0) as reborn
    from gazetteer.listings
""")
_DOUBTED = text("""
    select count(*) filter (where status = 'suspect') as suspect, count(*) filter (where status = 'failed') as failing
    from (
        select distinct on (venue, scope) status from gazetteer.venue_runs
        where status not in ('running', 'disabled') order by venue, scope, run_id desc
    ) as last
""")


def listed(tx: Tx) -> Listed | None:
    """What venues list; None where none was ever read."""
    counts, doubted = tx.execute(_LISTED).one(), tx.execute(_DOUBTED).one()
    if not counts.venues and not doubted.failing:
        return None
    return Listed(
        venues=counts.venues,
        live=counts.live,
        gone=counts.gone,
        reborn=counts.reborn,
        suspect=doubted.suspect,
        failing=doubted.failing,
    )
