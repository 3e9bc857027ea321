"""One endpoint of one chain over JSON-RPC. Replies are matched to their requests by id, never by position."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from indexer.errors import (
    AnswerTooLarge,
    BadAnswer,
    FilterTooLarge,
    MethodOff,
    MissingData,
    NodeUnavailable,
    TimedOut,
    TooManyLogs,
)
from indexer.model import (
    Answer,
    BlockRef,
    Call,
    Hash32,
    Header,
    Heads,
    LogFilter,
    Question,
    Returned,
    Reverted,
    Window,
)
from indexer.wire import parse
from indexer.wire.batch import Batch, Failed, Request
from indexer.wire.classify import CALL, GET_LOGS, NotUnderstood
from indexer.wire.transport import Transport

HEADS_S = 2.0
HEADERS_S = 5.0
WINDOW_S = 20.0
ASK_S = 15.0
HEADERS_A_BATCH = 50
QUESTIONS_A_BATCH = 100
MOST_FILTER_SPLITS = 12
MOST_FILTERS = 64
GET_BLOCK = "eth_getBlockByNumber"
GET_CODE = "eth_getCode"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Timeouts in seconds and sizes in requests, per kind of read."""

    heads_s: float = HEADS_S
    headers_s: float = HEADERS_S
    window_s: float = WINDOW_S
    ask_s: float = ASK_S
    headers_a_batch: int = HEADERS_A_BATCH
    questions_a_batch: int = QUESTIONS_A_BATCH


class HttpNode:
    """`ports.Node` over a transport. It remembers what the endpoint cannot do: EIP-1898, batches, wide filters."""

    def __init__(self, name: str, transport: Transport, *, limits: Limits | None = None) -> None:
        self._name = name
        self._limits = limits or Limits()
        self._batch = Batch(name, transport, itertools.count(1))
        self._knows: set[str] = set()
        self._by_hash = True
        self._most_addresses: int | None = None
        self._most_topics: int | None = None

    @property
    def name(self) -> str:
        """Its public name, never its URL."""
        return self._name

    def chain_identity(self) -> tuple[int, Hash32]:
        """Chain id and the hash of block 0. Raises as every read does; MissingData if block 0 is not served."""
        requests = [Request("eth_chainId", ()), _block(0)]
        chain_id, genesis = self._batch.send(requests, self._limits.headers_s)
        number = parse.quantity(_result(chain_id), "chain id")
        return number, _there(parse.header(_result(genesis), 0), "block 0").hash

    def heads(self) -> Heads:
        """Latest, safe and finalized in one batch; None for a tag that this endpoint never knew."""
        requests = [Request(GET_BLOCK, (tag, False)) for tag in ("latest", "safe", "finalized")]
        latest, safe, finalized = self._batch.send(requests, self._limits.heads_s)
        heads = Heads(
            latest=_there(parse.header(_result(latest)), "the latest block"),
            safe=self._tagged("safe", safe),
            finalized=self._tagged("finalized", finalized),
        )
        if heads.finalized is not None and heads.finalized.number > heads.latest.number:
            raise BadAnswer(f"{self._name} finalized {heads.finalized.number} above its latest {heads.latest.number}")
        return heads

    def headers(self, numbers: Sequence[int]) -> Sequence[Header | None]:
        """The canonical headers of these numbers, in this order; None where the endpoint has none (yet)."""
        found: list[Header | None] = []
        for start in range(0, len(numbers), self._limits.headers_a_batch):
            chunk = numbers[start : start + self._limits.headers_a_batch]
            replies = self._batch.send([_block(number) for number in chunk], self._limits.headers_s)
            found += [_header_or_none(reply, number) for reply, number in zip(replies, chunk, strict=True)]
        return found

    def window(self, first: int, last: int, wanted: LogFilter) -> Window:
        """Logs of first..last with the headers around them, in one batch. `first` 0 has a made-up block before it."""
        for _ in range(MOST_FILTER_SPLITS):
            try:
                return self._window(first, last, wanted)
            except FilterTooLarge:
                if not self._narrow(wanted):
                    raise
            except AnswerTooLarge as error:
                raise TooManyLogs(str(error)) from None
            except TimedOut as error:
                if first == last:
                    raise
                self.heads()  # it answers, so the question was too heavy; otherwise this raises what is wrong
                raise TooManyLogs(str(error)) from None
        raise FilterTooLarge(f"{self._name} refuses every size of filter")

    def _window(self, first: int, last: int, wanted: LogFilter) -> Window:
        filters = self._filters(wanted)
        span = {"fromBlock": hex(first), "toBlock": hex(last)}
        requests = [Request(GET_LOGS, ({**span, **one},), first=first, last=last) for one in filters]
        requests += [_block(max(first - 1, 0)), _block(last), Request(GET_BLOCK, ("finalized", False))]
        *told, before, end, finalized = self._batch.send(requests, self._limits.window_s)
        items: list[object] = []
        for reply in told:
            items += parse.items(_result(reply))
        end_header = _there(parse.header(_result(end), last), f"block {last}")
        before_header = _there(parse.header(_result(before), max(first - 1, 0)), f"block {first - 1}")
        logs, faults = parse.logs(items, first, end_header, wanted)
        return Window(
            logs=logs,
            before=before_header if first > 0 else _before_genesis(before_header),
            last=end_header,
            finalized=self._tagged("finalized", finalized),
            faults=faults,
        )

    def _filters(self, wanted: LogFilter) -> list[dict[str, object]]:
        addresses = _parts(["0x" + address.hex() for address in wanted.addresses], self._most_addresses)
        topics = _parts(["0x" + topic.hex() for topic in wanted.topics], self._most_topics)
        return [{"address": some, "topics": [any_of]} for some in addresses for any_of in topics]

    def _narrow(self, wanted: LogFilter) -> bool:
        """Ask for half as many addresses at a time, then half as many topics; False if there is nothing to halve."""
        addresses = min(self._most_addresses or len(wanted.addresses), len(wanted.addresses))
        topics = min(self._most_topics or len(wanted.topics), len(wanted.topics))
        if addresses >= topics and addresses > 1:
            self._most_addresses = addresses // 2
        elif topics > 1:
            self._most_topics = topics // 2
        else:
            return False
        return len(self._filters(wanted)) <= MOST_FILTERS

    def ask(self, questions: Sequence[Question], pin: BlockRef) -> Sequence[Answer]:
        """Answers at block `pin`, in order. Raises MissingData if `pin` is not (or no longer) canonical there."""
        answers: list[Answer] = []
        for start in range(0, len(questions), self._limits.questions_a_batch):
            chunk = questions[start : start + self._limits.questions_a_batch]
            try:
                answers += self._ask_by_hash(chunk, pin) if self._by_hash else self._ask_by_number(chunk, pin)
            except NotUnderstood:
                if not self._by_hash:
                    raise
                answers += self._ask_by_number(chunk, pin)
                self._by_hash = False
        return answers

    def _ask_by_hash(self, questions: Sequence[Question], pin: BlockRef) -> list[Answer]:
        """EIP-1898: the node itself refuses a block that is no longer canonical."""
        at = {"blockHash": "0x" + pin.hash.hex(), "requireCanonical": True}
        replies = self._batch.send([_question(question, at) for question in questions], self._limits.ask_s)
        return [_answer(question, reply) for question, reply in zip(questions, replies, strict=True)]

    def _ask_by_number(self, questions: Sequence[Question], pin: BlockRef) -> list[Answer]:
        """By number, between two looks at the block's hash, the second one after the answers are there."""
        asked = [_question(question, hex(pin.number)) for question in questions]
        check, *replies = self._batch.send([_block(pin.number), *asked], self._limits.ask_s)
        (again,) = self._batch.send([_block(pin.number)], self._limits.headers_s)
        for reply in (check, again):
            header = _there(parse.header(_result(reply), pin.number), f"block {pin.number}")
            if header.hash != pin.hash:
                raise MissingData(f"block {pin.number} is not (or no longer) the one that was asked for")
        return [_answer(question, reply) for question, reply in zip(questions, replies, strict=True)]

    def _tagged(self, tag: str, reply: object) -> Header | None:
        """The tag's header. None only while the endpoint never knew it; otherwise its absence is lag."""
        if isinstance(reply, Failed):
            header, error = None, reply.error
            if not isinstance(error, (MissingData, NotUnderstood, MethodOff)):
                raise error
        else:
            header = parse.header(reply)
        if header is not None:
            self._knows.add(tag)
        elif tag in self._knows:
            raise MissingData(f"{self._name} lost its {tag} block")
        return header


