-- Where each chain stands, what was listened to, what is left.

create view api.chain_status as
select
    c.name as chain,
    c.chain_id,
    c.enabled,
    c.enabled
        and u.halted is null
        and coalesce(s.seen_at > now() - interval '30 seconds', false)
        and coalesce(l.blocks <= greatest(3, 10000 / greatest(c.block_time_ms, 1)), false)
        and coalesce(e.listened = e.emitters, false) as ready,
    s.head_number as head,
    s.head_block_at as head_at,
    s.safe_number as safe,
    s.finalized_number as finalized,
    s.finalized_moved_at,
    u.anchor_number as anchor,
    u.tip_number as tip,
    u.tip_block_at as tip_at,
    u.tip_at as tip_moved_at,
    l.blocks as lag_blocks,
    case when l.blocks = 0 then 0 else extract(epoch from s.head_block_at - u.tip_block_at) end as lag_s,
    e.emitters,
    e.listened as emitters_listened,
    s.endpoint,
    s.wakeups,
    s.note,
    u.halted,
    s.seen_at
from gazetteer.chains c
left join gazetteer.cursors u on u.chain_id = c.chain_id
left join gazetteer.sightings s on s.chain_id = c.chain_id
left join (
    select v.chain_id, count(*) as emitters, count(v.listened_from) as listened
    from gazetteer.coverage v
    join gazetteer.factories f on f.chain_id = v.chain_id and f.address = v.address
    where f.enabled
    group by v.chain_id
) e on e.chain_id = c.chain_id
-- an endpoint whose head is behind what was read already is no reason to be behind
cross join lateral (
    select case when s.head_number < u.tip_number then 0 else s.head_number - u.tip_number end as blocks
) l;

create view api.coverage as
select
    c.name as chain,
    f.chain_id,
    '0x' || encode(f.address, 'hex') as factory_address,
    f.dex,
    f.protocol,
    f.enabled,
    f.tier,
    f.confidence,
    f.source,
    f.from_block,
    f.from_block_quality,
    u.anchor_number as to_block,
    n.blocks - h.blocks as scanned_blocks,
    h.blocks as missing_blocks,
    -- cut, not rounded: 100 is said only where nothing is missing
    case when n.blocks = 0 then 100 else trunc(100 * (n.blocks - h.blocks)::numeric / n.blocks, 4) end as percent,
    a.blocks as audited_blocks,
    case when n.blocks = 0 then 100 else trunc(100 * a.blocks::numeric / n.blocks, 4) end as audited_percent,
    h.holes,
    h.first_missing,
    h.last_missing,
    v.listened_from
from gazetteer.factories f
left join gazetteer.chains c on c.chain_id = f.chain_id
left join gazetteer.cursors u on u.chain_id = f.chain_id
-- a factory of two topics is covered where both were listened to
left join (
    select
        chain_id,
        address,
        range_intersect_agg(scanned) as scanned,
        range_intersect_agg(audited) as audited,
        case when count(*) = count(listened_from) then max(listened_from) end as listened_from
    from gazetteer.coverage
    group by chain_id, address
) v on v.chain_id = f.chain_id and v.address = f.address
-- before a chain has its anchor nobody knows how much there is to read
cross join lateral (
    select case when u.anchor_number is not null then greatest(u.anchor_number - f.from_block + 1, 0) end as blocks
) n
cross join lateral (
    select
        case when n.blocks is not null then coalesce(sum(upper(hole) - lower(hole)), 0)::bigint end as blocks,
        case when n.blocks is not null then count(*) end as holes,
        min(lower(hole)) as first_missing,
        max(upper(hole)) - 1 as last_missing
    from unnest(
        int8multirange(int8range(f.from_block, f.from_block + n.blocks)) - coalesce(v.scanned, '{}')
    ) as hole
    where n.blocks is not null
) h
cross join lateral (
    select case when n.blocks is not null then coalesce(sum(upper(part) - lower(part)), 0)::bigint end as blocks
    from unnest(int8multirange(int8range(f.from_block, f.from_block + n.blocks)) * v.audited) as part
    where n.blocks is not null
) a;

