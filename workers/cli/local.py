"""`gazetteer up` and `gazetteer demo`: everything on this machine, by one command."""

import sys
from pathlib import Path

import click

from workers.cli.place import data_dir as with_data_dir
from workers.local.stack import FLOWER_PORT

WORKERS = 2

with_workers = click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=WORKERS,
    show_default=True,
    help="Processes for what is new, and as many for history.",
)
with_flower_port = click.option(
    "--flower-port", type=click.IntRange(1, 65535), default=FLOWER_PORT, show_default=True, help="Where Flower is."
)


@click.command()
@with_workers
@with_flower_port
@with_data_dir
def up(workers: int, flower_port: int, data_dir: Path | None) -> None:
    """Run everything on this machine, on real networks: the head, then the past, newest first."""
    from workers.local import up as running  # noqa: PLC0415 - --help need not import it

    running.run(data_dir, workers, flower_port)


@click.command()
@click.option("--seed", default=None, help="Decides what happens. Another one begins another world.")
@click.option(
    "--for", "for_s", type=click.FloatRange(1, 86_400), default=None, help="Seconds; then compare with the truth."
)
@with_workers
@with_flower_port
@with_data_dir
def demo(seed: str | None, for_s: float | None, workers: int, flower_port: int, data_dir: Path | None) -> None:
    """Run everything on this machine, on simulated chains. With --for the exit code is 1 if anything differs."""
    from workers.local import demo as running  # noqa: PLC0415 - --help need not import it

    wish = running.Wish(seed=seed, for_s=for_s, data_dir=data_dir, workers=workers, flower_port=flower_port)
    sys.exit(0 if running.run(wish) else 1)
