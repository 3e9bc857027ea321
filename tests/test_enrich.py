"""What lists do not carry is asked for elsewhere, kept with its source and dates, and not asked for again too soon."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from indexer import known, store, venues
from indexer.errors import Disabled
from indexer.flow import enrich
from indexer.flow.discover import Failed, NotDue
from indexer.model import Details, Identifier, Learned, Listing
from indexer.sim.venues.openfigi import OpenFigi
from indexer.sim.venues.server import VenueServer
from indexer.sim.venues.tws import Tws
from indexer.store import enrichment, runs, slots, work
from indexer.store import venues as venue_facts
from tests.brokers import session
from tests.commands import run, settled
from tests.lab.listing import NOW, list_
from workers import venue_tasks, wiring
from workers.app import venue_task

ROWS = {row.name: row for row in known.venues()}
APPLE, APPLE_CUSIP = "US0378331005", "037833100"


def share(symbol: str, mic: str | None = "XNAS", **more) -> Listing:
    identifiers = tuple(Identifier(scheme=scheme, value=value) for scheme, value in more.pop("ids", {}).items())
    facts = {"stable_id": f"id-{symbol}", "status": "active", "asset_class": "equity", "mic": mic}
    return Listing(symbol=symbol, identifiers=identifiers, **facts | more)


class Life:
    """One source, a register with shares, and a clock that only moves when it is told."""

    def __init__(self, db, name, url):
        self.db, self.row, self.url = db, ROWS[name], url
        self.now = datetime(2026, 10, 1, tzinfo=UTC)
        self.load = lambda: venues.load_enricher(self.row.adapter, self.row.extra)
        with store.begin(db) as tx:
            venue_facts.load(tx, known.venues(), known.schemes())
            slots.keep(tx, {name: self.row.scopes}, self.now)

    def listed(self, *rows, venue="alpaca", scope="equity", at=0, accept=False):
        with store.begin(self.db) as tx:
            list_(tx, *rows, venue=venue, scope=scope, at=at, accept=accept)

    def run(self, *, timeout_s=1.0, at_once=False):
        told = session(self.row.name, self.url, timeout_s=timeout_s)
        return enrich.enrich(self.db, self.row, self.load, told, lambda _tx: self.now, at_once=at_once)

    def later(self, span=timedelta(minutes=10)):
        self.now += span

    def ask(self, query):
        with store.begin(self.db) as tx:
            return [tuple(row) for row in tx.exec_driver_sql(query)]

    def identifiers(self):
        told = "select natural_key, scheme, value from gazetteer.identifiers where source = '{}' and valid_to is null"
        return {(key, scheme): value for key, scheme, value in self.ask(told.format(self.row.name))}


@pytest.fixture
def figi(db):
    venue = OpenFigi(7)
    server = VenueServer([venue])
    server.start()
    life = Life(db, "openfigi", server.url("openfigi"))
    life.venue, life.server = venue, server
    yield life
    server.close()


@pytest.fixture
def tws(db):
    made = Tws(7)
    made.start()
    life = Life(db, "ibkr_tws", made.url)
    life.venue = made
    yield life
    made.close()


def key(symbol, venue="alpaca", scope="equity"):
    return f"v1|{venue}|{scope}|id-{symbol}|0"


def test_a_figi_is_found_by_isin_cusip_or_ticker_and_kept_with_source_and_date(figi):
    rows = [figi.venue.add(name, "XNAS", isin=isin, cusip=cusip) for name, isin, cusip in
            (("AAPL", APPLE, None), ("MSFT", None, "594918104"), ("TSLA", None, None))]  # fmt: skip
    figi.listed(share("A1", None, ids={"isin": APPLE}), share("B1", ids={"cusip": "594918104"}), share("TSLA"))
    done = figi.run()
    assert (done.asked, done.missed, done.identifiers) == (3, 0, 9)
    found = figi.identifiers()
    assert [found[key(name), "figi"] for name in ("A1", "B1", "TSLA")] == [row["figi"] for row in rows]
    assert [found[key(name), "figi_share"] for name in ("A1", "B1", "TSLA")] == [row["shareClassFIGI"] for row in rows]
    assert figi.ask("select distinct valid_from from gazetteer.identifiers where source = 'openfigi'") == [(figi.now,)]
    (run,) = figi.ask("select venue, scope, status, rows, new from gazetteer.venue_runs where venue = 'openfigi'")
    assert run == ("openfigi", "figi", "applied", 3, 9)


def test_nobody_is_asked_about_twice_and_a_run_about_nobody_leaves_no_trace(figi):
    figi.venue.add("AAPL", "XNAS")
    figi.listed(share("AAPL"), share("GONE"))
    assert (figi.run().asked, len(figi.server.asked)) == (2, 1)
    assert isinstance(figi.run(), NotDue)
    figi.later()
    assert figi.run() == enrich.Enriched(asked=0, missed=0, identifiers=0, next_at=figi.now + timedelta(minutes=10))
    assert len(figi.server.asked) == 1
    assert figi.ask("select count(*) from gazetteer.venue_runs where venue = 'openfigi'") == [(1,)]


def test_a_miss_is_remembered_for_a_month(figi):
    figi.listed(share("LATE"))
    assert figi.run().missed == 1
    row = figi.venue.add("LATE", "XNAS")
    figi.later(enrich.MISSED_FOR - timedelta(hours=1))
    assert figi.run().asked == 0
    figi.later(timedelta(hours=1))
    assert figi.run().missed == 0
    assert figi.identifiers()[key("LATE"), "figi"] == row["figi"]


def test_what_does_not_agree_is_not_written(figi):
    first = figi.venue.add("AAPL", "XNAS", isin=APPLE)
    figi.venue.add("AAPL", "XMEX", isin=APPLE)["shareClassFIGI"] = first["shareClassFIGI"]
    figi.listed(share("A1", None, ids={"isin": APPLE}))
    assert figi.run().identifiers == 1
    assert figi.identifiers() == {(key("A1"), "figi_share"): first["shareClassFIGI"]}


def test_only_plain_shares_and_funds_of_brokers_that_lack_one_are_asked_about(figi):
    figi.listed(
        share("OPT", inst_class="option"),
        share("TOK", inst_class="tokenised_share"),
        share("COIN", asset_class="crypto"),
        share("NOWHERE", None),
        share("HAS", ids={"figi": "BBG000B9XRY4"}),
        share("ETF", inst_class="etf"),
    )
    figi.listed(share("CEX"), venue="binance", scope="spot")
    assert figi.run().asked == 1
    assert figi.ask("select convert_from(key, 'UTF8') from gazetteer.work where kind = 'enrich'") == [(key("ETF"),)]


def test_another_answer_ends_the_one_before(figi):
    row = figi.venue.add("AAPL", "XNAS")
    figi.listed(share("AAPL"))
    figi.run()
    old, other = row["figi"], figi.venue.add("OTHER", "XNAS")
    row["figi"] = other["figi"]
    began = figi.now
    figi.later(enrich.KNOWN_FOR)
    assert figi.run().identifiers == 1
    told = "select value, valid_from, valid_to from gazetteer.identifiers where scheme = 'figi' order by valid_from"
    assert figi.ask(told) == [(old, began, figi.now), (other["figi"], figi.now, None)]
    figi.venue.rows["figi"] = []
    figi.later(enrich.KNOWN_FOR)
    assert figi.run().missed == 1
    assert figi.identifiers()[key("AAPL"), "figi"] == other["figi"], "a miss ends nothing"


def test_a_rate_limit_keeps_what_was_answered_and_waits_as_long_as_it_says(figi):
    symbols = [row["ticker"] for row in figi.venue.rows["figi"] if row["micCode"] == "XNAS"][:8]
    figi.listed(*(share(symbol) for symbol in symbols))
    figi.venue.faults.add("rate_limited")
    answer = figi.server._venues["openfigi"].answer

    def once(asked):
        figi.venue.faults.add("rate_limited")
        return answer(asked)

    figi.venue.faults.clear()
    figi.venue.answer = once
    failed = figi.run()
    assert isinstance(failed, Failed)
    assert (failed.error, failed.next_at) == ("rate_limited", figi.now + timedelta(seconds=30))
    assert sum(scheme == "figi" for _, scheme in figi.identifiers()) == 5
    (run,) = figi.ask("select status, error from gazetteer.venue_runs where venue = 'openfigi'")
    assert run == ("failed", "rate_limited")
    figi.venue.answer = answer
    figi.venue.faults.clear()
    figi.now = failed.next_at
    assert figi.run().asked == 0, "whom it left out waits a while"
    figi.later(enrich.UNANSWERED_FOR)
    assert figi.run().asked == 3


def test_a_listing_that_is_gone_is_forgotten(figi):
    figi.listed(share("AAPL"), share("MSFT"))
    figi.run()
    for beat in range(1, 4):
        figi.listed(share("AAPL"), at=beat, accept=True)
    figi.later(enrich.MISSED_FOR)
    assert figi.run().asked == 1
    assert figi.ask("select convert_from(key, 'UTF8') from gazetteer.work where kind = 'enrich'") == [(key("AAPL"),)]


def test_a_lost_lease_writes_nothing(figi):
    figi.venue.add("AAPL", "XNAS")
    figi.listed(share("AAPL"))
    answer = figi.venue.answer

    def slow(asked):
        figi.later(timedelta(hours=1))
        with store.begin(figi.db) as tx:
            work.sweep(tx, figi.now)
        return answer(asked)

    figi.venue.answer = slow
    assert isinstance(figi.run(), NotDue)
    assert figi.identifiers() == {}
    assert figi.ask("select losses from gazetteer.work where kind = 'enrich'") == [(1,)]


def test_two_workers_do_not_ask_the_same(figi):
    figi.listed(share("AAPL"))
    seen = []
    answer = figi.venue.answer

    def meanwhile(asked):
        seen.append(figi.run(at_once=True))
        return answer(asked)

    figi.venue.answer = meanwhile
    assert figi.run().asked == 1
    assert [type(each) for each in seen] == [NotDue]


def test_an_absent_client_disables_its_source(figi):
    def absent():
        raise Disabled("openfigi: openfigi_client is not installed")

    figi.load = absent
    figi.listed(share("AAPL"))
    assert figi.run().error == "disabled"
    (run,) = figi.ask("select status from gazetteer.venue_runs where venue = 'openfigi'")
    assert run == ("disabled",)
    figi.load = lambda: venues.load_enricher("openfigi", "figi")
    assert figi.run(at_once=True).asked == 1


def test_an_isin_and_the_industry_come_from_a_gateway(tws):
    known_ids = [row["conId"] for row in tws.venue.rows["details"]]
    rows = [
        share(f"S{number}", ids={"conid": str(conid)}, details=Details(company_name="By list", sector="Old"))
        for number, conid in enumerate(known_ids)
    ]
    tws.listed(*rows, venue="ibkr", scope="stock")
    tws.listed(share("X", ids={"conid": "1"}))
    done = tws.run()
    assert (done.asked, done.missed, done.identifiers) == (len(rows), 0, len(rows))
    assert len(tws.identifiers()) == len(rows)
    told = tws.ask("select distinct sector, industry, source from gazetteer.details")
    assert told == [("Technology", "Computers", "ibkr_tws")]


def test_a_contract_that_is_never_answered_stops_no_other(tws):
    known_ids = sorted((row["conId"] for row in tws.venue.rows["details"]), key=str)
    rows = [share(str(conid), ids={"conid": str(conid)}) for conid in known_ids]
    tws.listed(*rows, venue="ibkr", scope="stock")
    tws.venue.faults.add(f"silence@{known_ids[1]}")
    failed = tws.run(timeout_s=0.3)
    assert (failed.error, len(tws.identifiers())) == ("transient", 1)
    tws.later(enrich.UNANSWERED_FOR)
    again = tws.run(timeout_s=0.3)
    assert again.error == "transient"
    tws.venue.faults.clear()
    tws.later(enrich.UNANSWERED_FOR)
    assert tws.run(timeout_s=0.3).asked == len(rows) - 1
    assert len(tws.identifiers()) == len(rows)


def test_details_that_nobody_says_stay_as_they_were(tws):
    tws.listed(
        share("A", ids={"conid": "1"}, details=Details(company_name="By list", sector="Old", industry="Older")),
        venue="ibkr",
        scope="stock",
    )
    (natural_key,) = (row[0] for row in tws.ask("select natural_key from gazetteer.listings"))
    with store.begin(tws.db) as tx:
        told = Learned(natural_key=natural_key, details=Details(sector="New"))
        assert enrichment.learn(tx, "ibkr_tws", [told], NOW + timedelta(days=1)) == 0
    row = "select company_name, sector, industry, source from gazetteer.details"
    assert tws.ask(row) == [("By list", "New", "Older", "ibkr_tws")]


def test_sources_have_a_task_of_their_own():
    assert [venue_task(ROWS[name]) for name in ("alpaca", "openfigi", "ibkr_tws")] == [
        "venue.discover",
        "venue.enrich",
        "venue.enrich",
    ]
    asked = [row for row in ROWS.values() if not row.lists and venue_task(row) == "venue.enrich"]
    assert all(len(row.scopes) == 1 and enrich.wanted(row).lacks for row in asked)


def test_a_run_is_told_as_any_other(figi):
    figi.listed(share("AAPL"))
    figi.run()
    with store.begin(figi.db) as tx:
        (run,) = (row for row in runs.last(tx) if row.venue == "openfigi")
    assert (run.status, run.client, run.evidence) == (
        "applied",
        "openfigi",
        {"asked": 1, "identifiers": 0, "not_known": 1},
    )
    assert replace(run, status="x").pages == 1


@pytest.fixture
def place(figi, postgres_url, monkeypatch, tmp_path):
    env = {
        "GAZETTEER_DATABASE_URL": postgres_url,
        "GAZETTEER_VENUES": "alpaca,openfigi",
        "GAZETTEER_URL_OPENFIGI": figi.url,
    }
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENFIGI_API_KEY", raising=False)
    figi.venue.add("AAPL", "XNAS")
    figi.listed(share("AAPL"), share("GONE"))
    with settled(monkeypatch, **env):
        yield figi


def test_a_run_by_hand_says_what_was_learned(place):
    told = run("venues", "run", "openfigi")
    assert (told.exit_code, told.output) == (
        0,
        "openfigi figi: asked about 2 listings, 3 identifiers new, 1 not known\n",
    )
    place.venue.faults.add("unavailable")
    with store.begin(place.db) as tx:
        tx.exec_driver_sql("update gazetteer.work set due = now() where kind = 'enrich'")
    failed = run("venues", "run", "openfigi")
    assert (failed.exit_code, failed.output) == (1, "openfigi figi: transient: openfigi: HTTP 503\n")


def test_the_task_asks_what_is_due_once(place):
    wiring.due_venues()
    with store.begin(place.db) as tx:
        tx.exec_driver_sql("update gazetteer.work set due = now() where kind = 'venue'")
    for _ in range(2):
        venue_tasks.enrich_listings("openfigi", "figi")
    assert len(place.server.asked) == 1
    assert place.identifiers()[key("AAPL"), "figi"]
    venue_tasks.enrich_listings("ibkr_tws", "details")
    assert place.ask("select distinct venue from gazetteer.venue_runs where venue <> 'alpaca'") == [("openfigi",)]
