"""The public SQL surface: schema `api`, re-created from `views/*.sql` whenever these files change."""

from hashlib import blake2b
from importlib.resources import files

from sqlalchemy import text

from indexer.store import Tx

_KEY = "api.digest"

_KNOWN = text("select value from gazetteer.meta where key = :key")
_REMEMBER = text("""
    insert into gazetteer.meta (key, value) values (:key, :value)
    on conflict (key) do update set value = excluded.value
""")


def apply(tx: Tx) -> bool:
    """(Re)create schema `api` and its reader; False where the database has exactly these views already."""
    scripts = [(name, script) for name, script in _scripts()]
    digest = blake2b("\0".join(script for _, script in scripts).encode(), digest_size=16).hexdigest()
    if tx.execute(_KNOWN, {"key": _KEY}).scalar_one_or_none() == digest:
        return False
    for _, script in scripts:
        tx.exec_driver_sql(script)
    tx.execute(_REMEMBER, {"key": _KEY, "value": digest})
    return True


def _scripts() -> list[tuple[str, str]]:
    """The view files in the order of their names."""
    found = [each for each in files("indexer.store").joinpath("views").iterdir() if each.name.endswith(".sql")]
    return sorted((each.name, each.read_text(encoding="utf-8")) for each in found)