create view api.endpoint_health as
select
    c.name as chain,
    e.chain_id,
    e.endpoint,
    coalesce(sum(e.times) filter (where e.what = 'answers'), 0)::bigint as answers,
    coalesce(sum(e.times) filter (where e.what = 'unavailable'), 0)::bigint as unavailable,
    coalesce(sum(e.times) filter (where e.what = 'timed_out'), 0)::bigint as timed_out,
    coalesce(sum(e.times) filter (where e.what = 'rate_limited'), 0)::bigint as rate_limited,
    coalesce(sum(e.times) filter (where e.what = 'refused'), 0)::bigint as refused,
    coalesce(sum(e.times) filter (where e.what = 'method_off'), 0)::bigint as method_off,
    coalesce(sum(e.times) filter (where e.what = 'missing_data'), 0)::bigint as missing_data,
    coalesce(sum(e.times) filter (where e.what = 'lagged'), 0)::bigint as lagged,
    coalesce(sum(e.times) filter (where e.what = 'bad_answers'), 0)::bigint as bad_answers,
    coalesce(sum(e.times) filter (where e.what = 'unasked_logs'), 0)::bigint as unasked_logs,
    coalesce(sum(e.times) filter (where e.what = 'forked'), 0)::bigint as forked,
    coalesce(sum(e.times) filter (where e.what = 'wrong_chain'), 0)::bigint as wrong_chain,
    coalesce(sum(e.times) filter (where e.what = 'omitted_logs'), 0)::bigint as omitted_logs,
    coalesce(sum(e.times) filter (where e.what = 'invented_logs'), 0)::bigint as invented_logs,
    coalesce(sum(e.times) filter (where e.what = 'wrong_hashes'), 0)::bigint as wrong_hashes,
    max(e.last_at) filter (where e.what = 'answers') as last_answer_at,
    max(e.last_at) filter (
        where e.what not in ('answers', 'lagged', 'omitted_logs', 'invented_logs', 'wrong_hashes', 'upheld_blocks')
    ) as last_failure_at,
    max(e.last_at) filter (where e.what in ('omitted_logs', 'invented_logs', 'wrong_hashes')) as last_lie_at,
    coalesce(sum(e.times) filter (where e.what = 'upheld_blocks'), 0)::bigint as upheld_blocks,
    max(e.last_at) filter (where e.what = 'upheld_blocks') as last_upheld_at
from gazetteer.endpoint_counts e
left join gazetteer.chains c on c.chain_id = e.chain_id
group by c.name, e.chain_id, e.endpoint;

create view api.backlog as
select
    w.scope as chain,
    w.kind,
    case w.lane when 0 then 'live' else 'history' end as lane,
    count(*) filter (where w.lease_id is null and not w.dead and w.due <= now()) as due,
    count(*) filter (where w.lease_id is null and not w.dead and w.due > now()) as later,
    count(*) filter (where w.lease_id is not null) as leased,
    count(*) filter (where w.dead) as dead,
    min(w.due) filter (where w.lease_id is null and not w.dead and w.due <= now()) as oldest_due,
    max(w.losses) as most_losses
from gazetteer.work w
where w.kind in ('token', 'pool')
group by w.scope, w.kind, w.lane;

create view api.dead as
select
    w.scope as chain,
    w.kind,
    '0x' || encode(w.key, 'hex') as key,
    case w.lane when 0 then 'live' else 'history' end as lane,
    w.losses,
    w.reason,
    w.created_at
from gazetteer.work w
where w.dead;

create view api.rejected_logs as
select
    c.name as chain,
    r.chain_id,
    r.block_number,
    '0x' || encode(r.block_hash, 'hex') as block_hash,
    '0x' || encode(r.tx_hash, 'hex') as tx_hash,
    r.log_index,
    '0x' || encode(r.emitter, 'hex') as emitter_address,
    array(
        select '0x' || encode(substring(r.topics from at for 32), 'hex')
        from generate_series(1, octet_length(r.topics), 32) as at
        order by at
    ) as topics,
    '0x' || encode(r.data, 'hex') as data,
    r.reason,
    r.orphaned_at,
    r.seen_at
from gazetteer.rejected_logs r
left join gazetteer.chains c on c.chain_id = r.chain_id;

create view api.meta as
select 'api_version' as key, '1' as value
union all
select 'schema_revision', version_num::text from gazetteer.alembic_version;
