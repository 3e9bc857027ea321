"""Schwab: lists by sweeps of prefixes, chains by expiry, and a login that two workers never spend twice."""

import gzip
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

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
from indexer.sim.venues.schwab import Schwab
from indexer.sim.venues.server import VenueServer
from indexer.venues import load, schwab, schwab_login
from indexer.venues.schwab_login import DAY_S, LOGIN_COMMAND, log_in, login_url, standing
from tests.brokers import CANARY, Logins, golden, served, session, shown

(ROW,) = (row for row in venues() if row.name == "schwab")
TOKEN = "/v1/oauth/token"
CHAINS = "/marketdata/v1/chains"


@pytest.fixture
def venue() -> Schwab:
    return Schwab(7)


@pytest.fixture
def server(venue: Schwab) -> Iterator[VenueServer]:
    with served(venue) as running:
        yield running


@pytest.fixture
def logins(venue: Schwab) -> Logins:
    return Logins(venue.login())


def fetched(server: VenueServer, logins: Logins, scope: str = "instrument", *, timeout_s: float = 5.0, **options):
    asked = session("schwab", server.url("schwab"), timeout_s=timeout_s, logins=logins)
    return schwab.fetch(asked, scope, {"cap": 1000} | options)


def paths(server: VenueServer) -> list[str]:
    return [asked.path for _name, asked in server.asked]


def underlyings(venue: Schwab) -> list[str]:
    return sorted({row["underlying"] for row in venue.rows["option"]})


def chains(server: VenueServer, venue: Schwab, logins: Logins):
    return fetched(server, logins, "option", underlyings=underlyings(venue)[:1])


def by_symbol(rows) -> list[dict]:
    return sorted(rows, key=lambda row: row["symbol"])


@pytest.mark.parametrize("case", golden("schwab"), ids=lambda case: case["raw"].get("symbol") or case["raw"]["strike"])
def test_a_row_in_the_venues_shape_becomes_this_listing(case):
    assert shown(schwab.normalise(case["scope"], case["raw"], case["options"])) == case["listing"]


def test_a_sweep_finds_every_symbol_once_and_says_why_that_is_all(server, venue, logins):
    assert load(ROW.adapter, ROW.extra) is schwab
    told = fetched(server, logins)
    assert by_symbol(told.rows) == by_symbol(venue.rows["instrument"])
    assert told.complete
    assert told.evidence["refined"] > 0, "a letter finds more than is told at once here"
    assert (told.evidence["cut_off"], told.evidence["without_quote"], told.evidence["login_age_days"]) == (0, 0, 0)
    assert "warning" not in told.evidence
    patterns = [
        asked.query["symbol"] for _name, asked in server.asked if asked.query.get("projection") == "symbol-regex"
    ]
    assert len(patterns) == len(set(patterns)) == told.evidence["questions"]
    assert min(map(len, patterns)) >= 4, "shorter ones are refused"
    with pytest.raises(BadSetting, match="no scope 'equity'"):
        fetched(server, logins, "equity")


def test_an_answer_at_the_cap_is_never_believed_to_be_all(server, venue, logins):
    venue.faults.add("capped")
    told = fetched(server, logins, cap=venue.most)
    assert by_symbol(told.rows) == by_symbol(venue.rows["instrument"])
    assert told.complete
    assert told.evidence["refined"] > 0


def test_what_stays_at_the_cap_however_long_the_prefix_makes_the_list_incomplete(server, venue, logins, monkeypatch):
    monkeypatch.setattr(schwab, "MOST_DEPTH", 2)
    venue.faults.add("capped")
    venue.most = 1
    told = fetched(server, logins, cap=1, details=False)
    assert not told.complete
    assert told.evidence["cut_off"] > 0


def test_a_sweep_that_would_not_end_is_incomplete(server, logins, monkeypatch):
    monkeypatch.setattr(schwab, "MOST_QUESTIONS", 30)
    told = fetched(server, logins, details=False)
    assert (told.complete, told.evidence["questions"]) == (False, 30)


def test_a_venue_that_refuses_every_pattern_is_asked_a_few_times_only(server, venue, logins):
    venue.faults.add("refuses_patterns")
    with pytest.raises(BadAnswer, match="refuses even"):
        fetched(server, logins)
    assert len(server.asked) < 10


def test_options_that_a_pattern_finds_are_left_to_their_own_scope(server, venue, logins):
    listed = list(venue.rows["instrument"])
    venue.rows["instrument"].append(listed[0] | {"symbol": "ABCDE1261120C00010000", "assetType": "OPTION"})
    told = fetched(server, logins, details=False)
    assert (told.evidence["options_left_out"], len(told.rows), told.complete) == (1, len(listed), True)


