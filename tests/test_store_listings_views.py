"""What venues list, asked in SQL as people ask it: beside the pools, by date, by what changed."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from indexer.model import Details, Identifier, Rules, instrument_hash, natural_key
from tests.lab import listing, register
from tests.lab.listing import EVERY, NOW, SCOPE, VENUE, list_, pair
from tests.lab.register import USDC, WETH, created, named

CROWD = tuple(f"C{number:02}USDT" for number in range(20))


@pytest.fixture
def tx(db):
    """A transaction on a register that knows the made venue. Rolled back."""
    with db.connect() as connection, connection.begin():
        listing.begin(connection)
        yield connection


def key(stable_id, generation=0, scope=SCOPE):
    return natural_key(VENUE, scope, stable_id, generation)


def ask(tx, query, *values):
    return [dict(row._mapping) for row in tx.exec_driver_sql(query, values)]


def one(tx, query, *values):
    (row,) = ask(tx, query, *values)
    return row


def option(symbol, strike, right, **more):
    facts = {
        "inst_class": "option",
        "base": None,
        "underlying": "BTC",
        "strike": Decimal(strike),
        "option_right": right,
    }
    return pair(symbol, **facts | {"expires_on": date(2026, 9, 25)} | more)


def test_an_instrument_of_a_venue_stands_beside_the_pools(tx):
    register.begin(tx)
    register.step(tx, 1_001, 1_001, [created(1, 1_001, USDC, WETH)])
    register.resolve(tx, named(USDC, "USDC", 6), named(WETH, "WETH"))
    details = Details(company_name="Apple Inc.", sector="Technology", market_cap=Decimal(3))
    list_(tx, "BTCUSDT", pair("AAPL", inst_class="stock", asset_class="equity", base=None, details=details))
    rows = {row["exchange"] + " " + row["symbol"]: row for row in ask(tx, "select * from api.instruments")}
    pool, stock, coin = (rows[name] for name in ("uniswap_v2 USDC-WETH", f"{VENUE} AAPL", f"{VENUE} BTCUSDT"))
    assert (pool["scope"], pool["status"], pool["base_symbol"], pool["quote_symbol"]) == (
        *("ethereum", "active"),
        *("WETH", "USDC"),
    )
    assert (pool["asset_type"], stock["asset_type"], coin["asset_type"]) == ("crypto", "stock", "crypto")
    assert (stock["company_name"], stock["sector"], stock["market_cap"]) == ("Apple Inc.", "Technology", 3)
    assert (coin["pair"], coin["identifier"], coin["pool_address"], coin["chain"]) == (
        "BTC-USDT",
        "BTCUSDT",
        None,
        None,
    )
    assert int(coin["hash"]) == instrument_hash(key("BTCUSDT"))
    found = ask(tx, "select natural_key from api.instruments where hash = %s", instrument_hash(key("BTCUSDT")))
    assert [row["natural_key"] for row in found] == [key("BTCUSDT")]


@pytest.mark.parametrize(
    ("asset_class", "inst_class", "asset_type"),
    [
        ("fx", "spot", "forex"),
        ("crypto", "perpetual", "perpetual"),
        ("equity", "tokenised_share", "tokenised_share"),
        ("equity", "option", "option"),
        (None, "spot", None),
        ("equity", None, "equity"),
        (None, None, None),
    ],
)
def test_the_seeds_types_follow_from_the_two_classes(tx, asset_class, inst_class, asset_type):
    list_(tx, pair("AUSDT", asset_class=asset_class, inst_class=inst_class))
    told = [one(tx, f"select asset_type from api.{view}")["asset_type"] for view in ("instruments", "listings")]
    assert told == [asset_type] * 2


def test_what_is_gone_stays_with_its_status(tx):
    list_(tx, *CROWD, "AUSDT")
    for beat in (1, 2, 3):
        list_(tx, *CROWD, at=beat)
    list_(tx, *CROWD, "AUSDT", at=4)
    found = ask(
        tx, "select generation, latest, status, last_seen from api.listings where identifier = 'AUSDT' order by 1"
    )
    assert [tuple(row.values()) for row in found] == [
        (0, False, "delisted", NOW),
        (1, True, "active", NOW + 4 * EVERY),
    ]


def test_changes_tell_old_and_new_field_by_field(tx):
    list_(tx, pair("AUSDT", attrs={"iceberg": False}))
    list_(tx, pair("AUSDT", status="halted", attrs={"iceberg": True}, multiplier=Decimal("0.5")), at=1)
    found = ask(tx, "select at, field, old_value, new_value from api.listing_changes order by at, field")
    assert [tuple(row.values()) for row in found] == [
        (NOW, "status", None, "active"),
        (NOW + EVERY, "attrs.iceberg", "false", "true"),
        (NOW + EVERY, "multiplier", None, "0.5"),
        (NOW + EVERY, "status", "active", "halted"),
    ]
    (run,) = ask(tx, "select run_id from api.venue_runs order by run_id desc limit 1")
    assert len(ask(tx, "select * from api.listing_changes where run_id = %s", run["run_id"])) == 3


def test_of_a_moment_the_versions_answer_and_before_the_first_nothing_is_known(tx):
    list_(tx, pair("AUSDT", list_at=NOW - timedelta(days=900)))
    list_(tx, pair("AUSDT", status="halted", venue_status="BREAK"), "BUSDT", at=2)

    def asof(at):
        found = ask(tx, "select identifier, known, status, symbol, base_symbol from api.instruments_asof(%s)", at)
        return {row.pop("identifier"): tuple(row.values()) for row in found}

    assert asof(NOW - EVERY) == {"AUSDT": (False, None, None, None), "BUSDT": (False, None, None, None)}
    assert asof(NOW + EVERY)["AUSDT"] == (True, "active", "AUSDT", "A")
    assert asof(NOW + EVERY)["BUSDT"] == (False, None, None, None)
    assert asof(NOW + 2 * EVERY)["AUSDT"] == (True, "halted", "AUSDT", "A")
    assert asof(NOW + 2 * EVERY)["BUSDT"] == (True, "active", "BUSDT", "B")


def test_of_a_moment_a_pool_is_there_from_its_block_on(tx):
    register.begin(tx)
    register.step(tx, 1_001, 1_001, [created(1, 1_001)])
    at = one(tx, "select created_at from api.pools")["created_at"]
    assert ask(tx, "select 1 from api.instruments_asof(%s)", at - timedelta(seconds=1)) == []
    row = one(tx, "select known, status, valid_from from api.instruments_asof(%s)", at)
    assert row == {"known": True, "status": "active", "valid_from": at}
    tx.exec_driver_sql("update gazetteer.pools set created_at = null, created_at_kind = null")
    row = one(tx, "select known, status, symbol from api.instruments_asof(%s)", at)
    assert row == {"known": False, "status": None, "symbol": None}


def test_an_options_chain_is_read_by_underlying_and_expiry(tx):
    list_(
        tx,
        *(
            option(f"BTC-{strike}-{right[0]}", strike, right)
            for strike in (90_000, 100_000)
            for right in ("put", "call")
        ),
        option("BTC-LATER", 1, "call", expires_on=date(2026, 12, 25)),
        option("BTC-ENDED", 1, "call", status="expired"),
        option("ETH", 1, "call", underlying="ETH"),
        "BTCUSDT",
    )
    found = ask(
        tx,
        "select strike_price, option_type, symbol from api.options_chain"
        " where underlying = 'BTC' and expiry_date = '2026-09-25' order by strike_price, option_type",
    )
    assert [tuple(row.values()) for row in found] == [
        (90_000, "call", "BTC-90000-c"),
        (90_000, "put", "BTC-90000-p"),
        (100_000, "call", "BTC-100000-c"),
        (100_000, "put", "BTC-100000-p"),
    ]


def test_rules_have_dates(tx):
    list_(tx, pair("AUSDT", rules=Rules(tick_size=Decimal("0.01"))))
    list_(tx, pair("AUSDT", rules=Rules(tick_size=Decimal("0.05"))), at=1)
    now = one(tx, "select symbol, tick_size, valid_from from api.trading_rules where valid_to is null")
    assert now == {"symbol": "AUSDT", "tick_size": Decimal("0.05"), "valid_from": NOW + EVERY}
    assert len(ask(tx, "select * from api.trading_rules")) == 2


def test_what_is_announced_and_ahead_is_upcoming(tx):
    now = one(tx, "select now() as now")["now"]
    soon, later, past = now + timedelta(days=1), now + timedelta(days=9), now - timedelta(days=1)
    list_(
        tx,
        pair("AUSDT", status="pre_listing", list_at=soon, delist_at=later),
        pair("BUSDT", list_at=past, delist_at=past),
        pair("CUSDT", status="delisted", delist_at=later),
    )
    found = ask(tx, "select symbol, what, at, status from api.upcoming order by at")
    assert [tuple(row.values()) for row in found] == [
        ("AUSDT", "list", soon, "pre_listing"),
        ("AUSDT", "delist", later, "pre_listing"),
    ]


def test_an_identifier_says_who_may_pass_it_on(tx):
    names = [Identifier(scheme="isin", value="US0378331005"), Identifier(scheme="cusip", value="037833100")]
    list_(tx, pair("AAPL", identifiers=names))
    found = ask(tx, "select scheme, licence, source from api.identifiers where symbol = 'AAPL' order by scheme")
    assert [tuple(row.values()) for row in found] == [("cusip", "restricted", VENUE), ("isin", "public", VENUE)]
    assert one(tx, "select symbol from api.identifiers where value = 'US0378331005'") == {"symbol": "AAPL"}


def test_venues_and_their_runs_are_shown(tx):
    list_(tx, "AUSDT")
    assert one(tx, "select exchange, kind, licence, scopes from api.venues") == {
        "exchange": VENUE,
        "kind": "cex",
        "licence": "public",
        "scopes": [SCOPE, "option"],
    }
    row = one(tx, "select exchange, scope, status, rows, new, evidence from api.venue_runs")
    assert row == {
        "exchange": VENUE,
        "scope": SCOPE,
        "status": "applied",
        "rows": 1,
        "new": 1,
        "evidence": {"pages": 1},
    }


def test_events_name_the_instrument_and_not_a_subject(tx, db):
    list_(tx, "AUSDT")
    tx.commit()
    with db.connect() as reader:
        row = one(reader, "select kind, natural_key, subject, chain, source from api.events")
    assert row == {
        "kind": "instrument.listed",
        "natural_key": key("AUSDT"),
        "subject": None,
        "chain": None,
        "source": "venue",
    }


@pytest.mark.parametrize(
    ("question", "index"),
    [
        ("select * from api.listings where symbol = 'AUSDT'", "ix_listings_symbol"),
        ("select * from api.instruments where identifier = 'AUSDT'", "ix_listings_stable_id"),
        ("select * from api.instruments where natural_key = 'v1|a|b|c|0'", "pk_listings"),
        ("select * from api.options_chain where underlying = 'BTC'", "ix_listings_underlying"),
        ("select * from api.identifiers where value = 'US0378331005'", "ix_identifiers_value_scheme"),
        ("select * from api.listing_changes where run_id = 7", "ix_listing_versions_run_id"),
        ("select * from api.listing_changes where at > '2030-01-01'", "ix_listing_versions_valid_from"),
        ("select * from api.trading_rules where natural_key = 'k' and valid_to is null", "uq_trading_rules_now"),
        ("select * from api.instruments_asof(now()) where natural_key = 'v1|a|b|c|0'", "pk_listings"),
        ("select * from api.events where natural_key = 'v1|a|b|c|0'", "ix_events_natural_key"),
        (
            "select * from api.venue_runs where exchange = 'madex' and scope = 'spot'",
            "ix_venue_runs_venue_scope_run_id",
        ),
        ("select * from api.upcoming", "ix_listings_list_at"),
    ],
)
def test_a_question_finds_its_index(tx, question, index):
    tx.exec_driver_sql("set local enable_seqscan = off")
    assert index in "\n".join(row["QUERY PLAN"] for row in ask(tx, f"explain {question}"))
