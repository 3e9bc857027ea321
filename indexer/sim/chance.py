"""Chance that repeats: the same words give the same stream, in any process, whatever the clock says."""

import math
from random import Random

MOST_EVENTS = 1000


def chance(*words: object) -> Random:
    """A stream of its own for these words. Streams of other words do not disturb it."""
    return Random("|".join(str(word) for word in words))  # noqa: S311 - repeatable on purpose, nothing is secret


def poisson(stream: Random, mean: float) -> int:
    """How often something rare happened, on average `mean` times; never more than MOST_EVENTS."""
    bound, product = math.exp(-mean), 1.0
    for count in range(MOST_EVENTS):
        product *= stream.random()
        if product < bound:
            return count
    return MOST_EVENTS
