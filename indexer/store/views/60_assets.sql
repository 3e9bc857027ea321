-- What is the same thing: assets, how they are named, and which instruments are about them. Never by ticker.

create view api.assets as
select
    a.asset_id,
    a.kind,
    a.code,
    a.name,
    a.tracks_id,
    a.multiple,
    a.first_seen,
    m.into_id as merged_id
from gazetteer.assets a
left join gazetteer.asset_merges m on m.asset_id = a.asset_id;

create view api.asset_identifiers as
select
    a.asset_id,
    a.scheme,
    a.value,
    a.confidence,
    a.source,
    s.licence,
    a.valid_from,
    a.valid_to
from gazetteer.asset_identifiers a
left join gazetteer.schemes s on s.name = a.scheme;

create view api.venue_codes as
select
    c.venue as exchange,
    c.code,
    c.asset_id,
    c.method,
    c.confidence,
    c.source,
    c.valid_from,
    c.valid_to
from gazetteer.venue_assets c;

create view api.asset_conflicts as
select
    c.scheme,
    c.value,
    s.licence,
    c.asset_ids,
    c.valid_from,
    c.valid_to
from gazetteer.asset_conflicts c
left join gazetteer.schemes s on s.name = c.scheme;

-- A code means what it meant while the listing stood, and what it means only where the instrument is of that class: a
-- venue may write AAPL for its token and, as the underlying of a contract, for the share. A pool is found from its
-- token, and its token from the pool: each direction has a condition that its index knows.
create view api.same_asset as
select
    c.asset_id,
    l.natural_key,
    c.method,
    c.confidence,
    'base' as role,
    coalesce(t.natural_key, l.natural_key) as book
from gazetteer.venue_assets c
join gazetteer.assets a on a.asset_id = c.asset_id
join gazetteer.listings l
    on l.venue = c.venue and l.base = c.code
    and c.valid_from < coalesce(l.gone_at, 'infinity') and l.first_seen < coalesce(c.valid_to, 'infinity')
join gazetteer.instruments i on i.natural_key = l.natural_key
left join gazetteer.listings t
    on t.venue = l.venue and t.scope = l.scope and t.stable_id = l.attrs ->> 'alias' and t.latest
where l.underlying is null
  and case a.kind
          when 'fiat' then i.asset_class = 'fx' and i.inst_class = 'spot'
          when 'tokenised_share' then i.inst_class = 'tokenised_share'
          else i.asset_class = 'crypto' and i.inst_class = 'spot'
      end
union all
select c.asset_id, l.natural_key, c.method, c.confidence, 'underlying' as role, l.natural_key as book
from gazetteer.venue_assets c
join gazetteer.assets a on a.asset_id = c.asset_id
join gazetteer.listings l
    on l.venue = c.venue and l.underlying = c.code
    and c.valid_from < coalesce(l.gone_at, 'infinity') and l.first_seen < coalesce(c.valid_to, 'infinity')
join gazetteer.instruments i on i.natural_key = l.natural_key
where case a.kind when 'fiat' then i.asset_class = 'fx' when 'tokenised_share' then false
          else i.asset_class = 'crypto' end
union all
(
    select distinct on (a.asset_id, i.natural_key)
        a.asset_id, i.natural_key, a.scheme as method, a.confidence, 'itself' as role, i.natural_key as book
    from gazetteer.asset_identifiers a
    join gazetteer.identifiers i on i.value = a.value and i.scheme = a.scheme
    join gazetteer.instruments n on n.natural_key = i.natural_key
    where a.valid_to is null and i.valid_to is null
      and n.inst_class in ('stock', 'etf', 'fund', 'bond', 'warrant', 'index')
      and not exists (
          select from gazetteer.identifiers o
          where o.natural_key = i.natural_key and o.scheme = i.scheme and o.value <> i.value and o.valid_to is null)
    order by a.asset_id, i.natural_key, a.confidence desc, a.scheme
)
union all
select a.asset_id, i.natural_key, a.scheme as method, a.confidence, 'base' as role, i.natural_key as book
from gazetteer.asset_identifiers a
join gazetteer.pools p
    on '0x' || encode(p.token0, 'hex') = split_part(a.value, ':', 3)
    and a.value = 'eip155:' || p.chain_id || '/erc20:0x' || encode(p.token0, 'hex')
join gazetteer.instruments i on i.chain_id = p.chain_id and i.pool_key = p.pool_key
left join gazetteer.quote_ranks q0 on q0.chain_id = p.chain_id and q0.address = p.token0
left join gazetteer.quote_ranks q1 on q1.chain_id = p.chain_id and q1.address = p.token1
where a.scheme = 'caip19' and a.valid_to is null and p.orphaned_at is null
  and not coalesce(q0.rank < coalesce(q1.rank, q0.rank + 1), false)
union all
select a.asset_id, i.natural_key, a.scheme as method, a.confidence, 'base' as role, i.natural_key as book
from gazetteer.asset_identifiers a
join gazetteer.pools p
    on '0x' || encode(p.token1, 'hex') = split_part(a.value, ':', 3)
    and a.value = 'eip155:' || p.chain_id || '/erc20:0x' || encode(p.token1, 'hex')
join gazetteer.instruments i on i.chain_id = p.chain_id and i.pool_key = p.pool_key
left join gazetteer.quote_ranks q0 on q0.chain_id = p.chain_id and q0.address = p.token0
left join gazetteer.quote_ranks q1 on q1.chain_id = p.chain_id and q1.address = p.token1
where a.scheme = 'caip19' and a.valid_to is null and p.orphaned_at is null
  and coalesce(q0.rank < coalesce(q1.rank, q0.rank + 1), false)
union all
select a.asset_id, i.natural_key, a.scheme as method, a.confidence, 'base' as role, i.natural_key as book
from gazetteer.asset_identifiers a
join gazetteer.pools p
    on '0x' || encode(p.token0, 'hex') = '0x0000000000000000000000000000000000000000'
    and a.value in ('eip155:' || p.chain_id || '/slip44:60', 'eip155:' || p.chain_id || '/slip44:966')
join gazetteer.instruments i on i.chain_id = p.chain_id and i.pool_key = p.pool_key
left join gazetteer.quote_ranks q0 on q0.chain_id = p.chain_id and q0.address = p.token0
left join gazetteer.quote_ranks q1 on q1.chain_id = p.chain_id and q1.address = p.token1
where a.scheme = 'caip19' and a.valid_to is null and p.orphaned_at is null
  and not coalesce(q0.rank < coalesce(q1.rank, q0.rank + 1), false);
