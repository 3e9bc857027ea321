"""Exchanges and brokers as a person sees them: `gazetteer venues`."""

import pytest

from indexer.errors import BadSetting, Refused
from indexer.sim.venues.kraken import Kraken
from indexer.sim.venues.server import VenueServer
from tests.commands import run, settled
from workers import wiring


@pytest.fixture
def kraken():
    venue = Kraken(seed=3, size=30)
    server = VenueServer([venue])
    server.start()
    yield venue, server.url("kraken")
    server.close()


@pytest.fixture
def place(kraken, postgres_url, monkeypatch, tmp_path):
    env = {
        "GAZETTEER_DATABASE_URL": postgres_url,
        "GAZETTEER_DATA_DIR": str(tmp_path),
        "GAZETTEER_VENUES": "kraken,alpaca",
        "GAZETTEER_URL_KRAKEN": kraken[1],
    }
    monkeypatch.chdir(tmp_path)
    with settled(monkeypatch, **env):
        wiring.load_facts()
        yield kraken[0]


def test_a_run_by_hand_says_what_changed(place):
    first = run("venues", "run", "kraken", "spot")
    assert first.exit_code == 0, first.output
    assert "kraken spot: 30 rows, 30 new, 0 changed" in first.output
    assert "and more: select * from api.listing_changes where run_id = " in first.output
    changed = place.rows["spot"][0]
    place.rows["spot"] = [{**changed, "status": "cancel_only"}, *place.rows["spot"][1:]]
    second = run("venues", "run", "kraken", "spot")
    assert "30 rows, 0 new, 1 changed" in " ".join(second.output.split())
    assert "restricted" in second.output
    assert "cancel_only" in second.output


def test_a_suspect_list_names_the_command_that_believes_it(place):
    run("venues", "run", "kraken", "spot")
    place.faults = {"half"}
    suspect = run("venues", "run", "kraken", "spot")
    assert suspect.exit_code == 1
    said = " ".join(suspect.output.split())
    assert "suspect, nothing was changed: only 15 of 30 live listings are in the list" in said
    assert "gazetteer venues run kraken spot --accept" in said
    assert run("venues", "run", "kraken", "spot", "--accept").exit_code == 0
    listed = run("venues", "history", "kraken", "spot").output
    assert [line.split()[4] for line in listed.splitlines()[2:]] == ["applied", "suspect", "applied"]


def test_the_list_says_how_every_scope_stands(place):
    run("venues", "run", "kraken", "spot")
    place.faults = {"geo_blocked"}
    failed = run("venues", "run", "kraken", "future")
    assert failed.exit_code == 1
    assert failed.output.startswith("kraken future: geo_blocked: ")
    run("venues", "run", "alpaca", "equity")
    lines = {tuple(line.split()[:3]) for line in run("venues", "list").output.splitlines()[2:]}
    assert lines >= {
        ("kraken", "spot", "applied"),
        ("kraken", "future", "failed"),
        ("kraken", "tokenised", "waiting"),
        ("alpaca", "equity", "disabled"),
    }


@pytest.mark.usefixtures("place")
def test_what_nobody_lists_is_said():
    assert "was never read" in run("venues", "history", "kraken").output
    with pytest.raises(BadSetting, match="the venue 'nyse' is not listed here; use one of"):
        raise run("venues", "run", "nyse").exception
    assert "kraken has no scope 'option'; it has spot, tokenised, future" in run(
        "venues", "run", "kraken", "option"
    ).output.replace("\n", " ")
    with pytest.raises(Refused, match="kraken needs no login by a browser"):
        raise run("venues", "login", "kraken").exception
