"""Lists of coins are read whole from their own wire shapes, over real sockets, and kept as what they say."""

from datetime import timedelta

import pytest

from indexer import known, store, venues
from indexer.errors import BadAnswer, Banned, GeoBlocked, RateLimited, VenueUnavailable
from indexer.flow import coins, sameness
from indexer.flow.discover import Failed, NotDue
from indexer.sim.venues.coins import CoinLists
from indexer.sim.venues.server import VenueServer
from indexer.store import slots
from indexer.store import venues as venue_facts
from indexer.wire.budget import Budget
from indexer.wire.session import VenueSession
from tests.commands import run as command
from tests.commands import settled
from tests.lab.assets import about, one, rows
from tests.lab.listing import NOW, list_, pair
from workers import venue_tasks, wiring
from workers.app import venue_task

READER = venues.load_lists("coins", "cex")
ROWS = {row.name: row for row in known.venues() if row.adapter == "coins"}
USDC = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"
MINT = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
CONTRACTS = {
    "USDC": {
        "ethereum": USDC,
        "polygon": "0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359",
        "solana": MINT,
        "noble": "uusdc",
    },
    "BTC": {"bitcoin": ""},
    "ETH": {"ethereum": "", "arbitrum": "", "newchain": ""},
    "ODD": {"ethereum": "0x12", "solana": "0OIl", "polygon": ""},
}
HELD = {
    "USDC": {
        f"eip155:1/erc20:{USDC.lower()}",
        "eip155:137/erc20:0x3c499c542cef5e3811e1192ce70d8cc03d5c3359",
        f"solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp/token:{MINT}",
    },
    "BTC": {"bip122:000000000019d6689c085ae165831e93/slip44:0"},
    "ETH": {"eip155:1/slip44:60", "eip155:42161/slip44:60"},
}


@pytest.fixture
def site():
    venue = CoinLists(CONTRACTS)
    server = VenueServer([venue])
    server.start()
    yield venue, server
    server.close()


def session(name, server, *, timeout_s=5.0, secrets=(("COINGECKO_API_KEY", "key-1"),)):
    return VenueSession(
        venue=name,
        timeout_s=timeout_s,
        urls={"": server.url("coins")},
        secrets=dict(secrets),
        budget=Budget(name, per_s=1000.0, burst=1000.0),
        lane="resolve",
        read_token=lambda: None,
        write_token=lambda _new, _old: True,
        told=lambda _done, _total: None,
    )


def read(name, server, **more):
    return READER.read(session(name, server, **more), ROWS[name].options)


def test_contracts_of_currencies_are_read_and_what_is_no_address_or_no_known_network_is_not(site):
    told = read("coinbase_currencies", site[1])
    by_code = {code: {c.value for c in told if c.code == code} for code in {c.code for c in told}}
    assert by_code == HELD
    assert {(c.source, c.venue, c.scheme, c.confidence) for c in told} == {
        ("coinbase_currencies", "coinbase", "caip19", 1.0)
    }


def test_coins_are_read_with_their_platforms_and_a_key_that_only_the_header_holds(site):
    told = read("coingecko", site[1])
    assert {(c.code, c.scheme, c.value) for c in told if c.label == "USDC"} == {
        ("usdc-coin", "coingecko", "usdc-coin"),
        ("usdc-coin", "caip19", f"eip155:1/erc20:{USDC.lower()}"),
        ("usdc-coin", "caip19", f"solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp/token:{MINT}"),
    }
    assert {(c.venue, c.confidence) for c in told} == {("", 0.95)}
    (asked,) = [each for _, each in site[1].asked]
    assert asked.query == {"include_platform": "true"}
    assert asked.headers["x-cg-demo-api-key"] == "key-1"


@pytest.mark.parametrize("name", sorted(ROWS))
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("geo_blocked", GeoBlocked),
        ("rate_limited", RateLimited),
        ("banned", Banned),
        ("unavailable", VenueUnavailable),
        ("html", BadAnswer),
        ("error", BadAnswer),
        ("empty", BadAnswer),
        ("truncated", VenueUnavailable),
    ],
)
def test_every_fault_of_a_list_is_the_right_error_and_holds_no_key(site, name, fault, error):
    site[0].faults.add(fault)
    with pytest.raises(error) as caught:
        read(name, site[1])
    assert "key-1" not in str(caught.value)
    assert "127.0.0.1" not in str(caught.value)


@pytest.mark.parametrize("name", sorted(ROWS))
def test_a_list_that_never_comes_ends_in_time(site, name):
    site[0].faults.add("hang")
    with pytest.raises(VenueUnavailable):
        read(name, site[1], timeout_s=0.3)


@pytest.fixture
def register(db):
    with store.begin(db) as tx:
        venue_facts.load(tx, known.venues(), known.schemes())
        slots.keep(tx, {row.name: row.scopes for row in ROWS.values()}, NOW)
    return db


def run(db, server, *, name="coinbase_currencies", at=NOW, **more):
    return coins.read(db, ROWS[name], lambda: READER, session(name, server, **more), lambda _tx: at)


