"""What of a staged list differs becomes rows: current state, versions, rules, identifiers, details, events.

`told_listings` (see `listing_stage`) holds what differs. Every statement is told the same facts: venue, scope, run_id,
now, and `before`, when the list before this one was applied.
"""

from collections.abc import Mapping

from sqlalchemy import text

from indexer.store import Tx
from indexer.store.listing_rows import DATES, DETAILS, NUMBERS, PLAIN, RULES
from indexer.store.listing_stage import EXPIRING, GONE_SQL

MOST_MISSED = 3
"""Applied lists without it, one after the other, after which a listing is gone."""

Facts = Mapping[str, object]

_KINDS = {"adjusted": "boolean", "tradable": "boolean", "expires_on": "date"}
_COLUMNS = tuple(
    (name, _KINDS.get(name, kind))
    for names, kind in ((PLAIN, "text"), (NUMBERS, "numeric"), (DATES, "timestamptz"), (("attrs",), "jsonb"))
    for name in names
    if name not in ("birth", "asset_class", "inst_class")  # kept with more care, or elsewhere
)
_NAMES = ", ".join(name for name, _ in _COLUMNS)
_STATE = f"jsonb_to_record(t.state) as s({', '.join(f'{name} {kind}' for name, kind in _COLUMNS)})"
_SET = ", ".join(f"{name} = s.{name}" for name, _ in _COLUMNS)

_RULES = ", ".join(RULES)
_RULES_TOLD = f"jsonb_to_record(t.rules) as r({', '.join(f'{name} numeric' for name in RULES)}, more jsonb)"
_DETAILS = ", ".join((*DETAILS, "market_cap"))
_DETAILS_TOLD = f"jsonb_to_record(t.details) as d({', '.join(f'{name} text' for name in DETAILS)}, market_cap numeric)"

_CLASSES = text("""
    update gazetteer.instruments i
    set asset_class = t.state ->> 'asset_class', inst_class = t.state ->> 'inst_class'
    from told_listings t
    where t.what = 'changed' and i.natural_key = t.natural_key
      and (i.asset_class, i.inst_class) is distinct from (t.state ->> 'asset_class', t.state ->> 'inst_class')
""")

# Somebody else bears the name now.
_SUPERSEDE = text(f"""
    update gazetteer.listings l set latest = false, last_seen = coalesce(l.last_seen, cast(:before as timestamptz))
    from told_listings t
    where l.natural_key = t.old_key and l.status in ({GONE_SQL})
""")

_INSERT = text(f"""
    insert into gazetteer.listings
        (natural_key, venue, scope, stable_id, generation, latest, birth, {_NAMES}, content_hash, rules_hash,
         details_hash, first_seen, changed_at, gone_at)
    select t.natural_key, :venue, :scope, t.stable_id, t.generation, true, t.birth,
           {", ".join(f"s.{name}" for name, _ in _COLUMNS)},
           t.content_hash, t.rules_hash, t.details_hash, :now, :now,
           case when t.gone then cast(:now as timestamptz) end
    from told_listings t cross join {_STATE}
    where t.what in ('new', 'reborn')
    order by t.natural_key
""")

_UPDATE = text(f"""
    update gazetteer.listings l set
        {_SET}, birth = coalesce(t.birth, l.birth), content_hash = t.content_hash, rules_hash = t.rules_hash,
        details_hash = coalesce(t.details_hash, l.details_hash), changed_at = :now, last_seen = null, missed = 0,
        missing_since = null,
        gone_at = case when t.gone then coalesce(l.gone_at, l.missing_since, :now) end
    from told_listings t cross join {_STATE}
    where t.what = 'changed' and l.natural_key = t.natural_key
""")

_TOUCH = text("""
    update gazetteer.listings l
    set rules_hash = t.rules_hash, details_hash = coalesce(t.details_hash, l.details_hash)
    from told_listings t
    where t.what = 'same' and l.natural_key = t.natural_key
""")

_FIRST_VERSIONS = text("""
    insert into gazetteer.listing_versions (natural_key, valid_from, run_id, changed, state)
    select natural_key, :now, :run_id, '{}', state
    from told_listings
    where what in ('new', 'reborn')
    order by natural_key
""")

