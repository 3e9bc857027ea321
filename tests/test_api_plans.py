"""A million pools: what people ask every day is answered by an index, and unused joins are not there."""

import psycopg
import pytest
from eth_utils import to_checksum_address

from indexer.store import migrate
from tests.lab import million

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

BIG = {"pools", "tokens", "instruments", "events", "work"}
RARE = "0x" + "3e" * 20
WETH = "0x" + million.WETH
USDC = "0x" + million.USDC
WETH_AS_PEOPLE_WRITE_IT = to_checksum_address(WETH)

ANSWERED_BY = {
    "by address": (f"select * from api.pools where pool_address = '{RARE}'", "ix_pools_address"),
    "by address of any case": (
        f"select * from api.pools where pool_address = api.addr('{WETH_AS_PEOPLE_WRITE_IT}')",
        "ix_pools_address",
    ),
    "by id": (f"select * from api.pools where pool_id = '0x{'ab' * 32}'", "ix_pools_id"),
    "by a token on either side": (
        f"select * from api.pools where '{RARE}' in (token0_address, token1_address)",
        "ix_pools_tokens, ix_pools_token1",
    ),
    "by a token on either side, any case": (
        f"select * from api.pool_tokens where token_address = api.addr('{to_checksum_address(RARE)}')",
        "ix_pools_tokens, ix_pools_token1",
    ),
    "the newest pools of the token that everybody has": (
        f"select * from api.pools where '{WETH}' in (token0_address, token1_address) order by created_at desc limit 50",
        "ix_pools_created_at",
    ),
    "pair by address": (
        f"select * from api.pools where token0_address = '{USDC}' and token1_address = '{WETH}'",
        "ix_pools_tokens",
    ),
    "pair by address in any order": (
        f"select * from api.pool_tokens where token_address = '{WETH}' and other_address = '{USDC}'",
        "ix_pools_tokens",
    ),
    "pair by symbol": (
        "select * from api.pool_tokens where token_symbol = '{symbol}' and other_symbol = 'WETH'",
        "ix_tokens_symbol, ix_pools_tokens, ix_pools_token1",
    ),
    "pair by the most famous symbols": (
        "select * from api.pool_tokens where token_symbol = 'WETH' and other_symbol = 'USDC'",
        "ix_tokens_symbol, ix_pools_tokens",
    ),
    "pair by symbol in the order of the chain": (
        "select * from api.pools where token0_symbol = 'USDC' and token1_symbol = 'WETH'",
        "ix_tokens_symbol, ix_pools_tokens",
    ),
    "newest 50": ("select * from api.pools order by created_at desc limit 50", "ix_pools_created_at"),
    "new pools": ("select * from api.new_pools limit 50", "ix_pools_created_at"),
    "since T of a chain by id": (
        "select * from api.pools where chain_id = 137 and created_at >= '2026-09-01' order by created_at",
        "ix_pools_chain_id_created_at",
    ),
    "since T of a chain by name": (
        "select * from api.pools where chain = 'polygon' and created_at >= '2026-09-01' order by created_at desc",
        "ix_pools_created_at",
    ),
    "events after a key": (
        "select * from api.events where (tx, id) > (300, 600000) order by tx, id limit 1000",
        "pk_events",
    ),
    "events of a pool": (f"select * from api.events where subject = '{RARE}'", "ix_events_subject"),
    "instrument by its hash": (
        "select * from api.instruments where hash = 18446744073709551615",
        "ix_instruments_unsigned",
    ),
    "instrument by its natural key": (
        f"select * from api.instruments where natural_key = 'v1|uniswap_v2|ethereum|{RARE}|0'",
        "pk_instruments",
    ),
    "instrument by its identifier": (f"select * from api.instruments where identifier = '{RARE}'", "ix_pools_id"),
    "token by address": (
        f"select * from api.tokens where address = api.addr('{WETH_AS_PEOPLE_WRITE_IT}')",
        "ix_tokens_hex",
    ),
    "tokens by symbol": ("select * from api.tokens where symbol = 'WETH'", "ix_tokens_symbol"),
    "tokens by symbol of any case": (
        "select * from api.tokens where lower(symbol) = lower('wEtH')",
        "ix_tokens_symbol_lower",
    ),
    "orphans": ("select * from api.orphaned_pools order by orphaned_at desc limit 20", "ix_pools_orphaned_at"),
    "the terminal's pools a minute": (
        "select count(*) from gazetteer.pools where source = 'head' and first_seen > now() - interval '60 seconds'",
        "ix_pools_first_seen",
    ),
}


