"""What is the same is linked, with how and how surely; what only sounds the same is not."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from indexer import known, store
from indexer.flow import sameness
from indexer.model import Identifier, Listing
from indexer.model.asset import Claim
from indexer.store import asset_writes, venues
from tests import conftest
from tests.lab.assets import about, asset_of, everything, one, rows, state
from tests.lab.listing import EVERY, NOW, list_, pair

LATER = datetime(2026, 12, 1, tzinfo=UTC)
APPLE = "US0378331005"


@pytest.fixture
def register(db):
    with store.begin(db) as tx:
        venues.load(tx, known.venues(), known.schemes())
    return db


def names(**told):
    return tuple(Identifier(scheme=scheme, value=value) for scheme, value in told.items())


def share(symbol, *, stable_id=None, mic="XNAS", **told):
    return Listing(
        symbol=symbol,
        stable_id=stable_id or symbol,
        status="active",
        asset_class="equity",
        inst_class="stock",
        mic=mic,
        currency="USD",
        identifiers=names(**told),
    )


def token_share(symbol, base, *, tracks, multiplier=None, **told):
    return Listing(
        symbol=symbol,
        stable_id=symbol,
        status="active",
        asset_class="equity",
        inst_class="tokenised_share",
        base=base,
        quote="USDT",
        tracks=tracks,
        multiplier=multiplier,
        identifiers=names(**told),
    )


def applied(db, venue, scope, *listings, at=0):
    with store.begin(db) as tx:
        told = list_(tx, *listings, venue=venue, scope=scope, at=at, accept=True)
    assert told.status == "applied"


def relate(db, at=LATER, **more):
    return sameness.relate(db, lambda _tx: at, **more)


def claim(code, scheme, value, *, source="coinbase", venue="coinbase", confidence=1.0, **more):
    return Claim(source=source, venue=venue, code=code, scheme=scheme, value=value, confidence=confidence, **more)


def claimed(db, *claims, source="coinbase", at=NOW):
    with store.begin(db) as tx:
        assert asset_writes.take(tx, source, claims, at) is None


def key(venue, scope, stable_id, generation=0):
    return f"v1|{venue}|{scope}|{stable_id}|{generation}"


def test_a_token_that_follows_a_share_tracks_it_with_its_multiplier_and_is_never_the_same(register):
    applied(register, "alpaca", "us_equity", share("AAPL", stable_id="uuid-1", alpaca="uuid-1"))
    applied(
        register,
        "bybit",
        "spot",
        token_share("AAPLUSDT", "AAPL", tracks="AAPL", multiplier=Decimal("0.1")),
        pair("BTCUSDT"),
    )
    relate(register)
    token, share_ = key("bybit", "spot", "AAPLUSDT"), key("alpaca", "us_equity", "uuid-1")
    assert about(register, token) == {("tokenised_share", "AAPL", "issuer", 0.8, "base")}
    assert about(register, share_) == {("equity", "AAPL", "alpaca", 1.0, "itself")}
    assert asset_of(register, token) != asset_of(register, share_, "itself")
    assert one(
        register, "select tracks_id, multiple from api.assets where asset_id = :id", id=asset_of(register, token)
    ) == (asset_of(register, share_, "itself"), Decimal("0.1"))


def test_a_token_with_the_isin_of_its_share_is_still_not_the_share(register):
    applied(register, "alpaca", "us_equity", share("AAPL", isin=APPLE))
    applied(register, "kraken", "tokenised", token_share("AAPLxUSD", "AAPLx", tracks="AAPL", isin=APPLE))
    relate(register)
    assert about(register, key("kraken", "tokenised", "AAPLxUSD")) == {
        ("tokenised_share", "AAPLx", "issuer", 0.8, "base")
    }
    assert one(register, "select count(*) from api.same_asset where role = 'itself'") == (1,)


def test_a_contract_on_the_share_is_not_about_the_token_that_its_venue_writes_alike(register):
    applied(register, "bybit", "spot", token_share("AAPLUSDT", "AAPL", tracks="AAPL", multiplier=Decimal("0.1")))
    perpetual = pair(
        "AAPLPERP",
        base="AAPL",
        underlying="AAPL",
        asset_class="equity",
        inst_class="perpetual",
    )
    applied(register, "bybit", "linear", perpetual)
    relate(register)
    assert about(register, key("bybit", "linear", "AAPLPERP")) == set()


def test_a_token_follows_nothing_where_two_shares_bear_the_ticker_equally_surely(register):
    applied(register, "alpaca", "us_equity", share("AAPL", isin=APPLE))
    applied(register, "schwab", "equity", share("AAPL", isin="US5949181045", mic="XNYS"))
    applied(register, "bybit", "spot", token_share("AAPLUSDT", "AAPL", tracks="AAPL"))
    relate(register)
    assert one(register, "select tracks_id from api.assets where kind = 'tokenised_share'") == (None,)


def test_equal_tickers_alone_link_nothing(register):
    applied(register, "alpaca", "us_equity", share("GAS", isin=APPLE))
    applied(register, "binance", "spot", pair("GASUSDT"))
    applied(register, "bybit", "spot", pair("GASUSDT"))
    relate(register)
    assert (
        about(register, key("binance", "spot", "GASUSDT")) == about(register, key("bybit", "spot", "GASUSDT")) == set()
    )


def test_an_isin_links_listings_of_every_venue_and_the_licence_of_each_name_is_beside_it(register):
    applied(register, "alpaca", "us_equity", share("AAPL", stable_id="u", alpaca="u", cusip="037833100"))
    applied(register, "schwab", "equity", share("AAPL", isin=APPLE), share("APC", mic="XFRA", isin=APPLE))
    relate(register)
    assert len({asset for (asset,) in rows(register, "select asset_id from api.same_asset where role = 'itself'")}) == 1
    assert set(rows(register, "select scheme, value, licence, confidence from api.asset_identifiers")) >= {
        ("isin", APPLE, "public", 1.0),
        ("cusip", "037833100", "restricted", 1.0),
        ("alpaca", "u", "personal", 1.0),
    }


def test_a_share_class_that_two_isins_claim_is_a_conflict_and_links_nobody(register):
    applied(
        register,
        "schwab",
        "equity",
        share("A", isin=APPLE, figi_share="BBG001S5N8V8"),
        share("B", isin="US5949181045", figi_share="BBG001S5N8V8"),
        share("C", figi_share="BBG001S5N8V8"),
    )
    relate(register)
    assets = {asset_of(register, key("schwab", "equity", each), "itself") for each in "AB"}
    assert len(assets) == 2
    assert about(register, key("schwab", "equity", "C")) == set()
    (conflict,) = rows(
        register, "select scheme, value, licence, asset_ids from api.asset_conflicts where valid_to is null"
    )
    assert conflict[:3] == ("figi_share", "BBG001S5N8V8", "public")
    assert assets == set(conflict[3])


def test_two_assets_that_turn_out_to_be_one_are_merged_and_the_old_number_still_leads_there(register):
    applied(register, "alpaca", "us_equity", share("AAPL", figi_share="BBG001S5N8V8"))
    relate(register)
    old = asset_of(register, key("alpaca", "us_equity", "AAPL"), "itself")
    applied(register, "schwab", "equity", share("APC", isin=APPLE))
    relate(register)
    assert one(register, "select count(*) from api.assets where merged_id is not null") == (0,)
    applied(register, "schwab", "equity", share("APC", isin=APPLE, figi_share="BBG001S5N8V8"), at=1)
    related = relate(register)
    new = asset_of(register, key("schwab", "equity", "APC"), "itself")
    assert related.merged == 1
    assert asset_of(register, key("alpaca", "us_equity", "AAPL"), "itself") == new
    assert one(register, "select merged_id from api.assets where asset_id = :id", id=old) == (new,)


def test_a_contract_that_an_exchange_publishes_links_its_pairs_to_the_pools_of_the_token(register):
    usdc = "eip155:1/erc20:0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"
    applied(register, "coinbase", "spot", pair("USDC-EUR", base="USDC", quote="EUR"))
    claimed(register, claim("USDC", "caip19", usdc), claim("USDC", "caip19", "eip155:137/erc20:0x" + "3c" * 20))
    relate(register)
    assert about(register, key("coinbase", "spot", "USDC-EUR")) == {("token", "USDC", "caip19", 1.0, "base")}
    assert one(register, "select count(distinct asset_id) from api.asset_identifiers where value = any(:those)",
               those=[usdc, "eip155:137/erc20:0x" + "3c" * 20]) == (1,)  # fmt: skip


def test_a_currency_and_the_token_that_wraps_it_are_two_assets(register):
    relate(register)
    both = ["eip155:1/slip44:60", "eip155:1/erc20:0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2"]
    found = rows(register, "select asset_id from api.asset_identifiers where value = any(:both)", both=both)
    assert len(found) == len(set(found)) == 2


def test_codes_of_currencies_are_those_of_iso_4217_whatever_a_venue_puts_before_them(register):
    applied(register, "kraken", "spot", pair("EURUSD", base="ZEUR", quote="ZUSD", asset_class="fx"))
    applied(register, "coinbase", "spot", pair("EUR-USD", base="EUR", quote="USD", asset_class="fx"))
    relate(register)
    assert about(register, key("kraken", "spot", "EURUSD")) == {("fiat", "EUR", "iso4217", 1.0, "base")}
    assert asset_of(register, key("kraken", "spot", "EURUSD")) == asset_of(register, key("coinbase", "spot", "EUR-USD"))


def test_an_alias_is_traded_in_the_book_of_the_product_that_it_is_an_alias_of(register):
    applied(
        register,
        "coinbase",
        "spot",
        pair("BTC-USD", base="BTC", quote="USD"),
        pair("BTC-USDC", base="BTC", quote="USDC", attrs={"alias": "BTC-USD"}),
        pair("BTC-EUR", base="BTC", quote="EUR", attrs={"alias": None}),
    )
    claimed(register, claim("BTC", "caip19", "bip122:000000000019d6689c085ae165831e93/slip44:0"))
    relate(register)
    books = dict(rows(register, "select natural_key, book from api.same_asset where role = 'base'"))
    usd, usdc, eur = (key("coinbase", "spot", f"BTC-{quote}") for quote in ("USD", "USDC", "EUR"))
    assert books == {usd: usd, usdc: usd, eur: eur}


def luna_lists(db):
    """Binance lists LUNA, then not, then another LUNA; Kraken lists both all the time. Beats stand for days."""
    applied(db, "binance", "spot", pair("LUNAUSDT"), pair("BTCUSDT"), at=0)
    for beat in (1, 2, 3):
        applied(db, "binance", "spot", pair("BTCUSDT"), at=beat)
    applied(db, "binance", "spot", pair("BTCUSDT"), pair("LUNCUSDT"), pair("LUNAUSDT"), at=5)
    applied(db, "kraken", "spot", pair("LUNAUSD", base="LUNA"), pair("LUNA2USD", base="LUNA2"))


def test_what_luna_meant_depends_on_the_exchange_and_the_day(register, monkeypatch):
    began = datetime(2022, 5, 25, tzinfo=UTC)
    monkeypatch.setattr("tests.lab.listing.NOW", began)
    monkeypatch.setattr("tests.lab.listing.EVERY", timedelta(days=1.5))
    luna_lists(register)
    relate(register)
    classic, again = "LUNC", "LUNA"
    meant = {
        key("binance", "spot", "LUNAUSDT", 0): classic,
        key("binance", "spot", "LUNAUSDT", 1): again,
        key("binance", "spot", "LUNCUSDT", 0): classic,
        key("kraken", "spot", "LUNAUSD", 0): classic,
        key("kraken", "spot", "LUNA2USD", 0): again,
    }
    assert {k: {(row[1], row[2], row[3]) for row in about(register, k)} for k in meant} == {
        k: {(code, "caip19", 0.95)} for k, code in meant.items()
    }
    assert len({asset_of(register, k) for k in meant}) == 2
    assert rows(
        register,
        """
        select valid_from::date::text, valid_to::date::text from api.venue_codes
        where exchange = 'binance' and code = 'LUNA' order by valid_from
        """,
    ) == [("2020-08-21", "2022-05-27"), ("2022-05-31", None)]


def test_a_code_that_is_born_again_means_nothing_until_somebody_says_what(register):
    first, second = "eip155:1/erc20:0x" + "11" * 20, "eip155:1/erc20:0x" + "22" * 20
    applied(register, "coinbase", "spot", pair("ABC-USD", base="ABC"), pair("BTC-USD", base="BTC"))
    claimed(register, claim("ABC", "caip19", first))
    relate(register, NOW + EVERY)
    old = key("coinbase", "spot", "ABC-USD", 0)
    for beat in (2, 3, 4):
        applied(register, "coinbase", "spot", pair("BTC-USD", base="BTC"), at=beat)
    applied(register, "coinbase", "spot", pair("BTC-USD", base="BTC"), pair("ABC-USD", base="ABC"), at=6)
    relate(register, NOW + 7 * EVERY)
    new = key("coinbase", "spot", "ABC-USD", 1)
    assert len(about(register, old)) == 1
    assert about(register, new) == set()
    assert one(register, "select valid_to from api.venue_codes where code = 'ABC'") == (NOW + 6 * EVERY,)
    claimed(register, claim("ABC", "caip19", second), at=NOW + 8 * EVERY)
    relate(register, NOW + 9 * EVERY)
    assert asset_of(register, old) != asset_of(register, new)
    ranges = rows(register, "select valid_from, valid_to from api.venue_codes where code = 'ABC' order by 1")
    assert ranges == [(NOW, NOW + 6 * EVERY), (NOW + 8 * EVERY, None)]


def test_a_list_of_coins_that_breaks_off_takes_nothing_back(register):
    claims = [claim(f"C{n}", "caip19", f"eip155:1/erc20:0x{n:040x}") for n in range(10)]
    claimed(register, *claims)
    with store.begin(register) as tx:
        assert "only 5 of 10" in asset_writes.take(tx, "coinbase", claims[:5], NOW + EVERY)
        assert asset_writes.take(tx, "coinbase", [], NOW + EVERY) is not None
    assert one(register, "select count(*) from gazetteer.asset_claims where valid_to is null") == (10,)


def test_an_id_of_coingecko_links_a_code_only_where_it_is_given(register):
    applied(register, "binance", "spot", pair("ABCUSDT"), pair("XYZUSDT"))
    gecko = {"source": "coingecko", "confidence": 0.95}
    claimed(
        register,
        claim("abc-coin", "coingecko", "abc-coin", venue="", label="ABC", **gecko),
        claim("abc-coin", "caip19", "eip155:1/erc20:0x" + "11" * 20, venue="", label="ABC", **gecko),
        claim("ABC", "coingecko", "abc-coin", venue="binance", **gecko),
        source="coingecko",
    )
    relate(register)
    assert about(register, key("binance", "spot", "ABCUSDT")) == {("token", "ABC", "coingecko", 0.95, "base")}
    assert about(register, key("binance", "spot", "XYZUSDT")) == set()


def test_a_code_that_two_sources_give_to_two_assets_means_neither(register):
    applied(register, "binance", "spot", pair("BTCUSDT"))
    claimed(register, claim("BTC", "caip19", "eip155:1/erc20:0x" + "11" * 20, source="somebody", venue="binance"),
            source="somebody")  # fmt: skip
    relate(register)
    assert about(register, key("binance", "spot", "BTCUSDT")) == set()
    assert one(register, "select scheme, value, cardinality(asset_ids) from api.asset_conflicts") == (
        "code",
        "binance:BTC",
        2,
    )


def test_whoever_was_overtaken_while_it_grouped_writes_nothing(register, monkeypatch):
    applied(register, "alpaca", "us_equity", share("AAPL", isin=APPLE))
    overtaking = iter([True])
    group = sameness.group

    def overtaken(things):
        if next(overtaking, False):
            assert isinstance(relate(register), sameness.Related)
        return group(things)

    monkeypatch.setattr(sameness, "group", overtaken)
    assert isinstance(relate(register), sameness.NothingNew)
    assert one(register, "select count(*) from api.assets where kind = 'equity'") == (1,)


RUNS = (
    (
        "alpaca",
        "us_equity",
        share("AAPL", stable_id="u1", alpaca="u1", cusip="037833100"),
        share("F", figi_share="BBG1"),
    ),
    (
        "schwab",
        "equity",
        share("AAPL", isin=APPLE, figi_share="BBG2"),
        share("MS", isin="US5949181045", figi_share="BBG4"),
    ),
    ("ibkr", "stock", share("APC", conid="1", isin=APPLE), share("G", figi_share="BBG1", figi_composite="BBG3")),
    (
        "tradovate",
        "future",
        share("H", figi_composite="BBG3", isin="DE0007164600"),
        share("X", figi_share="BBG2"),
        share("Y", isin="GB0002634946", figi_share="BBG4"),
        share("Z", figi_share="BBG4"),
    ),
    ("bybit", "spot", token_share("AAPLUSDT", "AAPL", tracks="AAPL"), pair("BTCUSDT"), pair("ETHUSDT")),
    (
        "kraken",
        "spot",
        pair("XBTUSD", base="XXBT"),
        pair("LUNAUSD", base="LUNA"),
        pair("EURUSD", base="ZEUR", asset_class="fx"),
    ),
    ("binance", "spot", pair("BTCUSDT"), pair("LUNAUSDT"), pair("LUNCUSDT")),
)


def everything_said(db, order):
    for number in order:
        venue, scope, *listings = RUNS[number]
        applied(db, venue, scope, *listings)
        relate(db, LATER)


def test_the_order_of_runs_does_not_matter_and_doing_it_again_changes_nothing(register, empty_copies):
    orders = ([0, 1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1, 0], [3, 0, 6, 2, 5, 1, 4])
    states = []
    for order, db in zip(orders, [register, *empty_copies], strict=True):
        everything_said(db, order)
        states.append(state(db))
        before = everything(db)
        assert isinstance(relate(db, LATER + EVERY), sameness.NothingNew)
        with store.begin(db) as tx:
            sameness.assets.remember(tx, "forgotten")
        assert relate(db, LATER + 2 * EVERY) == sameness.Related(added=0, merged=0, named=0, codes=0, contested=0)
        assert everything(db) == before
    assert states[0] == states[1] == states[2]
    assert len(states[0][0]) > 20


@pytest.fixture
def empty_copies(postgres_server, _template):
    urls = [conftest._database(postgres_server, _template) for _ in range(2)]
    engines = [store.connect(next(url), name="test", pool_size=2) for url in urls]
    for db in engines:
        with store.begin(db) as tx:
            venues.load(tx, known.venues(), known.schemes())
    yield engines
    for engine, url in zip(engines, urls, strict=True):
        engine.dispose()
        for _ in url:
            pass
