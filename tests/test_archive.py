"""What a venue sent is kept as it came, once."""

import pytest

from indexer.errors import Refused
from indexer.store import archive


def test_rows_are_read_back_as_they_came(tmp_path):
    rows = [{"symbol": "BTCUSDT", "tick": "0.10", "deep": {"a": [1, None, True, 0.5]}}, {"symbol": "ÄÖ\u2028", "n": 1}]
    name = archive.keep(tmp_path, "binance", "spot", 7, rows)
    assert archive.read(tmp_path, name) == rows


def test_an_unchanged_list_is_not_written_again(tmp_path):
    first = archive.keep(tmp_path, "binance", "spot", 7, [{"a": 1}])
    assert archive.keep(tmp_path, "binance", "spot", 8, [{"a": 1}]) == first
    second = archive.keep(tmp_path, "binance", "spot", 9, [{"a": 2}])
    assert archive.keep(tmp_path, "binance", "spot", 10, [{"a": 1}]) not in (first, second)
    assert archive.keep(tmp_path, "binance", "linear", 11, [{"a": 1}]).startswith("binance/linear/11-")


def test_old_files_go_and_the_newest_stay(tmp_path):
    for run in range(8, 8 + archive.KEPT + 5):
        archive.keep(tmp_path, "kraken", "future:CME", run, [{"run": run}])
    left = sorted(int(file.stem.split("-")[0]) for file in (tmp_path / "kraken" / "future_CME").iterdir())
    assert left == list(range(13, 13 + archive.KEPT))


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "kraken").write_text("in the way")
    with pytest.raises(Refused, match=r"kraken/spot: .*; make it writable"):
        archive.keep(tmp_path, "kraken", "spot", 1, [])
