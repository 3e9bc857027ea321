"""A venue's login is kept by whoever renewed the one that is there, and by nobody else."""

from datetime import UTC, datetime

from indexer import store
from indexer.store import logins

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_login_is_swapped_only_for_the_one_that_was_read(db):
    with store.begin(db) as tx:
        assert logins.read(tx, "schwab") is None
        assert not logins.swap(tx, "schwab", b"late", b"never there", NOW)
        assert logins.swap(tx, "schwab", b"first", None, NOW)
        assert not logins.swap(tx, "schwab", b"second", None, NOW)
        assert logins.swap(tx, "schwab", b"second", b"first", NOW)
        assert not logins.swap(tx, "schwab", b"other", b"first", NOW)
        assert logins.read(tx, "schwab") == b"second"
        assert logins.read(tx, "tradovate") is None
