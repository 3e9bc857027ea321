"""Real ISINs and FIGIs of thousands of listings: every one is right, and those of one share meet in one asset."""

import gzip
import json
from collections import defaultdict

import pyarrow.parquet as pq
import pytest
from stdnum import figi, isin

from indexer import known, store
from indexer.flow import sameness
from indexer.flow.grouping import Thing, group
from indexer.model import Listing
from indexer.store import venues
from indexer.venues.reading import identifiers
from tests.lab.assets import rows
from tests.lab.listing import NOW, list_

pytestmark = [pytest.mark.shared, pytest.mark.timeout(600)]

KINDS = {"equities": "stock", "etfs": "etf"}
SCHEMES = {"isin": "isin", "figi": "figi", "composite_figi": "figi_composite", "shareclass_figi": "figi_share"}


@pytest.fixture(scope="module")
def listed(shared):
    """Rows of a reference file: one listing of one exchange each."""
    path = shared / "data" / "reference" / "instruments_isin_figi.parquet"
    found = pq.read_table(path).to_pylist()
    return [row for row in found if any(row[column] for column in SCHEMES)]


def normalised(row):
    return Listing(
        symbol=row["symbol"],
        stable_id=f"{row['mic']}:{row['symbol']}",
        status="active",
        asset_class="equity",
        inst_class=KINDS[row["asset"]],
        currency=row["currency"],
        mic=row["mic"],
        display=row["name"],
        identifiers=identifiers(**{scheme: row[column] for column, scheme in SCHEMES.items()}),
    )


def test_every_isin_figi_and_mic_of_the_reference_is_valid(listed, shared):
    mics = set(pq.read_table(shared / "data" / "reference" / "iso10383_mic.parquet")["mic"].to_pylist())
    wrong = [row["isin"] for row in listed if row["isin"] and not isin.is_valid(row["isin"])]
    wrong += [
        row[key] for row in listed for key in SCHEMES if key != "isin" and row[key] and not figi.is_valid(row[key])
    ]
    assert wrong == []
    assert {row["mic"] for row in listed if row["mic"]} <= mics
    kept = sum(len(normalised(row).identifiers) for row in listed)
    assert kept == sum(bool(row[key]) for row in listed for key in SCHEMES)


def test_one_isin_on_many_exchanges_links_all_its_listings_to_one_asset(db, listed):
    by_id = {listing.stable_id: listing for listing in map(normalised, listed)}
    assert len(by_id) == len(listed)
    with store.begin(db) as tx:
        venues.load(tx, known.venues(), known.schemes())
        assert list_(tx, *by_id.values(), venue="schwab", scope="equity").new == len(by_id)
    related = sameness.relate(db, lambda _tx: NOW)
    bearers = defaultdict(set)
    for key, listing in by_id.items():
        for each in listing.identifiers:
            bearers[each.scheme, each.value].add(f"v1|schwab|equity|{key}|0")
    assets = defaultdict(set)
    for asset_id, natural_key in rows(db, "select asset_id, natural_key from api.same_asset where role = 'itself'"):
        assets[natural_key].add(asset_id)
    isins = {name: keys for name, keys in bearers.items() if name[0] == "isin"}
    assert len(isins) > 7_000
    assert max(map(len, isins.values())) == 40  # as the file has it
    for keys in isins.values():
        assert len({asset for key in keys for asset in assets[key]}) == 1
    by_asset = defaultdict(set)
    for (_, value), keys in isins.items():
        by_asset[next(iter(assets[next(iter(keys))]))].add(value)
    assert all(len(values) == 1 for values in by_asset.values())  # no two ISINs became one
    contested = set(rows(db, "select scheme, value from api.asset_conflicts where valid_to is null"))
    several = {
        name
        for name, keys in bearers.items()
        if name[0] == "figi_share" and len({v for k in keys for s, v in names_of(by_id, k) if s == "isin"}) > 1
    }
    assert len(several) == 127
    assert several <= contested
    assert not contested & set(rows(db, "select scheme, value from api.asset_identifiers where valid_to is null"))
    assert related.contested == len(contested)
    assert isinstance(sameness.relate(db, lambda _tx: NOW), sameness.NothingNew)


def names_of(by_id, key):
    listing = by_id[key.split("|")[3].replace("%7C", "|").replace("%25", "%")]
    return [(each.scheme, each.value) for each in listing.identifiers]


def test_a_list_of_all_coins_holds_thousands_that_share_a_ticker_and_none_is_taken_for_another(shared):
    coins = json.loads(gzip.decompress((shared / "data" / "reference" / "coingecko_coins_list.json.gz").read_bytes()))
    things = [
        Thing(names=[("coingecko", coin["id"])], kind="coin", code=coin["symbol"], source="coingecko", entry=coin["id"])
        for coin in coins
    ]
    assert len({coin["symbol"] for coin in coins}) < len(coins) - 2_000
    assert len(group(things).groups) == len(coins)
