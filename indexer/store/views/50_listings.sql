-- What venues list, when it changed, and how it was read. Joins are LEFT JOINs on unique keys, as in 10_pools.sql.

create view api.venues as
select
    v.name as exchange,
    v.title,
    v.kind,
    v.mic,
    v.licence,
    v.licence_note,
    v.every_s,
    v.scopes,
    v.enabled,
    v.source
from gazetteer.venues v;

create view api.venue_runs as
select
    r.run_id,
    r.venue as exchange,
    r.scope,
    r.status,
    r.error,
    r.reason,
    r.started_at,
    r.finished_at,
    r.retry_at,
    r.rows,
    r.unreadable,
    r.duplicates,
    r.new,
    r.changed,
    r.same,
    r.missing,
    r.delisted,
    r.expired,
    r.reborn,
    r.rules,
    r.accepted,
    r.client,
    r.pages,
    r.evidence,
    r.archive
from gazetteer.venue_runs r;

create view api.listings as
select
    l.venue as exchange,
    l.scope,
    l.symbol,
    l.display,
    case
        when i.inst_class not in ('spot', 'amm_pool') then i.inst_class
        when i.asset_class = 'fx' then 'forex'
        else i.asset_class
    end as asset_type,
    i.asset_class,
    i.inst_class,
    l.stable_id as identifier,
    l.generation,
    l.latest,
    l.status,
    l.venue_status,
    l.tradable,
    l.base as base_code,
    l.quote as quote_code,
    l.settle as settle_code,
    l.currency,
    l.underlying,
    l.tracks,
    l.multiplier,
    l.payoff,
    l.expires_on as expiry_date,
    l.expires_at,
    l.strike as strike_price,
    l.option_right as option_type,
    l.exercise,
    l.settlement,
    l.adjusted,
    l.mic,
    l.exchange as listed_on,
    d.company_name,
    d.sector,
    d.industry,
    d.market_cap,
    d.market_cap_currency,
    d.source as details_source,
    d.read_at as details_read_at,
    l.list_at,
    l.delist_at,
    l.first_seen,
    coalesce(l.last_seen, s.applied_at) as last_seen,
    l.changed_at as last_updated,
    l.missed,
    l.missing_since,
    l.gone_at,
    l.attrs,
    mod(i.hash::numeric + 18446744073709551616, 18446744073709551616) as hash,
    l.natural_key
from gazetteer.listings l
left join gazetteer.instruments i on i.natural_key = l.natural_key
left join gazetteer.details d on d.natural_key = l.natural_key
left join gazetteer.venue_scopes s on s.venue = l.venue and s.scope = l.scope;

create view api.listing_versions as
select
    l.venue as exchange,
    l.scope,
    v.natural_key,
    v.valid_from,
    v.valid_to,
    v.run_id,
    v.changed,
    v.state
from gazetteer.listing_versions v
left join gazetteer.listings l on l.natural_key = v.natural_key;

-- The first version is told as a status that came from nothing.
create view api.listing_changes as
select
    l.venue as exchange,
    l.scope,
    l.symbol,
    v.natural_key,
    v.valid_from as at,
    v.run_id,
    f.field,
    case when f.field like 'attrs.%' then p.state -> 'attrs' ->> substr(f.field, 7) else p.state ->> f.field end
        as old_value,
    case when f.field like 'attrs.%' then v.state -> 'attrs' ->> substr(f.field, 7) else v.state ->> f.field end
        as new_value
from gazetteer.listing_versions v
left join gazetteer.listings l on l.natural_key = v.natural_key
left join lateral (
    select earlier.state
    from gazetteer.listing_versions earlier
    where earlier.natural_key = v.natural_key and earlier.valid_from < v.valid_from
    order by earlier.valid_from desc
    limit 1
) p on true
cross join lateral unnest(case when v.changed = '{}' then array['status'] else v.changed end) as f(field);

create view api.trading_rules as
select
    l.venue as exchange,
    l.scope,
    l.symbol,
    r.natural_key,
    r.valid_from,
    r.valid_to,
    r.tick_size,
    r.lot_size,
    r.min_size,
    r.max_size,
    r.min_notional,
    r.max_notional,
    r.more,
    r.run_id
from gazetteer.trading_rules r
left join gazetteer.listings l on l.natural_key = r.natural_key;

create view api.identifiers as
select
    i.scheme,
    i.value,
    l.venue as exchange,
    l.scope,
    l.symbol,
    i.natural_key,
    i.source,
    s.licence,
    i.valid_from,
    i.valid_to
from gazetteer.identifiers i
left join gazetteer.listings l on l.natural_key = i.natural_key
left join gazetteer.schemes s on s.name = i.scheme;

create view api.options_chain as
select
    l.venue as exchange,
    l.scope,
    l.underlying,
    l.expires_on as expiry_date,
    l.expires_at,
    l.strike as strike_price,
    l.option_right as option_type,
    l.symbol,
    l.multiplier,
    l.quote as quote_code,
    l.settle as settle_code,
    l.currency,
    l.exercise,
    l.settlement,
    l.adjusted,
    l.status,
    l.tradable,
    l.natural_key
from gazetteer.listings l
where l.option_right is not null and l.latest and l.status not in ('delisted', 'expired');

create view api.upcoming as
select
    l.venue as exchange,
    l.scope,
    l.symbol,
    l.natural_key,
    'list' as what,
    l.list_at as at,
    l.status
from gazetteer.listings l
where l.list_at > now() and l.latest and l.status not in ('delisted', 'expired')
union all
select
    l.venue as exchange,
    l.scope,
    l.symbol,
    l.natural_key,
    'delist' as what,
    l.delist_at as at,
    l.status
from gazetteer.listings l
where l.delist_at > now() and l.latest and l.status not in ('delisted', 'expired');