@pytest.fixture(scope="module")
def register_of_a_million(postgres_server):
    """A database of its own with a million pools."""
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as connection:
        connection.execute("create database million")
    url = postgres_server.url("million")
    migrate.upgrade(url)
    million.fill(url)
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as connection:
        connection.execute("drop database million with (force)")


def nodes(plan):
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def explained(connection, query):
    (((root,),),) = connection.execute(f"explain (format json) {query}").fetchall()
    return list(nodes(root["Plan"]))


@pytest.mark.parametrize("question", ANSWERED_BY)
def test_a_question_is_answered_by_its_index(register_of_a_million, question):
    query, indexes = ANSWERED_BY[question]
    if "{symbol}" in query:
        (symbol,) = register_of_a_million.execute(
            "select symbol from gazetteer.tokens where length(symbol) = 5 order by address limit 1"
        ).fetchone()
        query = query.format(symbol=symbol)
    plan = explained(register_of_a_million, query)
    scanned = {node["Relation Name"] for node in plan if "Seq Scan" in node["Node Type"]}
    assert not scanned & BIG
    assert set(indexes.split(", ")) <= {node["Index Name"] for node in plan if "Index Name" in node}


@pytest.mark.parametrize(
    ("query", "tables"),
    [
        (f"select pool_id from api.pools where pool_address = '{RARE}'", {"pools"}),
        ("select count(*) from api.pools", {"pools"}),
        ("select pool_id, created_at from api.pools order by created_at desc limit 50", {"pools"}),
        (f"select pool_id, status from api.pools where pool_id = '{RARE}'", {"pools", "coverage", "sightings"}),
        (f"select pool_id, base_address from api.pools where pool_id = '{RARE}'", {"pools", "quote_ranks"}),
        (f"select pool_id, symbol from api.pools where pool_id = '{RARE}'", {"pools", "tokens"}),
        (f"select pool_id, chain from api.pools where pool_id = '{RARE}'", {"pools", "chains"}),
        (f"select pool_id, other_address from api.pool_tokens where token_address = '{RARE}'", {"pools"}),
        ("select natural_key from api.instruments where hash = 1", {"instruments", "pools", "listings"}),
        (f"select symbol, decimals from api.tokens where address = '{RARE}'", {"tokens"}),
        ("select tx, id, kind from api.events where (tx, id) > (1, 1) order by tx, id limit 9", {"events"}),
    ],
)
def test_a_column_that_nobody_asked_for_costs_no_join(register_of_a_million, query, tables):
    plan = explained(register_of_a_million, query)
    assert {node["Relation Name"] for node in plan if "Relation Name" in node} == tables


def test_the_answers_are_there(register_of_a_million):
    def count(query):
        return register_of_a_million.execute(f"select count(*) from ({query}) as found").fetchone()[0]

    assert count("select * from api.pools") == million.POOLS - million.POOLS // million.ORPHAN_EVERY + 20
    assert count(ANSWERED_BY["pair by address"][0]) == 20
    assert count(ANSWERED_BY["pair by address in any order"][0]) == 20
    assert count(ANSWERED_BY["pair by the most famous symbols"][0]) >= 20
    assert count(ANSWERED_BY["events after a key"][0]) == 1_000
    assert count(ANSWERED_BY["newest 50"][0]) == 50
    (address, key) = register_of_a_million.execute(
        "select pool_address, pool_id from api.pools where pool_address is not null limit 1"
    ).fetchone()
    written = to_checksum_address(address)
    assert count(f"select * from api.pools where pool_address = api.addr('{written}') and pool_id = '{key}'") == 1
