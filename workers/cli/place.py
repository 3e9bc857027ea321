"""Which register a command is about: the option `--data-dir`, and an engine on what is found."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from indexer import store
from indexer.store import Db
from workers import wiring
from workers.local import data

F = TypeVar("F", bound=Callable[..., Any])


def data_dir(command: F) -> F:
    """The option that every command on a register takes."""
    return click.option(
        "--data-dir",
        type=click.Path(file_okay=False, path_type=Path),
        default=None,
        help="Where `up` or `demo` keeps its register. Goes before GAZETTEER_DATABASE_URL.",
    )(command)


@contextmanager
def register(directory: Path | None) -> Iterator[Db]:
    """An engine on the register, which runs at least until the end of the block. Raises Refused where there is none."""
    with data.opened(directory) as url:
        db = store.connect(url, name="gazetteer command")
        try:
            yield db
        finally:
            db.dispose()


@contextmanager
def wired(directory: Path | None) -> Iterator[bool]:
    """The register as the one that wiring speaks of; whether it is of a simulated world."""
    with data.opened(directory) as url:
        run = None
        if wiring.settings().database_url != url:
            found = data.find(directory)
            run = found.run()
            wiring.use(database_url=url, broker_url=run.broker_url if run else None, data_dir=found.root)
        try:
            yield run is not None and run.command == "demo"
        finally:
            wiring.db().dispose()
