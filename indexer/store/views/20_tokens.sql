-- Tokens as they describe themselves, and what can be traded.

create view api.tokens as
select
    c.name as chain,
    t.chain_id,
    '0x' || encode(t.address, 'hex') as address,
    t.symbol,
    t.name,
    t.decimals,
    t.symbol_status,
    t.name_status,
    t.decimals_status,
    '0x' || encode(t.symbol_raw, 'hex') as symbol_raw,
    '0x' || encode(t.name_raw, 'hex') as name_raw,
    '0x' || encode(t.decimals_raw, 'hex') as decimals_raw,
    t.provisional,
    q.kind as quote_kind,
    q.rank as quote_rank,
    t.pin_number as answered_block,
    '0x' || encode(t.pin_hash, 'hex') as answered_block_hash,
    t.first_seen,
    t.resolved_at
from gazetteer.tokens t
left join gazetteer.chains c on c.chain_id = t.chain_id
left join gazetteer.quote_ranks q on q.chain_id = t.chain_id and q.address = t.address;

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
    case
        when q0.rank < coalesce(q1.rank, q0.rank + 1) then t1.symbol || '-' || t0.symbol
        else t0.symbol || '-' || t1.symbol
    end as pair,
    p.fee_ppm,
    p.fee_kind,
    p.block_number as created_block,
    p.created_at,
    i.first_seen,
    mod(i.hash::numeric + 18446744073709551616, 18446744073709551616) as hash,
    c.name as chain,
    i.chain_id,
    i.natural_key
from gazetteer.instruments i
join gazetteer.pools p on p.chain_id = i.chain_id and p.pool_key = i.pool_key
left join gazetteer.chains c on c.chain_id = p.chain_id
left join gazetteer.tokens t0
    on t0.chain_id = p.chain_id and '0x' || encode(t0.address, 'hex') = '0x' || encode(p.token0, 'hex')
left join gazetteer.tokens t1
    on t1.chain_id = p.chain_id and '0x' || encode(t1.address, 'hex') = '0x' || encode(p.token1, 'hex')
left join gazetteer.quote_ranks q0 on q0.chain_id = p.chain_id and q0.address = p.token0
left join gazetteer.quote_ranks q1 on q1.chain_id = p.chain_id and q1.address = p.token1
where p.orphaned_at is null;
