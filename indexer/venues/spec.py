"""What a venue's file has to offer. Every error it raises is one of `indexer.errors`, never its SDK's own."""

from collections.abc import Iterator, Mapping, Sequence
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
from indexer.model import Learned, Listing, Snapshot, Sought
from indexer.model.asset import Claim
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


class Enricher(Protocol):
    """A module of this room that lists nothing, but knows more of what others list."""

    def look_up(self, session: Session, sought: Sequence[Sought], options: Mapping[str, object]) -> Iterator[Learned]:
        """What it knows of each of these, one by one, in any order. Raises as `Venue.fetch` does, between two."""
        ...


class CoinLists(Protocol):
    """A module of this room that reads lists of coins: what codes and ids mean, by contracts."""

    def read(self, session: Session, options: Mapping[str, object]) -> Sequence[Claim]:
        """The whole list of a source. Raises as `Venue.fetch` does."""
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


class Login(Protocol):
    """A module `<adapter>_login` of this room, for a venue whose login only a person with a browser can renew."""

    def login_url(self, session: Session, options: Mapping[str, object]) -> tuple[str, str]:
        """Where to log in, and the state that the address which the browser is then sent to has to bear."""
        ...

    def log_in(self, session: Session, options: Mapping[str, object], received_url: str, state: str) -> None:
        """Keep the login that this address stands for. Raises NeedsReauth, BadCredentials, VenueUnavailable."""
        ...
