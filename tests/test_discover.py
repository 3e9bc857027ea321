"""A venue is read from first listing to delisting: the real client, a real server, a real database."""

import sys
from datetime import UTC, datetime, timedelta

import pytest

from indexer import known, store, venues
from indexer.flow import discover
from indexer.sim.venues.binance import Binance
from indexer.sim.venues.server import VenueServer
from indexer.store import archive, runs, slots, work
from indexer.store import venues as venue_facts
from indexer.wire.budget import Budget
from indexer.wire.session import VenueSession

START = datetime(2026, 7, 1, tzinfo=UTC)
ROW = next(row for row in known.venues() if row.name == "binance")


class Life:
    """One venue and one register, and a clock that only moves when it is told."""

    def __init__(self, db, venue, server, root):
        self.db, self.venue, self.server, self.root = db, venue, server, root
        self.now = START
        self.row = ROW
        with store.begin(db) as tx:
            venue_facts.load(tx, known.venues(), known.schemes())
            slots.keep(tx, {ROW.name: ROW.scopes}, self.now)

    def run(self, scope="spot", *, secrets=(), load=None, **how):
        session = VenueSession(
            venue=ROW.name,
            timeout_s=2.0,
            urls={"": self.server.url("binance")},
            secrets=dict(secrets),
            budget=Budget("binance", per_s=1000.0, burst=1000.0),
            lane="resolve",
            read_token=lambda: None,
            write_token=lambda _new, _old: True,
            told=lambda _done, _total: None,
        )
        load = load or (lambda: venues.load(self.row.adapter, self.row.extra))
        return discover.discover(
            self.db, self.row, scope, load, session, lambda _tx: self.now, keep_in=self.root, **how
        )

    def later(self, seconds=ROW.every_s):
        self.now += timedelta(seconds=seconds)

    def ask(self, query):
        with store.begin(self.db) as tx:
            return tx.exec_driver_sql(query).all()

    def statuses(self):
        return dict(self.ask("select status, count(*) from gazetteer.listings group by 1"))

    def run_row(self):
        with store.begin(self.db) as tx:
            return runs.history(tx, "binance", None, 1)[0]


@pytest.fixture(scope="module")
def binance():
    venue = Binance(seed=1, size=40)
    server = VenueServer([venue])
    server.start()
    yield venue, server
    server.close()


@pytest.fixture
def life(db, binance, tmp_path):
    venue, server = binance
    fresh = Binance(seed=1, size=40)
    venue.rows, venue.faults = fresh.rows, set()
    return Life(db, venue, server, tmp_path)


def test_a_list_becomes_instruments_with_their_evidence_and_raw_rows(life):
    done = life.run()
    assert isinstance(done, discover.Ran)
    rows = life.venue.rows["spot"]
    assert (done.applied.status, done.applied.new) == ("applied", len(rows))
    row = life.run_row()
    assert row.client.startswith("ccxt ")
    assert row.pages >= 1
    assert archive.read(life.root, row.archive) == rows
    assert life.ask("select count(*) from gazetteer.instruments where venue = 'binance'") == [(len(rows),)]


def test_a_scope_is_read_when_it_is_due_and_on_demand(life):
    life.run()
    assert isinstance(life.run(), discover.NotDue)
    again = life.run(at_once=True)
    assert (again.applied.new, again.applied.changed) == (0, 0)
    life.later()
    assert isinstance(life.run(), discover.Ran)


@pytest.mark.parametrize(
    ("fault", "word", "least_s", "most_s"),
    [
        ("geo_blocked", "geo_blocked", 3600, 86_400),
        ("rate_limited", "rate_limited", 1, 600),
        ("banned", "banned", 60, 3600),
        ("unavailable", "transient", 20, 40),
        ("truncated", "transient", 20, 40),
        ("hang", "transient", 20, 40),
        ("html", "malformed", 20, 40),
    ],
)
def test_every_failure_has_its_word_and_its_time(life, fault, word, least_s, most_s):
    life.run()
    before = life.statuses()
    life.later()
    life.venue.faults = {fault}
    failed = life.run()
    assert (failed.error, life.run_row().status) == (word, "failed")
    assert least_s <= (failed.next_at - life.now).total_seconds() <= most_s
    assert life.statuses() == before


