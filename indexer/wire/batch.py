"""Many JSON-RPC requests in one body, and every reply given to the request whose id it carries."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import orjson

from indexer.errors import BadAnswer, GazetteerError, NodeUnavailable
from indexer.model import Reverted
from indexer.wire.classify import Asked, BatchRefused, classify
from indexer.wire.transport import Transport

MOST_REQUESTS = 100
EXCERPT = 80


@dataclass(frozen=True, slots=True)
class Request:
    """One method call. `first`, `last` are the range of an eth_getLogs, to read its refusal by."""

    method: str
    params: tuple[object, ...]
    first: int | None = None
    last: int | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """One request of a batch was refused; its neighbours may have been answered."""

    error: GazetteerError


class Batch:
    """Sends requests in one body while the endpoint takes them so; remembers a smaller size it asks for."""

    def __init__(self, name: str, transport: Transport, ids: Iterator[int]) -> None:
        self._name = name
        self._transport = transport
        self._ids = ids
        self._most = MOST_REQUESTS

    def send(self, requests: Sequence[Request], timeout_s: float) -> list[object]:
        """Results in the order of the requests, each a JSON value, a `Failed`, or the `Reverted` of an eth_call.

        Raises what the transport raises, BadAnswer for replies that do not fit, or the one error that was sent
        for the whole batch.
        """
        replies: list[object] = []
        while len(replies) < len(requests):
            some = requests[len(replies) : len(replies) + self._most]
            try:
                replies += self._exchange(some, timeout_s)
            except BatchRefused:
                if len(some) == 1:
                    raise
                self._most = max(len(some) // 2, 1)
        return replies

    def _exchange(self, requests: Sequence[Request], timeout_s: float) -> list[object]:
        numbered = {next(self._ids): request for request in requests}
        bodies = [
            {"jsonrpc": "2.0", "id": number, "method": request.method, "params": request.params}
            for number, request in numbered.items()
        ]
        answer = self._transport(orjson.dumps(bodies if self._most > 1 else bodies[0]), timeout_s)
        try:
            told = orjson.loads(answer)
        except orjson.JSONDecodeError:
            raise NodeUnavailable(f"{self._name} sent {len(answer)} bytes that are not JSON") from None
        if self._most == 1 and isinstance(told, dict):
            told = [told]
        if not isinstance(told, list):
            raise self._whole(told, requests[0])
        if len(told) == 1 < len(requests) and isinstance(told[0], dict) and told[0].get("error") is not None:
            raise self._whole(told[0], requests[0])  # geth refuses a batch in the name of its first request
        by_id = self._by_id(told, numbered)
        return [_read(by_id[number], request) for number, request in numbered.items()]

    def _whole(self, told: object, request: Request) -> GazetteerError:
        """What one object (or worse) in place of a list of replies says about all of them."""
        if isinstance(told, dict) and told.get("error") is not None:
            read = classify(told["error"], Asked(method=request.method, first=request.first, last=request.last))
            return read if isinstance(read, GazetteerError) else BadAnswer(read.reason)
        return BadAnswer(f"{self._name} answered a batch with something else than a list")

    def _by_id(self, told: list[object], numbered: dict[int, Request]) -> dict[int, dict[str, object]]:
        found: dict[int, dict[str, object]] = {}
        for reply in told:
            if not isinstance(reply, dict):
                raise BadAnswer(f"{self._name} sent a reply that is no object")
            number = reply.get("id")
            if number is None and reply.get("error") is not None:
                raise self._whole(reply, next(iter(numbered.values())))
            if not isinstance(number, int) or isinstance(number, bool) or number not in numbered:
                raise BadAnswer(f"{self._name} replied to id {str(number)[:EXCERPT]}, which was not asked")
            if number in found:
                raise BadAnswer(f"{self._name} replied twice to one id")
            found[number] = reply
        if len(found) < len(numbered):
            raise BadAnswer(f"{self._name} left {len(numbered) - len(found)} of {len(numbered)} requests unanswered")
        return found


def _read(reply: dict[str, object], request: Request) -> object:
    if reply.get("error") is not None:
        read = classify(reply["error"], Asked(method=request.method, first=request.first, last=request.last))
        return read if isinstance(read, Reverted) else Failed(read)
    if "result" not in reply:
        return Failed(BadAnswer("a reply has neither result nor error"))
    return reply["result"]
