"""What differs of assets, written: each statement takes all rows at once, and closes what no longer holds."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import text

from indexer.model.asset import Claim, Name
from indexer.store import Tx
from indexer.store.assets import LEAST_PRESENT_PERCENT, Asset, Meant, Named
from indexer.store.copying import copy

_ADD = text("""
    insert into gazetteer.assets (kind, code, name, first_seen)
    select kind, code, name, :now
    from unnest(cast(:kinds as text[]), cast(:codes as text[]), cast(:names as text[]))
        with ordinality as t(kind, code, name, place)
    order by place
    returning asset_id
""")
_DESCRIBE = text("""
    update gazetteer.assets a set kind = t.kind, code = t.code, name = t.name, tracks_id = t.tracks_id,
        multiple = t.multiple
    from unnest(cast(:ids as bigint[]), cast(:kinds as text[]), cast(:codes as text[]), cast(:names as text[]),
                cast(:tracks as bigint[]), cast(:multiples as numeric[]))
        as t(asset_id, kind, code, name, tracks_id, multiple)
    where a.asset_id = t.asset_id
""")
_UNNAME = text("""
    update gazetteer.asset_identifiers a set valid_to = :now
    from unnest(cast(:schemes as text[]), cast(:values as text[])) as t(scheme, value)
    where a.scheme = t.scheme and a.value = t.value and a.valid_to is null
""")
_NAME = text("""
    insert into gazetteer.asset_identifiers (asset_id, scheme, value, source, confidence, valid_from)
    select *, :now
    from unnest(cast(:ids as bigint[]), cast(:schemes as text[]), cast(:values as text[]), cast(:sources as text[]),
                cast(:confidences as float8[]))
    order by 2, 3
""")
_SAY_OTHERWISE = text("""
    update gazetteer.asset_identifiers a set source = t.source, confidence = t.confidence
    from unnest(cast(:schemes as text[]), cast(:values as text[]), cast(:sources as text[]),
                cast(:confidences as float8[])) as t(scheme, value, source, confidence)
    where a.scheme = t.scheme and a.value = t.value and a.valid_to is null
""")
_SETTLE = text("""
    update gazetteer.asset_conflicts c set valid_to = :now
    from unnest(cast(:schemes as text[]), cast(:values as text[])) as t(scheme, value)
    where c.scheme = t.scheme and c.value = t.value and c.valid_to is null
""")
_CONFLICT = text("""
    insert into gazetteer.asset_conflicts (scheme, value, asset_ids, valid_from)
    values (:scheme, :value, cast(:ids as bigint[]), :now)
""")
_MERGE = text("""
    insert into gazetteer.asset_merges (asset_id, into_id, merged_at)
    select *, :now from unnest(cast(:ids as bigint[]), cast(:into as bigint[])) order by 1
""")
_END = text("""
    update gazetteer.venue_assets v set valid_to = t.valid_to
    from unnest(cast(:venues as text[]), cast(:codes as text[]), cast(:untils as timestamptz[]))
        as t(venue, code, valid_to)
    where v.venue = t.venue and v.code = t.code and v.valid_to is null
""")
_MEAN = text("""
    insert into gazetteer.venue_assets
        (venue, code, asset_id, method, source, confidence, valid_from, valid_to)
    select * from unnest(cast(:venues as text[]), cast(:codes as text[]), cast(:ids as bigint[]),
        cast(:methods as text[]), cast(:sources as text[]), cast(:confidences as float8[]),
        cast(:sinces as timestamptz[]), cast(:untils as timestamptz[]))
    order by 1, 2, 7
    on conflict (venue, code, valid_from) do update set
        asset_id = excluded.asset_id, method = excluded.method, source = excluded.source,
        confidence = excluded.confidence, valid_to = excluded.valid_to
""")

_CLAIM_COLUMNS = (
    ("venue", "text"),
    ("code", "text"),
    ("scheme", "text"),
    ("value", "text"),
    ("confidence", "float8"),
    ("label", "text"),
    ("name", "text"),
)
_STAGE = text(f"""
    create temporary table if not exists told_claims ({", ".join(f"{name} {kind}" for name, kind in _CLAIM_COLUMNS)})
    on commit drop
""")
_EMPTY = text("truncate told_claims")
_PRESENT = text("""
    select count(*) as known, count(*) filter (where exists (
        select from told_claims t where t.venue = c.venue and t.code = c.code)) as present
    from (select distinct venue, code from gazetteer.asset_claims where source = :source and valid_to is null) as c
""")
_TAKEN_BACK = text("""
    update gazetteer.asset_claims c set valid_to = greatest(:now, c.valid_from + interval '1 microsecond')
    where c.source = :source and c.valid_to is null and not exists (
        select from told_claims t
        where t.venue = c.venue and t.code = c.code and t.scheme = c.scheme and t.value = c.value)
