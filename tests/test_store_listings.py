"""A venue's list is believed only if it is whole, changes only what differs, and forgets nobody at once."""

from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

from indexer.errors import Moved
from indexer.model import Details, Identifier, Rules, instrument_hash, natural_key
from indexer.store import listings, runs
from tests.lab import listing
from tests.lab.listing import EVERY, NOW, SCOPE, VENUE, list_, pair

CROWD = tuple(f"C{number:02}USDT" for number in range(20))


@pytest.fixture
def tx(db):
    """A transaction on a register that knows the made venue. Rolled back."""
    with db.connect() as connection, connection.begin():
        listing.begin(connection)
        yield connection


def key(stable_id, generation=0, scope=SCOPE):
    return natural_key(VENUE, scope, stable_id, generation)


def rows(tx, query, *values):
    return tx.exec_driver_sql(query, values).all()


def one(tx, stable_id, generation=0):
    (row,) = rows(tx, "select * from gazetteer.listings where natural_key = %s", key(stable_id, generation))
    return row


def status(tx, stable_id, generation=0):
    return one(tx, stable_id, generation).status


def events(tx, stable_id, generation=0):
    query = "select kind from gazetteer.events where natural_key = %s order by tx, id"
    return [row.kind for row in rows(tx, query, key(stable_id, generation))]


def changes(tx, stable_id):
    query = "select changed from gazetteer.listing_versions where natural_key = %s order by valid_from"
    return [row.changed for row in rows(tx, query, key(stable_id))]


def count(tx, table):
    return rows(tx, f"select count(*) as n from gazetteer.{table}")[0].n


def test_a_first_list_is_taken_up_with_all_that_it_says(tx):
    told = pair(
        "AAPLUSDT",
        birth="2024-01-02",
        asset_class="equity",
        inst_class="tokenised_share",
        tracks="AAPL",
        multiplier=Decimal("0.10"),
        strike=Decimal("1E+2"),
        expires_on=date(2027, 1, 15),
        list_at=datetime.fromisoformat("2024-01-02T03:00:00+02:00"),
        identifiers=[Identifier(scheme="isin", value="US0378331005")],
        rules=Rules(tick_size=Decimal("0.0100"), more={"step": ["a", 1]}),
        details=Details(company_name="Apple Inc.", market_cap=Decimal("3000000000000.5")),
        attrs={"permissions": ("SPOT", "MARGIN"), "nested": {"b": 1, "a": None}},
    )
    applied = list_(tx, told)
    assert (applied.status, applied.rows, applied.new, applied.same) == ("applied", 1, 1, 0)
    row = one(tx, "AAPLUSDT")
    assert (row.symbol, row.status, row.tracks, row.birth, row.latest) == (
        "AAPLUSDT",
        "active",
        "AAPL",
        "2024-01-02",
        True,
    )
    assert (row.multiplier, row.strike, row.expires_on) == (Decimal("0.1"), Decimal(100), date(2027, 1, 15))
    assert row.list_at == datetime.fromisoformat("2024-01-02T01:00:00+00:00")
    assert row.attrs == {"permissions": ["SPOT", "MARGIN"], "nested": {"b": 1, "a": None}}
    (instrument,) = rows(tx, "select * from gazetteer.instruments")
    assert (instrument.natural_key, instrument.venue, instrument.scope) == (key("AAPLUSDT"), VENUE, SCOPE)
    assert instrument.hash % 2**64 == instrument_hash(key("AAPLUSDT"))
    assert (instrument.asset_class, instrument.inst_class) == ("equity", "tokenised_share")
    (rules,) = rows(tx, "select tick_size, lot_size, more, valid_to from gazetteer.trading_rules")
    assert tuple(rules) == (Decimal("0.01"), None, {"step": ["a", 1]}, None)
    (name,) = rows(tx, "select scheme, value, source from gazetteer.identifiers")
    assert tuple(name) == ("isin", "US0378331005", VENUE)
    (details,) = rows(tx, "select company_name, market_cap, sector from gazetteer.details")
    assert tuple(details) == ("Apple Inc.", Decimal("3000000000000.5"), None)
    assert events(tx, "AAPLUSDT") == ["instrument.listed"]


def test_what_nobody_says_is_null(tx):
    list_(tx, pair("AUSDT", status="unknown", venue_status=None, asset_class=None, inst_class=None, tradable=None))
    row = one(tx, "AUSDT")
    assert (row.venue_status, row.tradable, row.attrs, row.rules_hash, row.details_hash) == (None,) * 5
    assert tuple(rows(tx, "select asset_class, inst_class from gazetteer.instruments")[0]) == (None, None)
    assert count(tx, "trading_rules") == count(tx, "details") == count(tx, "identifiers") == 0


