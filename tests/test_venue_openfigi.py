"""OpenFIGI: by the surest name, few jobs at a time, and nothing where its answers do not agree."""

import json
from collections.abc import Iterator

import pytest

from indexer.errors import BadAnswer, BadCredentials, Banned, GeoBlocked, RateLimited, VenueUnavailable
from indexer.known import venues
from indexer.model import Sought
from indexer.sim.venues.openfigi import OpenFigi
from indexer.sim.venues.server import VenueServer
from indexer.venues import load_enricher, openfigi
from tests.brokers import CANARY, served, session

(ROW,) = (row for row in venues() if row.name == "openfigi")
APPLE, APPLE_CUSIP = "US0378331005", "037833100"


@pytest.fixture
def venue() -> OpenFigi:
    return OpenFigi(7)


@pytest.fixture
def server(venue: OpenFigi) -> Iterator[VenueServer]:
    with served(venue) as running:
        yield running


def share(symbol: str, mic: str | None = None, **identifiers: str) -> Sought:
    return Sought(natural_key=symbol, symbol=symbol, mic=mic, asset_class="equity", identifiers=identifiers)


def asked_for(server: VenueServer, *sought: Sought, key: str | None = None, timeout_s: float = 5.0):
    told = session("openfigi", server.url("openfigi"), timeout_s=timeout_s)
    told.secrets.update({"OPENFIGI_API_KEY": key} if key else {})
    found = {each.natural_key: each for each in openfigi.look_up(told, sought, {})}
    assert set(found) == {each.natural_key for each in sought}
    return {key: {one.scheme: one.value for one in each.identifiers} for key, each in found.items()}


def jobs(server: VenueServer) -> list[list[dict]]:
    return [json.loads(asked.body) for _name, asked in server.asked]


def test_a_listing_is_found_by_its_surest_name(server, venue):
    assert load_enricher(ROW.adapter, ROW.extra) is openfigi
    row = venue.add("AAPL", "XNAS", isin=APPLE, cusip=APPLE_CUSIP)
    told = asked_for(
        server,
        share("by isin", isin=APPLE, cusip=APPLE_CUSIP),
        share("by cusip", "XNAS", cusip=APPLE_CUSIP),
        share("AAPL", "XNAS"),
    )
    all_three = {"figi": row["figi"], "figi_composite": row["compositeFIGI"], "figi_share": row["shareClassFIGI"]}
    assert list(told.values()) == [all_three] * 3
    assert jobs(server) == [
        [
            {"idType": "ID_ISIN", "idValue": APPLE},
            {"idType": "ID_CUSIP", "idValue": APPLE_CUSIP, "micCode": "XNAS"},
            {"idType": "TICKER", "idValue": "AAPL", "micCode": "XNAS", "marketSecDes": "Equity"},
        ]
    ]


def test_only_what_all_answers_agree_upon_is_believed(server, venue):
    first = venue.add("AAPL", "XNAS", isin=APPLE)
    second = venue.add("AAPL", "XMEX", isin=APPLE)
    second |= {"shareClassFIGI": first["shareClassFIGI"]}
    told = asked_for(server, share("anywhere", isin=APPLE), share("there", "XNAS", isin=APPLE))
    assert told["anywhere"] == {"figi_share": first["shareClassFIGI"]}
    assert told["there"]["figi"] == first["figi"]
    second["shareClassFIGI"] = None
    assert asked_for(server, share("anywhere", isin=APPLE)) == {"anywhere": {}}


def test_a_wrong_check_digit_or_another_ticker_is_not_believed(server, venue):
    row = venue.add("AAPL", "XNAS", isin=APPLE)
    row["figi"] = row["figi"][:-1] + str((int(row["figi"][-1]) + 1) % 10)
    assert set(asked_for(server, share("x", "XNAS", isin=APPLE))["x"]) == {"figi_composite", "figi_share"}
    answer = venue._told
    venue._told = lambda job: {"data": [each | {"ticker": "AAPL US"} for each in answer(job)["data"]]}
    assert asked_for(server, share("AAPL", "XNAS")) == {"AAPL": {}}


@pytest.mark.parametrize(("key", "sizes"), [(None, [5, 5, 2]), (CANARY, [12])])
def test_jobs_are_asked_for_by_as_many_as_are_allowed(server, venue, key, sizes):
    rows = venue.rows["figi"][:12]
    told = asked_for(server, *(share(row["ticker"], row["micCode"]) for row in rows), key=key)
    assert [len(each) for each in jobs(server)] == sizes
    assert [told[row["ticker"]]["figi"] for row in rows] == [row["figi"] for row in rows]
    assert {asked.headers.get("x-openfigi-apikey") for _name, asked in server.asked} == {key}


def test_whoever_cannot_be_asked_for_is_not(server):
    future = Sought(natural_key="future", symbol="ESZ6", mic="XCME")
    assert asked_for(server, share("BRK.B", "XNYS"), share("AAPL"), future) == {"BRK.B": {}, "AAPL": {}, "future": {}}
    assert not server.asked
    assert asked_for(server, share("ZZZZ", "XNAS")) == {"ZZZZ": {}}


def test_a_job_that_is_refused_is_a_miss(server, venue):
    venue.faults.add("no_jobs")
    assert asked_for(server, share("AAPL", "XNAS")) == {"AAPL": {}}


@pytest.mark.parametrize(
    ("fault", "error", "retry_after_s"),
    [
        ("limited", RateLimited, 6.0),
        ("rate_limited", RateLimited, 30.0),
        ("banned", Banned, 120.0),
        ("geo_blocked", GeoBlocked, None),
        ("unavailable", VenueUnavailable, None),
        ("truncated", VenueUnavailable, None),
        ("html", BadAnswer, None),
        ("short", BadAnswer, None),
        ("hang", VenueUnavailable, None),
    ],
)
def test_a_refusal_is_told_apart(server, venue, fault, error, retry_after_s):
    venue.faults.add(fault)
    with pytest.raises(error) as caught:
        asked_for(server, share("AAPL", "XNAS"), key=CANARY, timeout_s=0.5)
    assert type(caught.value) is error
    assert type(caught.value) is not BadCredentials
    assert getattr(caught.value, "retry_after_s", None) == retry_after_s
    assert CANARY not in repr(caught.value)


def test_what_was_answered_before_a_refusal_has_been_told(server, venue):
    rows = venue.rows["figi"][:12]
    found = openfigi.look_up(
        session("openfigi", server.url("openfigi")), [share(row["ticker"], row["micCode"]) for row in rows], {}
    )
    assert [next(found).natural_key for _ in range(5)] == [row["ticker"] for row in rows[:5]]
    venue.faults.add("limited")
    with pytest.raises(RateLimited):
        next(found)
