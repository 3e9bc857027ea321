"""Exchanges are asked by the unmodified client over real sockets: all is listed, or the run says what went wrong."""

import logging
from collections.abc import Iterator

import pytest

from indexer import venues
from indexer.errors import (
    BadAnswer,
    BadSetting,
    Banned,
    GazetteerError,
    GeoBlocked,
    RateLimited,
    UnreadableRow,
    VenueUnavailable,
)
from indexer.sim.venues.binance import Binance
from indexer.sim.venues.bybit import Bybit
from indexer.sim.venues.coinbase import Coinbase
from indexer.sim.venues.exchange import Exchange
from indexer.sim.venues.kraken import Kraken
from indexer.sim.venues.server import VenueServer
from tests.asked import VENUES, session

SIMULATED = {kind.name: kind for kind in (Binance, Coinbase, Kraken, Bybit)}
SCOPES = [(name, scope) for name in SIMULATED for scope in VENUES[name].scopes]


@pytest.fixture
def exchanges() -> dict[str, Exchange]:
    return {name: kind(seed=7) for name, kind in SIMULATED.items()}


@pytest.fixture
def server(exchanges: dict[str, Exchange]) -> Iterator[VenueServer]:
    running = VenueServer(list(exchanges.values()))
    running.start()
    yield running
    running.close()


def fetched(server: VenueServer, name: str, scope: str, **how):
    row = VENUES[name]
    return venues.load(row.adapter, row.extra).fetch(session(name, server.url(name), **how), scope, row.options)


def listed(name: str, scope: str, rows):
    row = VENUES[name]
    return [venues.load(row.adapter, row.extra).normalise(scope, each, row.options) for each in rows]


@pytest.mark.parametrize(("name", "scope"), SCOPES)
def test_all_that_an_exchange_lists_is_fetched_as_it_sent_it(server, exchanges, name, scope):
    snapshot = fetched(server, name, scope)
    assert snapshot.complete
    assert snapshot.evidence["rows"] == len(snapshot.rows)
    assert snapshot.client.startswith("ccxt 4.")
    key = exchanges[name].ids[scope]
    assert {row[key]: row for row in snapshot.rows} == {row[key]: row for row in exchanges[name].rows[scope]}
    assert len({each.stable_id for each in listed(name, scope, snapshot.rows)}) == len(exchanges[name].rows[scope])


@pytest.mark.parametrize(
    ("fault", "error", "retry_after_s"),
    [
        ("geo_blocked", GeoBlocked, None),
        ("rate_limited", RateLimited, 30.0),
        ("banned", Banned, 120.0),
        ("unavailable", VenueUnavailable, None),
        ("html", BadAnswer, None),
        ("truncated", VenueUnavailable, None),
    ],
)
@pytest.mark.parametrize(("name", "scope"), SCOPES)
def test_a_refusal_is_never_a_list(server, exchanges, name, scope, fault, error, retry_after_s):
    exchanges[name].faults.add(fault)
    with pytest.raises(error) as raised:
        fetched(server, name, scope)
    assert type(raised.value) is error
    assert getattr(raised.value, "retry_after_s", None) == retry_after_s
    assert str(raised.value).startswith(f"{name}: ")


@pytest.mark.parametrize("name", sorted(SIMULATED))
def test_silence_ends_with_the_sessions_timeout(server, exchanges, name):
    exchanges[name].faults.add("hang")
    with pytest.raises(VenueUnavailable, match="Timeout"):
        fetched(server, name, VENUES[name].scopes[0], timeout_s=0.3)


@pytest.mark.parametrize("name", sorted(SIMULATED))
def test_a_venue_that_nobody_answers_for_is_unavailable(name):
    row = VENUES[name]
    with pytest.raises(VenueUnavailable):
        venues.load(row.adapter, row.extra).fetch(session(name, "http://127.0.0.1:9/x"), row.scopes[0], row.options)


