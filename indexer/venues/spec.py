"""What a venue's file has to offer. Every error it raises is one of `indexer.errors`, never its SDK's own."""

from collections.abc import Mapping
from typing import Protocol

from indexer.model import Listing, Snapshot
from indexer.ports import Session


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
