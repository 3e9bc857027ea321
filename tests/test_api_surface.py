"""The public surface: its columns, its words, what it shows of rows that the register really writes, who may read."""

import os
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from eth_utils import to_checksum_address
from psycopg.rows import dict_row

from indexer import store
from indexer.model import NATIVE, instrument_hash, pool_natural_key
from indexer.model.pool import Rejected
from indexer.store import migrate, rejected, status, work
from tests.lab import register
from tests.lab.register import ETHEREUM, FACTORY, NOW, USDC, WETH, created, made_token, named

GOLDEN = Path(__file__).parent / "golden" / "api_columns.txt"

_COLUMNS = """
    select c.relname, a.attname, format_type(a.atttypid, a.atttypmod)
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relnamespace = 'api'::regnamespace
    order by c.relname, a.attnum
"""


@pytest.fixture
def ask(postgres_url):
    """Rows of a query as dictionaries."""
    with psycopg.connect(postgres_url, autocommit=True, row_factory=dict_row) as connection:
        yield lambda query, *values: connection.execute(query, values).fetchall()


@pytest.fixture
def one(ask):
    def row(query, *values):
        (found,) = ask(query, *values)
        return found

    return row


def test_columns_and_types_change_only_with_the_golden_file(ask):
    lines = [f"{row['relname']}.{row['attname']} {row['format_type']}" for row in ask(_COLUMNS)]
    if os.environ.get("GAZETTEER_WRITE_GOLDEN"):
        GOLDEN.write_text("\n".join(lines) + "\n")
    assert lines == GOLDEN.read_text().splitlines()


def test_every_view_column_and_function_says_what_it_is(ask):
    silent = ask("""
        select c.relname, a.attname
        from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum >= 0 and not a.attisdropped
        where c.relnamespace = 'api'::regnamespace and col_description(c.oid, a.attnum) is null
        union all
        select c.relname, null from pg_class c
        where c.relnamespace = 'api'::regnamespace and obj_description(c.oid, 'pg_class') is null
        union all
        select p.proname, null from pg_proc p
        where p.pronamespace = 'api'::regnamespace and obj_description(p.oid, 'pg_proc') is null
    """)
    assert silent == []


def test_a_pair_is_quoted_by_rank_and_its_symbol_keeps_the_order_of_the_chain(db, one):
    with store.begin(db) as tx:
        register.begin(tx)
        register.step(tx, 1_001, 1_001, [created(1, 1_001, USDC, WETH)])
        register.resolve(tx, named(USDC, "USDC", 6), named(WETH, "WETH"))
    row = one("select * from api.pools")
    assert (row["symbol"], row["pair"]) == ("USDC-WETH", "WETH-USDC")
    assert (row["base_address"], row["base_symbol"], row["base_decimals"]) == ("0x" + WETH.hex(), "WETH", 18)
    assert (row["quote_address"], row["quote_symbol"], row["quote_decimals"]) == ("0x" + USDC.hex(), "USDC", 6)
    assert (row["token0_symbol"], row["token1_symbol"], row["token0_decimals"]) == ("USDC", "WETH", 6)
    instrument = one("select symbol, pair from api.instruments")
    assert (instrument["symbol"], instrument["pair"]) == ("USDC-WETH", "WETH-USDC")


def test_of_two_tokens_without_a_rank_the_second_is_the_quote(db, one):
    with store.begin(db) as tx:
        register.begin(tx)
        register.step(tx, 1_001, 1_001, [created(1, 1_001, made_token(1), made_token(2))])
        register.resolve(tx, named(made_token(1), "ONE"), named(made_token(2), "TWO"))
    assert one("select pair, quote_symbol from api.pools") == {"pair": "ONE-TWO", "quote_symbol": "TWO"}


def test_what_no_token_has_told_is_null(db, one):
    with store.begin(db) as tx:
        register.begin(tx)
        register.step(tx, 1_001, 1_001, [created(1, 1_001)])
        register.resolve(tx, named(WETH, "WETH"))
    row = one("select * from api.pools")
    assert row["token1_symbol"] == "WETH"
    assert row["base_address"] == "0x" + made_token(1).hex()
    assert [row[name] for name in ("symbol", "pair", "base_symbol", "base_decimals", "token0_decimals")] == [None] * 5