@pytest.mark.parametrize(
    "another",
    [
        {"multiplier": Decimal("1.50")},
        {"attrs": {"a": (1, 2), "b": "x"}},
        {"list_at": datetime.fromisoformat("2024-01-02T01:00:00-01:00")},
        {"identifiers": [Identifier(scheme="b", value="2"), Identifier(scheme="a", value="1")]},
    ],
)
def test_another_way_to_write_the_same_is_no_change(tx, another):
    list_(
        tx,
        pair(
            "AUSDT",
            multiplier=Decimal("1.5"),
            attrs={"b": "x", "a": [1, 2]},
            list_at=datetime.fromisoformat("2024-01-02T02:00:00+00:00"),
            identifiers=[Identifier(scheme="a", value="1"), Identifier(scheme="b", value="2")],
        ),
    )
    same = {
        "multiplier": Decimal("1.5"),
        "attrs": {"a": [1, 2], "b": "x"},
        "list_at": datetime.fromisoformat("2024-01-02T02:00:00+00:00"),
        "identifiers": [Identifier(scheme="a", value="1"), Identifier(scheme="b", value="2")],
    }
    applied = list_(tx, pair("AUSDT", **same | another), at=1)
    assert (applied.same, applied.changed) == (1, 0)


def test_a_change_closes_a_version_and_opens_one_that_names_the_fields(tx):
    list_(tx, pair("AUSDT", attrs={"kept": 1, "gone": 2}))
    changed = pair("AUSDT", status="halted", venue_status="BREAK", display="A/USDT", attrs={"kept": 1, "new": 3})
    applied = list_(tx, changed, at=1)
    assert (applied.changed, applied.same) == (1, 0)
    first, second = rows(tx, "select * from gazetteer.listing_versions order by valid_from")
    assert (first.valid_from, first.valid_to, second.valid_from, second.valid_to) == (
        NOW,
        NOW + EVERY,
        NOW + EVERY,
        None,
    )
    assert second.changed == ["attrs.gone", "attrs.new", "display", "status", "venue_status"]
    assert (first.state["status"], second.state["status"]) == ("active", "halted")
    assert events(tx, "AUSDT") == ["instrument.listed", "instrument.changed", "instrument.status_changed"]


def test_a_status_with_its_own_word_is_one_event_and_the_word_alone_another(tx):
    list_(tx, "AUSDT")
    list_(tx, pair("AUSDT", status="halted", venue_status="BREAK", tradable=False), at=1)
    list_(tx, pair("AUSDT", status="halted", venue_status="END_OF_DAY", tradable=False), at=2)
    assert events(tx, "AUSDT") == ["instrument.listed", "instrument.status_changed", "instrument.changed"]


def test_a_class_that_becomes_known_is_written_to_the_instrument(tx):
    list_(tx, pair("AUSDT", asset_class=None))
    list_(tx, pair("AUSDT", asset_class="fx"), at=1)
    assert rows(tx, "select asset_class from gazetteer.instruments")[0].asset_class == "fx"
    assert changes(tx, "AUSDT") == [[], ["asset_class"]]


def test_rules_are_a_series_of_their_own_and_make_no_version(tx):
    for beat, tick in enumerate(["0.01", "0.010", "0.05", None, "0.05"]):
        rules = Rules() if tick is None else Rules(tick_size=Decimal(tick))
        applied = list_(tx, pair("AUSDT", rules=rules), at=beat)
        assert applied.changed == 0
        assert applied.rules == (beat >= 2)
    series = rows(tx, "select tick_size, valid_from, valid_to from gazetteer.trading_rules order by valid_from")
    assert [tuple(row) for row in series] == [
        (Decimal("0.01"), NOW, NOW + 2 * EVERY),
        (Decimal("0.05"), NOW + 2 * EVERY, NOW + 3 * EVERY),
        (Decimal("0.05"), NOW + 4 * EVERY, None),
    ]
    assert changes(tx, "AUSDT") == [[]]
    assert events(tx, "AUSDT") == ["instrument.listed", "rules.changed", "rules.changed", "rules.changed"]