def test_details_come_from_fundamentals_and_quotes_and_their_lack_loses_no_row(server, venue, logins):
    listings = [schwab.normalise("instrument", row, {}) for row in fetched(server, logins).rows]
    by_kind = {listing.attrs.get("asset_sub_type"): listing for listing in listings}
    assert {kind: listing.inst_class for kind, listing in by_kind.items()} == {
        "COE": "stock",
        "ADR": "stock",
        "ETF": "etf",
        "WAR": "warrant",
        "OEF": "fund",
        None: "index",
    }
    assert all(listing.details.market_cap > 0 for listing in listings)
    assert by_kind["WAR"].details.company_name is None
    assert by_kind["COE"].details.company_name == by_kind["COE"].display

    venue.faults.add("no_details")
    told = fetched(server, logins)
    assert told.complete
    assert told.evidence["without_quote"] == len(told.rows) == len(venue.rows["instrument"])
    assert {schwab.normalise("instrument", row, {}).status for row in told.rows} == {"unknown"}


def test_chains_are_asked_for_expiry_by_expiry_and_every_contract_comes(server, venue, logins):
    told = fetched(server, logins, "option", underlyings=underlyings(venue))
    symbols = [row["contract"]["symbol"] for row in told.rows]
    assert sorted(symbols) == sorted(row["contract"]["symbol"] for row in venue.rows["option"])
    assert told.complete
    assert told.evidence["expiries"] == paths(server).count(CHAINS) == 9
    assert sum(schwab.normalise("option", row, {}).adjusted for row in told.rows) == 3


@pytest.mark.parametrize(
    ("fault", "evidence"), [("hollow", "expiries_told_in_part"), ("unlisted", "underlyings_without_options")]
)
def test_a_chain_of_fewer_contracts_than_it_says_or_of_none_is_incomplete(server, venue, logins, fault, evidence):
    wanted = [*underlyings(venue), "NONE"] if fault == "unlisted" else underlyings(venue)
    venue.faults.add(fault)
    told = fetched(server, logins, "option", underlyings=wanted)
    assert not told.complete
    assert told.evidence[evidence] > 0


def test_options_without_a_list_of_underlyings_are_a_setting_that_is_missing(server, logins):
    with pytest.raises(BadSetting, match=r"options\.underlyings"):
        fetched(server, logins, "option")


def test_an_empty_list_is_no_complete_one(server, venue, logins):
    venue.faults.add("empty")
    told = fetched(server, logins)
    assert (list(told.rows), told.complete) == ([], False)


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
@pytest.mark.parametrize("part", ["/marketdata/v1/instruments?symbol=B[", "fundamental", TOKEN])
def test_a_failure_on_the_way_is_told_and_no_half_list_kept(server, venue, part, fault, error, retry_after_s):
    logins = Logins(venue.login(lasts_s=60))
    before = logins.token
    venue.faults.add(f"{fault}@{part}")
    with pytest.raises(error) as caught:
        fetched(server, logins)
    assert type(caught.value) is error
    assert getattr(caught.value, "retry_after_s", None) == retry_after_s
    assert CANARY not in repr(caught.value)
    assert (logins.token == before) == (part == TOKEN), "a login is kept as it was renewed, and never spoilt"


def test_silence_is_waited_for_no_longer_than_the_timeout(server, venue, logins):
    venue.faults.add("hang")
    with pytest.raises(VenueUnavailable, match="ReadTimeout"):
        fetched(server, logins, timeout_s=0.2)


def test_an_access_token_that_ends_is_renewed_once_and_kept_for_everybody(server, venue):
    made_s = time.time() - 2 * DAY_S
    logins = Logins(venue.login(made_s, lasts_s=60))
    chains(server, venue, logins)
    assert paths(server).count(TOKEN) == 1
    kept = json.loads(logins.token)
    assert kept["creation_timestamp"] == int(made_s), "a renewal does not make the login younger"
    assert kept["token"]["refresh_token"] == venue.refresh

    chains(server, venue, logins)
    assert paths(server).count(TOKEN) == 1


def test_an_access_token_that_the_venue_ended_early_is_renewed(server, venue, logins):
    venue.access.clear()
    assert chains(server, venue, logins).complete
    assert paths(server).count(TOKEN) == 1
    assert paths(server)[1] == TOKEN


