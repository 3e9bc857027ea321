"""What tests of brokers share: a session on a simulated venue, and a listing as plain words."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

from indexer.known import venues
from indexer.sim.venues.server import VenueServer
from indexer.sim.venues.spec import Simulated
from indexer.wire.budget import Budget
from indexer.wire.session import VenueSession

GOLDEN = Path(__file__).parent / "golden" / "venues"
CANARY = "canary-secret"


class Logins:
    """Where a venue's login is kept, as Postgres would: whoever compares first swaps."""

    def __init__(self, token: bytes | None = None) -> None:
        self.token = token

    def read(self) -> bytes | None:
        return self.token

    def write(self, new: bytes, instead_of: bytes | None) -> bool:
        if self.token != instead_of:
            return False
        self.token = new
        return True


def session(
    venue: str, url: str, *, timeout_s: float = 5.0, logins: Logins | None = None, keys: bool = True
) -> VenueSession:
    """The session of this venue's row, its secrets all known by heart, its requests sent to `url`."""
    logins = logins or Logins()
    (row,) = (each for each in venues() if each.name == venue)
    return VenueSession(
        venue=venue,
        timeout_s=timeout_s,
        urls={"rest": url},
        secrets={name: f"{CANARY}-{name}" for name in row.secrets} if keys else {},
        budget=Budget(venue, per_s=10_000.0, burst=10_000.0),
        lane="live",
        read_token=logins.read,
        write_token=logins.write,
        told=lambda _done, _total: None,
    )


@contextmanager
def served(venue: Simulated) -> Iterator[VenueServer]:
    server = VenueServer([venue])
    server.start()
    try:
        yield server
    finally:
        server.close()


def golden(venue: str) -> list[dict[str, Any]]:
    """Rows in the venue's own shape with what they have to become: `scope`, `raw`, `options`, `listing`."""
    return json.loads((GOLDEN / f"{venue}.json").read_text())


def shown(value: object) -> Any:
    """A listing as JSON, without what nobody told."""
    if is_dataclass(value) and not isinstance(value, type):
        pairs = ((field, getattr(value, field.name)) for field in fields(value))
        return {field.name: shown(told) for field, told in pairs if told != _usual(field)}
    if isinstance(value, Mapping):
        return {key: shown(told) for key, told in value.items()}
    if isinstance(value, list | tuple):
        return [shown(each) for each in value]
    return value if value is None or isinstance(value, bool | int) else str(value)


def _usual(field: Any) -> object:
    if field.default_factory is not MISSING:
        factory: Callable[[], object] = field.default_factory
        return factory()
    return field.default
