"""How many blocks to ask for: whatever an endpoint refuses, every block is asked for once and it ends."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import FilterTooLarge, TooManyBlocks, TooManyLogs
from indexer.flow.ranges import ANSWERS_BEFORE_PROBE, LARGEST_SPAN, MOST_TOGETHER, TARGET_LOGS, Ranges

MOST_REFUSALS = 40


class Provider:
    """Refuses more than `cap` blocks or `most_logs` logs; says so as truly as it likes."""

    def __init__(self, cap, most_logs, density, hints):
        self.cap, self.most_logs, self.density, self.hints = cap, most_logs, density, hints
        self.asked = 0

    def ask(self, first, last):
        self.asked += 1
        size = last - first + 1
        logs = sum(self.density[block % len(self.density)] for block in range(first, last + 1))
        hint = self.hints[self.asked % len(self.hints)]
        if size > self.cap:
            raise TooManyBlocks("too many blocks", cap=self.cap if hint == 0 else None if hint == 1 else hint)
        if logs > self.most_logs and size > 1:
            raise TooManyLogs("too many logs", last=None if hint in (0, 1) else first + hint)
        return logs


def read_down(ranges, provider, start, end):
    """As history does: newest first, a refusal shrinks towards the same end."""
    chunks, last = [], end
    while last >= start:
        first = max(last - ranges.span() + 1, start)
        for _ in range(MOST_REFUSALS):
            try:
                logs = provider.ask(first, last)
                break
            except (TooManyBlocks, TooManyLogs) as refusal:
                assert first < last, "a single block was refused"
                smaller = max(first, ranges.refused(refusal, first, last))
                assert first < smaller <= last, "a refusal did not shrink the range"
                first = smaller
        else:
            raise AssertionError("it never ends")
        ranges.served(first, last, logs)
        chunks.append((first, last))
        last = first - 1
    return chunks


@given(
    cap=st.integers(1, 3_000),
    most_logs=st.integers(1, 5_000),
    density=st.lists(st.integers(0, 50), min_size=1, max_size=20),
    hints=st.lists(st.integers(-5, 5_000), min_size=1, max_size=5),
    start=st.integers(0, 10**9),
    size=st.integers(1, 5_000),
    first_span=st.integers(1, 5_000),
)
def test_the_chunks_are_exactly_the_interval(cap, most_logs, density, hints, start, size, first_span):
    ranges = Ranges(first_span=first_span)
    chunks = read_down(ranges, Provider(cap, most_logs, density, hints), start, start + size - 1)
    assert chunks[0][1] == start + size - 1
    assert chunks[-1][0] == start
    assert all(older[1] == newer[0] - 1 for newer, older in itertools.pairwise(chunks))


@given(
    st.lists(
        st.one_of(
            st.builds(lambda cap: TooManyBlocks("x", cap=cap), st.none() | st.integers(-10, 10**12)),
            st.builds(lambda last: TooManyLogs("x", last=last), st.none() | st.integers(-10, 10**12)),
            st.just(FilterTooLarge("x")),
            st.integers(0, 10**6),
        ),
        max_size=60,
    )
)
def test_the_span_stays_within_its_bounds_whatever_is_said(events):
    ranges = Ranges()
    for event in events:
        first, last = 5_000, 5_000 + ranges.span() - 1
        if isinstance(event, int):
            ranges.served(first, last, event)
        else:
            smaller = ranges.refused(event, first, last)
            assert smaller == last if first == last else first < smaller <= last
        assert 1 <= ranges.span() <= LARGEST_SPAN
        assert ranges.cap is None or ranges.span() <= ranges.cap


def test_a_named_cap_is_met_with_one_refusal():
    provider, ranges = Provider(800, 10**9, [0], [0]), Ranges()
    chunks = read_down(ranges, provider, 0, 79_999)
    assert provider.asked == len(chunks) + 1
    assert ranges.cap == 800


def test_the_cap_is_tried_a_little_higher_after_many_full_answers():
    ranges = Ranges()
    ranges.refused(TooManyBlocks("x", cap=100), 0, 999)
    for _ in range(ANSWERS_BEFORE_PROBE):
        assert ranges.span() == 100
        ranges.served(0, 99, 0)
    assert ranges.cap == 125
    assert ranges.span() > 100


def test_density_does_not_lower_the_cap_nor_keep_the_span_low_for_ever():
    ranges = Ranges(first_span=8_000)
    ranges.refused(TooManyLogs("x"), 0, 7_999)
    assert (ranges.span(), ranges.cap) == (4_000, None)
    for _ in range(30):
        ranges.served(0, ranges.span() - 1, 1)
    assert ranges.span() > 8_000


def test_a_suggestion_gives_the_span_and_an_impossible_one_is_ignored():
    ranges = Ranges(first_span=1_000)
    assert ranges.refused(TooManyLogs("x", last=99), 0, 999) == 900
    assert ranges.span() == 100
    assert ranges.refused(TooManyLogs("x", last=99), 0, 99) == 50  # what it just refused
    assert ranges.refused(TooManyLogs("x", last=-5), 0, 49) == 25


def test_answers_are_aimed_at_about_two_thousand_logs():
    provider, ranges = Provider(10**9, 10**9, [7], [0]), Ranges()
    read_down(ranges, provider, 0, 30_000)
    assert TARGET_LOGS // 2 <= ranges.span() * 7 <= TARGET_LOGS * 1.1


def test_spans_are_claimed_together_once_they_no_longer_double_and_as_many_as_bring_enough():
    ranges = Ranges()
    assert ranges.together() == 1
    ranges.served(0, 999, 10)
    assert (ranges.span(), ranges.together()) == (2_000, 1), "the next one may be refused, or may bring more"
    ranges.refused(TooManyBlocks("x", cap=1_500), 0, 1_999)
    assert (ranges.span(), ranges.together()) == (1_500, MOST_TOGETHER)
    ranges.served(0, 1_499, 600)
    assert ranges.together() == 3
    ranges.served(0, 1_499, 1_100)
    assert ranges.together() == 1
    ranges.served(0, 1_499, 0)
    assert ranges.together() == MOST_TOGETHER


def test_an_answer_to_a_part_of_a_span_teaches_nothing():
    ranges = Ranges(first_span=500)
    ranges.served(0, 99, 3)
    assert ranges.span() == 500


def test_sparse_answers_grow_to_the_largest_span_in_few_steps():
    ranges = Ranges()
    for _ in range(10):
        ranges.served(0, ranges.span() - 1, 0)
    assert ranges.span() == LARGEST_SPAN