def test_a_pool_inside_a_singleton_has_an_id_but_no_address(db, one):
    with store.begin(db) as tx:
        register.begin(tx)
        register.step(tx, 1_001, 1_001, [created(1, 1_001, NATIVE, USDC, singleton=True)])
    row = one("select pool_id, pool_address, proof from api.pools")
    assert row == {"pool_id": "0x" + created(1, 1, singleton=True).key.hex(), "pool_address": None, "proof": "pool_key"}


def test_a_pool_shows_its_facts_and_where_they_are_from(db, one):
    pool = created(7, 1_001)
    with store.begin(db) as tx:
        register.begin(tx)
        register.step(tx, 1_001, 1_001, [pool])
    row = one("select * from api.pools")
    assert (row["chain"], row["chain_id"], row["dex"], row["protocol"]) == ("ethereum", 1, "uniswap_v2", "uniswap_v2")
    assert row["pool_id"] == row["pool_address"] == "0x" + pool.key.hex()
    assert (row["fee_ppm"], row["fee_kind"], row["proof"], row["source"]) == (3000, "fixed", "create2", "head")
    assert (row["created_block"], row["log_index"], row["tx_hash"]) == (1_001, 7, "0x" + pool.log.tx_hash.hex())
    assert (row["factory_address"], row["block_hash"]) == (
        "0x" + FACTORY.address.hex(),
        "0x" + pool.log.block_hash.hex(),
    )
    assert (row["created_at"], row["created_at_kind"]) == (NOW - timedelta(seconds=12 * 999), "estimated")
    assert (row["hooks_address"], row["tick_spacing"], row["stable"], row["answered_at"]) == (None, None, None, None)


def test_status_says_final_only_of_blocks_that_were_read_completely(db, ask):
    def statuses():
        return [row["status"] for row in ask("select status from api.pools order by created_block")]

    with store.begin(db) as tx:
        register.begin(tx)
        register.scanned(tx, 900, 1_000, [created(1, 950)])
        register.step(tx, 1_001, 1_100, [created(2, 1_010), created(3, 1_050), created(4, 1_100)])
    assert statuses() == ["finalized", "seen", "seen", "seen"]
    with store.begin(db) as tx:
        register.sight(tx, head=1_100, safe=1_050, finalized=1_010)
    # the node's word for final counts as little as safe does, until our anchor has moved
    assert statuses() == ["finalized", "safe", "safe", "seen"]
    with store.begin(db) as tx:
        register.anchor(tx, 1_010)
    assert statuses() == ["finalized", "finalized", "safe", "seen"]


def test_a_pool_that_nobody_listens_for_any_more_is_only_seen(db, one):
    with store.begin(db) as tx:
        register.begin(tx)
        register.step(tx, 1_001, 1_100, [created(1, 1_010)])
        register.coverage.listened(tx, ETHEREUM.id, [], 1_101)
        register.sight(tx, head=1_101, safe=1_100)
        register.anchor(tx, 1_100)
    assert one("select status from api.pools") == {"status": "seen"}


def test_an_orphan_leaves_pools_and_instruments_until_it_is_announced_again(db, ask, one):
    with store.begin(db) as tx:
        register.begin(tx)
        register.step(tx, 1_001, 1_001, [created(1, 1_001), created(2, 1_001)])
    with store.begin(db) as tx:
        register.step(tx, 1_001, 1_001, [created(2, 1_001)])
    gone = "0x" + created(1, 1).key.hex()
    assert one("select pool_id, orphaned_at from api.orphaned_pools") == {"pool_id": gone, "orphaned_at": NOW}
    for view, name in (("pools", "pool_id"), ("new_pools", "pool_id"), ("instruments", "identifier")):
        assert gone not in [row[name] for row in ask(f"select {name} from api.{view}")]
    assert [row["pool_id"] for row in ask("select pool_id from api.pool_tokens where pool_id = %s", gone)] == []
    with store.begin(db) as tx:
        register.step(tx, 1_001, 1_001, [created(1, 1_001, branch="b"), created(2, 1_001)], branch="b")
    assert ask("select * from api.orphaned_pools") == []
    assert len(ask("select * from api.instruments")) == 2


