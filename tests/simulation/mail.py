"""What becomes of the messages between processes? Each may be lost, doubled, late, out of order, or all be gone.

Stands where the Celery application stands for `workers.kicks`. Whatever happens here may cost time, and nothing else.
"""

from collections.abc import Callable, Collection, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from random import Random

from kombu.exceptions import OperationalError

from tests.simulation.drawn import Losses
from workers.app import MAINTENANCE, TICK_S

LATE_S = (3.0, 30.0, 100.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One wake-up: a task's name and arguments, in a queue, from when until when."""

    task: str
    args: tuple[object, ...]
    queue: str
    there_at_s: float
    expires_at_s: float


class Mail:
    """The broker. `sent` is called when a message is under way: its sender may die of it."""

    def __init__(self, losses: Losses, stream: Random, now_s: Callable[[], float], sent: Callable[[], None]) -> None:
        self._losses = losses
        self.stream = stream
        self._now_s = now_s
        self._sent = sent
        self._messages: list[Message] = []
        self.counts = dict.fromkeys(("sent", "lost", "doubled", "late", "expired", "returned", "refused"), 0)

    def send_task(
        self, task: str, args: Sequence[object] = (), *, queue: str, expires: float, **_options: object
    ) -> None:
        """Take a message, as Celery does. Raises OperationalError while the broker is away."""
        if self._happens("refused", self._losses.away):
            message = "the simulation took the broker away"
            raise OperationalError(message)
        self.counts["sent"] += 1
        now_s = self._now_s()
        late_s = self.stream.choice(LATE_S) if self._happens("late", self._losses.late) else 0.0
        message = Message(
            task=task, args=tuple(args), queue=queue, there_at_s=now_s + late_s, expires_at_s=now_s + expires
        )
        copies = 2 if self._happens("doubled", self._losses.doubled) else 1
        self._messages += [message] * (0 if self._happens("lost", self._losses.lost) else copies)
        self._sent()

    def tick(self) -> None:
        """What beat does."""
        self.send_task("maint.tick", queue=MAINTENANCE, expires=TICK_S)

    def take(self, queues: Collection[str]) -> Message | None:
        """Any message that is there for who hears these queues; None: there is none."""
        now_s = self._now_s()
        kept = [each for each in self._messages if each.expires_at_s >= now_s or each.queue == MAINTENANCE]
        self.counts["expired"] += len(self._messages) - len(kept)
        self._messages = kept
        there = [at for at, each in enumerate(kept) if each.there_at_s <= now_s and each.queue in queues]
        return self._messages.pop(self.stream.choice(there)) if there else None

    def return_(self, message: Message) -> None:
        """Whoever took it died of it, or nobody heard that it was done: it comes again, or not."""
        if not self._happens("lost", self._losses.lost):
            self.counts["returned"] += 1
            self._messages.append(replace(message, there_at_s=self._now_s()))

    def perhaps_empty(self) -> None:
        """Now and then somebody empties the broker."""
        if self.stream.random() < self._losses.emptied:
            self.counts["lost"] += len(self._messages)
            self._messages.clear()

    def _happens(self, what: str, share: float) -> bool:
        happens = self.stream.random() < share
        self.counts[what] += happens
        return happens

    # The rest is how `workers.kicks` asks a broker for the length of a queue.

    def connection_or_acquire(self) -> "nullcontext[Mail]":
        """A connection, which is this."""
        return nullcontext(self)

    @property
    def default_channel(self) -> "Mail":
        """Its channel, which is this too."""
        return self

    @property
    def client(self) -> "Mail":
        """And its client."""
        return self

    def llen(self, queue: str) -> int:
        """How many messages wait in a queue."""
        now_s = self._now_s()
        return sum(each.queue == queue and each.there_at_s <= now_s for each in self._messages)
