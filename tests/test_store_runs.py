"""Each reading of a venue leaves one row that says what came of it; the known venues and schemes stand in tables."""

from datetime import timedelta

import pytest

from indexer import known, store
from indexer.store import runs, venues
from tests.lab import listing
from tests.lab.listing import EVERY, NOW, SCOPE, VENUE, list_


@pytest.fixture
def tx(db):
    """A transaction on a register that knows the made venue. Rolled back."""
    with db.connect() as connection, connection.begin():
        listing.begin(connection)
        yield connection


def test_a_run_that_was_applied_says_what_changed(tx):
    list_(tx, "AUSDT", "BUSDT")
    list_(tx, "AUSDT", "CUSDT", at=1, accept=True, unreadable=1)
    second, first = runs.history(tx, VENUE, SCOPE, 10)
    assert (first.status, first.rows, first.new, first.client, first.pages) == ("applied", 2, 2, "made 1", 1)
    assert (second.new, second.same, second.missing, second.unreadable) == (1, 1, 1, 1)
    assert (second.started_at, second.finished_at, second.accepted) == (NOW + EVERY, NOW + EVERY, False)
    assert second.evidence == {"pages": 1}


def test_a_suspect_run_says_why(tx):
    list_(tx, "AUSDT", "BUSDT")
    list_(tx, at=1)
    (newest, _) = runs.history(tx, VENUE, None, 10)
    assert (newest.status, newest.error, newest.new) == ("suspect", None, 0)
    assert newest.reason == "the list has no readable row; 2 live listings are known"


def test_a_run_that_failed_says_its_class_and_when_to_come_back(tx):
    run = runs.begin(tx, VENUE, SCOPE, NOW)
    later = NOW + timedelta(minutes=2)
    runs.fail(tx, run, error="rate_limited", reason="slow down " * 100, retry_at=later, now=NOW)
    (row,) = runs.history(tx, VENUE, SCOPE, 10)
    assert (row.status, row.error, row.retry_at, row.rows) == ("failed", "rate_limited", later, None)
    assert len(row.reason) == runs.MOST_REASON


def test_a_venue_without_credentials_has_not_failed(tx):
    run = runs.begin(tx, VENUE, SCOPE, NOW)
    runs.fail(tx, run, error="disabled", reason="no key", retry_at=None, now=NOW)
    assert runs.history(tx, VENUE, SCOPE, 1)[0].status == "disabled"


def test_a_run_whose_worker_was_lost_is_closed_by_the_next(tx):
    lost = runs.begin(tx, VENUE, SCOPE, NOW)
    other = runs.begin(tx, VENUE, "option", NOW)
    runs.begin(tx, VENUE, SCOPE, NOW + EVERY)
    found = {row.run_id: row for row in runs.history(tx, VENUE, None, 10)}
    assert (found[lost.run_id].status, found[lost.run_id].error) == ("failed", "lost")
    assert found[other.run_id].status == "running"


def test_what_is_finished_stays_as_it_is(tx):
    run = runs.begin(tx, VENUE, SCOPE, NOW)
    runs.fail(tx, run, error="transient", reason="away", retry_at=None, now=NOW)
    runs.fail(tx, run, error="auth", reason="late", retry_at=None, now=NOW + EVERY)
    assert runs.history(tx, VENUE, SCOPE, 1)[0].error == "transient"


def test_the_last_run_of_each_scope_is_told(tx):
    list_(tx, "AUSDT")
    list_(tx, "AUSDT", at=1)
    list_(tx, "AUSDT", scope="option")
    newest = [(row.scope, row.started_at) for row in runs.last(tx)]
    assert newest == [("option", NOW), (SCOPE, NOW + EVERY)]
    assert [row.scope for row in runs.history(tx, VENUE, SCOPE, 1)] == [SCOPE]


def test_known_venues_and_schemes_are_loaded_again_and_again_and_the_unknown_are_switched_off(db):
    for _ in range(2):
        with store.begin(db) as tx:
            venues.load(tx, [*known.venues(), listing.known()], known.schemes())
    with store.begin(db) as tx:
        venues.load(tx, [listing.known(title="Renamed")], [])
        rows = {row.name: row for row in tx.exec_driver_sql("select * from gazetteer.venues")}
        schemes = {row.name: row.licence for row in tx.exec_driver_sql("select * from gazetteer.schemes")}
    assert rows.keys() == {each.name for each in known.venues()} | {VENUE}
    assert (rows[VENUE].title, rows[VENUE].enabled, rows["binance"].enabled) == ("Renamed", True, False)
    assert schemes["cusip"] == "restricted"
