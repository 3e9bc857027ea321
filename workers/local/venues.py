"""The demo's exchanges and brokers as their neighbours see them: rows that point at them, and made-up credentials."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from indexer import known
from indexer.known import VenueRow

VENUES = ("binance", "coinbase", "kraken", "bybit", "alpaca", "tradovate")
"""Those that are simulated in the demo; each is asked through its own client."""
EVERY_S = 5.0
PER_S, BURST = 200.0, 400
"""As nobody is to be spared here, delistings are seen within a quarter of a minute."""


def rows(underlyings: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of `[[venue]]`: what is known, but read every few seconds. `underlyings`: the shares that have options."""
    return [_row(row, underlyings) for row in known.venues() if row.name in VENUES]


def _row(row: VenueRow, underlyings: Sequence[str]) -> dict[str, Any]:
    told = {field.name: getattr(row, field.name) for field in fields(row)}
    told |= {"every_s": EVERY_S, "per_s": PER_S, "burst": BURST, "enabled": True}
    if "underlyings" in row.options:
        told["options"] = {**row.options, "underlyings": list(underlyings)}
    return {key: value for key, value in told.items() if value not in (None, "")}


def own(port: int) -> dict[str, str]:
    """Settings that point at the simulated venues on this port."""
    urls = {f"URL_{name.upper()}": f"http://127.0.0.1:{port}/{name}" for name in VENUES}
    return {"VENUES": ",".join(VENUES), **urls}


def credentials() -> dict[str, str]:
    """What brokers of the demo accept. Nothing of it is anybody's."""
    names = {name for row in known.venues() if row.name in VENUES for name in row.secrets}
    return dict.fromkeys(sorted(names), "demo")
