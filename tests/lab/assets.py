"""Assets as a test asks for them: by what is together, never by number."""

from sqlalchemy import text

from indexer import store


def rows(db, query, **facts):
    with store.begin(db) as tx:
        return [tuple(row) for row in tx.execute(text(query), facts)]


def one(db, query, **facts):
    (row,) = rows(db, query, **facts)
    return row


def about(db, key):
    """Of a listing: the names of the assets it is about, each with method and confidence."""
    return set(
        rows(
            db,
            """
            select a.kind, a.code, s.method, s.confidence, s.role
            from api.same_asset s join api.assets a using (asset_id) where s.natural_key = :key
            """,
            key=key,
        )
    )


def asset_of(db, key, role="base"):
    query = "select asset_id from api.same_asset where natural_key = :key and role = :role"
    (found,) = {row[0] for row in rows(db, query, key=key, role=role)}
    return found


def state(db):
    """Everything that holds now, without numbers and dates: what is together with what, and why."""
    names = rows(
        db,
        """
        select a.kind, a.code, a.name, t.code, a.multiple,
               array(select i.scheme || ' ' || i.value || ' ' || i.source || ' ' || i.confidence
                     from gazetteer.asset_identifiers i
                     where i.asset_id = a.asset_id and i.valid_to is null order by 1),
               array(select v.venue || ' ' || v.code || ' ' || v.method || ' ' || v.source || ' ' || v.confidence
                     from gazetteer.venue_assets v where v.asset_id = a.asset_id and v.valid_to is null order by 1)
        from gazetteer.assets a
        left join gazetteer.assets t on t.asset_id = a.tracks_id
        where not exists (select from gazetteer.asset_merges m where m.asset_id = a.asset_id)
        """,
    )
    conflicts = rows(db, "select scheme, value, cardinality(asset_ids) from api.asset_conflicts where valid_to is null")
    return sorted(map(repr, names)), sorted(map(repr, conflicts))


def everything(db):
    """Every row of every table of assets, numbers and dates included."""
    tables = ("assets", "asset_identifiers", "venue_assets", "asset_conflicts", "asset_merges", "asset_claims")
    return {table: sorted(map(repr, rows(db, f"select * from gazetteer.{table}"))) for table in tables}
