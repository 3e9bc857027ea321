"""A venue is asked where the operator says, with the operator's credentials, and no oftener than all may together."""

from dataclasses import replace

import pytest

from indexer.errors import Disabled, RateLimited
from indexer.wire.budget import Budget
from indexer.wire.session import VenueSession


def session(*, secrets=(), urls=(), budget=None, lane="resolve", kept=None):
    kept = {} if kept is None else kept
    return VenueSession(
        venue="kraken",
        timeout_s=5.0,
        urls=dict(urls),
        secrets=dict(secrets),
        budget=budget or Budget("kraken", per_s=100.0, burst=100.0),
        lane=lane,
        read_token=lambda: kept.get("token"),
        write_token=lambda new, old: kept.get("token") == old and not kept.update(token=new),
        told=lambda done, total: kept.setdefault("progress", []).append((done, total)),
    )


def test_the_operators_url_takes_the_place_of_the_usual_one():
    asked = session(urls={"rest": "http://127.0.0.1:9/kraken/"})
    assert asked.url("rest", "https://api.kraken.com") == "http://127.0.0.1:9/kraken"
    assert asked.url("futures", "https://futures.kraken.com/") == "https://futures.kraken.com"
    everywhere = session(urls={"": "http://127.0.0.1:9", "futures": "http://127.0.0.1:8"})
    assert everywhere.url("api", "https://api.kraken.com") == "http://127.0.0.1:9"
    assert everywhere.url("futures", "https://futures.kraken.com") == "http://127.0.0.1:8"


def test_a_venue_without_its_credentials_is_disabled_and_says_which():
    assert session(secrets={"KEY": "k"}).secret("KEY") == "k"
    with pytest.raises(Disabled, match="APCA_API_KEY_ID is not set"):
        session(secrets={"APCA_API_KEY_ID": ""}).secret("APCA_API_KEY_ID")


def test_a_venue_that_is_out_of_budget_for_long_is_asked_later():
    slow = session(budget=Budget("kraken", per_s=0.001, burst=1.0), lane="live")
    slow.draw(2)
    with pytest.raises(RateLimited) as refused:
        replace(slow, lane="resolve").draw()
    assert refused.value.retry_after_s > 60


def test_a_login_that_somebody_else_renewed_is_not_overwritten():
    kept = {"token": b"old"}
    asked = session(kept=kept)
    assert asked.keep_token(b"new", instead_of=b"old")
    assert not asked.keep_token(b"mine", instead_of=b"old")
    assert asked.token() == b"new"
    asked.progress(3, 10)
    assert kept["progress"] == [(3, 10)]