def test_of_two_workers_that_need_it_one_renews_and_the_other_follows(server, venue):
    logins = Logins(venue.login(lasts_s=60))
    mine = session("schwab", server.url("schwab"), logins=logins)
    first_asked: list[bool] = []

    class Overtaken:
        """A session during whose first request another worker runs, with the same login."""

        def __getattr__(self, name):
            return getattr(mine, name)

        def draw(self, cost=1):
            if not first_asked:
                first_asked.append(True)
                assert chains(server, venue, logins).complete
            mine.draw(cost)

    told = schwab.fetch(Overtaken(), "option", {"underlyings": underlyings(venue)[:1]})
    assert told.complete
    assert paths(server).count(TOKEN) == 2, "the second one is refused: the token was renewed before"
    assert json.loads(logins.token)["token"]["refresh_token"] == venue.refresh

    chains(server, venue, logins)
    assert paths(server).count(TOKEN) == 2


def test_a_login_renewed_elsewhere_is_followed_before_it_is_spent(server, venue):
    stale, fresh = venue.login(lasts_s=60), venue.login()
    logins = Logins(stale)
    told: list[bytes] = []
    mine = replace(
        session("schwab", server.url("schwab"), logins=logins),
        read_token=lambda: told.append(b"") or (stale if len(told) == 1 else fresh),
    )
    assert schwab.fetch(mine, "option", {"underlyings": underlyings(venue)[:1]}).complete
    assert TOKEN not in paths(server)


def test_a_renewal_that_lost_the_swap_is_given_up_for_the_kept_one(server, venue):
    logins = Logins(venue.login(lasts_s=60))

    def write(_new, _instead_of):
        logins.token = venue.login()
        return False

    logins.write = write
    assert chains(server, venue, logins).complete
    bearers = {asked.headers["authorization"] for _name, asked in server.asked if asked.path != TOKEN}
    assert bearers == {f"Bearer {json.loads(logins.token)['token']['access_token']}"}


@pytest.mark.parametrize(
    ("fault", "error", "says"),
    [
        ("dead", NeedsReauth, LOGIN_COMMAND),
        ("unknown_app", BadCredentials, "SCHWAB_APP_KEY"),
        ("tokenless", BadAnswer, "without its tokens"),
    ],
)
def test_a_renewal_that_is_refused_is_not_tried_again_and_spoils_nothing(server, venue, fault, error, says):
    before = venue.login(lasts_s=60)
    logins = Logins(before)
    venue.faults.add(fault)
    with pytest.raises(error, match=says):
        fetched(server, logins)
    assert (paths(server), logins.token) == ([TOKEN], before)


@pytest.mark.parametrize(
    ("age_days", "dead", "says"),
    [
        (0, False, None),
        (4.99, False, None),
        (5, False, "ends in 2.0 days"),
        (6.9, False, "ends in 0.1 days"),
        (7, True, "is over"),
        (400, True, "is over"),
    ],
)
def test_a_login_says_when_a_person_is_needed_before_it_dies(age_days, dead, says):
    now_s = 1_800_000_000.0
    token = json.dumps({"creation_timestamp": int(now_s - age_days * DAY_S), "token": {}}).encode()
    told = standing(token, now_s)
    assert (told.dead, told.age_s) == (dead, int(age_days * DAY_S))
    assert (told.says is None) == (says is None)
    assert says is None or (says in told.says and LOGIN_COMMAND in told.says)


@pytest.mark.parametrize(
    "token", [None, b"", b"\xff", b"[]", b'{"token": {}}', b'{"creation_timestamp": "x", "token": {}}']
)
def test_nobody_logged_in_is_dead(token):
    assert standing(token, 0.0).dead
    assert LOGIN_COMMAND in standing(token, 0.0).says


def test_an_old_login_warns_in_the_evidence_and_a_dead_one_asks_nothing(server, venue):
    told = chains(server, venue, Logins(venue.login(time.time() - 6 * DAY_S)))
    assert told.evidence["login_age_days"] == 6
    assert LOGIN_COMMAND in told.evidence["warning"]
    server.asked.clear()
    for token in (venue.login(time.time() - 7 * DAY_S), None):
        with pytest.raises(NeedsReauth, match=LOGIN_COMMAND):
            fetched(server, Logins(token))
    assert not server.asked


def test_without_an_app_nothing_is_asked(server, logins):
    with pytest.raises(Disabled, match="SCHWAB_APP_KEY is not set"):
        schwab.fetch(session("schwab", server.url("schwab"), logins=logins, keys=False), "instrument", {})
    assert not server.asked


