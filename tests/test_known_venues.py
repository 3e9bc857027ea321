"""Venues and identifier schemes that ship with the product, and rows that somebody wrote wrong."""

from importlib.util import find_spec

import pytest

from indexer.errors import BadSetting
from indexer.known import factories, parse_venues, schemes, venues
from indexer.known.scheme import parse_schemes

ROW = {
    "name": "newex",
    "title": "New Exchange",
    "kind": "cex",
    "adapter": "ccxt_markets",
    "extra": "cex",
    "licence": "public",
    "every_s": 300,
    "scopes": ["spot", "future:CME"],
    "per_s": 0.5,
    "burst": 4,
}
SCHEME = {"name": "isin", "title": "ISIN", "licence": "public"}


def refused(row: dict) -> str:
    with pytest.raises(BadSetting) as caught:
        parse_venues([row], "gazetteer.toml")
    message = str(caught.value)
    assert message.startswith("gazetteer.toml: [[venue]] row 1 (")
    assert "; " in message, "a remedy"
    return message


def test_a_venue_is_one_row():
    (venue,) = parse_venues([ROW], "gazetteer.toml")
    assert (venue.name, venue.adapter, venue.scopes) == ("newex", "ccxt_markets", ("spot", "future:CME"))
    assert (venue.per_s, venue.burst, venue.every_s, venue.enabled) == (0.5, 4, 300.0, True)
    assert (venue.mic, venue.secrets, venue.options, venue.source) == (None, (), {}, "gazetteer.toml")


def test_what_an_adapter_alone_knows_passes_through():
    (venue,) = parse_venues([ROW | {"options": {"ccxt": "newex", "params": {"spot": {"a": 1}}}}], "x")
    assert venue.options == {"ccxt": "newex", "params": {"spot": {"a": 1}}}


@pytest.mark.parametrize("key", sorted(ROW))
def test_a_venue_without_a_needed_value_is_refused_by_the_name_of_the_key(key):
    assert f": {key} " in refused({name: value for name, value in ROW.items() if name != key})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "New Ex"),
        ("kind", "dex"),
        ("licence", "free"),
        ("every_s", 0),
        ("every_s", 86_401),
        ("scopes", []),
        ("scopes", ["spot", "spot"]),
        ("scopes", ["Spot|1"]),
        ("scopes", "spot"),
        ("per_s", 0),
        ("per_s", "1"),
        ("per_s", True),
        ("burst", 0),
        ("mic", "xnas"),
        ("secrets", ["lower"]),
        ("secrets", [1]),
        ("enabled", "yes"),
        ("options", 7),
        ("adaptor", "ccxt_markets"),
    ],
)
def test_a_wrong_value_of_a_venue_is_refused_by_row_key_and_remedy(key, value):
    assert f": {key} " in refused(ROW | {key: value})


def test_two_venues_of_one_name_are_refused():
    with pytest.raises(BadSetting, match=r"row 2 \(newex\): name = 'newex' stands in another row too"):
        parse_venues([ROW, ROW], "gazetteer.toml")


def test_the_exchanges_that_we_follow_are_there_with_their_scopes():
    enabled = {venue.name: venue.scopes for venue in venues() if venue.kind == "cex" and venue.enabled and venue.lists}
    assert enabled == {
        "binance": ("spot", "linear", "inverse", "option"),
        "coinbase": ("spot", "future"),
        "kraken": ("spot", "tokenised", "future"),
        "bybit": ("spot", "linear", "inverse", "option"),
    }


def test_other_exchanges_wait_as_rows_of_the_general_adapter():
    waiting = {venue.name for venue in venues() if venue.adapter == "ccxt_markets" and not venue.enabled}
    assert {"okx", "kucoin", "gateio", "htx"} <= waiting
    assert len(waiting) >= 14
    assert all(isinstance(venue.options["ccxt"], str) for venue in venues() if venue.adapter == "ccxt_markets")


def test_every_exchange_is_public_listed_every_five_minutes_and_needs_no_key():
    for venue in venues():
        if venue.kind == "cex" and venue.lists:
            assert (venue.licence, venue.every_s, venue.secrets, venue.extra) == ("public", 300.0, (), "cex")


def test_every_adapter_that_a_row_names_is_a_file_of_the_venues():
    missing = {venue.adapter for venue in venues() if find_spec(f"indexer.venues.{venue.adapter}") is None}
    assert missing == set()


def test_no_venue_bears_the_name_of_a_dex_whose_natural_keys_would_be_its_own():
    assert {venue.name for venue in venues()} & {factory.dex for factory in factories()} == set()


def test_a_scheme_says_who_may_pass_its_numbers_on():
    by_name = {scheme.name: scheme for scheme in schemes()}
    assert by_name["cusip"].licence == "restricted"
    assert "licence" in by_name["cusip"].licence_note
    assert {by_name[name].licence for name in ("isin", "figi", "figi_share", "lei", "osi", "caip19")} == {"public"}


@pytest.mark.parametrize("row", [SCHEME | {"licence": "free"}, SCHEME | {"name": "I"}, SCHEME | {"note": "x"}])
def test_a_wrong_scheme_is_refused(row):
    with pytest.raises(BadSetting, match=r"s.toml: \[\[scheme\]\] row 1 "):
        parse_schemes([row], "s.toml")


def test_two_schemes_of_one_name_are_refused():
    with pytest.raises(BadSetting, match="keep one row a scheme"):
        parse_schemes([SCHEME, SCHEME], "s.toml")
