"""Interactive Brokers' Web API: lists of what the operator names, a signed login, and nobody's session taken away."""

import json
from base64 import b64encode
from collections.abc import Iterator

import pytest
from Crypto.Cipher import PKCS1_v1_5
from Crypto.PublicKey import RSA

from indexer.errors import (
    AnswerTooLarge,
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
from indexer.sim.venues.ibkr import CURRENCIES, Ibkr, OAuth
from indexer.sim.venues.server import VenueServer
from indexer.venues import ibkr, load
from indexer.wire.session import VenueSession
from tests.brokers import CANARY, golden, served, session, shown

(ROW,) = (row for row in venues() if row.name == "ibkr")
PRIME = f"{2**521 - 1:x}"
SECRET = b"the access token's secret"
SCOPES = ("stock", "future", "fx", "option")
OPTIONS = {
    "login": "gateway",
    "exchanges": ["NASDAQ", "NYSE"],
    "roots": ["ES", "CL"],
    "currencies": list(CURRENCIES),
    "underlyings": {"AAPL": 265598},
}


@pytest.fixture
def venue() -> Ibkr:
    return Ibkr(7)


@pytest.fixture
def server(venue: Ibkr) -> Iterator[VenueServer]:
    with served(venue) as running:
        yield running


def fetched(server: VenueServer, scope: str = "stock", *, timeout_s: float = 5.0, **options):
    told = session("ibkr", server.url("ibkr") + "/v1/api", timeout_s=timeout_s)
    return ibkr.fetch(told, scope, OPTIONS | options)


def paths(server: VenueServer) -> list[str]:
    return [asked.path.removeprefix("/v1/api/") for _name, asked in server.asked]


@pytest.mark.parametrize("case", golden("ibkr"), ids=lambda case: case["scope"] + case["listing"]["stable_id"])
def test_a_row_in_the_venues_shape_becomes_this_listing(case):
    assert shown(ibkr.normalise(case["scope"], case["raw"], case["options"])) == case["listing"]


@pytest.mark.parametrize("scope", SCOPES)
def test_everything_that_was_named_is_listed(server, venue, scope):
    assert load(ROW.adapter, ROW.extra) is ibkr
    told = fetched(server, scope)
    assert sorted(told.rows, key=str) == sorted(venue.rows[scope], key=str)
    assert told.complete
    assert told.client.startswith("ibind ")
    listings = [ibkr.normalise(scope, row, {}) for row in told.rows]
    assert len({listing.stable_id for listing in listings}) == len(listings)
    assert all(listing.currency for listing in listings)


def test_definitions_are_asked_for_by_the_hundred_and_counted(server, venue):
    told = fetched(server)
    assert paths(server).count("trsrv/secdef") == -(-len(venue.rows["stock"]) // 100)
    assert told.evidence["contracts"] == len(venue.rows["stock"]) == sum(told.evidence["exchanges"].values())
    assert told.evidence["undefined"] == 0


def test_a_share_on_several_exchanges_is_listed_once(server, venue):
    again = [row | {"exchange": "BATS"} for row in venue.rows["stock"] if row["exchange"] == "NASDAQ"]
    alone = list(venue.rows["stock"])
    venue.rows["stock"] = [*alone, *again]
    told = fetched(server, exchanges=["NASDAQ", "NYSE", "BATS"])
    assert sorted(told.rows, key=str) == sorted(alone, key=str)
    assert told.evidence["exchanges"]["BATS"] == len(again)


@pytest.mark.parametrize(
    ("scope", "more"),
    [
        ("stock", {"exchanges": ["NASDAQ", "NOWHERE"]}),
        ("stock", {"exchanges": []}),
        ("future", {"roots": ["ES", "XX"]}),
        ("fx", {"currencies": ["USD", "XXX"]}),
        ("option", {"months": 0}),
    ],
)
def test_a_name_that_nothing_hangs_on_is_no_whole_list(server, scope, more):
    assert not fetched(server, scope, **more).complete


@pytest.mark.parametrize("scope", ["stock", "fx"])
def test_empty_lists_are_no_whole_ones(server, venue, scope):
    venue.faults.add("empty")
    told = fetched(server, scope)
    assert (list(told.rows), told.complete) == ([], False)


def test_definitions_that_all_are_missing_are_no_answer(server, venue):
    venue.faults.add("undefined")
    with pytest.raises(BadAnswer, match="no definition of any of 100"):
        fetched(server)


def test_options_are_asked_for_strike_by_strike_after_the_search(server):
    told = fetched(server, "option", months=1)
    assert paths(server)[0] == "iserver/secdef/search"
    assert paths(server).count("iserver/secdef/strikes") == 1
    assert paths(server).count("iserver/secdef/info") == 6
    assert list(told.evidence["months"].values()) == [6]
    with pytest.raises(BadAnswer, match="no AAPL with the id 1"):
        fetched(server, "option", underlyings={"AAPL": 1})


def test_endless_chains_are_given_up(server, monkeypatch):
    monkeypatch.setattr(ibkr, "MOST_QUESTIONS", 5)
    with pytest.raises(AnswerTooLarge, match="fewer months"):
        fetched(server, "option")


@pytest.mark.parametrize(
    ("fault", "error", "retry_after_s"),
    [
        ("geo_blocked", GeoBlocked, None),
        ("rate_limited", RateLimited, 30.0),
        ("banned", Banned, 120.0),
        ("unavailable", VenueUnavailable, None),
        ("truncated", VenueUnavailable, None),
        ("html", BadAnswer, None),
        ("error", BadAnswer, None),
        ("unauthorised", NeedsReauth, None),
    ],
)
@pytest.mark.parametrize(("scope", "part"), [("stock", "trsrv/secdef"), ("fx", "iserver/currency")])
def test_a_refusal_is_told_apart_and_no_half_list_kept(server, venue, scope, part, fault, error, retry_after_s):
    venue.faults.add(f"{fault}@{part}")
    with pytest.raises(error) as caught:
        fetched(server, scope)
    assert type(caught.value) is error
    assert getattr(caught.value, "retry_after_s", None) == retry_after_s
    assert part in paths(server)[-1]
    assert sum(part in path for path in paths(server)) == 1


def test_silence_is_waited_for_no_longer_than_the_timeout(server, venue):
    venue.faults.add("hang@all-conids")
    with pytest.raises(VenueUnavailable, match="no answer in time"):
        fetched(server, timeout_s=0.2)


def test_a_gateway_without_its_bridge_is_asked_later(server, venue):
    venue.faults.add("no_bridge")
    with pytest.raises(VenueUnavailable):
        fetched(server, "fx")


def test_without_credentials_or_scope_nothing_is_asked(server):
    with pytest.raises(Disabled, match="IBIND_OAUTH1A_ACCESS_TOKEN is not set"):
        ibkr.fetch(session("ibkr", server.url("ibkr"), keys=False), "stock", {})
    with pytest.raises(BadSetting, match="no scope 'bond'"):
        fetched(server, "bond")
    assert not server.asked


@pytest.fixture(scope="module")
def key() -> RSA.RsaKey:
    return RSA.generate(2048)


@pytest.fixture
def signed(key: RSA.RsaKey) -> Iterator[tuple[VenueServer, Ibkr, VenueSession]]:
    oauth = OAuth(consumer_key="GAZETTEER", access_token="token", secret=SECRET, prime=PRIME)
    venue = Ibkr(7, oauth=oauth)
    secrets = {
        "CONSUMER_KEY": oauth.consumer_key,
        "ACCESS_TOKEN": oauth.access_token,
        "ACCESS_TOKEN_SECRET": b64encode(PKCS1_v1_5.new(key.public_key()).encrypt(SECRET)).decode(),
        "DH_PRIME": PRIME,
        "ENCRYPTION_KEY": key.export_key().decode(),
        "SIGNATURE_KEY": key.export_key().decode(),
    }
    with served(venue) as server:
        url = server.url("ibkr") + "/v1/api"
        oauth.root = f"{url}/"
        told = session("ibkr", url)
        told.secrets.update({f"IBIND_OAUTH1A_{name}": word for name, word in secrets.items()})
        yield server, venue, told


def test_a_login_with_keys_signs_every_request(signed):
    server, venue, told = signed
    listed = ibkr.fetch(told, "stock", OPTIONS | {"login": "oauth"})
    assert listed.complete
    assert paths(server)[0] == "oauth/live_session_token"
    assert paths(server).count("oauth/live_session_token") == 1
    assert "iserver/auth/ssodh/init" not in paths(server)
    assert len(venue.oauth.tokens) == 1


def test_a_brokerage_session_is_opened_where_it_is_needed_and_never_taken_away(signed):
    server, venue, told = signed
    assert ibkr.fetch(told, "option", OPTIONS | {"login": "oauth"}).complete
    (opened,) = (asked for _name, asked in server.asked if asked.path.endswith("ssodh/init"))
    assert json.loads(opened.body) == {"publish": True, "compete": False}
    venue.faults.add("competing")
    with pytest.raises(VenueUnavailable, match="another session of this user"):
        ibkr.fetch(told, "fx", OPTIONS | {"login": "oauth"})


@pytest.mark.parametrize("wrong", ["proof", "key", "token", "prime"])
def test_keys_that_do_not_fit_are_said_and_never_shown(signed, wrong):
    _server, venue, told = signed
    if wrong == "proof":
        venue.faults.add("wrong_proof")
    if wrong == "key":
        told.secrets["IBIND_OAUTH1A_SIGNATURE_KEY"] = CANARY
    if wrong == "token":
        venue.oauth.access_token = "another"
    if wrong == "prime":
        told.secrets["IBIND_OAUTH1A_DH_PRIME"] = CANARY
    with pytest.raises(BadCredentials) as caught:
        ibkr.fetch(told, "stock", OPTIONS | {"login": "oauth"})
    assert CANARY not in repr(caught.value)


@pytest.mark.parametrize(
    ("scope", "raw"),
    [
        ("stock", {}),
        ("stock", {"ticker": "A"}),
        ("future", {"symbol": "ES", "conid": 1}),
        ("fx", {"symbol": "EURUSD", "conid": 1}),
        ("option", {"symbol": "A", "conid": 1, "strike": 1, "right": "X", "maturityDate": "20260116"}),
        ("option", {"symbol": "A", "conid": 1, "right": "C", "maturityDate": "20260116"}),
    ],
)
def test_a_row_without_its_identity_is_unreadable(scope, raw):
    with pytest.raises(UnreadableRow):
        ibkr.normalise(scope, raw, {})


@pytest.mark.shared
def test_real_contracts_of_real_shares_are_read_without_a_loss(shared):
    told = json.loads((shared / "data/broker/ibkr/ibind_client_portal_responses.json").read_text())
    rows = [
        {"ticker": symbol, **contract, "secdef": {"name": share["name"], "assetClass": share["assetClass"]}}
        for symbol, shares in told["stocks"].items()
        for share in shares
        for contract in share["contracts"]
    ]
    listings = {listing.stable_id: listing for listing in (ibkr.normalise("stock", row, {}) for row in rows)}
    assert len(listings) == len(rows) == 39
    assert {str(conid) for conid in told["conids"].values()} <= set(listings)
    assert (listings["265598"].mic, listings["265598"].details.company_name) == ("XNAS", "APPLE INC")
    assert listings["38708077"].mic is None
