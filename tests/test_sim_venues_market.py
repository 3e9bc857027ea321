"""What happens on simulated exchanges is the same for a seed, and is what a listing of them shows."""

import pytest

from indexer import venues
from indexer.sim.venues import market
from indexer.sim.venues.binance import Binance
from indexer.sim.venues.bybit import Bybit
from indexer.sim.venues.coinbase import Coinbase
from indexer.sim.venues.exchange import SIZE, Exchange
from indexer.sim.venues.kraken import Kraken
from indexer.sim.venues.market import ROUND, ROUND_S, Market
from indexer.sim.venues.spec import Asked
from tests.asked import VENUES

KINDS = (Binance, Coinbase, Kraken, Bybit)


def births(exchange: Exchange, scope: str) -> dict[str, str | None]:
    row = VENUES[exchange.name]
    adapter = venues.load(row.adapter, row.extra)
    listed = [adapter.normalise(scope, raw, row.options) for raw in exchange.rows[scope]]
    return {each.stable_id: each.birth for each in listed}


@pytest.mark.parametrize("kind", KINDS)
def test_an_exchange_is_the_same_for_a_seed_and_as_large_as_is_asked(kind):
    one, same, other = kind(seed=1), kind(seed=1), kind(seed=2)
    assert one.rows == same.rows != other.rows
    assert len(one.rows["spot"]) == SIZE
    assert len(kind(seed=1, size=1000).rows["spot"]) == 1000
    for scope, rows in one.rows.items():
        assert len({row[one.ids[scope]] for row in rows}) == len(rows) >= 10


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_listed_is_there_and_what_is_delisted_is_gone(kind):
    exchange = kind()
    new = market.add(exchange, "spot", "NEWCOIN", exchange.at_ms)
    assert new.key in births(exchange, "spot")
    market.remove(exchange, "spot", new.key)
    assert new.key not in births(exchange, "spot")
    with pytest.raises(KeyError):
        market.remove(exchange, "spot", new.key)


@pytest.mark.parametrize("kind", KINDS)
def test_a_life_of_an_exchange_shows_in_what_is_read_of_it(kind):
    exchange = kind(seed=3)
    scope = "linear" if "linear" in exchange.rows else "future"
    spot, contracts = births(exchange, "spot"), births(exchange, scope)
    happened = Market([exchange], seed=3).live(ROUND_S)
    assert [each.verb for each in happened] == [verb for _at, verb in ROUND]
    listed = {each.key for each in happened if each.verb == "list"}
    gone = {each.key for each in happened if each.verb == "delist"}
    assert births(exchange, "spot").keys() - spot.keys() == listed - gone
    assert spot.keys() - births(exchange, "spot").keys() == gone - listed
    now = births(exchange, scope)
    assert now.keys() == contracts.keys()
    (reused,) = (each.key for each in happened if each.verb == "reuse")
    assert {key for key in now if now[key] != contracts[key]} == {reused.upper() if kind is Kraken else reused}


def test_a_list_that_breaks_off_is_whole_again_when_it_recovers():
    exchange = Bybit()
    asked = Asked(method="GET", path="/v5/market/instruments-info", query={"category": "spot"})
    whole = exchange.answer(asked)
    market.shrink(exchange, "spot")
    assert len(exchange.answer(asked).body) < 0.6 * len(whole.body)
    market.recover(exchange, "spot")
    assert exchange.answer(asked) == whole


def test_what_happens_is_the_same_for_a_seed_however_often_it_is_asked_for():
    at_once, by_steps = (Market([kind() for kind in KINDS], seed=5) for _each in range(2))
    at_once.live(5 * ROUND_S)
    for step in range(51):
        by_steps.live(step * ROUND_S / 10)
    assert at_once.happened == by_steps.happened
    assert [each.venue for each in at_once.happened if each.verb == "shrink"] == [
        "binance",
        "coinbase",
        "kraken",
        "bybit",
        "binance",
    ]


def test_time_may_run_faster():
    assert len(Market([Binance()], round_s=ROUND_S / 4).live(ROUND_S)) == 4 * len(ROUND)
