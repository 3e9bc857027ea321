"""Announcements of the same few pools by two factories on any branch, and what the register then holds."""

from dataclasses import replace
from hashlib import sha256
from typing import Any

from sqlalchemy import text

from indexer.model import Address, Emitter, Hash32, Log, PoolKey
from indexer.model.pool import Rejected
from indexer.store import pools
from indexer.store.pool_rows import Times
from tests.lab.register import EMITTER, ETHEREUM, FACTORY, NOW, WETH, block_hash, created, header, made_token

OTHER_FACTORY = replace(FACTORY, address=Address(bytes.fromhex("f1" * 20)), dex="sushiswap_v2")
OTHER = Emitter(topic0=EMITTER.topic0, factory=OTHER_FACTORY)
EMITTERS = (EMITTER, OTHER)
LONGEST = 16  # logs a block in these tests


def announce(key, block, *, index=0, emitter=EMITTER, branch="", asks=False, tx=None):
    """Pool `key` in this block of this branch. The transaction keeps its hash across branches, unless it is named."""
    made = created(key, block, made_token(key), WETH, branch=branch)
    log = replace(
        made.log,
        log_index=index,
        address=emitter.factory.address,
        tx_hash=Hash32(sha256(f"tx {tx or (key, emitter.factory.dex)}".encode()).digest()),
    )
    return replace(made, log=log, dex=emitter.factory.dex, asks=asks)


def pool_key(key):
    return PoolKey(created(key, 1).key)


def refuse(block, *, index=0, emitter=EMITTER, branch="", data=b"nonsense"):
    """A log of a watched emitter that announces nothing."""
    log = Log(
        block_number=block,
        block_hash=block_hash(block, branch),
        tx_hash=Hash32(sha256(f"refused {block} {index} {branch}".encode()).digest()),
        log_index=index,
        address=emitter.factory.address,
        topics=(emitter.topic0,),
        data=data,
    )
    return Rejected(log=log, reason="made to be refused")


def settle(tx, first, last, told, *, source="head", until=None, emitters=EMITTERS, refused=(), times=None):
    """Make the rows of first..last equal to the answer."""
    return pools.settle(
        tx,
        ETHEREUM.id,
        first,
        last,
        told,
        refused,
        emitters=emitters,
        source=source,
        times=times or Times(headers={}, estimate=lambda number: header(number).timestamp_s),
        until=until,
        now=NOW,
    )


def rows(tx, query: str, **values: Any) -> list[Any]:
    return list(tx.execute(text(query), values))


def alive(tx):
    """(pool key, emitter, block, block hash, log index) of the pools that are there."""
    return {
        (bytes(row.pool_key), bytes(row.emitter), row.block_number, bytes(row.block_hash), row.log_index)
        for row in rows(tx, "select * from gazetteer.pools where orphaned_at is null")
    }


def rejected_places(tx):
    """(block hash, log index) of the rejected logs that are on the chain."""
    found = rows(tx, "select block_hash, log_index from gazetteer.rejected_logs where orphaned_at is null")
    return {(bytes(row.block_hash), row.log_index) for row in found}


def place(pool):
    return (pool.key, pool.log.address, pool.log.block_number, pool.log.block_hash, pool.log.log_index)


def events_of(tx, key):
    """(kind, source) of everything told about one pool, in order."""
    told = rows(tx, "select kind, source from gazetteer.events where subject = :key order by tx, id", key=key)
    return [(row.kind.removeprefix("pool."), row.source) for row in told]
