"""The public SQL surface: schema `api`, re-created from `views/*.sql` whenever these files change."""

from hashlib import blake2b
from importlib.resources import files

from sqlalchemy import text

from indexer.store import Tx

READER = "analyst"
_KEY = "api.digest"

# Views are new, and the reader, where there is one, may read them.
_CURRENT = text("""
    select exists (select from gazetteer.meta where key = :key and value = :digest)
       and not exists (
           select from pg_roles where rolname = :reader and not has_schema_privilege(oid, 'api', 'usage'))
""")
_REMEMBER = text("""
    insert into gazetteer.meta (key, value) values (:key, :value)
    on conflict (key) do update set value = excluded.value
""")
_FORGET = text("delete from gazetteer.meta where key = :key")


def apply(tx: Tx) -> bool:
    """(Re)create schema `api` and its reader; False where the database has exactly these views already."""
    scripts = _scripts()
    digest = blake2b("\0".join(scripts).encode(), digest_size=16).hexdigest()
    if tx.execute(_CURRENT, {"key": _KEY, "digest": digest, "reader": READER}).scalar_one():
        return False
    for script in scripts:
        _run(tx, script)
    tx.execute(_REMEMBER, {"key": _KEY, "value": digest})
    return True


def clear(tx: Tx) -> None:
    """Empty schema `api`, so that no view stands on a table that a step wants to change."""
    _run(tx, _scripts()[0])
    tx.execute(_FORGET, {"key": _KEY})


def _run(tx: Tx, script: str) -> None:
    tx.exec_driver_sql(script.replace("%", "%%"))  # the driver takes a single one for a parameter


def _scripts() -> list[str]:
    """The view files in the order of their names."""
    found = [each for each in files("indexer.store").joinpath("views").iterdir() if each.name.endswith(".sql")]
    return [each.read_text(encoding="utf-8") for each in sorted(found, key=lambda each: each.name)]
