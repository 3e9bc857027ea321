"""JSON values of a node as our nouns. What is not of the right shape is a BadAnswer, or, for a log, a fault."""

import re
from collections.abc import Sequence

import orjson

from indexer.errors import BadAnswer, MissingData
from indexer.model import Address, Hash32, Header, Log, LogFault, LogFilter

EXCERPT = 1_000
MOST_FAULTS = 100
MOST_TOPICS = 4
LARGEST_INDEX = 1 << 32
LARGEST_TIME = 1 << 40
HASH_BYTES = 32
ADDRESS_BYTES = 20

_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,16}")


class _Unfit(Exception):
    """A value that is not of the shape it should have."""


def quantity(value: object, what: str) -> int:
    """An integer of at most 64 bits from 0x hex. Raises BadAnswer."""
    try:
        return _number(value, what)
    except _Unfit as error:
        raise BadAnswer(str(error)) from None


def data(value: object) -> bytes:
    """Bytes from 0x hex. Raises BadAnswer."""
    try:
        return _bytes(value, None, "the answer of a call")
    except _Unfit as error:
        raise BadAnswer(str(error)) from None


def items(value: object) -> list[object]:
    """A list of logs, unchecked. Raises BadAnswer."""
    if not isinstance(value, list):
        raise BadAnswer("the answer of eth_getLogs is not a list")
    return value


def header(value: object, number: int | None = None) -> Header | None:
    """A block as its header, None for null. Raises BadAnswer if it is no block, or another one than `number`."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise BadAnswer("a block is not an object")
    try:
        found = Header(
            number=_number(value.get("number"), "block number"),
            hash=Hash32(_bytes(value.get("hash"), HASH_BYTES, "block hash")),
            parent_hash=Hash32(_bytes(value.get("parentHash"), HASH_BYTES, "parent hash")),
            timestamp_s=_number(value.get("timestamp"), "block timestamp"),
        )
    except _Unfit as error:
        raise BadAnswer(str(error)) from None
    if number is not None and found.number != number:
        raise BadAnswer(f"asked for block {number}, got block {found.number}")
    return found


def logs(
    values: Sequence[object],
    first: int,
    last: Header,
    wanted: LogFilter,
) -> tuple[tuple[Log, ...], tuple[LogFault, ...]]:
    """The good logs, sorted, and at most 100 of the others. Raises BadAnswer or MissingData if they contradict.

    A log of the last block with another hash than its header, or two hashes for one block, mean that the chain
    moved while it was read: MissingData. Two different logs at one place are a BadAnswer.
    """
    addresses, topics = frozenset(wanted.addresses), frozenset(wanted.topics)
    hashes: dict[int, Hash32] = {last.number: last.hash}
    good: dict[tuple[int, int], Log] = {}
    faults: list[LogFault] = []
    for value in values:
        try:
            log = _log(value)
            _fits(log, first, last.number, addresses, topics)
            if hashes.setdefault(log.block_number, log.block_hash) != log.block_hash:
                raise MissingData(f"the chain moved at block {log.block_number} while it was read")
            _place(good, log)
        except _Unfit as error:
            faults.append(LogFault(reason=str(error), excerpt=_excerpt(value)))
    return tuple(good[place] for place in sorted(good)), tuple(faults[:MOST_FAULTS])


def _place(good: dict[tuple[int, int], Log], log: Log) -> None:
    other = good.setdefault((log.block_number, log.log_index), log)
    if other != log:
        raise BadAnswer(f"two different logs at block {log.block_number}, index {log.log_index}")
    if other is not log:
        raise _Unfit("the same log twice")


def _log(value: object) -> Log:
    if not isinstance(value, dict):
        raise _Unfit("not an object")
    if value.get("removed") is True:
        raise _Unfit("marked as removed")
    topics = value.get("topics")
    if not isinstance(topics, list) or len(topics) > MOST_TOPICS:
        raise _Unfit("topics are not a list of at most four")
    stamped = value.get("blockTimestamp")
    return Log(
        block_number=_number(value.get("blockNumber"), "block number"),
        block_hash=Hash32(_bytes(value.get("blockHash"), HASH_BYTES, "block hash")),
        tx_hash=Hash32(_bytes(value.get("transactionHash"), HASH_BYTES, "transaction hash")),
        log_index=_number(value.get("logIndex"), "log index"),
        address=Address(_bytes(value.get("address"), ADDRESS_BYTES, "address")),
        topics=tuple(Hash32(_bytes(topic, HASH_BYTES, "topic")) for topic in topics),
        data=_bytes(value.get("data"), None, "data"),
        timestamp_s=None if stamped is None else _time(stamped),
    )


def _time(value: object) -> int | None:
    """A timestamp nobody promised: a wrong one is as good as none."""
    try:
        found = _number(value, "log timestamp")
    except _Unfit:
        return None
    return found if 0 < found < LARGEST_TIME else None


def _fits(log: Log, first: int, last: int, addresses: frozenset[Address], topics: frozenset[Hash32]) -> None:
    if not first <= log.block_number <= last:
        raise _Unfit("outside the range")
    if log.address not in addresses:
        raise _Unfit("of an address that was not asked for")
    if not log.topics or log.topics[0] not in topics:
        raise _Unfit("of a topic that was not asked for")
    if log.log_index >= LARGEST_INDEX:
        raise _Unfit("log index is absurd")


def _number(value: object, what: str) -> int:
    if not isinstance(value, str) or not _QUANTITY.fullmatch(value):
        raise _Unfit(f"{what} is not 0x hex of at most 64 bits")
    return int(value, 16)


def _bytes(value: object, size: int | None, what: str) -> bytes:
    if not isinstance(value, str) or value[:2] != "0x":
        raise _Unfit(f"{what} is not 0x hex")
    try:
        raw = bytes.fromhex(value[2:])
    except ValueError:
        raise _Unfit(f"{what} is not 0x hex") from None
    if len(raw) * 2 != len(value) - 2 or (size is not None and len(raw) != size):
        raise _Unfit(f"{what} has {len(value) - 2} hex digits")
    return raw


def _excerpt(value: object) -> str:
    return orjson.dumps(value).decode()[:EXCERPT]
