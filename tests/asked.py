"""How tests ask a venue: a real session whose every address is one simulated venue's."""

from indexer.known import venues
from indexer.wire.budget import Budget
from indexer.wire.session import VenueSession

HOSTS = ("api", "fapi", "dapi", "eapi", "futures", "www")
VENUES = {venue.name: venue for venue in venues()}


def session(venue: str, url: str, *, timeout_s: float = 5.0, progress: list | None = None) -> VenueSession:
    """A session of this venue, at `url`."""
    return VenueSession(
        venue=venue,
        timeout_s=timeout_s,
        urls=dict.fromkeys(HOSTS, url),
        secrets={},
        budget=Budget(venue, per_s=1000.0, burst=1000.0),
        lane="resolve",
        read_token=lambda: None,
        write_token=lambda _new, _old: True,
        told=lambda done, total: None if progress is None else progress.append((done, total)),
    )