@pytest.mark.parametrize(("name", "scope"), SCOPES)
def test_an_empty_list_is_not_complete(server, exchanges, name, scope):
    exchanges[name].faults.add("empty")
    snapshot = fetched(server, name, scope)
    assert (list(snapshot.rows), snapshot.complete) == ([], False)


@pytest.mark.parametrize(("name", "scope"), SCOPES)
def test_a_word_that_nobody_knows_costs_nothing_but_its_meaning(server, exchanges, name, scope):
    exchanges[name].faults.add("new_status")
    snapshot = fetched(server, name, scope)
    told = listed(name, scope, snapshot.rows)
    if exchanges[name].words[scope] == "type":
        assert [each.status for each in told if each.inst_class is None] == ["unknown"]
    else:
        assert [each.venue_status for each in told if each.status == "unknown"] == ["QUITE_NEW"]
    assert len(snapshot.rows) == len(exchanges[name].rows[scope])


@pytest.mark.parametrize(("name", "scope"), SCOPES)
def test_a_row_without_its_name_is_unreadable_and_the_others_are_not(server, exchanges, name, scope):
    exchanges[name].faults.add("bad_row")
    snapshot = fetched(server, name, scope)
    assert len(snapshot.rows) == len(exchanges[name].rows[scope])
    nameless = [row for row in snapshot.rows if not row.get(exchanges[name].ids[scope])]
    assert len(nameless) == 1
    with pytest.raises(UnreadableRow):
        listed(name, scope, nameless)
    assert len(listed(name, scope, [row for row in snapshot.rows if row not in nameless])) == len(snapshot.rows) - 1


def test_what_a_venue_answers_inside_status_200_is_an_error_all_the_same(server, exchanges):
    exchanges["kraken"].faults.add("busy")
    with pytest.raises(VenueUnavailable, match="EService:Unavailable"):
        fetched(server, "kraken", "spot")
    with pytest.raises(GazetteerError):
        fetched(server, "kraken", "future")


def test_binance_asks_only_the_address_of_the_scope(server):
    for scope, path in (("spot", "/api/v3"), ("linear", "/fapi/v1"), ("inverse", "/dapi/v1"), ("option", "/eapi/v1")):
        server.asked.clear()
        fetched(server, "binance", scope)
        assert [asked.path for _venue, asked in server.asked] == [f"{path}/exchangeInfo"]


def test_coinbase_futures_that_fail_are_said_to_fail(server, exchanges):
    exchanges["coinbase"].faults.add("unavailable@product_type=FUTURE")
    assert fetched(server, "coinbase", "spot").complete
    with pytest.raises(VenueUnavailable):
        fetched(server, "coinbase", "future")


def test_coinbase_is_whole_only_if_it_is_as_much_as_it_counts(server, exchanges):
    exchanges["coinbase"].faults.add("half")
    snapshot = fetched(server, "coinbase", "spot")
    assert not snapshot.complete
    assert (snapshot.evidence["num_products"], snapshot.evidence["rows"]) == ("300", 150)


def test_coinbase_is_read_to_the_last_page(server, exchanges):
    exchanges["coinbase"].page_rows = 70
    snapshot = fetched(server, "coinbase", "spot")
    assert (snapshot.complete, snapshot.pages, len(snapshot.rows)) == (True, 5, 300)
    exchanges["coinbase"].faults.add("unavailable@offset=140")
    with pytest.raises(VenueUnavailable):
        fetched(server, "coinbase", "spot")


def test_kraken_lists_tokenised_shares_apart(server):
    shares = listed("kraken", "tokenised", fetched(server, "kraken", "tokenised").rows)
    assert {each.inst_class for each in shares} == {"tokenised_share"}
    assert shares[0].tracks == "AAPL"
    assert not {each.stable_id for each in shares} & {row["pair"] for row in fetched(server, "kraken", "spot").rows}


