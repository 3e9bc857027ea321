"""JSON-RPC over a chain, in the words of geth: what an honest node answers about one view of the chain."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from indexer.model import Address, Hash32, Log
from indexer.sim.blocks import Block
from indexer.sim.contracts import REVERT, Reply
from indexer.sim.machine import INTRINSIC_GAS, Machine
from indexer.sim.shapes import Json, block_json, hexed, log_json
from indexer.sim.source import Source, View

CODE = bytes.fromhex("60806040")
GAS_CAP = 50_000_000
MOST_ADDRESSES = 1_000
MOST_TOPICS = 4

INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
PARSE_ERROR = -32700
SERVER_ERROR = -32000
EXECUTION_REVERTED = 3

_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,16}")


class RpcError(Exception):
    """A JSON-RPC error object."""

    def __init__(self, code: int, message: str, data: object = None) -> None:
        super().__init__(message)
        self.code = code
        self.data = data

    def shown(self) -> Json:
        """As JSON."""
        told: Json = {"code": self.code, "message": str(self)}
        return told if self.data is None else {**told, "data": self.data}


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """What a sound node is like. `stamped`: logs carry their block's time. `by_hash`: it knows EIP-1898.

    `refuses_beyond_head`: a range above its head is an error; older nodes answer with the logs that they have.
    `tags`: the block tags it knows. `most_requests` is how many it takes in one batch.
    """

    stamped: bool = True
    by_hash: bool = True
    refuses_beyond_head: bool = True
    tags: tuple[str, ...] = ("latest", "safe", "finalized", "pending", "earliest")
    most_requests: int = 1_000
    gas_cap: int = GAS_CAP


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuery:
    """The one parameter of eth_getLogs: which blocks, whose logs, and for each place of the topics which ones."""

    first: int
    last: int
    at: Hash32 | None
    addresses: frozenset[bytes]
    topics: tuple[frozenset[bytes], ...]

    def takes(self, log: Log) -> bool:
        """Whether a log is asked for. An empty set asks for all; a place beyond the log's topics takes nothing."""
        if self.addresses and log.address not in self.addresses:
            return False
        if len(self.topics) > len(log.topics):
            return False
        return all(not some or topic in some for some, topic in zip(self.topics, log.topics, strict=False))