def test_a_pool_is_found_from_either_of_its_tokens(db, ask):
    with store.begin(db) as tx:
        register.begin(tx)
        register.step(tx, 1_001, 1_001, [created(1, 1_001, USDC, WETH), created(2, 1_001, WETH, made_token(2))])
        register.resolve(tx, named(USDC, "USDC", 6), named(WETH, "WETH"))
    of_weth = ask("select * from api.pool_tokens where token_address = api.addr(%s)", to_checksum_address(WETH))
    assert {(row["side"], row["is_base"], row["other_symbol"]) for row in of_weth} == {
        (1, True, "USDC"),
        (0, False, None),
    }
    pair = ask("select pool_id from api.pool_tokens where token_symbol = 'USDC' and other_symbol = 'WETH'")
    assert [row["pool_id"] for row in pair] == ["0x" + created(1, 1).key.hex()]


def test_an_instrument_shows_the_unsigned_hash_of_its_natural_key(db, ask):
    announced = [created(number, 1_001) for number in range(20)]
    with store.begin(db) as tx:
        register.begin(tx)
        register.step(tx, 1_001, 1_001, announced)
    keys = [pool_natural_key("ethereum", "uniswap_v2", pool.key) for pool in announced]
    rows = ask("select natural_key, hash from api.instruments")
    assert {row["natural_key"]: int(row["hash"]) for row in rows} == {key: instrument_hash(key) for key in keys}
    assert max(row["hash"] for row in rows) >= 2**63
    found = ask("select natural_key from api.instruments where hash = %s", instrument_hash(keys[0]))
    assert [row["natural_key"] for row in found] == keys[:1]


def test_coverage_counts_blocks_up_to_the_anchor_and_says_where_they_are_missing(db, one):
    with store.begin(db) as tx:
        register.facts.load(tx, [ETHEREUM], [FACTORY])
    of_ours = "select * from api.coverage"
    assert one(of_ours)["percent"] is None
    with store.begin(db) as tx:
        register.begin(tx)
        register.scanned(tx, 301, 400)
        register.scanned(tx, 0, 120)
        register.scanned(tx, 999, 1_500)
    row = one(of_ours)
    wanted, read = 901, 100 + 21 + 2
    assert (row["from_block"], row["to_block"]) == (100, 1_000)
    assert (row["scanned_blocks"], row["missing_blocks"]) == (read, wanted - read)
    assert float(row["percent"]) == int(10_000 * 100 * read / wanted) / 10_000
    assert (row["holes"], row["first_missing"], row["last_missing"]) == (2, 121, 998)


def test_a_single_missing_block_is_never_a_hundred_percent(db, one):
    early = register.Factory(**{name: getattr(FACTORY, name) for name in FACTORY.__slots__} | {"from_block": 0})
    with store.begin(db) as tx:
        register.begin(tx, early)
        tx.exec_driver_sql("update gazetteer.cursors set tip_number = 400000000, anchor_number = 400000000")
        register.scanned(tx, 0, 399_999_999)
    row = one("select percent, missing_blocks from api.coverage")
    assert row["missing_blocks"] == 1
    assert row["percent"] < 100


def test_a_chain_is_ready_when_it_is_read_up_to_the_head_and_everybody_is_listened_to(db, one):
    def ready():
        return one("select ready from api.chain_status")["ready"]

    with store.begin(db) as tx:
        now = tx.exec_driver_sql("select now()").scalar_one()
        register.begin(tx)
    assert ready() is False
    assert one("select lag_blocks, lag_s, head from api.chain_status") == {
        "lag_blocks": None,
        "lag_s": None,
        "head": None,
    }
    with store.begin(db) as tx:
        register.sight(tx, head=1_101, safe=1_000, finalized=1_000, now=now)
        register.step(tx, 1_001, 1_100, [])
    assert ready() is True
    row = one("select * from api.chain_status")
    assert (row["head"], row["tip"], row["anchor"], row["lag_blocks"], row["lag_s"]) == (1_101, 1_100, 1_000, 1, 12)
    for change in (
        "update gazetteer.sightings set seen_at = now() - interval '31 seconds'",
        "update gazetteer.sightings set head_number = 1104",
        "update gazetteer.coverage set listened_from = null",
        "update gazetteer.cursors set halted = 'a fork below the anchor'",
        "update gazetteer.chains set enabled = false",
    ):
        with store.begin(db) as tx, tx.begin_nested() as undone:
            tx.exec_driver_sql(change)
            assert tx.exec_driver_sql("select ready from api.chain_status").scalar_one() is False, change
            undone.rollback()