def test_bybit_is_read_to_the_last_page(server, exchanges):
    exchanges["bybit"].page_rows = 64
    progress: list = []
    snapshot = fetched(server, "bybit", "option", progress=progress)
    assert (snapshot.complete, snapshot.pages, len(snapshot.rows)) == (True, 5, 300)
    assert progress == [(page, None) for page in range(1, 6)]
    assert {row["baseCoin"] for row in snapshot.rows} == {"BTC", "ETH", "SOL", "HYPE"}


@pytest.mark.parametrize("scope", ["linear", "inverse", "option"])
@pytest.mark.parametrize("fault", ["empty_page", "same_cursor"])
def test_a_page_that_leads_nowhere_makes_the_list_incomplete(server, exchanges, scope, fault):
    exchanges["bybit"].page_rows = 20
    exchanges["bybit"].faults.add(fault)
    snapshot = fetched(server, "bybit", scope)
    assert not snapshot.complete
    assert snapshot.evidence["cursors_ended"] is False


@pytest.mark.parametrize(
    ("fault", "error"), [("unavailable@cursor=page20", VenueUnavailable), ("error_page", GazetteerError)]
)
def test_a_page_that_fails_fails_the_run(server, exchanges, fault, error):
    exchanges["bybit"].page_rows = 20
    exchanges["bybit"].faults.add(fault)
    with pytest.raises(error):
        fetched(server, "bybit", "linear")


def test_bybit_lists_what_has_not_begun_too(server):
    by_symbol = {
        each.symbol: each.status for each in listed("bybit", "linear", fetched(server, "bybit", "linear").rows)
    }
    assert by_symbol["NEXTUSDT"] == "pre_listing"


def test_a_contract_that_begins_while_it_is_listed_is_listed_once(server, exchanges):
    rows = exchanges["bybit"].rows["linear"]
    exchanges["bybit"].rows["linear"] = [*rows, {**rows[-1], "status": "Trading"}]
    snapshot = fetched(server, "bybit", "linear")
    assert [row["status"] for row in snapshot.rows if row["symbol"] == "NEXTUSDT"] == ["Trading"]


def test_every_request_waits_for_the_budget(server):
    asked = session("bybit", server.url("bybit"))
    drawn: list[int] = []

    class Counting:
        def __getattr__(self, name: str):
            return getattr(asked, name)

        def draw(self, cost: int = 1) -> None:
            drawn.append(cost)

    row = VENUES["bybit"]
    snapshot = venues.load("bybit", "cex").fetch(Counting(), "linear", row.options)
    assert len(drawn) == snapshot.pages == len(server.asked) == 2


def test_a_budget_that_is_spent_ends_the_run_before_it_asks(server):
    asked = session("binance", server.url("binance"))

    class Spent:
        def __getattr__(self, name: str):
            return getattr(asked, name)

        def draw(self, cost: int = 1) -> None:
            raise RateLimited(f"no budget for {cost}", retry_after_s=9.0)

    with pytest.raises(RateLimited, match="no budget for 1"):
        venues.load("binance", "cex").fetch(Spent(), "spot", {})
    assert not server.asked


@pytest.mark.parametrize("fault", ["geo_blocked", "unavailable", "html", "truncated", "rate_limited"])
def test_the_place_that_is_asked_stands_in_no_error(server, exchanges, caplog, fault):
    caplog.set_level(logging.INFO)
    exchanges["kraken"].faults.add(fault)
    with pytest.raises(GazetteerError) as raised:
        fetched(server, "kraken", "spot")
    assert str(server.port) not in f"{raised.value}{caplog.text}"
    assert raised.value.__suppress_context__
    assert raised.value.__cause__ is None


@pytest.mark.parametrize("name", sorted(SIMULATED))
def test_a_scope_that_a_venue_has_not_is_refused_with_those_that_it_has(server, name):
    with pytest.raises(BadSetting, match=f"{name} has no scope moon; write one of "):
        fetched(server, name, "moon")