def test_a_list_is_read_when_it_is_due_and_its_codes_meet_pools_and_other_lists(register, site):
    with store.begin(register) as tx:
        list_(tx, pair("USDC-EUR", base="USDC", quote="EUR"), venue="coinbase")
    taken = run(register, site[1])
    assert (taken.names, taken.doubt) == (sum(map(len, HELD.values())), None)
    assert isinstance(run(register, site[1], at=NOW + timedelta(minutes=1)), NotDue)
    assert run(register, site[1], name="coingecko").doubt is None
    sameness.relate(register, lambda _tx: NOW)
    assert about(register, "v1|coinbase|spot|USDC-EUR|0") == {("token", "USDC", "caip19", 1.0, "base")}
    assert set(
        rows(
            register,
            """
            select scheme, confidence from api.asset_identifiers where asset_id =
                (select asset_id from api.venue_codes where exchange = 'coinbase' and code = 'USDC')
            """,
        )
    ) == {("caip19", 1.0), ("coingecko", 0.95)}
    assert one(register, "select status, rows from api.venue_runs where exchange = 'coinbase_currencies'") == (
        "applied",
        taken.names,
    )


def test_a_list_that_lost_its_half_changes_nothing_and_its_run_says_so(register, site):
    run(register, site[1])
    site[0].rows["currency"] = site[0].rows["currency"][:2]
    again = run(register, site[1], at=NOW + timedelta(days=1))
    assert "only 1 of 3" in again.doubt
    assert one(register, "select count(*) from gazetteer.asset_claims where valid_to is not null") == (0,)
    assert rows(register, "select status from api.venue_runs order by run_id") == [("applied",), ("suspect",)]


def test_a_list_that_does_not_come_is_a_failed_run_and_one_without_a_key_is_disabled(register, site):
    site[0].faults.add("unavailable")
    assert run(register, site[1]).error == "transient"
    done = run(register, site[1], name="coingecko", secrets=())
    assert isinstance(done, Failed)
    assert done.error == "disabled"


def test_a_contract_that_is_exchanged_for_another_is_another_asset_from_then_on(register, site):
    with store.begin(register) as tx:
        list_(tx, pair("XYZ-USD", base="XYZ", quote="USD"), venue="coinbase")
    first, second = ("0x" + digit * 40 for digit in "12")
    for day, contract in enumerate((first, second)):
        site[0].rows["currency"] = CoinLists(CONTRACTS | {"XYZ": {"ethereum": contract}}).rows["currency"]
        at = NOW + timedelta(days=day)
        run(register, site[1], at=at)
        sameness.relate(register, lambda _tx, at=at: at)
    found = rows(
        register,
        """
        select i.value, c.valid_from, c.valid_to from api.venue_codes c
        join api.asset_identifiers i using (asset_id) where c.code = 'XYZ' order by c.valid_from
        """,
    )
    assert [value[-40:] for value, _, _ in found] == ["1" * 40, "2" * 40]
    assert found[0][2] == found[1][1]
    assert found[1][2] is None


@pytest.fixture
def place(register, site, postgres_url, monkeypatch, tmp_path):
    env = {
        "GAZETTEER_DATABASE_URL": postgres_url,
        "GAZETTEER_VENUES": "coinbase,coinbase_currencies",
        "GAZETTEER_URL_COINBASE_CURRENCIES": site[1].url("coins"),
    }
    monkeypatch.chdir(tmp_path)
    with store.begin(register) as tx:
        list_(tx, pair("USDC-EUR", base="USDC", quote="EUR"), venue="coinbase")
    with settled(monkeypatch, **env):
        yield register


def test_the_tasks_read_a_list_once_and_relate_what_it_says(place, site):
    wiring.due_venues()
    with store.begin(place) as tx:
        tx.exec_driver_sql("update gazetteer.work set due = now() where kind = 'venue'")
    for _ in range(2):
        venue_tasks.read_coins("coinbase_currencies", "coin")
        venue_tasks.relate()
    assert len(site[1].asked) == 1
    assert about(place, "v1|coinbase|spot|USDC-EUR|0") == {("token", "USDC", "caip19", 1.0, "base")}
    venue_tasks.read_coins("coingecko", "coin")  # not listed here: nothing is asked
    assert len(site[1].asked) == 1


def test_a_list_read_by_hand_is_related_at_once(place, site):
    told = command("venues", "run", "coinbase_currencies")
    assert (told.exit_code, told.output) == (0, "coinbase_currencies coin: 6 names of coins\n")
    assert about(place, "v1|coinbase|spot|USDC-EUR|0") == {("token", "USDC", "caip19", 1.0, "base")}
    site[0].faults.add("geo_blocked")
    failed = command("venues", "run", "coinbase_currencies")
    assert failed.exit_code == 1
    assert "geo_blocked" in failed.output
    site[0].faults.clear()
    site[0].rows["currency"] = site[0].rows["currency"][:2]
    assert "suspect, nothing was changed" in command("venues", "run", "coinbase_currencies").output


def test_lists_of_coins_have_a_task_of_their_own():
    assert {venue_task(row) for row in ROWS.values()} == {"venue.coins"}
