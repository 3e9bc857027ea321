"""Real lists of several dates, applied one after the other: what the register says changed is what the files say.

The mapping of the American lists, stated here: an exchange's file of one date is one list; the stable id is
`exchange:symbol`, as a symbol may move to another exchange and be another row there; name and country are identity;
sector and industry are details, which make no version. Rows are told once, the first of a symbol, as a venue would.
"""

import gzip
import json

import pytest

from indexer import store
from indexer.model import Details, Listing
from indexer.venues import binance
from tests.lab import listing as lab

US_DATES = ("2021-06-02", "2022-06-01", "2022-06-08", "2023-06-01", "2024-06-04", "2025-06-03")
pytestmark = pytest.mark.shared


def _read(path):
    return json.loads(gzip.decompress(path.read_bytes()))


def american(shared, date):
    rows = {}
    for row in _read(shared / "data" / "reference" / f"us_listed_symbols_{date}.json.gz"):
        rows.setdefault(f"{row['exchange']}:{row['symbol']}", row)
    return rows


def share(key, row):
    return Listing(
        symbol=row["symbol"],
        stable_id=key,
        status="active",
        asset_class="equity",
        exchange=row["exchange"],
        display=row["name"].strip() or None,
        attrs={"country": row["country"]} if row["country"] else {},
        details=Details(sector=row["sector"] or None, industry=row["industry"] or None),
    )


def spot(shared, date):
    rows = _read(shared / "data" / "cex" / f"binance_spot_{date}.json.gz")["symbols"]
    return {row["symbol"]: row for row in rows}


def applied(db, rows, at):
    """Apply a list as of the `at`-th beat, and twice more, so that what is missing is delisted."""
    with store.begin(db) as tx:
        told = [lab.list_(tx, *rows, at=at + n, accept=True) for n in range(3)]
        last = "(select run_id from gazetteer.venue_runs order by run_id desc limit 3) as last"
        run_id = tx.exec_driver_sql(f"select min(run_id) from {last}").scalar_one()
    assert (told[1].new, told[1].changed, told[2].new, told[2].changed) == (0, 0, 0, 0)
    return told[0], told[2].delisted, run_id


def changes(db, run_id):
    """(stable id, field) that differ by this run's versions, of listings that were there before."""
    query = f"""
        select l.stable_id, unnest(v.changed) from gazetteer.listing_versions v
        join gazetteer.listings l using (natural_key) where v.run_id = {run_id}
    """
    with store.begin(db) as tx:
        return {tuple(row) for row in tx.exec_driver_sql(query)}


@pytest.fixture
def begun(db):
    with store.begin(db) as tx:
        lab.begin(tx)
    return db


def test_binance_in_april_and_in_august_differ_as_their_files_do(begun, shared):
    april, august = spot(shared, "2021-04-17"), spot(shared, "2021-08-14")
    listed = [[binance.normalise("spot", row, {"fiat": []}) for row in rows.values()] for rows in (april, august)]
    first, _, _ = applied(begun, listed[0], 0)
    assert first.new == len(april)
    then, delisted, run_id = applied(begun, listed[1], 10)
    both = april.keys() & august.keys()
    changed = {name for name in both if april[name]["status"] != august[name]["status"]}
    rules = {name for name in both if april[name]["filters"] != august[name]["filters"]}
    assert (then.new, delisted) == (len(august.keys() - april.keys()), len(april.keys() - august.keys()))
    assert {name for name, _ in changes(begun, run_id)} == changed
    assert then.changed == len(changed)
    assert 0 < then.rules <= len(rules)


def test_six_american_lists_differ_as_their_files_do(begun, shared):
    before, born = {}, {}
    for at, date in enumerate(US_DATES):
        now = american(shared, date)
        then, delisted, run_id = applied(begun, [share(*each) for each in now.items()], 10 * at)
        again = {key for key in now.keys() - before.keys() if key in born}
        assert (then.new, then.reborn) == (len(now.keys() - before.keys() - again), len(again)), date
        assert delisted == len(before.keys() - now.keys()), date
        wanted = set()
        for key in now.keys() & before.keys():
            old, new = before[key], now[key]
            if (old["name"].strip() or None) != (new["name"].strip() or None):
                wanted.add((key, "display"))
            if old["country"] != new["country"]:
                wanted.add((key, "attrs.country"))
        assert changes(begun, run_id) == wanted, date
        before = now
        born |= now
