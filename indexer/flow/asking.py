"""Many questions, few round trips, and no question that harms its neighbours.

Inside a multicall a failure proves nothing: a neighbour may have burnt the gas, or returned two megabytes. So
every inner failure and every empty answer is asked again alone, with its own gas, before anybody believes it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from indexer.errors import AnswerTooLarge, BadAnswer, Retryable, TimedOut
from indexer.evm import multicall
from indexer.model import Address, Answer, BlockRef, Call, Question, Returned, Reverted
from indexer.ports import Node

CALLS_A_MULTICALL = 300
MULTICALLS_A_BATCH = 5
FEWEST_TOGETHER = 10
"""So few questions are not divided any more: each is asked alone, or all of them fail."""
GAS_EACH = 500_000
GAS_ALONE = 2_000_000
ALONE_A_BATCH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Multicalls:
    """The multicall contracts of a chain. None: there is none, or not to be used."""

    limited: Address | None
    unlimited: Address | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    pack: Callable[[Sequence[Call]], Call]
    read: Callable[[bytes, int], list[Returned | Reverted]]


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Calls that share a multicall, with their places among all questions, and the way that is to be tried."""

    calls: Sequence[tuple[int, Call]]
    way: int


def ask_alone(node: Node, questions: Sequence[Question], pin: BlockRef) -> list[Answer]:
    """Every question as a request of its own, each call with its own gas, many requests in one body."""
    answers: list[Answer] = []
    for start in range(0, len(questions), ALONE_A_BATCH):
        answers += _alone(node, [_with_gas(each) for each in questions[start : start + ALONE_A_BATCH]], pin)
    return answers


def ask_alone_while(node: Node, questions: Sequence[Question], pin: BlockRef, failed: list[Retryable]) -> list[Answer]:
    """As `ask_alone`, up to the first body that is not answered: why is put into `failed`, and no further one is asked.

    Many questions may be more than an endpoint or our budget bears at once; what was answered is not asked again.
    """
    answers: list[Answer] = []
    for start in range(0, 0 if failed else len(questions), ALONE_A_BATCH):
        try:
            answers += ask_alone(node, questions[start : start + ALONE_A_BATCH], pin)
        except Retryable as error:
            failed.append(error)
            break
    return answers


def _alone(node: Node, questions: Sequence[Question], pin: BlockRef) -> list[Answer]:
    """In one body, or in halves where that is too much to answer at once."""
    try:
        return list(node.ask(questions, pin))
    except (AnswerTooLarge, TimedOut):
        if len(questions) <= FEWEST_TOGETHER:
            raise
    middle = len(questions) // 2
    return _alone(node, questions[:middle], pin) + _alone(node, questions[middle:], pin)


def ask_together(node: Node, multicalls: Multicalls, questions: Sequence[Question], pin: BlockRef) -> list[Answer]:
    """Answers in the order of the questions: by multicall where it can be believed, alone where it cannot."""
    believed: dict[int, Answer] = {}
    calls = [(index, question) for index, question in enumerate(questions) if isinstance(question, Call)]
    ways = _ways(multicalls)
    starts = range(0, len(calls) if ways else 0, CALLS_A_MULTICALL)
    chunks = [_Chunk(calls[start : start + CALLS_A_MULTICALL], 0) for start in starts]
    while chunks:  # each round halves a chunk or tries its next way, so that it ends
        some, chunks = chunks[:MULTICALLS_A_BATCH], chunks[MULTICALLS_A_BATCH:]
        asked = [ways[chunk.way].pack([call for _, call in chunk.calls]) for chunk in some]
        for chunk, answer in zip(some, _alone_or_together(node, asked, pin), strict=True):
            chunks += _gather(chunk, ways, answer, believed)
    rest = [index for index in range(len(questions)) if index not in believed]
    believed.update(zip(rest, ask_alone(node, [questions[index] for index in rest], pin), strict=True))
    return [believed[index] for index in range(len(questions))]


def _alone_or_together(node: Node, multicalls: Sequence[Call], pin: BlockRef) -> list[Answer]:
    """Multicalls in one body, or in a body each where that is too much to answer at once."""
    try:
        return list(node.ask(multicalls, pin))
    except (AnswerTooLarge, TimedOut):
        if len(multicalls) == 1:
            raise
    return [answer for each in multicalls for answer in node.ask([each], pin)]


def _gather(chunk: _Chunk, ways: Sequence[_Way], answer: Answer, believed: dict[int, Answer]) -> list[_Chunk]:
    """Put what can be believed of one multicall into `believed`; returns what of it is to be asked in another way.

    Nothing is left where it is too few to divide: those are asked alone.
    """
    if not isinstance(answer, Returned):  # too heavy as a whole, however it is packed
        return _halves(chunk)
    results: list[Returned | Reverted] | None = None
    if answer.data:
        try:
            results = ways[chunk.way].read(answer.data, len(chunk.calls))
        except BadAnswer:
            results = None  # something else lives at this address on this chain
    if results is None:
        return [_Chunk(chunk.calls, chunk.way + 1)] if chunk.way + 1 < len(ways) else _halves(chunk)
    for (index, _), told in zip(chunk.calls, results, strict=True):
        if isinstance(told, Returned) and told.data:
            believed[index] = told
    return []


def _halves(chunk: _Chunk) -> list[_Chunk]:
    """What fails as a whole is divided, while there is enough of it."""
    if len(chunk.calls) <= FEWEST_TOGETHER:
        return []
    middle = len(chunk.calls) // 2
    return [_Chunk(chunk.calls[:middle], chunk.way), _Chunk(chunk.calls[middle:], chunk.way)]


def _ways(multicalls: Multicalls) -> tuple[_Way, ...]:
    ways: list[_Way] = []
    if (limited := multicalls.limited) is not None:
        ways.append(_Way(pack=lambda calls: multicall.limited(limited, calls, GAS_EACH), read=multicall.read_limited))
    if (unlimited := multicalls.unlimited) is not None:
        ways.append(_Way(pack=lambda calls: multicall.unlimited(unlimited, calls), read=multicall.read_unlimited))
    return tuple(ways)


def _with_gas(question: Question) -> Question:
    if isinstance(question, Call) and question.gas is None:
        return Call(to=question.to, data=question.data, gas=GAS_ALONE)
    return question