_NEXT_VERSIONS = text("""
    with closed as (
        update gazetteer.listing_versions v set valid_to = :now
        from told_listings t
        where t.what = 'changed' and v.natural_key = t.natural_key and v.valid_to is null and v.state <> t.state
        returning v.natural_key, v.state as old, t.state as new
    )
    insert into gazetteer.listing_versions (natural_key, valid_from, run_id, changed, state)
    select natural_key, :now, :run_id,
           array(
               select key from jsonb_object_keys((old || new) - 'attrs') as key
               where old -> key is distinct from new -> key
               union all
               select 'attrs.' || key
               from jsonb_object_keys(coalesce(old -> 'attrs', '{}') || coalesce(new -> 'attrs', '{}')) as key
               where old -> 'attrs' -> key is distinct from new -> 'attrs' -> key
               order by 1
           ),
           new
    from closed
""")

_BACK = text("""
    update gazetteer.listings l set last_seen = null, missed = 0, missing_since = null
    from staged_listings s
    where l.venue = :venue and l.scope = :scope and l.latest and l.last_seen is not null and l.stable_id = s.stable_id
""")

# One that was there until now was last seen in the list before; unreadable rows may be the ones that are not there.
_MISS = text(f"""
    update gazetteer.listings l set
        last_seen = coalesce(l.last_seen, cast(:before as timestamptz)),
        missing_since = coalesce(l.missing_since, :now),
        missed = l.missed + case when l.status in ({GONE_SQL}) then 0 else :missed end
    where l.venue = :venue and l.scope = :scope and l.latest
      and (l.last_seen is null or l.status not in ({GONE_SQL}))
      and not exists (select from staged_listings s where s.stable_id = l.stable_id)
""")

_GO = """
    with going as (
        update gazetteer.listings l set
            status = {status}, tradable = case when l.tradable then false else l.tradable end,
            gone_at = coalesce(l.missing_since, :now), changed_at = :now{also}
        {which}
        returning l.natural_key, l.status
    ), closed as (
        update gazetteer.listing_versions v set valid_to = :now
        from going g
        where v.natural_key = g.natural_key and v.valid_to is null
        returning v.natural_key, v.state as old,
                  v.state || jsonb_build_object('status', g.status) || case
                      when v.state @> '{{"tradable": true}}' then jsonb '{{"tradable": false}}' else jsonb '{{}}'
                  end as new
    )
    insert into gazetteer.listing_versions (natural_key, valid_from, run_id, changed, state)
    select natural_key, :now, :run_id,
           array['status'] || case when old @> '{{"tradable": true}}' then '{{tradable}}' else '{{}}'::text[] end, new
    from closed
"""
_GO_SUPERSEDED = text(
    _GO.format(
        status="'delisted'",
        also=", latest = false, last_seen = coalesce(l.last_seen, cast(:before as timestamptz))",
        which=f"from told_listings t where l.natural_key = t.old_key and l.status not in ({GONE_SQL})",
    )
)
_GO_MISSED = text(
    _GO.format(
        status=f"case when {EXPIRING} then 'expired' else 'delisted' end",
        also="",
        which=f"""
            where l.venue = :venue and l.scope = :scope and l.latest and l.status not in ({GONE_SQL})
              and (l.missed >= {MOST_MISSED}
                   or l.missed > 0
                      and coalesce(l.expires_at, (l.expires_on + 1)::timestamp at time zone 'UTC') <= :now)
        """,
    )
)

_RULES_CLOSED = text("""
    update gazetteer.trading_rules r set valid_to = :now
    from told_listings t
    where t.rules_told and t.what in ('changed', 'same') and r.natural_key = t.natural_key and r.valid_to is null
""")
_RULES_OPENED = text(f"""
    insert into gazetteer.trading_rules (natural_key, valid_from, run_id, {_RULES}, more)
    select t.natural_key, :now, :run_id, {", ".join(f"r.{name}" for name in RULES)}, r.more
    from told_listings t cross join {_RULES_TOLD}
    where t.rules_told and t.rules is not null
    order by t.natural_key
""")

