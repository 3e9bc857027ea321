"""One endpoint: a chain behind a list of faults, spoken to in bytes. Without faults it is an honest node."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from math import inf
from random import Random

import orjson

from indexer.errors import AnswerTooLarge, NodeUnavailable, RateLimited, TimedOut
from indexer.sim.chance import chance
from indexer.sim.faults import Fault, Name, Struck, check_logs, check_request, spoil_block, spoil_logs
from indexer.sim.rpc import INVALID_REQUEST, PARSE_ERROR, SERVER_ERROR, Manners, Rpc, RpcError
from indexer.sim.shapes import Json
from indexer.sim.source import Source, View

ERROR_PAGE = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
SERVER_ERRORS = (500, 502, 503, 504)
BLOCK_METHODS = frozenset({"eth_getBlockByNumber", "eth_getBlockByHash"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """What comes back. `wait_s`: after how long, infinite for never. `cut`: the connection drops instead."""

    status: int = HTTPStatus.OK
    body: bytes = b""
    retry_after_s: float | None = None
    wait_s: float = 0.0
    cut: bool = False


class Endpoint:
    """`faults` may be replaced at any time. `name` decides, with `seed`, which exchanges they strike."""

    def __init__(
        self,
        name: str,
        ledger: Source,
        *,
        faults: Sequence[Fault] = (),
        manners: Manners | None = None,
        seed: int | str = 0,
    ) -> None:
        self.name = name
        self.faults = tuple(faults)
        self.rpc = Rpc(ledger, manners)
        self._seed = seed
        self._exchanges = 0

    @property
    def ledger(self) -> Source:
        """The chain behind it."""
        return self.rpc.ledger

    def handle(self, body: bytes) -> bytes:
        """The answer's body, whatever its status."""
        return self.exchange(body).body

    def exchange(self, body: bytes) -> Exchange:
        """Answer one JSON-RPC body, single or batch."""
        self._exchanges += 1
        stream = chance(self._seed, self.name, self._exchanges)
        tick = self.ledger.tick
        struck: dict[str, Fault] = {fault.name: fault for fault in self.faults if fault.strikes(tick, stream)}
        return _refused(struck, stream) or self._answered(body, struck, stream)

    def seen(self) -> View:
        """What it takes for the chain now: heads are announced from here."""
        lagging = self.suffers("lagging")
        return self.ledger.view(int(lagging.amount) if lagging else 0)

    def suffers(self, name: Name) -> Fault | None:
        """The fault of this name, while it is on."""
        on = (fault for fault in self.faults if fault.name == name and fault.is_on(self.ledger.tick))
        return next(on, None)

    def _answered(self, body: bytes, struck: Struck, stream: Random) -> Exchange:
        try:
            asked = orjson.loads(body)
        except orjson.JSONDecodeError:
            return Exchange(body=orjson.dumps(_error(None, RpcError(PARSE_ERROR, "parse error"))))
        view = self._view(struck, stream)
        if isinstance(asked, list):
            told: object = self._batch(asked, view, struck, stream)
        else:
            told = self._reply(asked, view, struck, stream)
        answer = orjson.dumps(told)
        if "truncated" in struck:
            answer = answer[: max(len(answer) // 2, 1)]
        if "not_json" in struck:
            answer = ERROR_PAGE
        slow = struck.get("slow")
        return Exchange(body=answer, wait_s=slow.amount if slow else 0.0)

    def _view(self, struck: Struck, stream: Random) -> View:
        ago = max((int(struck[name].amount) for name in ("lagging", "backwards") if name in struck), default=0)
        if "fanned_out" in struck:
            ago += stream.randint(0, int(struck["fanned_out"].amount))
        view = self.ledger.view(ago)
        if "stale_finality" in struck:
            old = self.ledger.view(ago + int(struck["stale_finality"].amount))
            view = replace(view, finalized=old.finalized, safe=min(view.safe, max(old.safe, old.finalized)))
        return view

    def _batch(self, asked: list[object], view: View, struck: Struck, stream: Random) -> object:
        if not asked:
            return _error(None, RpcError(INVALID_REQUEST, "empty batch"))
        if len(asked) > self.rpc.manners.most_requests:  # one reply in the name of the first request, as geth does
            first = asked[0].get("id") if isinstance(asked[0], dict) else None
            return [_error(first, RpcError(INVALID_REQUEST, "batch too large"))]
        if (fault := struck.get("batch_refused")) is not None and len(asked) > fault.amount:
            return _error(None, RpcError(INVALID_REQUEST, f"batch limit of {int(fault.amount)} exceeded"))
        if "one_error" in struck:
            return _error(None, RpcError(SERVER_ERROR, "internal error"))
        replies: list[Json] = []
        for request in asked:
            seen = self._view(struck, stream) if "fanned_out" in struck else view
            replies.append(self._reply(request, seen, struck, stream))
        if "shuffled" in struck:
            stream.shuffle(replies)
        if "lost_reply" in struck:
            replies.pop(stream.randrange(len(replies)))
        if "doubled_reply" in struck and replies:
            replies.append(stream.choice(replies))
        return replies

    def _reply(self, request: object, view: View, struck: Struck, stream: Random) -> Json:
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            return _error(None, RpcError(INVALID_REQUEST, "invalid request"))
        number = request.get("id")
        try:
            result = self._result(request["method"], request.get("params", []), view, struck, stream)
        except RpcError as error:
            return _error(number, error)
        return {"jsonrpc": "2.0", "id": number, "result": result}

    def _result(self, method: str, params: object, view: View, struck: Struck, stream: Random) -> object:
        check_request(method, params, struck)
        result = self.rpc.answer(method, params, view)
        if method == "eth_getLogs" and isinstance(result, list) and isinstance(params, list):
            query = self.rpc.query(params, view)
            check_logs(query, len(result), struck)
            return spoil_logs(result, query, struck, stream)
        if method in BLOCK_METHODS and isinstance(params, list):
            return spoil_block(result, params[0], struck, stream)
        if method == "eth_chainId" and "other_chain" in struck:
            return hex(self.ledger.chain.id + 1)
        return result


def in_process(
    endpoint: Endpoint,
    *,
    before: Callable[[], None] | None = None,
    wait: Callable[[float], None] | None = None,
) -> Callable[[bytes, float], bytes]:
    """The endpoint without sockets: a transport that raises what the one over HTTP would raise.

    `before` is called before every exchange (time may pass, a fork may happen); `wait` is told how long one took.
    """

    def send(body: bytes, timeout_s: float) -> bytes:
        if before is not None:
            before()
        exchange = endpoint.exchange(body)
        if wait is not None:
            wait(min(exchange.wait_s, timeout_s))
        _raise_for(exchange, timeout_s)
        return exchange.body

    return send


def _raise_for(exchange: Exchange, timeout_s: float) -> None:
    if exchange.wait_s > timeout_s:
        raise TimedOut(f"no whole answer within {timeout_s:g} s")
    if exchange.cut:
        raise NodeUnavailable("the connection was cut before the answer was whole")
    if exchange.status == HTTPStatus.TOO_MANY_REQUESTS:
        raise RateLimited("told to slow down (HTTP 429)", retry_after_s=exchange.retry_after_s)
    if exchange.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        raise AnswerTooLarge("the endpoint found it too large (HTTP 413)")
    if exchange.status == HTTPStatus.GATEWAY_TIMEOUT:
        raise TimedOut("the endpoint gave up waiting (HTTP 504)")
    if exchange.status != HTTPStatus.OK:
        raise NodeUnavailable(f"HTTP {exchange.status}")


def _refused(struck: Struck, stream: Random) -> Exchange | None:
    """What comes back before anything is read; None: the body is read."""
    if "hang" in struck:
        return Exchange(wait_s=inf)
    if "cut" in struck:
        return Exchange(cut=True)
    if (fault := struck.get("rate_limited")) is not None:
        page = b'{"message":"Too many requests"}'
        return Exchange(status=HTTPStatus.TOO_MANY_REQUESTS, body=page, retry_after_s=fault.amount or None)
    if "server_error" in struck:
        return Exchange(status=stream.choice(SERVER_ERRORS), body=ERROR_PAGE)
    if "too_large" in struck:
        return Exchange(status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE, body=b"")
    return None


def _error(number: object, error: RpcError) -> Json:
    return {"jsonrpc": "2.0", "id": number, "error": error.shown()}
