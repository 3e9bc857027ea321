"""Simulated venues answer over real sockets, each below its own name, and fail in the ways that venues fail."""

import contextlib
import http.client
from collections.abc import Iterator

import orjson
import pytest

from indexer.sim.serving import HOST
from indexer.sim.venues.server import VenueServer
from indexer.sim.venues.spec import Asked, Told, json, struck


class Echo:
    def __init__(self, name: str) -> None:
        self.name = name
        self.rows: dict[str, list[dict]] = {}
        self.faults: set[str] = set()

    def answer(self, asked: Asked) -> Told:
        return json({"venue": self.name, "path": asked.path, "query": dict(asked.query), "body": asked.body.decode()})


@pytest.fixture
def venue() -> Echo:
    return Echo("echo")


@pytest.fixture
def server(venue: Echo) -> Iterator[VenueServer]:
    running = VenueServer([venue, Echo("other")])
    running.start()
    yield running
    running.close()


def ask(server: VenueServer, path: str, *, method="GET", body=None, timeout_s=5.0):
    with contextlib.closing(http.client.HTTPConnection(HOST, server.port, timeout=timeout_s)) as connection:
        connection.request(method, path, body)
        response = connection.getresponse()
        return response.status, response.headers, response.read()


def test_each_venue_answers_below_its_own_name(server):
    status, _headers, body = ask(server, "/echo/api/v3/list?limit=2&cursor=a%3Db", method="POST", body="x")
    assert status == 200
    assert orjson.loads(body) == {
        "venue": "echo",
        "path": "/api/v3/list",
        "query": {"limit": "2", "cursor": "a=b"},
        "body": "x",
    }
    assert orjson.loads(ask(server, "/other/list")[2])["venue"] == "other"
    assert ask(server, "/nobody/list")[0] == 404
    assert [(name, asked.path) for name, asked in server.asked] == [("echo", "/api/v3/list"), ("other", "/list")]


@pytest.mark.parametrize(
    ("fault", "status", "retry_after", "says"),
    [
        ("geo_blocked", 451, None, b"restricted location"),
        ("rate_limited", 429, "30", b"Too many"),
        ("banned", 418, "120", b"banned"),
        ("unavailable", 503, None, b"<html>"),
        ("html", 200, None, b"<html>"),
    ],
)
def test_a_fault_is_what_that_venue_answers_and_no_other(server, venue, fault, status, retry_after, says):
    venue.faults.add(fault)
    told = ask(server, "/echo/list")
    assert (told[0], told[1].get("Retry-After")) == (status, retry_after)
    assert says in told[2]
    assert ask(server, "/other/list")[0] == 200
    venue.faults.clear()
    assert ask(server, "/echo/list")[0] == 200


def test_a_truncated_body_breaks_off_in_the_middle(server, venue):
    venue.faults.add("truncated")
    with pytest.raises(http.client.IncompleteRead):
        ask(server, "/echo/list")


def test_a_venue_that_hangs_says_nothing_and_does_not_hold_up_the_end(server, venue):
    venue.faults.add("hang@/list")
    with pytest.raises(TimeoutError):
        ask(server, "/echo/list", timeout_s=0.2)
    assert ask(server, "/echo/other")[0] == 200


def test_a_fault_may_strike_only_what_says_a_part():
    first, second = Asked(method="GET", path="/list"), Asked(method="GET", path="/list", query={"cursor": "2"})
    assert not struck({"unavailable@?cursor=2"}, "unavailable", first)
    assert struck({"unavailable@?cursor=2"}, "unavailable", second)
    assert struck({"unavailable"}, "unavailable", first)
    assert not struck({"unavailable"}, "hang", first)
