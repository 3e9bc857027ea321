-- Pools as they are announced on the chain we believe in. Every join is a LEFT JOIN on a unique key, so that a query
-- pays only for the columns it names. Tokens are joined by the text that their index holds, as people ask by it too.

create view api.pools as
select
    c.name as chain,
    p.chain_id,
    p.dex,
    p.protocol,
    '0x' || encode(p.pool_key, 'hex') as pool_id,
    case when octet_length(p.pool_key) = 20 then '0x' || encode(p.pool_key, 'hex') else null end as pool_address,
    t0.symbol || '-' || t1.symbol as symbol,
    case when o.quote_first then t1.symbol || '-' || t0.symbol else t0.symbol || '-' || t1.symbol end as pair,
    case when o.quote_first then '0x' || encode(p.token1, 'hex') else '0x' || encode(p.token0, 'hex') end
        as base_address,
    case when o.quote_first then t1.symbol else t0.symbol end as base_symbol,
    case when o.quote_first then t1.decimals else t0.decimals end as base_decimals,
    case when o.quote_first then '0x' || encode(p.token0, 'hex') else '0x' || encode(p.token1, 'hex') end
        as quote_address,
    case when o.quote_first then t0.symbol else t1.symbol end as quote_symbol,
    case when o.quote_first then t0.decimals else t1.decimals end as quote_decimals,
    '0x' || encode(p.token0, 'hex') as token0_address,
    t0.symbol as token0_symbol,
    t0.decimals as token0_decimals,
    '0x' || encode(p.token1, 'hex') as token1_address,
    t1.symbol as token1_symbol,
    t1.decimals as token1_decimals,
    p.fee_ppm,
    p.fee_kind,
    p.tick_spacing,
    p.bin_step,
    p.stable,
    '0x' || encode(p.hooks, 'hex') as hooks_address,
    '0x' || encode(p.deployer, 'hex') as deployer_address,
    '0x' || encode(p.emitter, 'hex') as factory_address,
    p.pool_index,
    case
        when v.scanned @> p.block_number then 'finalized'
        when v.listened_from <= p.block_number and p.block_number <= s.safe_number then 'safe'
        else 'seen'
    end as status,
    p.proof,
    p.block_number as created_block,
    '0x' || encode(p.block_hash, 'hex') as block_hash,
    '0x' || encode(p.tx_hash, 'hex') as tx_hash,
    p.log_index,
    p.created_at,
    p.created_at_kind,
    p.first_seen,
    p.source,
    p.answered_block,
    p.answered_at
from gazetteer.pools p
left join gazetteer.chains c on c.chain_id = p.chain_id
left join gazetteer.tokens t0
    on t0.chain_id = p.chain_id and '0x' || encode(t0.address, 'hex') = '0x' || encode(p.token0, 'hex')
left join gazetteer.tokens t1
    on t1.chain_id = p.chain_id and '0x' || encode(t1.address, 'hex') = '0x' || encode(p.token1, 'hex')
left join gazetteer.quote_ranks q0 on q0.chain_id = p.chain_id and q0.address = p.token0
left join gazetteer.quote_ranks q1 on q1.chain_id = p.chain_id and q1.address = p.token1
left join gazetteer.coverage v on v.chain_id = p.chain_id and v.address = p.emitter and v.topic0 = p.topic0
left join gazetteer.sightings s on s.chain_id = p.chain_id
-- the token of the lower rank is the quote; of two without a rank it is the second
cross join lateral (select coalesce(q0.rank < coalesce(q1.rank, q0.rank + 1), false) as quote_first) o
where p.orphaned_at is null;

create view api.new_pools as
select *
from api.pools
where created_at > now() - interval '24 hours'
order by created_at desc, chain_id, created_block desc, log_index desc;

create view api.pool_tokens as
select
    chain,
    chain_id,
    dex,
    protocol,
    pool_id,
    pool_address,
    0 as side,
    token0_address as token_address,
    token0_symbol as token_symbol,
    token1_address as other_address,
    token1_symbol as other_symbol,
    base_address = token0_address as is_base,
    pair,
    fee_ppm,
    fee_kind,
    status,
    created_block,
    created_at
from api.pools
union all
select
    chain,
    chain_id,
    dex,
    protocol,
    pool_id,
    pool_address,
    1 as side,
    token1_address as token_address,
    token1_symbol as token_symbol,
    token0_address as other_address,
    token0_symbol as other_symbol,
    base_address = token1_address as is_base,
    pair,
    fee_ppm,
    fee_kind,
    status,
    created_block,
    created_at
from api.pools;

create view api.orphaned_pools as
select
    c.name as chain,
    p.chain_id,
    p.dex,
    p.protocol,
    '0x' || encode(p.pool_key, 'hex') as pool_id,
    case when octet_length(p.pool_key) = 20 then '0x' || encode(p.pool_key, 'hex') else null end as pool_address,
    t0.symbol || '-' || t1.symbol as symbol,
    '0x' || encode(p.token0, 'hex') as token0_address,
    '0x' || encode(p.token1, 'hex') as token1_address,
    '0x' || encode(p.emitter, 'hex') as factory_address,
    p.fee_ppm,
    p.fee_kind,
    p.proof,
    p.block_number as created_block,
    '0x' || encode(p.block_hash, 'hex') as block_hash,
    '0x' || encode(p.tx_hash, 'hex') as tx_hash,
    p.log_index,
    p.created_at,
    p.created_at_kind,
    p.first_seen,
    p.source,
    p.orphaned_at
from gazetteer.pools p
left join gazetteer.chains c on c.chain_id = p.chain_id
left join gazetteer.tokens t0
    on t0.chain_id = p.chain_id and '0x' || encode(t0.address, 'hex') = '0x' || encode(p.token0, 'hex')
left join gazetteer.tokens t1
    on t1.chain_id = p.chain_id and '0x' || encode(t1.address, 'hex') = '0x' || encode(p.token1, 'hex')
where p.orphaned_at is not null;
