"""`gazetteer simulate`: the world of the demo as a process of its own. It is started by `demo`, not by people."""

from pathlib import Path

import click

from indexer.sim.calendar import Calendar
from indexer.sim.server import HOST, serve
from indexer.sim.world import World
from workers import logs
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
    write_settings(root, world.chain_rows(f"{HOST}:{port}"), world.factory_rows())
    serve(world, calendar, port)