def test_details_are_as_of_the_last_reading_and_stay_where_nothing_is_told(tx):
    list_(tx, pair("AUSDT", details=Details(company_name="A", market_cap=Decimal(5))))
    list_(tx, pair("AUSDT", details=Details(company_name="A", market_cap=Decimal(7))), at=1)
    applied = list_(tx, pair("AUSDT"), at=2)
    assert (applied.same, changes(tx, "AUSDT")) == (1, [[]])
    (details,) = rows(tx, "select * from gazetteer.details")
    assert (details.company_name, details.market_cap, details.read_at) == ("A", Decimal(7), NOW + EVERY)


def test_an_identifier_has_dates_and_others_names_are_left_alone(tx):
    def named(*values):
        return pair("AUSDT", identifiers=[Identifier(scheme="isin", value=value) for value in values])

    list_(tx, named("ONE", "TWO"))
    tx.exec_driver_sql(
        "insert into gazetteer.identifiers (natural_key, scheme, value, source, valid_from)"
        " select natural_key, 'figi', 'BBG', 'openfigi', now() from gazetteer.listings"
    )
    list_(tx, named("TWO", "SIX"), at=1)
    list_(tx, pair("AUSDT"), at=2)
    found = rows(
        tx, "select value, valid_from, valid_to from gazetteer.identifiers where scheme = 'isin' order by value"
    )
    assert [tuple(row) for row in found] == [
        ("ONE", NOW, NOW + EVERY),
        ("SIX", NOW + EVERY, NOW + 2 * EVERY),
        ("TWO", NOW, NOW + 2 * EVERY),
    ]
    assert rows(tx, "select valid_to from gazetteer.identifiers where scheme = 'figi'")[0].valid_to is None
    assert changes(tx, "AUSDT") == [[], ["identifiers"], ["identifiers"]]


def test_a_list_that_cannot_be_whole_changes_nothing_and_says_why(tx):
    assert list_(tx).reason == "the list has no readable row; 0 live listings are known"
    list_(tx, *CROWD, at=1)
    for at, (told, how, reason) in enumerate(
        [
            ((), {}, "the list has no readable row; 20 live listings are known"),
            (CROWD[:17], {}, "only 17 of 20 live listings are in the list"),
            ([f"N{each}" for each in CROWD], {}, "only 0 of 20 live listings are in the list"),
            (CROWD, {"complete": False}, "the list is not complete; it has 20 rows"),
        ],
        2,
    ):
        applied = list_(tx, *told, at=at, **how)
        assert (applied.status, applied.reason) == ("suspect", reason)
    assert count(tx, "listings") == count(tx, "listing_versions") == count(tx, "events") == 20
    assert rows(tx, "select sum(missed) as n from gazetteer.listings")[0].n == 0
    assert list_(tx, *CROWD[:18], at=9).status == "applied"


def test_a_person_lets_a_suspect_list_pass(tx):
    list_(tx, *CROWD)
    applied = list_(tx, *CROWD[:5], at=1, accept=True)
    assert (applied.status, applied.accepted, applied.missing) == ("applied", True, 15)
    assert applied.reason == "only 5 of 20 live listings are in the list"
    assert list_(tx, *CROWD, at=2, accept=True).accepted is False


def test_three_applied_lists_without_it_end_a_listing_and_suspect_ones_do_not_count(tx):
    list_(tx, *CROWD, "AUSDT")
    for beat, told in enumerate([CROWD, (), CROWD, (), (), CROWD[:3]], 1):
        list_(tx, *told, at=beat)
    row = one(tx, "AUSDT")
    assert (row.status, row.missed, row.last_seen, row.missing_since) == ("active", 2, NOW, NOW + EVERY)
    applied = list_(tx, *CROWD, at=7)
    assert (applied.delisted, applied.missing) == (1, 0)
    row = one(tx, "AUSDT")
    assert (row.status, row.tradable, row.gone_at) == ("delisted", False, NOW + EVERY)
    assert changes(tx, "AUSDT") == [[], ["status", "tradable"]]
    assert events(tx, "AUSDT") == ["instrument.listed", "instrument.delisted"]


def test_a_listing_that_is_back_in_time_has_missed_nothing(tx):
    list_(tx, *CROWD, "AUSDT")
    for beat in (1, 2):
        list_(tx, *CROWD, at=beat)
    list_(tx, *CROWD, "AUSDT", at=3)
    row = one(tx, "AUSDT")
    assert (row.status, row.missed, row.missing_since, row.last_seen) == ("active", 0, None, None)
    for beat in (4, 5):
        list_(tx, *CROWD, at=beat)
    assert status(tx, "AUSDT") == "active"


