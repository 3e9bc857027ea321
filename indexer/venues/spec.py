"""What a venue's file has to offer. Every error it raises is one of `indexer.errors`, never its SDK's own."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Protocol

from indexer.errors import (
    BadAnswer,
    BadCredentials,
    Banned,
    GazetteerError,
    GeoBlocked,
    RateLimited,
    VenueUnavailable,
)
from indexer.model import Listing, Snapshot
from indexer.ports import Session

LONGEST_RETRY_AFTER_S = 86_400.0


class Venue(Protocol):
    """A module of this room. `options` are the venue's own keys in its row of `known/venues.toml`."""

    def fetch(self, session: Session, scope: str, options: Mapping[str, object]) -> Snapshot:
        """Everything that the venue lists in `scope`, as it sent it.

        Raises VenueUnavailable, RateLimited, Banned, BadAnswer (no list came), GeoBlocked, BadCredentials,
        NeedsReauth or Disabled. What is only a part is said by `complete`, never raised and never hidden.
        """
        ...

    def normalise(self, scope: str, raw: Mapping[str, object], options: Mapping[str, object]) -> Listing:
        """One raw row as a listing. Pure. Raises UnreadableRow."""
        ...


def refusal(venue: str, status: int, retry_after: str | None = None) -> GazetteerError:
    """What an HTTP status that is no success says, where the venue's client says no more. Never holds URL or body."""
    said = f"{venue}: HTTP {status}"
    if status == HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS:
        return GeoBlocked(f"{said}; ask from elsewhere, or set another URL for it")
    if status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.IM_A_TEAPOT}:
        slower = Banned if status == HTTPStatus.IM_A_TEAPOT else RateLimited
        return slower(said, retry_after_s=_seconds(retry_after))
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return BadCredentials(f"{said}; check its credentials where the worker runs")
    later = status == HTTPStatus.REQUEST_TIMEOUT or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return VenueUnavailable(said) if later else BadAnswer(said)


def _seconds(retry_after: str | None) -> float | None:
    try:
        wait_s = float(retry_after or "")
    except ValueError:
        return None
    return min(max(wait_s, 0.0), LONGEST_RETRY_AFTER_S)
