"""Many questions, few round trips, and no question that harms its neighbours.

Inside a multicall a failure proves nothing: a neighbour may have burnt the gas, or returned two megabytes. So
every inner failure and every empty answer is asked again alone, with its own gas, before anybody believes it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from indexer.errors import BadAnswer
from indexer.evm import multicall
from indexer.model import Address, Answer, BlockRef, Call, Question, Returned, Reverted
from indexer.ports import Node

CALLS_A_MULTICALL = 300
GAS_EACH = 500_000
GAS_ALONE = 2_000_000
ALONE_A_BATCH = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Multicalls:
    """The multicall contracts of a chain. None: there is none, or not to be used."""

    limited: Address | None
    unlimited: Address | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    pack: Callable[[Sequence[Call]], Call]
    read: Callable[[bytes, int], list[Returned | Reverted]]


def ask_alone(node: Node, questions: Sequence[Question], pin: BlockRef) -> list[Answer]:
    """Every question as a request of its own, each call with its own gas."""
    answers: list[Answer] = []
    for start in range(0, len(questions), ALONE_A_BATCH):
        chunk = [_with_gas(question) for question in questions[start : start + ALONE_A_BATCH]]
        answers.extend(node.ask(chunk, pin))
    return answers


def ask_together(node: Node, multicalls: Multicalls, questions: Sequence[Question], pin: BlockRef) -> list[Answer]:
    """Answers in the order of the questions: by multicall where it can be believed, alone where it cannot."""
    believed: dict[int, Answer] = {}
    calls = [(index, question) for index, question in enumerate(questions) if isinstance(question, Call)]
    ways = _ways(multicalls)
    for start in range(0, len(calls) if ways else 0, CALLS_A_MULTICALL):
        _gather(node, ways, calls[start : start + CALLS_A_MULTICALL], pin, believed)
    rest = [index for index in range(len(questions)) if index not in believed]
    believed.update(zip(rest, ask_alone(node, [questions[index] for index in rest], pin), strict=True))
    return [believed[index] for index in range(len(questions))]


def _gather(
    node: Node,
    ways: Sequence[_Way],
    calls: Sequence[tuple[int, Call]],
    pin: BlockRef,
    believed: dict[int, Answer],
) -> None:
    """Put what can be believed of one multicall into `believed`; halve it where the whole of it fails."""
    results = _one_multicall(node, ways, [call for _, call in calls], pin)
    if results is not None:
        for (index, _), answer in zip(calls, results, strict=True):
            if isinstance(answer, Returned) and answer.data:
                believed[index] = answer
    elif len(calls) > ALONE_A_BATCH:
        middle = len(calls) // 2
        _gather(node, ways, calls[:middle], pin, believed)
        _gather(node, ways, calls[middle:], pin, believed)


def _one_multicall(
    node: Node,
    ways: Sequence[_Way],
    calls: Sequence[Call],
    pin: BlockRef,
) -> list[Returned | Reverted] | None:
    for way in ways:
        (answer,) = node.ask([way.pack(calls)], pin)
        if not isinstance(answer, Returned):
            return None  # too heavy as a whole, however it is packed
        if answer.data:
            try:
                return way.read(answer.data, len(calls))
            except BadAnswer:
                continue  # something else lives at this address on this chain
    return None


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
