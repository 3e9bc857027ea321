-- Tokens as they describe themselves.

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