""")
_CLAIMED = text("""
    insert into gazetteer.asset_claims as c
        (source, venue, code, scheme, value, confidence, label, name, valid_from, checked_at)
    select :source, venue, code, scheme, value, confidence, label, name, :now, :now from told_claims
    order by venue, code, scheme, value
    on conflict (source, venue, code, scheme, value) where valid_to is null do update set
        confidence = excluded.confidence, label = excluded.label, name = excluded.name,
        checked_at = greatest(c.checked_at, excluded.checked_at)
""")


def take(tx: Tx, source: str, told: Sequence[Claim], now: datetime) -> str | None:
    """Make the claims of `source` say exactly what its list says now. Why it is not believed; None: it was."""
    tx.execute(_STAGE)
    tx.execute(_EMPTY)
    rows = {(c.venue, c.code, c.scheme, c.value): (c.confidence, c.label, c.name) for c in told}
    copy(tx, "told_claims", _CLAIM_COLUMNS, ((*key, *rest) for key, rest in sorted(rows.items())))
    counted = tx.execute(_PRESENT, {"source": source}).one()
    if not rows or counted.present * 100 < counted.known * LEAST_PRESENT_PERCENT:
        return f"only {counted.present} of {counted.known} known codes are in the list of {len(rows)} names"
    tx.execute(_TAKEN_BACK, {"source": source, "now": now})
    tx.execute(_CLAIMED, {"source": source, "now": now})
    return None


def add(tx: Tx, made: Sequence[tuple[str, str, str | None]], now: datetime) -> list[int]:
    """New assets of this kind, code and name, in this order; their ids."""
    if not made:
        return []
    columns = {"kinds": [a for a, _, _ in made], "codes": [b for _, b, _ in made], "names": [c for _, _, c in made]}
    return sorted(tx.execute(_ADD, columns | {"now": now}).scalars())


def describe(tx: Tx, changed: Sequence[Asset]) -> None:
    """What people call them, and what they follow."""
    if changed:
        told = sorted(changed, key=lambda each: each.asset_id)
        columns: dict[str, object] = {
            "ids": [each.asset_id for each in told],
            "kinds": [each.kind for each in told],
            "codes": [each.code for each in told],
            "names": [each.name for each in told],
            "tracks": [each.tracks_id for each in told],
            "multiples": [each.multiple for each in told],
        }
        tx.execute(_DESCRIBE, columns)


def name(tx: Tx, ended: Sequence[Name], begun: Sequence[Named], altered: Sequence[Named], now: datetime) -> None:
    """Names that end, begin, or are said by somebody else, or with other confidence, from now on."""
    if ended:
        tx.execute(_UNNAME, _names(sorted(ended)) | {"now": now})
    for statement, rows in ((_NAME, begun), (_SAY_OTHERWISE, altered)):
        if rows:
            told = sorted(rows, key=lambda each: each.name)
            columns = _names([each.name for each in told]) | {
                "ids": [each.asset_id for each in told],
                "sources": [each.source for each in told],
                "confidences": [each.confidence for each in told],
                "now": now,
            }
            tx.execute(statement, columns)


def contest(tx: Tx, settled: Sequence[Name], found: Mapping[Name, Sequence[int]], now: datetime) -> None:
    """Conflicts that ended, and those that began; one whose assets are others now did both."""
    if settled:
        tx.execute(_SETTLE, _names(sorted(settled)) | {"now": now})
    if found:
        rows = [
            {"scheme": scheme, "value": value, "ids": list(ids), "now": now}
            for (scheme, value), ids in sorted(found.items())
        ]
        tx.execute(_CONFLICT, rows)


def merge(tx: Tx, into: Mapping[int, int], now: datetime) -> None:
    """Assets that became part of others."""
    if into:
        ids = sorted(into)
        tx.execute(_MERGE, {"ids": ids, "into": [into[each] for each in ids], "now": now})


def mean(tx: Tx, ended: Mapping[tuple[str, str], datetime], told: Sequence[Meant]) -> None:
    """Codes whose present meaning ended then, and meanings as they are now told."""
    if ended:
        keys = sorted(ended)
        columns: dict[str, object] = {
            "venues": [venue for venue, _ in keys],
            "codes": [code for _, code in keys],
            "untils": [ended[key] for key in keys],
        }
        tx.execute(_END, columns)
    if told:
        rows = sorted(told, key=lambda each: (each.venue, each.code, each.since))
        columns = {
            "venues": [each.venue for each in rows],
            "codes": [each.code for each in rows],
            "ids": [each.asset_id for each in rows],
            "methods": [each.method for each in rows],
            "sources": [each.source for each in rows],
            "confidences": [each.confidence for each in rows],
            "sinces": [each.since for each in rows],
            "untils": [each.until for each in rows],
        }
        tx.execute(_MEAN, columns)


def _names(names: Sequence[Name]) -> dict[str, object]:
    return {"schemes": [scheme for scheme, _ in names], "values": [value for _, value in names]}
