"""Questions for the chain, written as if they were answered on the spot.

A dialogue yields questions, is sent their answers and returns what it learned. It never does I/O, so whoever
runs it may merge the questions of many dialogues into one round trip.
"""

from collections.abc import Callable, Generator, Sequence
from typing import TypeVar

from indexer.model import Answer, Question

T = TypeVar("T")
Dialogue = Generator[tuple[Question, ...], Sequence[Answer], T]
Ask = Callable[[Sequence[Question]], Sequence[Answer]]

MOST_ROUNDS = 16


def together(dialogues: Sequence[Dialogue[T]], ask: Ask) -> list[T]:
    """Run all dialogues in lockstep, one `ask` a round, however many there are. Results in their order."""
    outcomes = as_far_as(dialogues, ask)
    return [outcomes[index] for index in range(len(dialogues))]


def as_far_as(dialogues: Sequence[Dialogue[T]], ask: Ask) -> dict[int, T]:
    """The same where `ask` may answer only the first ones: results by place, of dialogues that got every answer."""
    outcomes: dict[int, T] = {}
    waiting: dict[int, tuple[Question, ...]] = {}

    def step(index: int, answers: Sequence[Answer] | None) -> None:
        dialogue = dialogues[index]
        try:
            waiting[index] = next(dialogue) if answers is None else dialogue.send(answers)
        except StopIteration as done:
            outcomes[index] = done.value

    for index in range(len(dialogues)):
        step(index, None)
    for _ in range(MOST_ROUNDS):
        if not waiting:
            break
        asked, waiting = waiting, {}
        answers = ask([question for questions in asked.values() for question in questions])
        at = 0
        for index, questions in asked.items():
            told = answers[at : at + len(questions)]
            at += len(questions)
            if len(told) == len(questions):
                step(index, told)
    if waiting:
        message = f"a dialogue asked more than {MOST_ROUNDS} rounds"
        raise AssertionError(message)
    return outcomes
