"""How people come in: addresses as they write them, and a role that may only read."""

import psycopg
import pytest
from eth_utils import keccak, to_checksum_address
from psycopg.errors import InsufficientPrivilege, InvalidParameterValue, ReadOnlySqlTransaction

from indexer.model import NATIVE
from tests.lab.register import USDC, WETH, made_token


@pytest.fixture
def call(postgres_url):
    """The result of one function of the public surface."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield lambda name, value: connection.execute(f"select {name}(%s)", [value]).fetchone()[0]


@pytest.mark.parametrize("size", [0, 1, 40, 135, 136, 137, 300])
def test_keccak_in_sql_is_keccak(call, size):
    data = bytes((7 * n + size) % 256 for n in range(size))
    assert call("api.keccak256", data) == keccak(data)


def test_an_address_of_any_case_becomes_the_text_of_the_views(call):
    for token in (WETH, USDC, NATIVE, *(made_token(n) for n in range(30))):
        digits = token.hex()
        for written in ("0x" + digits, "0x" + digits.upper(), "0X" + digits, digits, to_checksum_address(token)):
            assert call("api.addr", written) == "0x" + digits


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("0x12", "2 hex digits, an address has 40"),
        ("", "0 hex digits"),
        ("0x" + "a" * 64, "has 32 bytes"),
        ("0x" + "g" * 40, "no hex digits"),
        ("0x" + "a" * 39 + "\u00e9", "no hex digits"),
        ("0xc02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2", "the checksum of .* is wrong"),
        ("0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc3", "the checksum of .* is wrong"),
    ],
)
def test_what_is_no_address_is_refused_with_the_reason(call, written, says):
    with pytest.raises(InvalidParameterValue, match=says):
        call("api.addr", written)


def test_the_analyst_reads_the_views_and_nothing_else(postgres_url):
    with psycopg.connect(postgres_url, autocommit=True) as owner:
        views = [row[0] for row in owner.execute("select viewname from pg_views where schemaname = 'api'")]
        settings = owner.execute(
            "select rolconnlimit, rolconfig, rolsuper, rolcreatedb, rolcreaterole from pg_roles "
            "where rolname = 'analyst'"
        ).fetchone()
    assert settings[0] == 5
    assert {"default_transaction_read_only=on", "statement_timeout=60s"} <= set(settings[1])
    assert settings[2:] == (False, False, False)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("set session authorization analyst")
        for view in views:
            connection.execute(f"select * from api.{view}").fetchall()
        connection.execute("select api.addr(%s)", [to_checksum_address(WETH)])
        for refused in ("select * from gazetteer.pools", "delete from api.dead", "create view api.mine as select 1"):
            with pytest.raises(InsufficientPrivilege):
                connection.execute(refused)
        connection.execute("set default_transaction_read_only = on")  # as at a login of its own
        with pytest.raises(ReadOnlySqlTransaction):
            connection.execute("create temporary table notes (note text)")
