"""Rows of a small register, written by the same functions that followers and workers call."""

from datetime import UTC, datetime
from hashlib import sha256

from indexer import known
from indexer.model import (
    Address,
    BlockRef,
    Emitter,
    Factory,
    Field,
    Hash32,
    Header,
    Heads,
    Log,
    PoolCreated,
    PoolKey,
    Token,
    address,
)
from indexer.store import coverage, cursor, facts, pools, quotes, tokens
from indexer.store.pool_rows import Times

NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
ETHEREUM = next(chain for chain in known.chains() if chain.name == "ethereum")
WETH = address("0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2")
USDC = address("0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48")
TOPIC = Hash32(sha256(b"created").digest())
FACTORY = Factory(
    chain_id=ETHEREUM.id,
    address=Address(bytes.fromhex("f0" * 20)),
    dex="uniswap_v2",
    protocol="uniswap_v2",
    from_block=100,
    from_block_quality="published",
    topics=(TOPIC,),
    enabled=True,
    fee_ppm=3000,
    fee_kind="fixed",
    source="made for a test",
)
EMITTER = Emitter(topic0=TOPIC, factory=FACTORY)
ANCHOR = 1_000


def block_hash(number, branch=""):
    return Hash32(sha256(f"block {number} {branch}".encode()).digest())


def header(number, branch=""):
    return Header(
        number=number,
        hash=block_hash(number, branch),
        parent_hash=block_hash(number - 1, branch),
        timestamp_s=int(NOW.timestamp()) - 12 * (2_000 - number),
    )


def made_token(number):
    return Address(sha256(f"token {number}".encode()).digest()[:20])


def created(number, block, token0=None, token1=WETH, *, singleton=False, branch=""):
    """The announcement of pool `number`; by default between a made token and WETH, in this order."""
    digest = sha256(f"pool {number}".encode()).digest()
    log = Log(
        block_number=block,
        block_hash=block_hash(block, branch),
        tx_hash=Hash32(sha256(f"tx {number}".encode()).digest()),
        log_index=number,
        address=FACTORY.address,
        topics=(TOPIC,),
        data=b"",
    )
    return PoolCreated(
        log=log,
        dex=FACTORY.dex,
        protocol=FACTORY.protocol,
        key=PoolKey(digest if singleton else digest[:20]),
        token0=made_token(number) if token0 is None else token0,
        token1=token1,
        proof="pool_key" if singleton else "create2",
        fee_ppm=3000,
        fee_kind="fixed",
    )


def named(token, symbol, decimals=18):
    return Token(
        chain_id=ETHEREUM.id,
        address=token,
        symbol=Field(status="ok", text=symbol, raw=symbol.encode()),
        name=Field(status="ok", text=f"{symbol} coin", raw=b""),
        decimals=Field(status="ok", number=decimals, raw=b""),
        pin=BlockRef(number=ANCHOR, hash=block_hash(ANCHOR)),
        provisional=False,
    )


def begin(tx, *factories):
    """The known chain, its quotes, one factory (or these), and a cursor whose tip and anchor are block 1,000."""
    facts.load(tx, [ETHEREUM], factories or [FACTORY])
    quotes.load(tx, known.quote_rank())
    cursor.start(tx, ETHEREUM.id, header(ANCHOR), NOW)


def step(tx, first, last, announced, *, branch="", until=None):
    """What a step of the head lane keeps, given that the cursor is where it says."""
    settle(tx, first, last, announced, source="head", until=last if until is None else until)
    coverage.listened(tx, ETHEREUM.id, [EMITTER], first)
    cursor.advance(tx, ETHEREUM.id, BlockRef(number=first - 1, hash=block_hash(first - 1)), header(last, branch), NOW)


def settle(tx, first, last, announced, *, source, until=None):
    return pools.settle(
        tx,
        ETHEREUM.id,
        first,
        last,
        announced,
        [],
        emitters=[EMITTER],
        source=source,
        times=Times(headers={}, estimate=lambda number: header(number).timestamp_s),
        until=until,
        now=NOW,
    )


def scanned(tx, first, last, announced=()):
    """What a history scan keeps."""
    settle(tx, first, last, announced, source="history")
    coverage.add(tx, ETHEREUM.id, [EMITTER.key], first, last)


def anchor(tx, number):
    """What moving the anchor from block 1,000 writes."""
    coverage.credit(tx, ETHEREUM.id, ANCHOR, number)
    pools.finalize(tx, ETHEREUM.id, ANCHOR, number, NOW)
    cursor.move_anchor(tx, ETHEREUM.id, BlockRef(number=number, hash=block_hash(number)))


def sight(tx, *, head, safe=None, finalized=None, now=NOW):
    heads = Heads(
        latest=header(head),
        safe=None if safe is None else header(safe),
        finalized=None if finalized is None else header(finalized),
    )
    cursor.sight(tx, ETHEREUM.id, heads=heads, endpoint="made", wakeups="polling", note=None, now=now)


def resolve(tx, *told):
    tokens.write(tx, told, NOW)
