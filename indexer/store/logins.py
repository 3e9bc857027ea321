"""The login that a venue's file keeps between runs, opaque, and never overwritten by somebody who had read another."""

from datetime import datetime

from sqlalchemy import text

from indexer.store import Tx

_READ = text("select token from gazetteer.venue_tokens where venue = :venue")

_FIRST = text("""
    insert into gazetteer.venue_tokens (venue, token, kept_at) values (:venue, :new, :now)
    on conflict (venue) do nothing
""")

_SWAP = text("""
    update gazetteer.venue_tokens set token = :new, kept_at = :now where venue = :venue and token = :old
""")


def read(tx: Tx, venue: str) -> bytes | None:
    """The kept login; None: there never was one."""
    token = tx.execute(_READ, {"venue": venue}).scalar_one_or_none()
    return None if token is None else bytes(token)


def swap(tx: Tx, venue: str, new: bytes, instead_of: bytes | None, now: datetime) -> bool:
    """Keep `new` if what is kept is still `instead_of` (None: nothing). False: somebody else renewed it meanwhile."""
    facts = {"venue": venue, "new": new, "old": instead_of, "now": now}
    return tx.execute(_FIRST if instead_of is None else _SWAP, facts).rowcount > 0