def test_a_ban_rests_every_scope_of_the_venue(life):
    life.venue.faults = {"banned"}
    failed = life.run()
    assert isinstance(life.run("linear"), discover.NotDue)
    life.now = failed.next_at
    life.venue.faults = set()
    assert isinstance(life.run("linear"), discover.Ran)


def test_a_venue_that_keeps_failing_is_asked_less_and_less(life):
    life.venue.faults = {"unavailable"}
    waits = []
    for _ in range(5):
        failed = life.run()
        waits.append((failed.next_at - life.now).total_seconds())
        life.now = failed.next_at
    assert waits[1] > waits[0]
    assert waits[3] > waits[1]
    assert max(waits) <= ROW.every_s * 1.2


def test_half_a_list_changes_nothing_until_a_person_accepts_it(life):
    life.run()
    before = life.statuses()
    life.venue.faults = {"half"}
    life.later()
    suspect = life.run()
    assert suspect.applied.status == "suspect"
    assert life.run_row().status == "suspect"
    assert life.statuses() == before
    assert life.run(accept=True).applied.accepted
    assert life.run_row().accepted


def test_a_row_that_nobody_can_read_delists_nothing_and_is_kept(life):
    life.run()
    live = life.statuses()
    life.venue.faults = {"bad_row"}
    for _ in range(4):
        life.later()
        done = life.run()
        assert (done.applied.unreadable, done.applied.delisted) == (1, 0)
    assert life.statuses() == live
    assert life.ask("select max(missed) from gazetteer.listings") == [(0,)]
    row = life.run_row()
    assert row.evidence["unreadable"][0].startswith("row 0: ")
    assert len(archive.read(life.root, row.archive)) == len(life.venue.rows["spot"])


def test_what_is_missing_three_times_is_delisted_as_of_when_it_went(life):
    life.run()
    gone = life.venue.rows["spot"][3]["symbol"]
    life.venue.rows["spot"] = [row for row in life.venue.rows["spot"] if row["symbol"] != gone]
    life.later()
    went_at = life.now
    for n in range(3):
        done = life.run()
        assert (done.applied.missing, done.applied.delisted) == ((1, 0) if n < 2 else (0, 1))
        life.later()
    query = f"select status, gone_at from gazetteer.listings where symbol = '{gone}' and scope = 'spot'"
    assert life.ask(query) == [("delisted", went_at)]


def test_a_venue_without_its_key_is_disabled_and_says_so_once(life):
    life.row = type(ROW)(**{name: getattr(ROW, name) for name in ROW.__slots__} | {"secrets": ("BINANCE_KEY",)})
    for _ in range(3):
        disabled = life.run(at_once=True)
        assert disabled.error == "disabled"
        assert "BINANCE_KEY is not set" in disabled.reason
    assert [row.status for row in life.ask("select status from gazetteer.venue_runs")] == ["disabled"]
    assert isinstance(life.run(secrets={"BINANCE_KEY": "k"}, at_once=True), discover.Ran)


def test_an_absent_client_disables_its_venue_and_names_what_to_install(life, monkeypatch):
    for name in [
        name for name in sys.modules if name.startswith(("ccxt", "indexer.venues.binance", "indexer.venues.ccxt"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ccxt", None)
    failed = life.run()
    assert (failed.error, life.run_row().status) == ("disabled", "disabled")
    assert "pip install 'gazetteer[cex]'" in failed.reason


def test_whoever_lost_the_lease_writes_nothing(life):
    def slow():
        life.later(3600)
        with store.begin(life.db) as tx:
            assert work.sweep(tx, life.now).returned == 1
        return venues.load(ROW.adapter, ROW.extra)

    assert isinstance(life.run(load=slow), discover.NotDue)
    assert life.statuses() == {}
    assert isinstance(life.run(), discover.Ran)
    assert [row.status for row in life.ask("select status from gazetteer.venue_runs order by run_id")] == [
        "failed",
        "applied",
    ]