_IDENTIFIERS_CLOSED = text("""
    update gazetteer.identifiers i set valid_to = :now
    from told_listings t
    where t.what = 'changed' and i.natural_key = t.natural_key and i.source = :venue and i.valid_to is null
      and (t.state -> 'identifiers' @> jsonb_build_array(jsonb_build_array(i.scheme, i.value))) is not true
""")
_IDENTIFIERS_OPENED = text("""
    insert into gazetteer.identifiers (natural_key, scheme, value, source, valid_from)
    select t.natural_key, told ->> 0, told ->> 1, :venue, :now
    from told_listings t cross join jsonb_array_elements(t.state -> 'identifiers') as told
    where t.what <> 'same'
      and not exists (
          select from gazetteer.identifiers i
          where i.natural_key = t.natural_key and i.scheme = told ->> 0 and i.value = told ->> 1
            and i.source = :venue and i.valid_to is null)
    order by 1, 2, 3
""")

_DETAILS_KEPT = text(f"""
    insert into gazetteer.details (natural_key, {_DETAILS}, source, read_at)
    select t.natural_key, {", ".join(f"d.{name}" for name in (*DETAILS, "market_cap"))}, :venue, :now
    from told_listings t cross join {_DETAILS_TOLD}
    where t.details_told
    order by t.natural_key
    on conflict (natural_key) do update set
        {", ".join(f"{name} = excluded.{name}" for name in (*DETAILS, "market_cap", "source", "read_at"))}
""")

# A change of status is told by its own name; what a venue says about it in its own words goes with it.
_EVENTS = text(f"""
    with told as (
        insert into gazetteer.events (kind, natural_key, source, at)
        select kind, natural_key, 'venue', :now
        from (
            select v.natural_key,
                   unnest(case
                       when v.changed = '{{}}' and l.generation = 0 then array['instrument.listed']
                       when v.changed = '{{}}' then array['instrument.relisted']
                       when not 'status' = any(v.changed) then array['instrument.changed']
                       else array[case
                                when v.state ->> 'status' in ({GONE_SQL}) then 'instrument.' || (v.state ->> 'status')
                                else 'instrument.status_changed'
                            end]
                            || case
                                when v.changed <@ array['status', 'venue_status', 'tradable'] then '{{}}'
                                else array['instrument.changed']
                            end
                   end) as kind
            from gazetteer.listing_versions v
            join gazetteer.listings l using (natural_key)
            where v.run_id = :run_id
            union all
            select natural_key, 'rules.changed' from told_listings where rules_told and what in ('changed', 'same')
        ) as news
        order by natural_key, kind
        returning kind
    )
    select kind, count(*) as times from told group by kind
""")

_MISSING = text(f"""
    select count(*) from gazetteer.listings
    where venue = :venue and scope = :scope and latest and last_seen is not null and status not in ({GONE_SQL})
""")


def write(tx: Tx, facts: Facts, *, count_misses: bool) -> dict[str, int]:
    """Everything that a list changes; how many events of each kind, `changed` (versions) and `missing` (listings)."""
    tx.execute(_CLASSES)
    tx.execute(_SUPERSEDE, facts)
    tx.execute(_GO_SUPERSEDED, facts)
    tx.execute(_INSERT, facts)
    tx.execute(_UPDATE, facts)
    tx.execute(_TOUCH)
    tx.execute(_BACK, facts)
    tx.execute(_MISS, {**facts, "missed": int(count_misses)})
    tx.execute(_FIRST_VERSIONS, facts)
    changed = tx.execute(_NEXT_VERSIONS, facts).rowcount
    tx.execute(_GO_MISSED, facts)
    for statement in (_RULES_CLOSED, _RULES_OPENED, _IDENTIFIERS_CLOSED, _IDENTIFIERS_OPENED, _DETAILS_KEPT):
        tx.execute(statement, facts)
    told = {row.kind: row.times for row in tx.execute(_EVENTS, facts)}
    return {**told, "changed": changed, "missing": tx.execute(_MISSING, facts).scalar_one()}
