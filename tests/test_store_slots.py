"""A venue's scope is run by one process at a time, when it is due, and keeps its place."""

from datetime import UTC, datetime, timedelta

import pytest

from indexer import store
from indexer.store import slots, work

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)


@pytest.fixture
def kept(db):
    with store.begin(db) as tx:
        slots.keep(tx, {"binance": ["spot", "linear"], "alpaca": ["equity"]}, NOW)
    return db


def claim(db, scope="spot", now=NOW, **more):
    with store.begin(db) as tx:
        return slots.claim(tx, "binance", scope, lease_s=60, now=now, **more)


def due(db, now=NOW):
    with store.begin(db) as tx:
        return slots.due(tx, now)


def test_a_scope_is_run_by_one_process_at_a_time(kept):
    claimed = claim(kept)
    assert claimed.keys == (b"spot",)
    assert claim(kept) is None
    assert claim(kept, at_once=True) is None
    assert due(kept) == [("alpaca", "equity"), ("binance", "linear")]


def test_a_run_scope_waits_for_its_next_time(kept):
    claimed = claim(kept)
    with store.begin(kept) as tx:
        assert slots.finish(tx, claimed, LATER, "disabled: no key")
        assert not slots.finish(tx, claimed, NOW, None)
    assert claim(kept) is None
    assert claim(kept, at_once=True) is not None
    with store.begin(kept) as tx:
        assert [slot.reason for slot in slots.all_of(tx)] == [None, None, "disabled: no key"]


def test_a_lost_worker_costs_a_loss_and_a_good_run_forgets_it(kept):
    claim(kept)
    with store.begin(kept) as tx:
        assert work.sweep(tx, LATER).returned == 1
    claimed = claim(kept, now=LATER)
    assert claimed.losses == 1
    with store.begin(kept) as tx:
        slots.finish(tx, claimed, LATER, None)
    assert claim(kept, now=LATER).losses == 0


def test_a_ban_stops_every_scope_of_its_venue_and_no_other(kept):
    with store.begin(kept) as tx:
        slots.put_off(tx, "binance", LATER, "banned")
    assert due(kept) == [("alpaca", "equity")]
    assert due(kept, LATER) == [("alpaca", "equity"), ("binance", "linear"), ("binance", "spot")]


def test_a_process_of_other_settings_takes_no_slot_away(kept):
    claimed = claim(kept)
    with store.begin(kept) as tx:
        slots.finish(tx, claimed, LATER, None)
        slots.add(tx, {"alpaca": ["equity", "option"]}, NOW)
    assert due(kept) == [("alpaca", "equity"), ("alpaca", "option"), ("binance", "linear")]
    assert ("binance", "spot") in due(kept, LATER)


def test_scopes_come_and_go_with_the_settings_and_keep_their_time(kept):
    claimed = claim(kept)
    with store.begin(kept) as tx:
        slots.finish(tx, claimed, LATER, None)
        slots.keep(tx, {"binance": ["spot", "option"]}, LATER)
    assert due(kept) == []
    assert due(kept, LATER) == [("binance", "option"), ("binance", "spot")]
