"""Blocks and logs as the JSON that nodes send."""

from indexer.evm.abi import keccak
from indexer.model import Log
from indexer.sim.blocks import Block, Entry

BLOOM_BYTES = 256
BLOOM_BITS = 2048
GAS_LIMIT = 36_000_000
BASE_FEE_WEI = 1_000_000_000
EMPTY_UNCLES = "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347"
POLYGON = 137
POLYGON_EXTRA_BYTES = 97

Json = dict[str, object]


def hexed(value: bytes) -> str:
    """Bytes as 0x hex."""
    return "0x" + value.hex()


def block_json(block: Block, entries: tuple[Entry, ...], chain_id: int) -> Json:
    """A block with the hashes of its transactions. State and receipts have made-up roots."""
    transactions = list(dict.fromkeys(hexed(entry.log.tx_hash) for entry in entries))
    return {
        "number": hex(block.number),
        "hash": hexed(block.hash),
        "parentHash": hexed(block.parent_hash),
        "timestamp": hex(block.timestamp_s),
        "nonce": "0x0000000000000000",
        "mixHash": hexed(keccak(block.hash + b"mix")),
        "sha3Uncles": EMPTY_UNCLES,
        "logsBloom": hexed(bloom([entry.log for entry in entries])),
        "transactionsRoot": hexed(keccak(block.hash + b"transactions")),
        "stateRoot": hexed(keccak(block.hash + b"state")),
        "receiptsRoot": hexed(keccak(block.hash + b"receipts")),
        "miner": hexed(keccak(block.hash + b"miner")[:20]),
        "difficulty": "0x0",
        "extraData": hexed(bytes(POLYGON_EXTRA_BYTES if chain_id == POLYGON else 4)),
        "size": hex(600 + 200 * len(transactions)),
        "gasLimit": hex(GAS_LIMIT),
        "gasUsed": hex(100_000 * len(transactions)),
        "baseFeePerGas": hex(BASE_FEE_WEI),
        "transactions": transactions,
        "uncles": [],
    }


def log_json(log: Log, *, stamped: bool, removed: bool = False) -> Json:
    """A log. `stamped`: with the time of its block, which newer nodes add."""
    shown: Json = {
        "address": hexed(log.address),
        "topics": [hexed(topic) for topic in log.topics],
        "data": hexed(log.data),
        "blockNumber": hex(log.block_number),
        "blockHash": hexed(log.block_hash),
        "transactionHash": hexed(log.tx_hash),
        "transactionIndex": hex(log.log_index),
        "logIndex": hex(log.log_index),
        "removed": removed,
    }
    if stamped and log.timestamp_s is not None:
        shown["blockTimestamp"] = hex(log.timestamp_s)
    return shown


def bloom(logs: list[Log]) -> bytes:
    """The Bloom filter of addresses and topics: three bits each, out of 2,048."""
    bits = 0
    for log in logs:
        for value in (log.address, *log.topics):
            digest = keccak(value)
            for at in (0, 2, 4):
                bits |= 1 << (int.from_bytes(digest[at : at + 2], "big") % BLOOM_BITS)
    return bits.to_bytes(BLOOM_BYTES, "big")
