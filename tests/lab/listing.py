"""Lists of a made venue, applied by the same functions that workers call."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from indexer.model import Listing
from indexer.store import listings, runs, venues

VENUE, SCOPE = "madex", "spot"
NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
EVERY = timedelta(minutes=5)


def known(name=VENUE, scopes=(SCOPE, "option"), **more):
    facts = {
        "name": name,
        "title": name.title(),
        "kind": "cex",
        "mic": None,
        "licence": "public",
        "licence_note": "",
        "every_s": EVERY.total_seconds(),
        "scopes": scopes,
        "source": "made for a test",
        "enabled": True,
    }
    return SimpleNamespace(**facts | more)


def scheme(name, licence="public"):
    return SimpleNamespace(name=name, title=name.upper(), licence=licence, licence_note="", source="made for a test")


def begin(tx):
    venues.load(tx, [known()], [scheme("isin"), scheme("cusip", "restricted")])


def pair(symbol, **more):
    facts = {"stable_id": symbol, "status": "active", "venue_status": "TRADING", "asset_class": "crypto",
             "inst_class": "spot", "base": symbol.removesuffix("USDT"), "quote": "USDT", "tradable": True}  # fmt: skip
    return Listing(symbol=symbol, **facts | more)


def list_(tx, *rows, at=0, scope=SCOPE, complete=True, unreadable=0, accept=False, venue=VENUE):
    """Apply one list at the `at`-th beat; symbols stand for plain pairs. What `apply` said."""
    now = NOW + at * EVERY
    run = runs.begin(tx, venue, scope, now)
    rows = [pair(row) if isinstance(row, str) else row for row in rows]
    told = listings.apply(
        tx, run, listings.prepare(rows), complete=complete, unreadable=unreadable, accept=accept, now=now
    )
    runs.finish(tx, run, told, client="made 1", pages=1, evidence={"pages": 1}, archive=None, now=now)
    return told
