"""One budget for all processes, and the order in which lanes go hungry."""

import multiprocessing
import time
import uuid

import pytest
from redis import Redis

from indexer.errors import RateLimited
from indexer.wire.budget import MOST_DRAWS, Bucket, Budget, budgeted, connect


class Time:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Time()


@pytest.fixture
def redis(valkey_url):
    with connect(valkey_url) as client:
        yield client


@pytest.fixture(params=["redis", "alone"])
def budget(request, clock):
    redis = request.getfixturevalue("redis") if request.param == "redis" else None
    return Budget(uuid.uuid4().hex[:8], per_s=0.001, burst=100, redis=redis, clock=clock)


def drawn(budget, lane):
    for count in range(1_000):
        if budget.draw(lane) > 0:
            return count
    raise AssertionError("there is no end to it")


def test_history_leaves_half_resolve_a_fifth_and_live_always_draws(budget):
    assert drawn(budget, "history") == 50
    assert drawn(budget, "resolve") == 30
    assert drawn(budget, "history") == 0
    assert [budget.draw("live") for _ in range(300)] == [0] * 300
    assert drawn(budget, "resolve") == 0


def test_a_body_larger_than_a_lanes_share_is_sent_once_the_bucket_is_full(budget):
    assert budget.draw("history", 90) == 0
    assert budget.draw("history", 90) > 0


def test_an_emptied_bucket_is_empty_for_all_but_the_live_lane(budget):
    budget.empty()
    assert budget.draw("resolve") > 0
    assert budget.draw("live") == 0


def test_the_bucket_fills_with_time_and_never_beyond_its_size(clock):
    bucket = Bucket(10.0, 20.0, clock)
    assert [bucket.draw(1, 0.0) for _ in range(20)] == [0] * 20
    assert bucket.draw(1, 0.0) == pytest.approx(0.1)
    clock.now += 1
    assert [bucket.draw(1, 0.0) for _ in range(10)] == [0] * 10
    assert bucket.draw(1, 0.0) > 0
    clock.now += 1_000
    assert [bucket.draw(1, 0.0) for _ in range(20)] == [0] * 20
    assert bucket.draw(1, 0.0) > 0


def test_in_redis_too_it_fills_with_time(redis):
    budget = Budget(uuid.uuid4().hex[:8], per_s=50, burst=10, redis=redis)
    assert budget.draw("history", 5) == 0
    wait_s = budget.draw("history", 5)
    assert 0.05 < wait_s <= 0.1
    time.sleep(wait_s + 0.01)
    assert budget.draw("history", 5) == 0


def spend(url, name, count):
    with connect(url) as client:
        budget = Budget(name, per_s=0.001, burst=100, redis=client)
        return sum(budget.draw("resolve") == 0 for _ in range(count))


def test_several_processes_draw_from_one_bucket(valkey_url):
    name = uuid.uuid4().hex[:8]
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        drawn = pool.starmap(spend, [(valkey_url, name, 60)] * 3)
    assert sum(drawn) == 80


def test_a_budget_forgets_itself_when_nobody_draws(redis):
    name = uuid.uuid4().hex[:8]
    Budget(name, per_s=1, burst=10, redis=redis).draw("live")
    assert 0 < redis.ttl(f"gazetteer:budget:{name}") <= 3600


def test_without_an_answer_from_redis_a_process_keeps_to_its_share(clock):
    with Redis(host="127.0.0.1", port=1, socket_connect_timeout=0.2) as nowhere:
        budget = Budget("x", per_s=0.001, burst=100, redis=nowhere, share=0.25, clock=clock)
        assert drawn(budget, "resolve") == 20
        budget.empty()
        assert budget.draw("live") == 0


def test_a_script_that_the_server_forgot_is_sent_again(redis):
    budget = Budget(uuid.uuid4().hex[:8], per_s=0.001, burst=10, redis=redis)
    budget.draw("live", 4)
    redis.script_flush()
    assert drawn(budget, "resolve") == 4


def test_each_request_of_a_body_costs_one(clock):
    budget = Budget("x", per_s=0.001, burst=100, clock=clock)
    sent = []
    send = budgeted(lambda body, _: sent.append(body) or b"{}", budget, "resolve")
    assert send(b'[{"method":"a"},{"method":"b"}]', 1.0) == b"{}"
    assert drawn(budget, "resolve") == 78
    with pytest.raises(RateLimited) as spent:
        send(b'{"method":"a"}', 1.0)
    assert spent.value.retry_after_s > 1
    assert len(sent) == 1


def test_a_short_wait_is_waited(clock):
    budget = Budget("x", per_s=10, burst=10, clock=clock)
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        clock.now += seconds

    send = budgeted(lambda *_: b"{}", budget, "history", sleep=sleep)
    for _ in range(15):
        send(b'{"method":"a"}', 1.0)
    assert sum(slept) == pytest.approx(1.0, abs=0.05)


def test_waiting_has_an_end_even_where_time_stands_still(clock):
    budget = Budget("x", per_s=100, burst=1, clock=clock)
    budget.draw("live")
    slept = []
    with pytest.raises(RateLimited):
        budgeted(lambda *_: b"{}", budget, "history", sleep=slept.append)(b"{}", 1.0)
    assert len(slept) <= MOST_DRAWS


def test_an_endpoint_that_says_it_was_too_much_empties_the_bucket(clock):
    budget = Budget("x", per_s=0.001, burst=100, clock=clock)

    def refuse(*_):
        raise RateLimited("HTTP 429")

    with pytest.raises(RateLimited):
        budgeted(refuse, budget, "history")(b"{}", 1.0)
    assert drawn(budget, "resolve") == 0