def test_nobody_is_missed_while_rows_are_unreadable(tx):
    list_(tx, *CROWD, "AUSDT")
    for beat in range(1, 6):
        applied = list_(tx, *CROWD, at=beat, unreadable=1)
        assert (applied.status, applied.missing) == ("applied", 1)
    assert (one(tx, "AUSDT").status, one(tx, "AUSDT").missed) == ("active", 0)
    assert one(tx, "AUSDT").last_seen == NOW


def test_rows_that_are_unreadable_were_listed_all_the_same(tx):
    list_(tx, *CROWD)
    assert list_(tx, *CROWD[:10], at=1, unreadable=10).status == "applied"
    assert list_(tx, *CROWD[:10], at=2, unreadable=5).status == "suspect"
    assert list_(tx, at=3, unreadable=20).reason == "the list has no readable row; 20 live listings are known"


def test_an_expiry_friday_is_not_suspect_and_its_options_are_expired(tx):
    friday = NOW.date()

    def options(*, last_day):
        return [pair(f"O{n}", expires_on=last_day, expires_at=None, option_right="call") for n in range(20)]

    list_(tx, "AUSDT", *options(last_day=friday))
    assert list_(tx, "AUSDT", at=1).status == "applied"
    assert status(tx, "O1") == "active"
    for beat in (2, 3):
        applied = list_(tx, "AUSDT", at=beat)
    assert (applied.expired, applied.delisted, status(tx, "O1")) == (20, 0, "expired")
    assert events(tx, "O1") == ["instrument.listed", "instrument.expired"]


def test_what_vanishes_after_its_expiry_is_expired_at_once(tx):
    moment = NOW + EVERY / 2
    list_(tx, *CROWD, pair("FUT", expires_at=moment), pair("LATER", expires_at=moment + timedelta(days=30)))
    applied = list_(tx, *CROWD, at=1)
    assert (applied.expired, applied.missing) == (1, 1)
    assert (status(tx, "FUT"), status(tx, "LATER")) == ("expired", "active")


def test_what_its_venue_calls_delisted_is_gone_and_may_stay_in_the_list(tx):
    list_(tx, *CROWD, "AUSDT")
    ended = pair("AUSDT", status="delisted", venue_status="DELISTED", tradable=False)
    assert list_(tx, *CROWD, ended, at=1).delisted == 1
    for beat in (2, 3):
        assert list_(tx, *CROWD, ended, at=beat).same == 21
    for beat in range(4, 9):
        assert list_(tx, *CROWD, at=beat).missing == 0
    assert (one(tx, "AUSDT").gone_at, one(tx, "AUSDT").last_seen) == (NOW + EVERY, NOW + 3 * EVERY)
    assert events(tx, "AUSDT") == ["instrument.listed", "instrument.delisted"]


def test_whoever_comes_back_after_being_gone_is_another_instrument(tx):
    list_(tx, *CROWD, "LUNAUSDT")
    for beat in (1, 2, 3):
        list_(tx, *CROWD, at=beat)
    applied = list_(tx, *CROWD, "LUNAUSDT", at=4)
    assert (applied.reborn, applied.new, applied.same) == (1, 0, 20)
    old, new = one(tx, "LUNAUSDT"), one(tx, "LUNAUSDT", 1)
    assert (old.status, old.latest, new.status, new.latest) == ("delisted", False, "active", True)
    assert new.first_seen == NOW + 4 * EVERY
    assert events(tx, "LUNAUSDT", 1) == ["instrument.relisted"]
    assert list_(tx, *CROWD, "LUNAUSDT", at=5).same == 21


def test_another_birth_under_the_same_id_is_another_instrument(tx):
    list_(tx, *CROWD, pair("LUNAUSDT", birth="2020", base="LUNA"))
    applied = list_(tx, *CROWD, pair("LUNAUSDT", birth="2022", base="LUNA"), at=1)
    assert (applied.reborn, applied.delisted) == (1, 1)
    old = one(tx, "LUNAUSDT")
    assert (old.status, old.latest, old.gone_at, old.last_seen) == ("delisted", False, NOW + EVERY, NOW)
    assert events(tx, "LUNAUSDT") == ["instrument.listed", "instrument.delisted"]
    assert one(tx, "LUNAUSDT", 1).birth == "2022"


def test_a_birth_that_is_not_told_says_nothing_and_is_not_forgotten(tx):
    list_(tx, pair("AUSDT", birth="2020"))
    assert list_(tx, pair("AUSDT"), at=1).reborn == 0
    assert one(tx, "AUSDT").birth == "2020"
    assert list_(tx, pair("AUSDT", birth="2022"), at=2).reborn == 1


