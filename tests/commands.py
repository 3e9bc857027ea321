"""The command line in this process, as a person with one database and nothing else configured."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from click.testing import CliRunner, Result

from workers import wiring
from workers.cli import gazetteer


@contextmanager
def settled(monkeypatch, **env: str) -> Iterator[None]:
    """Settings read anew from this environment, and forgotten afterwards. No venue is listed unless it says so."""
    for name in list(os.environ):
        if name.startswith("GAZETTEER_"):
            monkeypatch.delenv(name)
    for name, value in ({"GAZETTEER_VENUES": "none"} | env).items():
        monkeypatch.setenv(name, value)
    close()
    yield
    close()


def close() -> None:
    """What wiring made is closed and forgotten."""
    for key, made in wiring._made.items():
        if key == ("db",):
            made.dispose()
    wiring._made.clear()


def run(*words: str, **options) -> Result:
    """`gazetteer WORDS`. An error of ours is in `.exception`; any other is raised."""
    return CliRunner().invoke(gazetteer, words, **options)