def test_what_is_left_to_ask_is_counted_and_what_is_dead_says_why(db, ask, one):
    with store.begin(db) as tx:
        register.begin(tx)
        register.step(tx, 1_001, 1_001, [created(1, 1_001)])
        work.add(tx, "slot", "beat", [b"sweep"], register.pools.Lane.LIVE, NOW)
        tx.exec_driver_sql("""
            insert into gazetteer.work (kind, scope, key, lane, due, losses, reason, dead, created_at)
            values ('token', 'ethereum', decode(repeat('ab', 20), 'hex'), 1, now(), 5, 'its worker was lost', true,
                    now())
        """)
    rows = {row["lane"]: row for row in ask("select * from api.backlog")}
    assert (rows["live"]["due"] + rows["live"]["later"], rows["live"]["dead"], rows["live"]["kind"]) == (2, 0, "token")
    assert (rows["history"]["due"], rows["history"]["dead"]) == (0, 1)
    dead = one("select chain, kind, key, losses, reason from api.dead")
    assert tuple(dead.values()) == ("ethereum", "token", "0x" + "ab" * 20, 5, "its worker was lost")


def test_a_rejected_log_shows_its_topics_and_why(db, one):
    log = created(1, 1_001).log
    log = register.Log(
        **{name: getattr(log, name) for name in log.__slots__} | {"topics": (register.TOPIC, WETH.rjust(32))}
    )
    with store.begin(db) as tx:
        register.begin(tx)
        told = [Rejected(log=log, reason="too short")]
        rejected.settle(tx, ETHEREUM.id, 1_001, 1_001, told, emitters=[register.EMITTER], now=NOW)
    row = one("select * from api.rejected_logs")
    assert row["topics"] == ["0x" + topic.hex() for topic in log.topics]
    assert (row["chain"], row["reason"], row["data"], row["orphaned_at"]) == ("ethereum", "too short", "0x", None)


def test_status_functions_tell_what_the_views_tell(db):
    with store.begin(db) as tx:
        now = tx.exec_driver_sql("select now()").scalar_one()
        register.begin(tx)
        register.sight(tx, head=1_101, safe=1_000, finalized=1_000, now=now)
        register.scanned(tx, 100, 549, [created(3, 500)])
        register.step(tx, 1_001, 1_100, [created(1, 1_001), created(2, 1_002)])
        register.step(tx, 1_001, 1_100, [created(2, 1_002)])
        tx.exec_driver_sql("update gazetteer.pools set first_seen = now()")
    with store.begin(db) as tx:
        (live,) = status.live(tx)
        (totals,) = status.totals(tx)
        newest = status.newest(tx, 1)
    assert (live.chain, live.ready, live.head, live.tip, live.anchor, live.lag_blocks) == (
        "ethereum",
        True,
        1_101,
        1_100,
        1_000,
        1,
    )
    assert (live.wanted_blocks, live.missing_blocks, live.pools_last_minute) == (901, 451, 1)
    assert live.percent == int(10_000 * 100 * 450 / 901) / 10_000
    assert (totals.pools, totals.orphaned, totals.tokens_pending, totals.dead) == (2, 1, 4, 0)
    assert [pool.pool_id for pool in newest] == ["0x" + created(2, 1).key.hex()]


def test_the_versions_are_told(ask):
    assert {row["key"]: row["value"] for row in ask("select * from api.meta")} == {
        "api_version": "1",
        "schema_revision": migrate.latest(),
    }