def _block(number: int) -> Request:
    return Request(GET_BLOCK, (hex(number), False))


def _question(question: Question, at: object) -> Request:
    if not isinstance(question, Call):
        return Request(GET_CODE, ("0x" + question.address.hex(), at))
    call = {"to": "0x" + question.to.hex(), "data": "0x" + question.data.hex()}
    if question.gas is not None:
        call["gas"] = hex(question.gas)
    return Request(CALL, (call, at))


def _answer(question: Question, reply: object) -> Answer:
    if isinstance(reply, Reverted):
        return reply
    if isinstance(reply, Failed):
        own_gas = isinstance(question, Call) and question.gas is None
        if own_gas and isinstance(reply.error, NodeUnavailable) and "execution aborted" in str(reply.error):
            return Reverted(str(reply.error))  # too heavy for the endpoint's own cap
        raise reply.error
    return Returned(parse.data(reply))


def _result(reply: object) -> object:
    if isinstance(reply, Failed):
        raise reply.error
    return reply


def _header_or_none(reply: object, number: int) -> Header | None:
    if isinstance(reply, Failed):
        if isinstance(reply.error, MissingData):
            return None
        raise reply.error
    return parse.header(reply, number)


def _there(header: Header | None, what: str) -> Header:
    if header is None:
        raise MissingData(f"{what} is not there (yet)")
    return header


def _before_genesis(genesis: Header) -> Header:
    return Header(
        number=genesis.number - 1,
        hash=genesis.parent_hash,
        parent_hash=genesis.parent_hash,
        timestamp_s=genesis.timestamp_s,
    )


def _parts(words: Sequence[str], most: int | None) -> Iterable[list[str]]:
    size = most or len(words) or 1
    return [list(words[start : start + size]) for start in range(0, len(words), size)] or [[]]