def test_a_person_logs_in_with_an_address_and_the_address_that_comes_back(server, venue):
    logins = Logins()
    asked = session("schwab", server.url("schwab"), logins=logins)
    url, state = login_url(asked, ROW.options)
    query = parse_qs(urlsplit(url).query)
    assert url.startswith(f"{server.url('schwab')}/v1/oauth/authorize?")
    assert (query["redirect_uri"], query["state"]) == (["https://127.0.0.1:8182"], [state])
    assert query["client_id"] == [asked.secret("SCHWAB_APP_KEY")]

    log_in(asked, ROW.options, f"https://127.0.0.1:8182/?code={venue.code}&session=x&state={state}", state)
    kept = json.loads(logins.token)
    assert kept["token"]["refresh_token"] == venue.refresh
    assert time.time() - kept["creation_timestamp"] < 60
    assert chains(server, venue, logins).complete


@pytest.mark.parametrize(
    ("received", "error"),
    [
        ("https://127.0.0.1:8182/?code=C0.code&state=another", NeedsReauth),
        ("https://127.0.0.1:8182/?code=spent&state=mine", NeedsReauth),
        ("https://127.0.0.1:8182/?error=access_denied", NeedsReauth),
        ("", NeedsReauth),
    ],
)
def test_an_address_that_is_no_login_keeps_the_old_one(server, received, error):
    logins = Logins(b"old")
    with pytest.raises(error):
        log_in(session("schwab", server.url("schwab"), logins=logins), ROW.options, received, "mine")
    assert logins.token == b"old"


def test_a_new_login_wins_over_a_renewal_at_the_same_moment(server, venue):
    logins = Logins(b"old")
    refusals = [b"renewed"]
    swap = logins.write

    def write(new, instead_of):
        if refusals:
            logins.token = refusals.pop()
        return swap(new, instead_of)

    logins.write = write
    asked = session("schwab", server.url("schwab"), logins=logins)
    log_in(asked, ROW.options, f"https://127.0.0.1:8182/?code={venue.code}&state=mine", "mine")
    assert json.loads(logins.token)["token"]["refresh_token"] == venue.refresh


def test_the_client_that_is_asked_is_the_one_of_schwab_py():
    assert schwab_login.Client.__module__ == "schwab.client.synchronous"


@pytest.mark.parametrize(
    ("scope", "raw"),
    [
        ("instrument", {"description": "Apple Inc"}),
        ("option", {}),
        ("option", {"expiration": "2026-01-16:3", "contract": {"strikePrice": 1.0, "putCall": "CALL"}}),
        ("option", {"expiration": "x", "contract": {"strikePrice": 1.0, "putCall": "CALL", "symbol": "X"}}),
        ("option", {"expiration": "2026-01-16:3", "contract": {"putCall": "CALL", "symbol": "X"}}),
        ("option", {"expiration": "2026-01-16:3", "contract": {"strikePrice": 1.0, "putCall": "?", "symbol": "X"}}),
    ],
)
def test_a_row_without_its_identity_is_unreadable(scope, raw):
    with pytest.raises(UnreadableRow):
        schwab.normalise(scope, raw, {})


def real(shared, name: str):
    return json.loads(gzip.decompress((shared / f"data/broker/tdameritrade/{name}.json.gz").read_bytes()))


@pytest.mark.shared
def test_a_real_chain_of_its_forerunner_is_read_to_the_last_contract(shared):
    chain = real(shared, "sample_option_chain")
    rows = schwab.contracts(chain)
    listings = [schwab.normalise("option", row, {}) for row in rows]
    assert len(listings) == len({each.stable_id for each in listings}) == chain["numberOfContracts"] == 494
    assert {each.underlying for each in listings} == {"F"}
    assert {each.adjusted for each in listings} == {False}
    assert all(str(each.expires_on) == row["expiration"][:10] for each, row in zip(listings, rows, strict=True))
    assert all(float(each.strike) == float(row["strike"]) for each, row in zip(listings, rows, strict=True))
    assert not any(each.scheme == "osi" for each in listings[0].identifiers), "symbols of another form then"


@pytest.mark.shared
def test_real_instruments_of_its_forerunner_are_read(shared):
    rows = [*real(shared, "sample_instrument"), *real(shared, "sample_search_instrument").values()]
    assert len(rows) == 2
    for row in rows:
        listing = schwab.normalise("instrument", row, {})
        assert (listing.symbol, listing.mic, listing.asset_class) == ("MSFT", "XNAS", "equity")
        assert ("cusip", "594918104") in [(each.scheme, each.value) for each in listing.identifiers]
