"""What may be wrong with an endpoint, each fault by its name.

Before anything is read: `rate_limited` (HTTP 429; `amount`: Retry-After in seconds, 0: not said), `server_error`
(5xx), `hang`, `slow` (`amount` seconds), `cut` (the connection is dropped), `too_large` (HTTP 413).
What it sees: `lagging` (`amount` ticks behind), `backwards` (now and then as far behind), `fanned_out` (each request
of a batch goes to a machine up to so far behind), `stale_finality` (its final block is as old), `no_finalized`.
Who it is: `other_chain`, `other_genesis`.
What it refuses: `range_cap` (more than `amount` blocks), `result_cap` (more than `amount` logs), `filter_cap` (more
than `amount` addresses), `method_off` (eth_getLogs), `no_by_hash` (EIP-1898), `no_state` (eth_call).
What it says: `null_blocks`, and of logs `no_logs`, `partial_logs`, `doubled_logs`, `doubled_indexes`, `foreign_logs`,
`outside_logs`, `removed_logs`, `malformed_logs`, `other_hash`.
How it sends it: `shuffled`, `one_error` (one object for the whole batch), `batch_refused` (more than `amount`),
`lost_reply`, `doubled_reply`, `truncated`, `not_json`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from types import MappingProxyType
from typing import Literal

from indexer.sim.rpc import INVALID_PARAMS, METHOD_NOT_FOUND, SERVER_ERROR, LogQuery, RpcError
from indexer.sim.shapes import Json, hexed

Name = Literal[
    "rate_limited",
    "server_error",
    "hang",
    "slow",
    "cut",
    "too_large",
    "lagging",
    "backwards",
    "fanned_out",
    "stale_finality",
    "no_finalized",
    "other_chain",
    "other_genesis",
    "range_cap",
    "result_cap",
    "filter_cap",
    "method_off",
    "no_by_hash",
    "no_state",
    "null_blocks",
    "no_logs",
    "partial_logs",
    "doubled_logs",
    "doubled_indexes",
    "foreign_logs",
    "outside_logs",
    "removed_logs",
    "malformed_logs",
    "other_hash",
    "shuffled",
    "one_error",
    "batch_refused",
    "lost_reply",
    "doubled_reply",
    "truncated",
    "not_json",
]

LIMIT_EXCEEDED = -32005
RANGE_WORDS = (
    "eth_getLogs is limited to a {cap} range",
    "exceed maximum block range: {cap}",
    "query exceeds max block range {cap}",
    "You can make requests with up to a {cap} block range; this block range should work: [{first}, {last}]",
    "block range is too wide",
    "ranges over {cap} blocks are not supported on freetier",
    "Block range limit exceeded.",
    "maximum [from, to] blocks distance: {cap}",
)
RESULT_WORDS = (
    "query returned more than {cap} results. Try with this block range [{first}, {last}].",
    "logs matched by query exceeds limit of {cap}",
    "query exceeds max results {cap}, retry with the range {first_number}-{last_number}",
    "Log response size exceeded. this block range should work: [{first}, {last}]",
    "query timeout exceeded",
    "backend response too large",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault. It strikes `share` of the exchanges, while it is on: always, or `for_ticks` of every `every_ticks`.

    `amount` is what its name says; `words` chooses among the wordings of a refusal.
    """

    name: Name
    share: float = 1.0
    amount: float = 0.0
    words: int = 0
    every_ticks: int = 0
    for_ticks: int = 0

    def strikes(self, tick: int, stream: Random) -> bool:
        """Whether it strikes this exchange."""
        return stream.random() < self.share and self.is_on(tick)

    def is_on(self, tick: int) -> bool:
        """Whether it may strike at this tick."""
        return self.every_ticks == 0 or tick % self.every_ticks < self.for_ticks


Struck = Mapping[str, Fault]
"""The faults that strike one exchange, by name."""


