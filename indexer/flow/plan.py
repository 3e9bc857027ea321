"""What reading history will cost: how many requests, hours and bytes; and which block a date is.

Nothing here reads or writes the register, but for `learn`, which asks an endpoint a few ranges to see what it serves.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from indexer.errors import MissingData, RangeRefused, Retryable
from indexer.flow.ranges import FIRST_SPAN, LARGEST_SPAN, TARGET_LOGS, Ranges
from indexer.flow.reading import announced, listening
from indexer.model import Emitter, Header
from indexer.ports import Node

REQUESTS_A_RANGE = 4
"""One for the logs, three for the headers around them: each counts against the budget."""
HISTORY_SHARE = 0.5
"""What a busy head leaves of an endpoint's budget: history draws only above half of the bucket."""
BYTES_A_POOL = 2_100
"""A made register of a million pools weighs 1,400 each with its indexes; built row by row these weigh half more."""
QUESTIONS = 8
"""So many ranges are asked to learn an endpoint's span: from 1,000 blocks by doubling it is 100,000 then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What an endpoint was seen to do. `span`: blocks it serves at once. `pools` announced in the newest `blocks`."""

    span: int
    blocks: int
    pools: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Ranges between a lower and an upper bound, equal where the endpoint's span is known. Requests are JSON-RPC's."""

    requests: tuple[int, int]
    hours: tuple[float, float]


def cost(blocks: int, *, requests_per_s: float, span: int | None = None, logs_a_block: float | None = None) -> Cost:
    """What `blocks` missing blocks cost at one endpoint.

    With a known `span` (blocks a request) that is one number. Else between spans grown as far as flow.ranges lets
    them, in view of how many logs a block holds, and an endpoint that never serves more than the first span.
    """
    grown = LARGEST_SPAN if not logs_a_block else min(max(int(TARGET_LOGS / logs_a_block), FIRST_SPAN), LARGEST_SPAN)
    spans = (grown, FIRST_SPAN) if span is None else (span, span)
    least, most = (math.ceil(blocks / each) * REQUESTS_A_RANGE for each in spans)
    an_hour = requests_per_s * HISTORY_SHARE * 3600
    return Cost(requests=(least, most), hours=(least / an_hour, most / an_hour))


def learn(node: Node, emitters: Sequence[Emitter], last: int) -> Learned:
    """Ask `node` for ranges as history does, from `last` down, until it fails. Raises Retryable if it does at once."""
    ranges, wanted = Ranges(), listening(emitters)
    top, pools = last, 0
    for _ in range(QUESTIONS):
        first = max(top - ranges.span() + 1, 0)
        try:
            window = node.window(first, top, wanted)
        except RangeRefused as refusal:
            ranges.refused(refusal, first, top)
            continue
        except Retryable:
            if top == last:
                raise
            break
        ranges.served(first, top, len(window.logs))
        pools += len(announced(emitters, window.logs).created)
        top = first - 1
        if top < 0:
            break
    return Learned(span=ranges.span(), blocks=last - top, pools=pools)


def block_at(node: Node, moment_s: int, high: int) -> int:
    """The first block of 0..high whose time is at or after `moment_s` (Unix seconds); `high` if all are before.

    Bisection over headers, about thirty requests. Raises Retryable; MissingData where a header is not served.
    """
    low = 0
    while low < high:
        middle = (low + high) // 2
        if _header(node, middle).timestamp_s >= moment_s:
            high = middle
        else:
            low = middle + 1
    return low


def _header(node: Node, number: int) -> Header:
    (header,) = node.headers([number])
    if header is None:
        raise MissingData(f"{node.name} does not serve the header of block {number}")
    return header
