"""What is known of assets, and what speaks of them: names of listings, codes of venues, lists of coins."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import text

from indexer.model import GONE
from indexer.model.asset import Claim, Name
from indexer.store import Tx

SECURITIES = ("stock", "etf", "fund", "bond", "warrant", "index")
"""Kinds of instruments that are what they are about. A contract's ISIN names the contract, a token's the token."""
US_MICS = ("XNAS", "XNYS", "ARCX", "XASE", "BATS", "IEXG")
"""Where a share that a token follows is looked for: its issuers write tickers of these."""
LEAST_PRESENT_PERCENT = 90
"""Of the codes that a list named before; one that names fewer is not believed."""
_LOCK = 0x73616D65
_GONE = ", ".join(f"'{status}'" for status in GONE)
_MARK = "sameness.mark"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearers:
    """All listings of securities that bear exactly these names, and what most of them are called."""

    names: Sequence[Name]
    inst_class: str
    symbol: str
    company: str | None
    source: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A venue's code of a tokenised share, since when it has its present meaning, and what it says that it follows."""

    venue: str
    code: str
    tracks: str | None
    multiplier: Decimal | None
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """An asset as it stands. `tracks_id` and `multiple` of what follows another."""

    asset_id: int
    kind: str
    code: str
    name: str | None
    tracks_id: int | None
    multiple: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A name of an asset that holds now."""

    asset_id: int
    name: Name
    source: str
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Meant:
    """What a venue's code means, or meant until `until`."""

    venue: str
    code: str
    asset_id: int
    method: str
    source: str
    confidence: float
    since: datetime
    until: datetime | None


# A run that found nothing new says nothing; names come besides runs too, from whoever enriches.
_HEARD = text("""
    select concat_ws(' ',
        (select count(*) from gazetteer.venue_scopes where run_id is not null),
        (select run_id from gazetteer.venue_runs
         where status = 'applied' and greatest(new, changed, reborn, delisted, expired) > 0
         order by run_id desc limit 1),
        (select concat_ws(' ', count(*), max(valid_from), max(valid_to)) from gazetteer.identifiers),
        (select concat_ws(' ', count(*), max(valid_from), max(valid_to), max(checked_at)) from gazetteer.asset_claims))
""")
_REMEMBERED = text("select value from gazetteer.meta where key = :key")
_REMEMBER = text("""
    insert into gazetteer.meta (key, value) values (:key, :value)
    on conflict (key) do update set value = excluded.value
""")
_ALONE = text("select pg_try_advisory_xact_lock(:lock)")
_LATEST = text("""
    select greatest(
        (select greatest(max(valid_from), max(valid_to)) from gazetteer.asset_identifiers),
        (select max(valid_to) from gazetteer.venue_assets),
        (select greatest(max(valid_from), max(valid_to)) from gazetteer.asset_conflicts))
""")
_SECURITIES = text("""
    with named as (
        select i.natural_key, array_agg(distinct i.scheme || ':' || i.value) as names, min(i.source) as source
        from gazetteer.identifiers i
        join gazetteer.instruments n on n.natural_key = i.natural_key
        where i.valid_to is null and i.scheme = any(cast(:schemes as text[]))
          and n.inst_class = any(cast(:classes as text[]))
        group by i.natural_key
    )
    select g.names,
           mode() within group (order by n.inst_class) as inst_class,
           mode() within group (order by l.symbol) as symbol,
           mode() within group (order by coalesce(d.company_name, l.display)) as company,
           min(g.source) as source,
           count(*) as bearers
    from named g
    join gazetteer.instruments n on n.natural_key = g.natural_key
    join gazetteer.listings l on l.natural_key = g.natural_key
    left join gazetteer.details d on d.natural_key = g.natural_key
    group by g.names
    order by g.names
""")

# A code is born again when it is listed after everything that bore it was gone. What expires comes and goes anyway.
_REBORN = text("""
    select venue, code, max(first_seen) as reborn_at
    from (
        select l.venue, l.base as code, l.first_seen,
               max(coalesce(l.gone_at, 'infinity')) over (
                   partition by l.venue, l.base order by l.first_seen
                   range between unbounded preceding and interval '1 microsecond' preceding) as all_gone_at
        from gazetteer.listings l
        where l.base is not null and l.option_right is null and l.expires_on is null
    ) as births
    where all_gone_at <= first_seen
    group by venue, code
""")
_SHARES = text("""
    select distinct on (l.venue, l.base) l.venue, l.base as code, l.tracks, l.multiplier,
           min(l.first_seen) over (partition by l.venue, l.base) as since
    from gazetteer.listings l
    join gazetteer.instruments n on n.natural_key = l.natural_key
    where n.inst_class = 'tokenised_share' and l.base is not null
    order by l.venue, l.base, l.latest desc, l.changed_at desc, l.natural_key
""")
_CURRENCIES = text("""
    select distinct l.venue, c.code
    from gazetteer.listings l
    join gazetteer.instruments n on n.natural_key = l.natural_key
    cross join lateral (values (l.base), (l.quote)) as c(code)
    where n.asset_class = 'fx' and n.inst_class = 'spot' and c.code = any(cast(:currencies as text[]))
    order by 1, 2
""")
_TRACKED = text(f"""
    select l.symbol, i.scheme, i.value
    from gazetteer.listings l
    join gazetteer.instruments n on n.natural_key = l.natural_key
    join gazetteer.identifiers i on i.natural_key = l.natural_key and i.valid_to is null
    where l.symbol = any(cast(:symbols as text[])) and l.mic = any(cast(:mics as text[]))
      and n.inst_class in ('stock', 'etf') and l.latest and l.status not in ({_GONE})
""")
_CLAIMS = text(
    "select * from gazetteer.asset_claims where valid_to is null order by source, venue, code, scheme, value"
)
_VENUES = text("select distinct venue from gazetteer.venue_scopes where run_id is not null")
_ASSETS = text("select asset_id, kind, code, name, tracks_id, multiple from gazetteer.assets")
_NAMED = text("""
    select asset_id, scheme, value, source, confidence from gazetteer.asset_identifiers where valid_to is null
""")
_MEANT = text("""
    select venue, code, asset_id, method, source, confidence, valid_from as since, valid_to as until
    from gazetteer.venue_assets
""")
_CONFLICTS = text("select scheme, value, asset_ids from gazetteer.asset_conflicts where valid_to is null")
_MERGED = text("select asset_id, into_id from gazetteer.asset_merges")


