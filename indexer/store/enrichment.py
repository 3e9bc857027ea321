"""What others know of listings: whose turn it is to be asked about, and what was learned, with its source and dates.

A listing that a source may know more of has a row of work, kind `enrich`, scope the source: it says when to ask next,
after a miss too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from indexer.model import GONE, Lane, Learned, Sought
from indexer.store import Tx

KIND = "enrich"
_GONE = ", ".join(f"'{status}'" for status in GONE)
_PLAIN = "('stock', 'etf', 'fund')"

_ADD = text(f"""
    insert into gazetteer.work (kind, scope, key, lane, due, created_at)
    select :kind, :source, convert_to(l.natural_key, 'UTF8'), :lane, :now, :now
    from gazetteer.listings l
    join gazetteer.instruments i using (natural_key)
    join gazetteer.venues v on v.name = l.venue
    where l.latest and l.status not in ({_GONE}) and v.kind <> 'cex'
      and (cast(:venue as text) is null or l.venue = :venue)
      and i.asset_class = 'equity' and coalesce(i.inst_class, 'stock') in {_PLAIN}
      and not exists (
          select from gazetteer.identifiers lacking
          where lacking.natural_key = l.natural_key and lacking.scheme = :lacks and lacking.valid_to is null)
      and ((:ticker and l.mic is not null) or exists (
          select from gazetteer.identifiers told
          where told.natural_key = l.natural_key and told.scheme = any(cast(:by as text[])) and told.valid_to is null))
      and not exists (
          select from gazetteer.work w
          where w.kind = :kind and w.scope = :source and w.key = convert_to(l.natural_key, 'UTF8'))
    order by convert_to(l.natural_key, 'UTF8')
    limit :limit
    on conflict (kind, scope, key) do nothing
""")

_SOUGHT = text(f"""
    select l.natural_key, l.symbol, i.asset_class, l.currency, l.mic,
        (select jsonb_object_agg(one.scheme, one.value) from (
            select d.scheme, min(d.value) as value
            from gazetteer.identifiers d
            where d.natural_key = l.natural_key and d.valid_to is null
            group by d.scheme having count(distinct d.value) = 1
        ) as one) as identifiers
    from gazetteer.listings l
    join gazetteer.instruments i using (natural_key)
    where l.natural_key = any(cast(:keys as text[])) and l.latest and l.status not in ({_GONE})
    order by l.natural_key
""")

_CLOSE = text("""
    with told as (
        select * from unnest(cast(:keys as text[]), cast(:schemes as text[]), cast(:values as text[]))
            as t(natural_key, scheme, value)
    ), over as (
        select i.ctid from gazetteer.identifiers i
        where i.source = :source and i.valid_to is null
          and (i.natural_key, i.scheme) in (select natural_key, scheme from told)
          and (i.natural_key, i.scheme, i.value) not in (select natural_key, scheme, value from told)
        order by i.natural_key, i.scheme, i.value for update
    )
    update gazetteer.identifiers i set valid_to = :now from over where i.ctid = over.ctid
""")
_OPEN = text("""
    insert into gazetteer.identifiers (natural_key, scheme, value, source, valid_from)
    select t.natural_key, t.scheme, t.value, :source, :now
    from unnest(cast(:keys as text[]), cast(:schemes as text[]), cast(:values as text[]))
        as t(natural_key, scheme, value)
    where not exists (
        select from gazetteer.identifiers i
        where i.natural_key = t.natural_key and i.scheme = t.scheme and i.value = t.value
          and i.source = :source and i.valid_to is null)
    order by 1, 2, 3
""")
_DETAILS = text("""
    insert into gazetteer.details as d (natural_key, company_name, sector, industry, source, read_at)
    select t.natural_key, t.company_name, t.sector, t.industry, :source, :now
    from unnest(cast(:keys as text[]), cast(:names as text[]), cast(:sectors as text[]), cast(:industries as text[]))
        as t(natural_key, company_name, sector, industry)
    order by 1
    on conflict (natural_key) do update set
        company_name = coalesce(excluded.company_name, d.company_name),
        sector = coalesce(excluded.sector, d.sector),
        industry = coalesce(excluded.industry, d.industry),
        source = excluded.source, read_at = excluded.read_at
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Whom a source is asked about: plain shares and funds of brokers that lack an identifier of scheme `lacks`.

    They have one of the schemes `by`, or, if the source knows `ticker`s, say where they are listed. `venue`: only its.
    """

    lacks: str
    by: Sequence[str] = ()
    ticker: bool = False
    venue: str | None = None


def add(tx: Tx, source: str, wanted: Wanted, limit: int, now: datetime) -> int:
    """Work for those that were never asked about, due now; how many there were, `limit` at most."""
    facts = {"kind": KIND, "source": source, "lane": Lane.HISTORY, "now": now, "limit": limit}
    told = {"lacks": wanted.lacks, "by": list(wanted.by), "ticker": wanted.ticker, "venue": wanted.venue}
    return tx.execute(_ADD, facts | told).rowcount


def sought(tx: Tx, keys: Sequence[bytes]) -> list[Sought]:
    """The listings of these rows of work, as they are now; those that are gone are missing."""
    rows = tx.execute(_SOUGHT, {"keys": [key.decode() for key in keys]})
    return [Sought(**{**row._mapping, "identifiers": row.identifiers or {}}) for row in rows]  # noqa: SLF001 - a row's public mapping


def learn(tx: Tx, source: str, learned: Sequence[Learned], now: datetime) -> int:
    """Keep what a source said. Another value of a scheme ends the one before; a miss ends nothing.

    Returns how many identifiers are new.
    """
    named = sorted((each.natural_key, one.scheme, one.value) for each in learned for one in each.identifiers)
    facts = {"source": source, "now": now}
    told = facts | {"keys": [key for key, _, _ in named], "schemes": [scheme for _, scheme, _ in named]}
    told |= {"values": [value for _, _, value in named]}
    tx.execute(_CLOSE, told)
    new = tx.execute(_OPEN, told).rowcount
    detailed = sorted(
        (each.natural_key, each.details.company_name, each.details.sector, each.details.industry)
        for each in learned
        if any((each.details.company_name, each.details.sector, each.details.industry))
    )
    columns = list(zip(*detailed, strict=True)) or [(), (), (), ()]
    named_columns = zip(("keys", "names", "sectors", "industries"), map(list, columns), strict=True)
    tx.execute(_DETAILS, facts | dict(named_columns))
    return new
