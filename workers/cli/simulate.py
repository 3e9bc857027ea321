"""`gazetteer simulate`: the world of the demo as a process of its own. It is started by `demo`, not by people."""

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path

import click

from indexer.sim.calendar import Calendar
from indexer.sim.server import serve
from indexer.sim.serving import HOST
from indexer.sim.venues.alpaca import Alpaca, optionable
from indexer.sim.venues.binance import Binance
from indexer.sim.venues.bybit import Bybit
from indexer.sim.venues.coinbase import Coinbase
from indexer.sim.venues.kraken import Kraken
from indexer.sim.venues.market import Market
from indexer.sim.venues.server import VenueServer
from indexer.sim.venues.tradovate import Tradovate
from indexer.sim.world import World
from workers import logs
from workers.local import venues
from workers.local.world import CALENDAR, write_settings


@click.command(hidden=True)
@click.option("--seed", required=True, help="What decides everything that happens.")
@click.option("--root", required=True, type=click.Path(path_type=Path), help="Where its time and its settings go.")
@click.option("--port", required=True, type=click.IntRange(1, 65535))
def simulate(seed: str, root: Path, port: int) -> None:
    """Serve the simulated chains of the demo; a world that was killed goes on where it was."""
    logs.start()
    calendar = Calendar(seed, root / CALENDAR)
    world = World(seed, epoch_s=calendar.epoch_s)
    write_settings(root, world.chain_rows(f"{HOST}:{port}"), world.factory_rows(), venues.rows(optionable(seed)))
    serve(world, calendar, port)


@click.command(hidden=True)
@click.option("--seed", required=True, help="What decides everything that happens.")
@click.option("--port", required=True, type=click.IntRange(1, 65535))
def simulate_venues(seed: str, port: int) -> None:
    """Serve the simulated exchanges and brokers of the demo; on the exchanges something happens all the time."""
    logs.start()
    began_s = time.time()
    exchanges = [make(seed=seed, at_ms=int(began_s * 1000)) for make in (Binance, Coinbase, Kraken, Bybit)]
    market = Market(exchanges, seed=seed)
    today = datetime.now(UTC).date()
    brokers = (Alpaca(seed, today=today), Tradovate(seed, today=today))

    def live() -> None:
        market.live(time.time() - began_s)

    asyncio.run(VenueServer([*exchanges, *brokers], port=port, pump=live).run())
