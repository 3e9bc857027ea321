-- What is the same thing: assets, how they are named, and which instruments are about them. Never by ticker.

create view api.assets as
select
    a.asset_id,
    a.kind,
    a.code,
    a.name,
    a.tracks_id,
    a.multiple,
    a.first_seen
from gazetteer.assets a;

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

-- A code means what it meant while the listing stood. A pool is found from its token, and its token from the pool:
-- each direction has a condition that its index knows.
create view api.same_asset as
select c.asset_id, l.natural_key, c.method, c.confidence, 'base' as role
from gazetteer.venue_assets c
join gazetteer.listings l
    on l.venue = c.venue and l.base = c.code
    and c.valid_from < coalesce(l.gone_at, 'infinity') and l.first_seen < coalesce(c.valid_to, 'infinity')
union all
select c.asset_id, l.natural_key, c.method, c.confidence, 'underlying' as role
from gazetteer.venue_assets c
join gazetteer.listings l
    on l.venue = c.venue and l.underlying = c.code
    and c.valid_from < coalesce(l.gone_at, 'infinity') and l.first_seen < coalesce(c.valid_to, 'infinity')
union all
select a.asset_id, i.natural_key, a.scheme as method, a.confidence, 'itself' as role
from gazetteer.asset_identifiers a
join gazetteer.identifiers i on i.scheme = a.scheme and i.value = a.value
where a.valid_to is null and i.valid_to is null
union all
select a.asset_id, i.natural_key, a.scheme as method, a.confidence, 'base' as role
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
select a.asset_id, i.natural_key, a.scheme as method, a.confidence, 'base' as role
from gazetteer.asset_identifiers a
join gazetteer.pools p
    on '0x' || encode(p.token1, 'hex') = split_part(a.value, ':', 3)
    and a.value = 'eip155:' || p.chain_id || '/erc20:0x' || encode(p.token1, 'hex')
join gazetteer.instruments i on i.chain_id = p.chain_id and i.pool_key = p.pool_key
left join gazetteer.quote_ranks q0 on q0.chain_id = p.chain_id and q0.address = p.token0
left join gazetteer.quote_ranks q1 on q1.chain_id = p.chain_id and q1.address = p.token1
where a.scheme = 'caip19' and a.valid_to is null and p.orphaned_at is null
  and coalesce(q0.rank < coalesce(q1.rank, q0.rank + 1), false);
