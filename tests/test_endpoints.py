"""Which endpoint is asked next, and why another is not."""

import pytest

from indexer.errors import (
    BadAnswer,
    ForkBelowAnchor,
    MethodOff,
    MissingData,
    NodeUnavailable,
    RateLimited,
    Suspicious,
    TooManyLogs,
    WrongChain,
)
from indexer.model import ChainId, Hash32
from indexer.wire.endpoints import EXPLORE_EVERY, FORK_REST_S, LAG_S, LONGEST_REST_S, OUT_OF_SERVICE, Endpoints

GENESIS = Hash32(b"\x01" * 32)


class Named:
    def __init__(self, name, identity=(1, GENESIS)):
        self.name, self.identity, self.checks = name, identity, 0

    def chain_identity(self):
        self.checks += 1
        if isinstance(self.identity, Exception):
            raise self.identity
        return self.identity


class Time:
    now = 1_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def time():
    return Time()


def endpoints_of(time, *nodes):
    return Endpoints(nodes, ChainId(1), GENESIS, clock=time)


def test_an_endpoint_proves_its_chain_once_before_its_first_use(time):
    node = Named("a")
    endpoints = endpoints_of(time, node)
    assert node.checks == 0
    assert endpoints.choose() is node
    assert endpoints.choose() is node
    assert node.checks == 1


@pytest.mark.parametrize("identity", [(2, GENESIS), (1, Hash32(b"\x02" * 32))])
def test_an_endpoint_of_another_chain_is_shut_out_for_good(time, identity):
    wrong, right = Named("wrong", identity), Named("right")
    endpoints = endpoints_of(time, wrong, right)
    assert endpoints.choose() is right
    time.now += 1e9
    for _ in range(2 * EXPLORE_EVERY):
        assert endpoints.choose() is right
    assert wrong.checks == 1
    assert "wrong: " in endpoints.why()
    assert "correct its URL" in endpoints.why()


def test_an_endpoint_that_cannot_be_checked_only_rests(time):
    node = Named("a", NodeUnavailable("no connection"))
    endpoints = endpoints_of(time, node)
    assert endpoints.choose() is None
    assert "no connection" in endpoints.why()
    assert endpoints.usable()
    node.identity = (1, GENESIS)
    assert endpoints.choose() is None
    time.now += 2
    assert endpoints.choose() is node


def test_rest_doubles_with_failures_in_a_row_up_to_a_limit_and_success_ends_it(time):
    node = Named("a")
    endpoints = endpoints_of(time, node)

    def rest_s():
        endpoints.failed(node, NodeUnavailable("HTTP 502"))
        started = time.now
        while endpoints.choose() is None:
            time.now += 0.5
        return time.now - started

    rests = [rest_s() for _ in range(9)]
    assert rests[:4] == [1, 2, 4, 8]
    assert rests[-1] == LONGEST_REST_S
    endpoints.succeeded(node, 0.1)
    assert rest_s() == 1


def test_old_failures_are_forgotten_without_a_success(time):
    node = Named("a")
    endpoints = endpoints_of(time, node)
    for _ in range(8):
        endpoints.failed(node, NodeUnavailable("x"))
    time.now += 1_000
    endpoints.failed(node, NodeUnavailable("x"))
    time.now += 1.1
    assert endpoints.choose() is node


def test_retry_after_is_honoured(time):
    node = Named("a")
    endpoints = endpoints_of(time, node)
    endpoints.failed(node, RateLimited("HTTP 429", retry_after_s=120))
    time.now += 119
    assert endpoints.choose() is None
    assert "a: rests for 1 s (HTTP 429)" in endpoints.why()
    time.now += 1
    assert endpoints.choose() is node


@pytest.mark.parametrize(
    ("error", "shortest", "longest"),
    [
        (MissingData("x"), 0, 1),
        (Suspicious("x"), 0, 1),
        (TooManyLogs("x"), 0, 1),
        (NodeUnavailable("x"), 0.5, 2),
        (BadAnswer("x"), 2, 10),
        (ForkBelowAnchor("x"), FORK_REST_S, FORK_REST_S),
        (MethodOff("x"), 60, 3600),
        (WrongChain("x"), 1e9, None),
    ],
)
def test_how_long_an_endpoint_rests_depends_on_what_went_wrong(time, error, shortest, longest):
    node = Named("a")
    endpoints = endpoints_of(time, node)
    endpoints.failed(node, error)
    time.now += shortest - 1e-3
    assert endpoints.choose() is None or shortest == 0
    if longest is not None:
        time.now += longest
        assert endpoints.choose() is node


