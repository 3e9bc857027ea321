"""README says only what is true: its queries run, its commands and settings exist, its tables are whole."""

import re
from pathlib import Path

import psycopg
import pytest

from indexer import settings
from workers.cli import COMMANDS, HIDDEN

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
COLUMNS = [
    line.split()[0].split(".") for line in (ROOT / "tests/golden/api_columns.txt").read_text().splitlines() if line
]


def blocks(kind):
    return re.findall(rf"```{kind}\n(.*?)```", README, re.DOTALL)


STATEMENTS = [part.strip() for block in blocks("sql") for part in block.split(";") if part.strip()]


@pytest.mark.parametrize("statement", STATEMENTS)
def test_every_query_of_it_runs(postgres_url, statement):
    with psycopg.connect(postgres_url) as connection:
        connection.execute(statement)


@pytest.mark.parametrize("view", sorted({view for view, _ in COLUMNS}))
def test_it_lists_every_view_with_its_columns(view):
    (line,) = [line for line in README.splitlines() if line.startswith(f"| `api.{view}` |")]
    listed = set(re.findall(r"`(\w+)`", line.rsplit("|", 2)[1]))
    wanted = {column for name, column in COLUMNS if name == view}
    assert listed == wanted or "as `api.pools`" in line, wanted ^ listed


def test_it_lists_every_setting_and_every_command():
    for setting in settings.SETTINGS:
        assert f"`GAZETTEER_{setting.name.upper()}`" in README
    shown = set(re.findall(r"`gazetteer (\w+)", README)) | {"demo"}
    assert COMMANDS.keys() - set(HIDDEN) <= shown
    assert shown <= set(COMMANDS), "README names a command that is not there"


def test_its_gazetteer_toml_is_understood(tmp_path):
    (example,) = blocks("toml")
    (tmp_path / "gazetteer.toml").write_text(example)
    found = settings.read({}, tmp_path)
    assert found.requests_per_s == 25
    assert len(found.factory_rows) == 1


def test_its_first_commands_are_scripts_that_exist():
    commands = re.findall(r"^(scripts/\w+)", blocks("sh")[0], re.MULTILINE)
    assert commands == ["scripts/demo", "scripts/test"]
    assert all((ROOT / command).stat().st_mode & 0o111 for command in commands)
