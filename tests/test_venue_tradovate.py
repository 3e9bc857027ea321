"""Tradovate: futures to the last contract, and every way in which it says no, most of them within HTTP 200."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from indexer.errors import (
    BadAnswer,
    BadCredentials,
    BadSetting,
    Banned,
    Disabled,
    GeoBlocked,
    NeedsReauth,
    RateLimited,
    UnreadableRow,
    VenueUnavailable,
)
from indexer.known import venues
from indexer.sim.venues.server import VenueServer
from indexer.sim.venues.tradovate import Tradovate
from indexer.venues import load, tradovate
from tests.brokers import CANARY, Logins, golden, served, session, shown

(ROW,) = (row for row in venues() if row.name == "tradovate")
LOGIN = "/auth/accesstokenrequest"
RENEWAL = "/auth/renewaccesstoken"


@pytest.fixture
def venue() -> Tradovate:
    made = Tradovate(7)
    made.penalty_s = 0.01
    return made


@pytest.fixture
def server(venue: Tradovate) -> Iterator[VenueServer]:
    with served(venue) as running:
        yield running


def fetched(server: VenueServer, logins: Logins | None = None, *, timeout_s: float = 5.0):
    return tradovate.fetch(
        session("tradovate", server.url("tradovate"), timeout_s=timeout_s, logins=logins), "future", {}
    )


def paths(server: VenueServer) -> list[str]:
    return [asked.path for _name, asked in server.asked]


def kept(token: str, *, left_s: float) -> Logins:
    ends = datetime.now(UTC) + timedelta(seconds=left_s)
    return Logins(json.dumps({"accessToken": token, "expirationTime": ends.isoformat()}).encode())


@pytest.mark.parametrize("case", golden("tradovate"), ids=lambda case: case["raw"]["contract"]["name"])
def test_a_row_in_the_venues_shape_becomes_this_listing(case):
    assert shown(tradovate.normalise(case["scope"], case["raw"], case["options"])) == case["listing"]


def test_every_contract_is_listed_with_its_maturity_and_product(server, venue):
    assert load(ROW.adapter, ROW.extra) is tradovate
    told = fetched(server)
    assert list(told.rows) == venue.rows["future"]
    assert told.complete
    assert told.evidence == {
        "products": 6,
        "products_of_other_types": 1,
        "maturities": 24,
        "products_without_maturities": 0,
        "empty_batches": 0,
    }
    first = tradovate.normalise("future", told.rows[0], {})
    assert (first.symbol, str(first.expires_on), first.mic, first.currency) == ("ESZ6", "2026-12-18", "XCME", "USD")
    with pytest.raises(BadSetting, match="no scope 'option'"):
        tradovate.fetch(session("tradovate", server.url("tradovate")), "option", {})


def test_dependents_are_asked_for_in_batches(server, venue, monkeypatch):
    monkeypatch.setattr(tradovate, "BATCH", 10)
    assert list(fetched(server).rows) == venue.rows["future"]
    assert paths(server).count("/contractMaturity/ldeps") == 1
    assert paths(server).count("/contract/ldeps") == 3


def test_a_batch_without_anything_is_no_whole_list(server, venue, monkeypatch):
    monkeypatch.setattr(tradovate, "BATCH", 10)
    venue.faults.add("empty@masterids=46202")
    told = fetched(server)
    assert len(told.rows) == len(venue.rows["future"]) - 10
    assert (told.complete, told.evidence["empty_batches"]) == (False, 1)


def test_an_empty_list_of_products_is_no_complete_one(server, venue):
    venue.faults.add("empty@/product/list")
    assert (list(fetched(server).rows), fetched(server).complete) == ([], False)


def test_dependents_of_somebody_else_are_refused(server, venue, monkeypatch):
    monkeypatch.setattr(tradovate, "BATCH", 2)
    venue.faults.add("astray@/contractMaturity")
    with pytest.raises(BadAnswer, match="of others"):
        fetched(server)


def test_a_login_is_kept_and_used_again(server):
    logins = Logins()
    fetched(server, logins)
    fetched(server, logins)
    assert paths(server).count(LOGIN) == 1
    assert RENEWAL not in paths(server)
    body = json.loads(server.asked[0][1].body)
    assert set(body) == {"name", "password", "cid", "sec", "appId", "appVersion"}
    assert CANARY not in str(logins.token)


def test_a_login_that_ends_soon_is_renewed_and_one_that_has_ended_is_asked_for_anew(server, venue):
    venue.logins.add("old")
    logins = kept("old", left_s=300)
    fetched(server, logins)
    assert paths(server)[0] == RENEWAL
    assert LOGIN not in paths(server)
    assert json.loads(logins.token)["accessToken"] != "old"

    server.asked.clear()
    fetched(server, kept("old", left_s=-1))
    assert paths(server)[0] == LOGIN


def test_a_login_that_the_venue_forgot_is_asked_for_anew_once(server, venue):
    logins = kept("forgotten", left_s=3600)
    assert list(fetched(server, logins).rows) == venue.rows["future"]
    assert paths(server)[:3] == ["/product/list", LOGIN, "/product/list"]

    server.asked.clear()
    assert list(fetched(server, kept("forgotten", left_s=300)).rows) == venue.rows["future"]
    assert paths(server)[:2] == [RENEWAL, LOGIN]

    venue.faults.add("expired")
    server.asked.clear()
    with pytest.raises(BadCredentials):
        fetched(server, logins)
    assert paths(server).count(LOGIN) == 1


@pytest.mark.parametrize("garbage", [b"", b"\xff", b"[]", b'{"accessToken": 1}', b'{"expirationTime": "2999-01-01"}'])
def test_a_kept_login_that_is_none_is_asked_for_anew(server, garbage):
    fetched(server, Logins(garbage))
    assert paths(server)[0] == LOGIN


def test_whoever_logged_in_first_is_followed(server, venue):
    theirs = kept("theirs", left_s=3600).token
    venue.logins.add("theirs")
    logins = Logins()

    def write(_new, _instead_of):
        logins.token = theirs
        return False

    logins.write = write
    fetched(server, logins)
    bearers = {asked.headers["authorization"] for _name, asked in server.asked if asked.path != LOGIN}
    assert bearers == {"Bearer theirs"}


@pytest.mark.parametrize("part", [LOGIN, "/contract/ldeps"])
def test_a_penalty_is_waited_for_and_the_same_question_sent_with_its_ticket(server, venue, part, monkeypatch):
    venue.faults.add(f"penalty@{part}")
    venue.penalty_s, waited_s = 19, []
    monkeypatch.setattr(tradovate.time, "sleep", waited_s.append)
    assert list(fetched(server).rows) == venue.rows["future"]
    assert waited_s == [19]
    first, second = (asked for _name, asked in server.asked if asked.path == part)
    if part == LOGIN:
        assert json.loads(second.body) == json.loads(first.body) | {"p-ticket": "ticket-0"}
    else:
        assert second.query == {**first.query, "p-ticket": "ticket-0"}


def test_a_long_penalty_is_served_by_asking_later_and_endless_ones_are_given_up(server, venue, monkeypatch):
    venue.faults.add(f"penalty@{LOGIN}")
    venue.penalty_s = 61
    with pytest.raises(RateLimited, match="penalty of 61 s") as caught:
        fetched(server)
    assert caught.value.retry_after_s == 61
    venue.penalty_s = 0.01
    monkeypatch.setattr(venue, "_penalty", lambda _asked: {"p-ticket": "again", "p-time": 0.01})
    with pytest.raises(RateLimited, match="penalty after penalty"):
        fetched(server)
    assert paths(server).count(LOGIN) == 1 + tradovate.MOST_PENALTIES


@pytest.mark.parametrize(
    ("fault", "error", "retry_after_s", "says"),
    [
        ("captcha", NeedsReauth, None, "in a browser"),
        ("limited", RateLimited, 3600.0, "429"),
        ("locked", Banned, 3600.0, "423"),
        ("violations", BadAnswer, None, "masterids should be specified"),
        ("geo_blocked", GeoBlocked, None, "451"),
        ("rate_limited", RateLimited, 3600.0, "429"),
        ("banned", Banned, 120.0, "418"),
        ("unavailable", VenueUnavailable, None, "503"),
        ("html", BadAnswer, None, "no JSON"),
        ("truncated", VenueUnavailable, None, "RemoteProtocolError"),
    ],
)
@pytest.mark.parametrize("part", ["/product/list", "/contract/ldeps"])
def test_a_refusal_is_told_apart_and_no_half_list_kept(server, venue, part, fault, error, retry_after_s, says):
    venue.faults.add(f"{fault}@{part}")
    with pytest.raises(error, match=says) as caught:
        fetched(server)
    assert type(caught.value) is error
    assert getattr(caught.value, "retry_after_s", None) == retry_after_s
    assert CANARY not in repr(caught.value)
    assert paths(server)[-1] == part
    assert paths(server).count(part) == 1


def test_a_refused_login_is_not_tried_again(server, venue):
    venue.faults.add("refused")
    with pytest.raises(BadCredentials, match="Incorrect username or password"):
        fetched(server)
    assert paths(server) == [LOGIN]


def test_silence_is_waited_for_no_longer_than_the_timeout(server, venue):
    venue.faults.add("hang@/exchange")
    with pytest.raises(VenueUnavailable, match="ReadTimeout"):
        fetched(server, timeout_s=0.2)


def test_without_credentials_nothing_is_asked(server):
    with pytest.raises(Disabled, match="TRADOVATE_NAME is not set"):
        tradovate.fetch(session("tradovate", server.url("tradovate"), keys=False), "future", {})
    assert not server.asked


@pytest.mark.parametrize("raw", [{}, {"contract": []}, {"contract": {"id": 1}}, {"contract": {"name": "ESZ6"}}])
def test_a_row_without_its_identity_is_unreadable(raw):
    with pytest.raises(UnreadableRow):
        tradovate.normalise("future", raw, {})


@pytest.mark.shared
def test_a_real_contract_is_read_without_a_loss(shared):
    rows = json.loads((shared / "data/broker/tradovate/contract_item_real.json").read_text())
    (listing,) = [tradovate.normalise("future", {"contract": row}, {}) for row in rows]
    assert (listing.symbol, listing.stable_id, str(listing.rules.tick_size)) == ("ESM2", "2710963", "0.25")
    assert (listing.status, listing.venue_status, listing.expires_on) == ("unknown", "DefinitionChecked", None)