def check_logs(query: LogQuery, found: int, struck: Struck) -> None:
    """Refuse a question of eth_getLogs as providers do. `found` is how many logs it has. Raises RpcError."""
    span = query.last - query.first + 1
    if (fault := struck.get("range_cap")) and query.at is None and span > fault.amount:
        raise RpcError(LIMIT_EXCEEDED, _said(RANGE_WORDS, fault, query, int(fault.amount)))
    if (fault := struck.get("filter_cap")) and len(query.addresses) > fault.amount:
        raise RpcError(INVALID_PARAMS, "exceed max addresses or topics per search position")
    if (fault := struck.get("result_cap")) and found > fault.amount and span > 1:
        raise RpcError(LIMIT_EXCEEDED, _said(RESULT_WORDS, fault, query, max(span // 2, 1)))


def _said(words: tuple[str, ...], fault: Fault, query: LogQuery, span: int) -> str:
    last = query.first + span - 1
    return words[fault.words % len(words)].format(
        cap=int(fault.amount),
        first=hex(query.first),
        last=hex(last),
        first_number=query.first,
        last_number=last,
    )


def check_request(method: str, params: object, struck: Struck) -> None:
    """Refuse a request for what the endpoint cannot do. Raises RpcError."""
    if method == "eth_getLogs" and "method_off" in struck:
        raise RpcError(METHOD_NOT_FOUND, "the method eth_getLogs does not exist/is not available")
    if method == "eth_call" and "no_state" in struck:
        raise RpcError(SERVER_ERROR, "missing trie node 5a1b2c (path ) state 0x5a1b2c is not available")
    told = params if isinstance(params, list) else []
    if "no_finalized" in struck and told[:1] in (["finalized"], ["safe"]):
        raise RpcError(SERVER_ERROR, f"{told[0]} block not found")
    if "no_by_hash" in struck and any(isinstance(each, dict) and "blockHash" in each for each in told[1:]):
        message = "invalid argument 1: json: cannot unmarshal object into Go value of type string"
        raise RpcError(INVALID_PARAMS, message)


def spoil_block(block: object, asked: object, struck: Struck, stream: Random) -> object:
    """What becomes of a block on its way out."""
    if not isinstance(block, dict):
        return block
    if "null_blocks" in struck and asked != "latest" and stream.random() < 0.5:  # noqa: PLR2004 - every other one
        return None
    if "other_genesis" in struck and block["number"] == "0x0":
        return {**block, "hash": hexed(stream.randbytes(32))}
    return block


def spoil_logs(logs: list[Json], query: LogQuery, struck: Struck, stream: Random) -> list[object]:
    """What becomes of the logs on their way out."""
    spoilt: list[object] = list(logs)
    for name, spoil in _LOG_FAULTS.items():
        if name in struck:
            spoilt = spoil(spoilt, logs or [_stranger(query, stream)], query, stream)
    return spoilt


def _stranger(query: LogQuery, stream: Random) -> Json:
    """A log that fits the question but is in no block."""
    address = min(query.addresses, default=bytes(20))
    topics = [min(some) for some in query.topics if some]
    return {
        "address": hexed(address),
        "topics": [hexed(topic) for topic in topics],
        "data": hexed(stream.randbytes(64)),
        "blockNumber": hex(query.first),
        "blockHash": hexed(stream.randbytes(32)),
        "transactionHash": hexed(stream.randbytes(32)),
        "transactionIndex": "0x0",
        "logIndex": "0x0",
        "removed": False,
    }


def _no(_logs: list[object], _models: list[Json], _query: LogQuery, _stream: Random) -> list[object]:
    return []


def _some(logs: list[object], _models: list[Json], _query: LogQuery, stream: Random) -> list[object]:
    gone = stream.randrange(len(logs)) if logs else 0
    return [log for at, log in enumerate(logs) if at != gone and stream.random() < 0.7]  # noqa: PLR2004 - most of them


def _doubled(logs: list[object], models: list[Json], _query: LogQuery, stream: Random) -> list[object]:
    return [*logs, *([stream.choice(models)] if logs else [])]


def _same_index(logs: list[object], models: list[Json], _query: LogQuery, stream: Random) -> list[object]:
    if not logs:
        return logs
    return [*logs, {**stream.choice(models), "transactionHash": hexed(stream.randbytes(32))}]


def _foreign(logs: list[object], models: list[Json], _query: LogQuery, stream: Random) -> list[object]:
    return [*logs, {**stream.choice(models), "address": hexed(stream.randbytes(20)), "logIndex": "0x3e9"}]


def _outside(logs: list[object], models: list[Json], query: LogQuery, stream: Random) -> list[object]:
    above = {"blockNumber": hex(query.last + 1), "blockHash": hexed(stream.randbytes(32))}
    return [*logs, {**stream.choice(models), **above}]


def _removed(logs: list[object], models: list[Json], _query: LogQuery, stream: Random) -> list[object]:
    gone = {"removed": True, "blockHash": hexed(stream.randbytes(32))}
    return [{**stream.choice(models), **gone}, *logs]


def _malformed(logs: list[object], models: list[Json], _query: LogQuery, stream: Random) -> list[object]:
    model = stream.choice(models)
    broken: list[object] = [
        {**model, "data": "0xabc"},
        {**model, "topics": None},
        {**model, "blockNumber": None, "blockHash": None, "logIndex": None},
        {**model, "address": "0x1234"},
        {key: value for key, value in model.items() if key != "transactionHash"},
        "0x",
    ]
    return [*logs, stream.choice(broken), stream.choice(broken)]


def _other_hash(logs: list[object], models: list[Json], _query: LogQuery, stream: Random) -> list[object]:
    return [*logs[:-1], {**models[-1], "blockHash": hexed(stream.randbytes(32))}] if logs else logs


_Spoil = Callable[[list[object], list[Json], LogQuery, Random], list[object]]
_LOG_FAULTS: Mapping[str, _Spoil] = MappingProxyType(
    {
        "no_logs": _no,
        "partial_logs": _some,
        "other_hash": _other_hash,
        "doubled_logs": _doubled,
        "doubled_indexes": _same_index,
        "foreign_logs": _foreign,
        "outside_logs": _outside,
        "removed_logs": _removed,
        "malformed_logs": _malformed,
    }
)
