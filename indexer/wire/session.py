"""What a venue is asked through: where, with which credentials, and how often."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from indexer.errors import Disabled, VenueUnavailable
from indexer.wire.budget import Budget, Lane, take

LONGEST_WAIT_S = 60.0
"""Venues that allow one request a second are waited for; one that is out of budget for longer is asked later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueSession:
    """A venue's `Session`. `urls` and `secrets` are the operator's; `read_token`, `write_token` keep logins.

    A URL of the empty name stands for every name that has none of its own.

    `told` hears of progress: requests or pages done, and of how many where that is known. After `ends_at` (monotonic
    seconds) nothing more is asked.
    """

    venue: str
    timeout_s: float
    urls: Mapping[str, str]
    secrets: Mapping[str, str]
    budget: Budget
    lane: Lane
    read_token: Callable[[], bytes | None]
    write_token: Callable[[bytes, bytes | None], bool]
    told: Callable[[int, int | None], None]
    ends_at: float = math.inf

    def url(self, name: str, usual: str) -> str:
        """The operator's URL of this name, else the usual one; neither ends in a slash."""
        return (self.urls.get(name) or self.urls.get("") or usual).rstrip("/")

    def secret(self, name: str) -> str:
        """A credential. Raises Disabled where nobody gave one."""
        value = self.secrets.get(name)
        if not value:
            raise Disabled(f"{self.venue}: {name} is not set; set it where the worker runs to list {self.venue}")
        return value

    def draw(self, cost: int = 1) -> None:
        """Wait for the budget. Raises RateLimited where that would take more than a minute, and after the end."""
        if time.monotonic() >= self.ends_at:
            raise VenueUnavailable(f"{self.venue}: the list did not come whole in the time that one run may take")
        take(self.budget, self.lane, cost, LONGEST_WAIT_S)

    def token(self) -> bytes | None:
        """The kept login."""
        return self.read_token()

    def keep_token(self, new: bytes, instead_of: bytes | None) -> bool:
        """Compare and swap of the kept login."""
        return self.write_token(new, instead_of)

    def progress(self, done: int, total: int | None) -> None:
        """Passed on."""
        self.told(done, total)
