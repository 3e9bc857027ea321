-- What can be traded: pools of the chains as we believe them now, and what venues list. The two halves have nothing in
-- common but their columns, so that each is found by its own indexes.

create view api.instruments as
select
    i.venue as exchange,
    t0.symbol || '-' || t1.symbol as symbol,
    i.asset_class as asset_type,
    i.inst_class,
    '0x' || encode(p.pool_key, 'hex') as identifier,
    case when octet_length(p.pool_key) = 20 then '0x' || encode(p.pool_key, 'hex') else null end as pool_address,
    '0x' || encode(p.token0, 'hex') as token0_address,
    '0x' || encode(p.token1, 'hex') as token1_address,
    p.dex,
    t0.decimals as token0_decimals,
    t1.decimals as token1_decimals,
    case when o.quote_first then t1.symbol || '-' || t0.symbol else t0.symbol || '-' || t1.symbol end as pair,
    p.fee_ppm,
    p.fee_kind,
    p.block_number as created_block,
    p.created_at,
    i.first_seen,
    mod(i.hash::numeric + 18446744073709551616, 18446744073709551616) as hash,
    c.name as chain,
    i.chain_id,
    i.natural_key,
    i.scope,
    0::smallint as generation,
    i.asset_class,
    'active' as status,
    null::text as venue_status,
    null::boolean as tradable,
    case when o.quote_first then t1.symbol else t0.symbol end as base_symbol,
    case when o.quote_first then t0.symbol else t1.symbol end as quote_symbol,
    null::text as settle_symbol,
    null::text as currency,
    null::text as underlying,
    null::text as tracks,
    null::numeric as multiplier,
    null::date as expiry_date,
    null::timestamptz as expires_at,
    null::numeric as strike_price,
    null::text as option_type,
    null::text as mic,
    null::text as company_name,
    null::text as sector,
    null::numeric as market_cap,
    coalesce(p.answered_at, p.first_seen) as last_updated
from gazetteer.instruments i
join gazetteer.pools p on p.chain_id = i.chain_id and p.pool_key = i.pool_key
left join gazetteer.chains c on c.chain_id = p.chain_id
left join gazetteer.tokens t0
    on t0.chain_id = p.chain_id and '0x' || encode(t0.address, 'hex') = '0x' || encode(p.token0, 'hex')
left join gazetteer.tokens t1
    on t1.chain_id = p.chain_id and '0x' || encode(t1.address, 'hex') = '0x' || encode(p.token1, 'hex')
left join gazetteer.quote_ranks q0 on q0.chain_id = p.chain_id and q0.address = p.token0
left join gazetteer.quote_ranks q1 on q1.chain_id = p.chain_id and q1.address = p.token1
cross join lateral (select coalesce(q0.rank < coalesce(q1.rank, q0.rank + 1), false) as quote_first) o
where p.orphaned_at is null
union all
select
    l.venue as exchange,
    l.symbol,
    case
        when i.inst_class not in ('spot', 'amm_pool') then i.inst_class
        when i.asset_class = 'fx' then 'forex'
        else i.asset_class
    end as asset_type,
    i.inst_class,
    l.stable_id as identifier,
    null::text as pool_address,
    null::text as token0_address,
    null::text as token1_address,
    null::text as dex,
    null::smallint as token0_decimals,
    null::smallint as token1_decimals,
    l.base || '-' || l.quote as pair,
    null::integer as fee_ppm,
    null::text as fee_kind,
    null::bigint as created_block,
    null::timestamptz as created_at,
    l.first_seen,
    mod(i.hash::numeric + 18446744073709551616, 18446744073709551616) as hash,
    null::text as chain,
    null::bigint as chain_id,
    l.natural_key,
    l.scope,
    l.generation,
    i.asset_class,
    l.status,
    l.venue_status,
    l.tradable,
    l.base as base_symbol,
    l.quote as quote_symbol,
    l.settle as settle_symbol,
    l.currency,
    l.underlying,
    l.tracks,
    l.multiplier,
    l.expires_on as expiry_date,
    l.expires_at,
    l.strike as strike_price,
    l.option_right as option_type,
    l.mic,
    d.company_name,
    d.sector,
    d.market_cap,
    l.changed_at as last_updated
from gazetteer.listings l
left join gazetteer.instruments i on i.natural_key = l.natural_key
left join gazetteer.details d on d.natural_key = l.natural_key;

-- Read through the views, so that whoever may read them may ask. A pool is there from its block on; of a listing
-- nothing is known before it was first seen, whatever its venue says of its past.
create function api.instruments_asof(ts timestamptz)
returns table (
    exchange text,
    scope text,
    identifier text,
    natural_key text,
    known boolean,
    symbol text,
    status text,
    tradable boolean,
    asset_class text,
    inst_class text,
    base_symbol text,
    quote_symbol text,
    underlying text,
    multiplier numeric,
    expiry_date date,
    strike_price numeric,
    option_type text,
    valid_from timestamptz,
    valid_to timestamptz,
    state jsonb
)
language sql stable parallel safe
as $$
    select
        l.exchange, l.scope, l.identifier, l.natural_key, v.natural_key is not null, v.state ->> 'symbol',
        v.state ->> 'status', (v.state ->> 'tradable')::boolean, v.state ->> 'asset_class', v.state ->> 'inst_class',
        v.state ->> 'base', v.state ->> 'quote', v.state ->> 'underlying', (v.state ->> 'multiplier')::numeric,
        (v.state ->> 'expires_on')::date, (v.state ->> 'strike')::numeric, v.state ->> 'option_right',
        v.valid_from, v.valid_to, v.state
    from api.listings l
    left join api.listing_versions v
        on v.natural_key = l.natural_key and v.valid_from <= ts and (v.valid_to is null or ts < v.valid_to)
    union all
    select
        i.exchange, i.scope, i.identifier, i.natural_key, i.created_at is not null,
        case when i.created_at is not null then i.symbol end, case when i.created_at is not null then i.status end,
        i.tradable, i.asset_class, i.inst_class, case when i.created_at is not null then i.base_symbol end,
        case when i.created_at is not null then i.quote_symbol end, null, null, null, null, null,
        i.created_at, null, null
    from api.instruments i
    where i.dex is not null and (i.created_at is null or i.created_at <= ts)
$$;
comment on function api.instruments_asof(timestamptz) is
    'What was listed at that moment, as versions tell it. known is false, and everything but identity NULL, for what the register had not yet seen then; pools are there from their block on.';