def alone(tx: Tx) -> bool:
    """Whether nobody else relates assets just now; true until the end of the transaction."""
    return bool(tx.execute(_ALONE, {"lock": _LOCK}).scalar_one())


def heard(tx: Tx) -> str:
    """Another text whenever somebody said something new."""
    return str(tx.execute(_HEARD).scalar_one())


def remembered(tx: Tx) -> str | None:
    """What was heard when assets were last related."""
    value: str | None = tx.execute(_REMEMBERED, {"key": _MARK}).scalar_one_or_none()
    return value


def remember(tx: Tx, mark: str) -> None:
    """Assets are as of this."""
    tx.execute(_REMEMBER, {"key": _MARK, "value": mark})


def latest(tx: Tx) -> datetime | None:
    """The last moment at which a name, a code or a conflict of assets changed."""
    value: datetime | None = tx.execute(_LATEST).scalar_one()
    return value


def securities(tx: Tx, schemes: Sequence[str]) -> list[Bearers]:
    """What listed securities are called in these schemes, each combination of names once."""
    rows = tx.execute(_SECURITIES, {"schemes": list(schemes), "classes": list(SECURITIES)})
    return [
        Bearers(
            names=[_name(each) for each in row.names],
            inst_class=row.inst_class,
            symbol=row.symbol,
            company=row.company,
            source=row.source,
            count=row.bearers,
        )
        for row in rows
    ]


def reborn(tx: Tx) -> dict[tuple[str, str], datetime]:
    """When a venue's code was last listed anew after all that bore it had gone. Codes that never were are absent."""
    return {(row.venue, row.code): row.reborn_at for row in tx.execute(_REBORN)}


def shares(tx: Tx) -> list[Share]:
    """Codes of tokenised shares, those that are gone too."""
    return [Share(**row._mapping) for row in tx.execute(_SHARES)]  # noqa: SLF001 - a row's public mapping


def currencies(tx: Tx, codes: Sequence[str]) -> list[tuple[str, str]]:
    """Venues and those of these codes that they list as currencies against others."""
    return [(row.venue, row.code) for row in tx.execute(_CURRENCIES, {"currencies": list(codes)})]


def tracked(tx: Tx, symbols: Sequence[str]) -> list[tuple[str, Name]]:
    """Names of the shares and funds that are listed in the United States under these tickers now."""
    rows = tx.execute(_TRACKED, {"symbols": list(symbols), "mics": list(US_MICS)})
    return [(row.symbol, (row.scheme, row.value)) for row in rows]


def claims(tx: Tx) -> list[Claim]:
    """What lists of coins say now, each since it first did."""
    return [
        Claim(
            source=row.source,
            venue=row.venue,
            code=row.code,
            scheme=row.scheme,
            value=row.value,
            confidence=row.confidence,
            label=row.label,
            name=row.name,
            since=row.valid_from,
            checked=row.checked_at,
        )
        for row in tx.execute(_CLAIMS)
    ]


def venues(tx: Tx) -> set[str]:
    """Venues of which a list was applied."""
    return {row.venue for row in tx.execute(_VENUES)}


def standing(tx: Tx) -> dict[int, Asset]:
    """Every asset, those that became part of another too."""
    return {row.asset_id: Asset(**row._mapping) for row in tx.execute(_ASSETS)}  # noqa: SLF001 - as above


def named(tx: Tx) -> dict[Name, Named]:
    """Every name that holds now."""
    return {
        (row.scheme, row.value): Named(
            asset_id=row.asset_id, name=(row.scheme, row.value), source=row.source, confidence=row.confidence
        )
        for row in tx.execute(_NAMED)
    }


def meant(tx: Tx) -> list[Meant]:
    """What codes mean and meant."""
    return [Meant(**row._mapping) for row in tx.execute(_MEANT)]  # noqa: SLF001 - as above


def conflicts(tx: Tx) -> dict[Name, tuple[int, ...]]:
    """Names that several assets claim now."""
    return {(row.scheme, row.value): tuple(row.asset_ids) for row in tx.execute(_CONFLICTS)}


def merged(tx: Tx) -> dict[int, int]:
    """Assets that became part of another."""
    return {row.asset_id: row.into_id for row in tx.execute(_MERGED)}


def _name(text_: str) -> Name:
    scheme, _, value = text_.partition(":")
    return scheme, value