class Rpc:
    """The methods of one honest node."""

    def __init__(self, ledger: Source, manners: Manners | None = None) -> None:
        self.ledger = ledger
        self.manners = manners or Manners()
        self._methods: dict[str, Callable[[View, Sequence[object]], object]] = {
            "eth_chainId": lambda _view, _params: hex(ledger.chain.id),
            "net_version": lambda _view, _params: str(ledger.chain.id),
            "web3_clientVersion": lambda _view, _params: "Gazetteer/simulated",
            "eth_syncing": lambda _view, _params: False,
            "eth_blockNumber": lambda view, _params: hex(view.head.number),
            "eth_getBlockByNumber": self._block_by_number,
            "eth_getBlockByHash": self._block_by_hash,
            "eth_getLogs": self._logs,
            "eth_call": self._call,
            "eth_getCode": self._code,
        }

    def answer(self, method: str, params: object, view: View) -> object:
        """The result of one request about `view`. Raises RpcError."""
        if method not in self._methods:
            raise RpcError(METHOD_NOT_FOUND, f"the method {method} does not exist/is not available")
        if not isinstance(params, list):
            raise RpcError(INVALID_PARAMS, "non-array args")
        return self._methods[method](view, params)

    def block(self, block: Block) -> Json:
        """A block as this node shows it."""
        return block_json(block, self.ledger.entries(block), self.ledger.chain.id)

    def query(self, params: Sequence[object], view: View) -> LogQuery:
        """The parameter of eth_getLogs. Raises RpcError."""
        wanted = _param(params, 0)
        if not isinstance(wanted, dict):
            raise RpcError(INVALID_PARAMS, "invalid argument 0: json: cannot unmarshal into filters.input")
        at = wanted.get("blockHash")
        first, last = (self._number(wanted.get(key, "latest"), view) for key in ("fromBlock", "toBlock"))
        return LogQuery(
            first=first,
            last=last,
            at=None if at is None else Hash32(_bytes(at, 32)),
            addresses=_some(wanted.get("address"), 20),
            topics=_topics(wanted.get("topics")),
        )

    def _block_by_number(self, view: View, params: Sequence[object]) -> object:
        block = view.block(self._number(_param(params, 0), view))
        return None if block is None else self.block(block)

    def _block_by_hash(self, view: View, params: Sequence[object]) -> object:
        block = self.ledger.find(Hash32(_bytes(_param(params, 0), 32)))
        return None if block is None or block.number > view.head.number else self.block(block)

    def _logs(self, view: View, params: Sequence[object]) -> list[Json]:
        query = self.query(params, view)
        if query.at is not None:
            block = self.ledger.find(query.at)
            if block is None or block.number > view.head.number:
                raise RpcError(SERVER_ERROR, "unknown block")
            logs = [entry.log for entry in self.ledger.entries(block)]
        else:
            self._check_range(query, view)
            logs = [entry.log for entry in view.entries(query.first, query.last)]
        return [log_json(log, stamped=self.manners.stamped) for log in logs if query.takes(log)]

    def _check_range(self, query: LogQuery, view: View) -> None:
        if query.first > query.last:
            raise RpcError(INVALID_PARAMS, "invalid block range params")
        if self.manners.refuses_beyond_head and query.last > view.head.number:
            raise RpcError(INVALID_PARAMS, "block range extends beyond current head block")

    def _call(self, view: View, params: Sequence[object]) -> object:
        call = _param(params, 0)
        if not isinstance(call, dict):
            raise RpcError(INVALID_PARAMS, "invalid argument 0: json: cannot unmarshal into TransactionArgs")
        at = self._at(params, view)
        to, data = Address(_bytes(call.get("to"), 20)), _bytes(call.get("input", call.get("data", "0x")), None)
        asked = call.get("gas")
        gas = self.manners.gas_cap if asked is None else min(_quantity(asked), self.manners.gas_cap)
        outcome = self._machine(view, at).call(to, data, gas)
        if outcome.ok:
            return hexed(outcome.data)
        if outcome.out_of_gas:
            low = gas < INTRINSIC_GAS + len(data)
            said = f"intrinsic gas too low: have {gas}, want {INTRINSIC_GAS + len(data)}" if low else "out of gas"
            raise RpcError(SERVER_ERROR, f"err: {said} (supplied gas {gas})" if low else said)
        if outcome.data:
            raise RpcError(EXECUTION_REVERTED, "execution reverted", hexed(outcome.data))
        raise RpcError(SERVER_ERROR, "execution reverted")

    def _code(self, view: View, params: Sequence[object]) -> object:
        at = self._at(params, view)
        return hexed(self._code_at(Address(_bytes(_param(params, 0), 20)), view, at))

    def _machine(self, view: View, at: Block) -> Machine:
        chain = self.ledger.chain

        def lookup(to: Address, data: bytes) -> Reply | None:
            contract = view.contract(to, at)
            if contract is not None and contract.has_code:
                return contract.reply(data)
            return REVERT if self._code_at(to, view, at) else None

        return Machine(lookup=lookup, uniswap_multicall=chain.uniswap_multicall, multicall3=chain.multicall3)

    def _code_at(self, address: Address, view: View, at: Block) -> bytes:
        chain = self.ledger.chain
        if address in (chain.uniswap_multicall, chain.multicall3):
            return CODE
        if any(factory.address == address for factory in self.ledger.factories):
            return CODE
        contract = view.contract(address, at)
        return CODE if contract is not None and contract.has_code else b""

    def _at(self, params: Sequence[object], view: View) -> Block:
        """The block that a call is about: a number, a tag, or (EIP-1898) an object. Raises RpcError."""
        told = params[1] if len(params) > 1 else "latest"
        if not isinstance(told, dict):
            block = view.block(self._number(told, view))
            if block is None:
                raise RpcError(SERVER_ERROR, "header not found")
            return block
        if not self.manners.by_hash:
            raise RpcError(
                INVALID_PARAMS, "invalid argument 1: json: cannot unmarshal object into Go value of type string"
            )
        if "blockHash" not in told:
            return self._at([None, told.get("blockNumber", "latest")], view)
        wanted = Hash32(_bytes(told["blockHash"], 32))
        found = self.ledger.find(wanted)
        if found is None or found.number > view.head.number:
            raise RpcError(SERVER_ERROR, "header for hash not found")
        if not view.has(found):
            raise RpcError(SERVER_ERROR, "hash is not currently canonical")
        return found

    def _number(self, told: object, view: View) -> int:
        tagged = {
            "latest": view.head.number,
            "pending": view.head.number,
            "safe": view.safe,
            "finalized": view.finalized,
            "earliest": 0,
        }
        if isinstance(told, str) and told in tagged:
            if told not in self.manners.tags:
                raise RpcError(SERVER_ERROR, f"{told} block not found")
            return tagged[told]
        return _quantity(told)


def _param(params: Sequence[object], place: int) -> object:
    if place >= len(params):
        raise RpcError(INVALID_PARAMS, f"missing value for required argument {place}")
    return params[place]


def _quantity(told: object) -> int:
    if not isinstance(told, str) or not _QUANTITY.fullmatch(told):
        raise RpcError(INVALID_PARAMS, "invalid argument 0: hex string without 0x prefix")
    return int(told, 16)


def _bytes(told: object, size: int | None) -> bytes:
    try:
        raw = bytes.fromhex(told[2:]) if isinstance(told, str) and told[:2] == "0x" else None
    except ValueError:
        raw = None
    if raw is None or size not in (None, len(raw)):
        raise RpcError(INVALID_PARAMS, "invalid argument 0: json: cannot unmarshal invalid hex string")
    return raw


def _some(told: object, size: int) -> frozenset[bytes]:
    """One value, a list of them, or null for any."""
    if told is None:
        return frozenset()
    values = told if isinstance(told, list) else [told]
    if len(values) > MOST_ADDRESSES:
        raise RpcError(INVALID_PARAMS, "exceed max addresses or topics per search position")
    return frozenset(_bytes(value, size) for value in values)


def _topics(told: object) -> tuple[frozenset[bytes], ...]:
    places = [] if told is None else told
    if not isinstance(places, list) or len(places) > MOST_TOPICS:
        raise RpcError(INVALID_PARAMS, "exceed max topics")
    return tuple(_some(place, 32) for place in places)
