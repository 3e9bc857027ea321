"""Whether the register says what the chain says, whole: pools, tokens, coverage, and nothing left to do."""

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.rows import dict_row

from indexer.model import NATIVE, Address
from tests.lab import onchain, zoo
from tests.lab.anvil import hexed
from tests.lab.deploy import Site
from tests.lab.onchain import Pool
from tests.lab.zoo import Facts

_POOLS = """
    select dex, pool_id, token0_address as token0, token1_address as token1, fee_ppm, fee_kind, tick_spacing,
           hooks_address as hooks, deployer_address as deployer, pool_index as index,
           block_hash, log_index, status, proof, source
    from api.pools where chain = %s
"""
_PLACE = ("block_hash", "log_index", "status", "proof", "source")
_LEFT = """
    select
        (select count(*) from api.backlog where chain = %(chain)s) as backlog,
        (select count(*) from api.tokens where chain = %(chain)s and provisional) as provisional,
        (select coalesce(sum(missing_blocks), 1) from api.coverage where chain = %(chain)s and enabled) as missing,
        (select %(last)s - coalesce(max(anchor), 0) from api.chain_status where chain = %(chain)s) as above_anchor
"""


def ask(database_url: str, query: str, *values: object) -> list[dict[str, Any]]:
    """Rows of one query."""
    with psycopg.connect(database_url, row_factory=dict_row) as connection:
        return connection.execute(query, values).fetchall()  # type: ignore[arg-type]


def left(database_url: str, site: Site, last: int) -> dict[str, int]:
    """What keeps the register from being finished, up to block `last`: empty once nothing does."""
    with psycopg.connect(database_url, row_factory=dict_row) as connection:
        row = connection.execute(_LEFT, {"chain": site.chain.name, "last": last}).fetchone()
    assert row is not None
    return {what: int(count) for what, count in row.items() if count > 0}


def judge(database_url: str, site: Site, tokens: Mapping[Address, Facts]) -> int:
    """Compare all of one chain. Returns how many pools there are. Raises AssertionError where they differ."""
    chain = site.chain.name
    rows = ask(database_url, _POOLS, chain)
    _pools(site, rows, onchain.register(site, tokens))
    _tokens(database_url, site, tokens, rows)
    instruments = ask(database_url, "select identifier from api.instruments where chain = %s", chain)
    assert sorted(row["identifier"] for row in instruments) == sorted(row["pool_id"] for row in rows)
    assert ask(database_url, "select * from api.dead where chain = %s", chain) == []
    rejected = "select reason from api.rejected_logs where chain = %s and orphaned_at is null"
    assert ask(database_url, rejected, chain) == []
    return len(rows)


def _pools(site: Site, rows: list[dict[str, Any]], expected: Mapping[str, Pool]) -> None:
    told = {row["pool_id"]: Pool(**{key: row[key] for key in row if key not in _PLACE}) for row in rows}
    wrong = {
        key: (told.get(key), expected.get(key)) for key in told.keys() | expected if told.get(key) != expected.get(key)
    }
    assert wrong == {}, (
        f"{len(wrong)} of {len(expected)} pools differ (register, chain), one: {next(iter(wrong.values()))}"
    )
    logs = onchain.announcements(site)
    for row in rows:
        assert (row["block_hash"], row["log_index"]) in logs[row["pool_id"]], "a pool stands in another block"
        assert row["proof"] == _proof(site, row["dex"]), row
        assert row["status"] == "finalized", row


def _proof(site: Site, dex: str) -> str:
    if dex == "uniswap_v4":
        return "pool_key"
    return "log" if site.factories[dex].init_code_hash is None else "create2"


def _tokens(database_url: str, site: Site, tokens: Mapping[Address, Facts], pools: list[dict[str, Any]]) -> None:
    rows = {
        row["address"]: row for row in ask(database_url, "select * from api.tokens where chain = %s", site.chain.name)
    }
    native = rows.pop(hexed(NATIVE))
    assert (native["symbol"], native["decimals"]) == (site.chain.native_symbol, site.chain.native_decimals)
    sides = {row[side] for row in pools for side in ("token0", "token1")} - {hexed(NATIVE)}
    assert sides <= rows.keys(), "a pool has a token that the register does not know"
    facts = {hexed(token): (token, told) for token, told in tokens.items()}
    for address, row in rows.items():
        wanted = zoo.row_of(site.anvil, *facts[address])
        assert {key: row[key] for key in wanted} == wanted, address