def test_the_faster_one_is_preferred_but_not_for_a_trifle(time):
    slow, fast = Named("slow"), Named("fast")
    endpoints = endpoints_of(time, slow, fast)
    endpoints.succeeded(slow, 1.0)
    endpoints.succeeded(fast, 0.2)
    assert endpoints.choose() is fast
    for _ in range(20):
        endpoints.succeeded(slow, 0.19)
    assert endpoints.choose() is fast
    for _ in range(20):
        endpoints.succeeded(slow, 0.05)
    assert endpoints.choose() is slow


def test_no_endpoint_is_forgotten_for_ever(time):
    nodes = [Named(str(at)) for at in range(3)]
    endpoints = endpoints_of(time, *nodes)
    for at, node in enumerate(nodes):
        endpoints.succeeded(node, 0.1 * (at + 1))
    chosen = []
    for _ in range(4 * EXPLORE_EVERY):
        time.now += 1
        chosen.append(endpoints.choose())
    assert set(chosen) == set(nodes)
    assert chosen.count(nodes[0]) > 0.9 * len(chosen)


def test_a_failed_endpoint_gives_way_to_the_next(time):
    first, second = Named("a"), Named("b")
    endpoints = endpoints_of(time, first, second)
    node = endpoints.choose()
    endpoints.failed(node, NodeUnavailable("x"))
    other = endpoints.choose()
    assert {node, other} == {first, second}
    endpoints.failed(other, NodeUnavailable("x"))
    assert endpoints.choose() is None


def test_a_lagging_endpoint_is_the_last_choice_for_a_moment_but_still_one(time):
    lagging, other = Named("a"), Named("b")
    endpoints = endpoints_of(time, lagging, other)
    endpoints.succeeded(lagging, 0.1)
    endpoints.succeeded(other, 5.0)
    endpoints.lagging(lagging, 41)
    endpoints.succeeded(lagging, 0.1)
    assert endpoints.choose() is other
    endpoints.failed(other, NodeUnavailable("x"))
    assert endpoints.choose() is lagging
    assert "41" in endpoints.why()
    endpoints.succeeded(other, 5.0)
    time.now += LAG_S
    assert endpoints.choose() is lagging


def test_only_a_fork_on_every_endpoint_leaves_none_usable_and_only_success_takes_it_back(time):
    one, two = Named("a"), Named("b")
    endpoints = endpoints_of(time, one, two)
    endpoints.failed(one, ForkBelowAnchor("another block at 7"))
    endpoints.failed(two, NodeUnavailable("x"))
    assert endpoints.usable()
    endpoints.failed(two, ForkBelowAnchor("another block at 7"))
    assert not endpoints.usable()
    time.now += FORK_REST_S
    assert endpoints.choose() is not None
    assert not endpoints.usable()
    endpoints.succeeded(one, 0.1)
    assert endpoints.usable()


def test_without_endpoints_it_says_so(time):
    endpoints = endpoints_of(time)
    assert endpoints.choose() is None
    assert not endpoints.usable()
    assert endpoints.why() == "none is configured"


def test_work_that_asked_nothing_says_nothing_about_an_endpoint(time):
    slow, fast = Named("slow"), Named("fast")
    endpoints = endpoints_of(time, slow, fast)
    endpoints.succeeded(slow, 1.0)
    endpoints.succeeded(fast, 0.2)
    for _ in range(100):
        endpoints.succeeded(slow, 0.00001)
    assert endpoints.choose() is fast


def test_an_endpoint_that_fails_time_and_again_or_rests_for_long_is_not_counted_on(time):
    nodes = [Named(name) for name in ("good", "dead", "limited", "forked", "of another chain")]
    endpoints = endpoints_of(time, *nodes)
    assert endpoints.in_service() == 5
    endpoints.failed(nodes[1], NodeUnavailable("once"))
    assert endpoints.in_service() == 5, "it may be back in a second"
    for _ in range(OUT_OF_SERVICE - 1):
        endpoints.failed(nodes[1], NodeUnavailable("again"))
    assert endpoints.in_service() == 4
    endpoints.failed(nodes[2], RateLimited("come back in an hour", retry_after_s=3600.0))
    assert endpoints.in_service() == 3
    endpoints.failed(nodes[3], ForkBelowAnchor("elsewhere"))
    endpoints.failed(nodes[4], WrongChain("elsewhere"))
    assert endpoints.in_service() == 1
    endpoints.succeeded(nodes[1], 1.0)
    assert endpoints.in_service() == 2
    time.now += 4_000
    assert endpoints.in_service() == 3