def test_of_rows_with_one_id_the_living_one_stands_in_whatever_order_they_come(tx):
    ended, alive = pair("AUSDT", status="delisted", display="old"), pair("AUSDT", display="new")
    applied = list_(tx, ended, alive, alive, "BUSDT")
    assert (applied.rows, applied.new, applied.duplicates) == (4, 2, ["AUSDT"])
    assert (one(tx, "AUSDT").status, one(tx, "AUSDT").display) == ("active", "new")
    assert list_(tx, alive, "BUSDT", ended, at=1).same == 2
    (run,) = rows(tx, "select duplicates, evidence from gazetteer.venue_runs order by run_id limit 1")
    assert (run.duplicates, run.evidence) == (1, {"pages": 1, "duplicates": ["AUSDT"]})


def test_one_id_in_two_scopes_is_two_instruments(tx):
    list_(tx, "BTCUSDT")
    list_(tx, "BTCUSDT", scope="option")
    assert {row.natural_key for row in rows(tx, "select natural_key from gazetteer.listings")} == {
        key("BTCUSDT"),
        key("BTCUSDT", scope="option"),
    }
    for beat in (1, 2, 3):
        list_(tx, "OTHER", at=beat, accept=True)
    assert rows(tx, "select status from gazetteer.listings where scope = 'option'")[0].status == "active"


def test_a_hash_that_another_instrument_holds_is_salted_and_recorded(tx):
    taken = instrument_hash(key("BUSDT"))
    tx.exec_driver_sql(
        "insert into gazetteer.instruments (natural_key, hash, venue, scope, first_seen)"
        " values (%s, %s, 'x', 'y', now())",
        ("v1|x|y|z|0", int.from_bytes(taken.to_bytes(8, "big"), "big", signed=True)),
    )
    assert list_(tx, "AUSDT", "BUSDT", "CUSDT").new == 3
    (row,) = rows(tx, "select hash, hash_salt from gazetteer.instruments where natural_key = %s", key("BUSDT"))
    assert (row.hash % 2**64, row.hash_salt) == (instrument_hash(key("BUSDT"), 1), 1)
    (logged,) = rows(tx, "select natural_key, other_key from gazetteer.hash_collisions")
    assert tuple(logged) == (key("BUSDT"), "v1|x|y|z|0")


def test_text_that_postgres_cannot_hold_stops_nobody(tx):
    odd = pair("A\0USDT", stable_id="A\0|%\ud800", attrs={"note": "x\0y\ud800", "big": 2**70, "\0": 1})
    assert list_(tx, odd, "BUSDT").new == 2
    row = rows(tx, "select * from gazetteer.listings order by symbol limit 1")[0]
    assert (row.symbol, row.stable_id, row.attrs) == ("AUSDT", "A|%?", {"note": "xy?", "big": 2**70, "": 1})
    assert row.natural_key == key("A|%?") == f"v1|{VENUE}|{SCOPE}|A%7C%25?|0"
    assert list_(tx, odd, "BUSDT", at=1).same == 2


def test_a_run_that_was_overtaken_is_not_applied(tx):
    slow = runs.begin(tx, VENUE, SCOPE, NOW)
    list_(tx, "AUSDT")
    with pytest.raises(Moved, match="comes too late"):
        listings.apply(tx, slow, listings.prepare([pair("BUSDT")]), complete=True, unreadable=0, accept=False, now=NOW)


def test_a_clock_that_steps_back_does_not_turn_the_order_of_versions(tx):
    list_(tx, "AUSDT", at=5)
    list_(tx, pair("AUSDT", status="halted"), at=1)
    list_(tx, pair("AUSDT", status="active"), at=1)
    found = rows(tx, "select valid_from, valid_to from gazetteer.listing_versions order by valid_from")
    tick = timedelta(microseconds=1)
    start = NOW + 5 * EVERY
    assert [tuple(row) for row in found] == [
        (start, start + tick),
        (start + tick, start + 2 * tick),
        (start + 2 * tick, None),
    ]


def test_an_unchanged_list_writes_no_row_of_a_listing(tx):
    list_(tx, *CROWD)
    before = rows(tx, "select xmin, ctid, natural_key from gazetteer.listings order by 3")
    list_(tx, *CROWD, at=1)
    assert rows(tx, "select xmin, ctid, natural_key from gazetteer.listings order by 3") == before
    assert rows(tx, "select distinct last_seen from api.listings")[0].last_seen == NOW + EVERY
