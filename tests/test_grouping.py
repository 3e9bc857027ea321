"""Names make things one, the surest first, unless that would contradict something surer."""

from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.flow.grouping import CONFIDENCE, Thing, group


def thing(*names, **more):
    return Thing(names=[tuple(name.split(":", 1)) for name in names], kind="equity", code="X", source="t", **more)


def partition(things):
    found = group(things)
    return {frozenset(things[place].names for place in places) for places in found.groups}


def sets(things):
    """Which things are together, by what they bear, and what names each set; without numbers."""
    found = group(things)
    bodies = [frozenset((tuple(sorted(things[p].names)), things[p].entry) for p in places) for places in found.groups]
    return (
        {(body, frozenset(names)) for body, names in zip(bodies, found.names, strict=True)},
        {name: frozenset(bodies[number] for number in numbers) for name, numbers in found.contested.items()},
        {(tuple(sorted(things[p].names)), things[p].entry): bodies[number] for p, number in found.pointing.items()},
    )


def test_whatever_bears_the_same_isin_is_one():
    found = group([thing("isin:A"), thing("isin:B"), thing("isin:A", "figi_share:F")])
    assert sorted(map(sorted, found.groups)) == [[0, 2], [1]]


def test_a_share_class_brings_together_what_has_an_isin_and_what_has_none():
    found = group([thing("isin:A", "figi_share:F"), thing("figi_share:F"), thing("figi_share:F", "figi_composite:C")])
    assert [sorted(places) for places in found.groups] == [[0, 1, 2]]
    assert set(found.names[0]) == {("isin", "A"), ("figi_share", "F"), ("figi_composite", "C")}


def test_a_share_class_that_two_isins_claim_names_neither_and_unites_nobody():
    found = group([thing("isin:A", "figi_share:F"), thing("isin:B", "figi_share:F"), thing("figi_share:F")])
    assert sorted(map(sorted, found.groups)) == [[0], [1]]  # what bears nothing but a contested name is nowhere
    assert found.contested == {("figi_share", "F"): [0, 1]}
    assert all(("figi_share", "F") not in names for names in found.names)


def test_a_cusip_is_found_inside_an_isin_but_not_given_by_it():
    found = group([thing("isin:US0378331005", hints=[("cusip", "037833100")]), thing("alpaca:u", "cusip:037833100")])
    assert [sorted(places) for places in found.groups] == [[0, 1]]
    alone = group([thing("isin:US0378331005", hints=[("cusip", "037833100")])])
    assert list(alone.names[0]) == [("isin", "US0378331005")]


def test_two_entries_of_one_list_are_two_things_whatever_they_claim():
    one = thing("caip19:poly", "caip19:eth", entry_of="w", entry="USDT")
    other = thing("caip19:poly", "caip19:arb", entry_of="w", entry="USDT0")
    somebody = thing("caip19:eth", entry_of="v", entry="USDT")
    found = group([one, other, somebody])
    assert sorted(map(sorted, found.groups)) == [[0, 2], [1]]
    assert list(found.contested) == [("caip19", "poly")]


def test_what_is_said_without_certainty_points_at_an_asset_and_makes_no_two_one():
    weak = thing("coingecko:a", confidence=0.7)
    both = thing("coingecko:a", "coingecko:b", confidence=0.9)
    found = group([thing("coingecko:a"), thing("coingecko:b"), weak, both])
    assert len(found.groups) == 2
    assert found.pointing == {2: next(n for n, places in enumerate(found.groups) if 0 in places)}


NAMES = st.sampled_from([(scheme, value) for scheme in CONFIDENCE for value in "ab"])
THINGS = st.lists(
    st.builds(
        lambda names, confidence, entry: Thing(
            names=sorted(names),
            kind="coin",
            code="X",
            source="t",
            confidence=confidence,
            entry_of="list" if entry else None,
            entry=entry,
        ),
        st.sets(NAMES, min_size=1, max_size=4),
        st.sampled_from([1.0, 0.95, 0.8]),
        st.sampled_from(["", "", "p", "q"]),
    ),
    max_size=9,
)


@settings(max_examples=300, deadline=None)
@given(things=THINGS, order=st.randoms(use_true_random=False))
def test_the_order_in_which_things_are_said_does_not_matter(things, order):
    again = list(things)
    order.shuffle(again)
    assert sets(again) == sets(things)


@settings(max_examples=300, deadline=None)
@given(things=THINGS)
def test_every_certain_thing_with_a_name_of_its_own_is_in_one_group_and_every_name_names_one_or_is_contested(things):
    found = group(things)
    placed = sorted(place for places in found.groups for place in places)
    certain = [place for place, each in enumerate(things) if each.confidence >= 0.95]
    assert placed == [place for place in certain if set(things[place].names) - found.contested.keys()]
    named = [name for names in found.names for name in names]
    assert len(named) == len(set(named))
    assert set(named) | set(found.contested) == {name for place in certain for name in things[place].names}
    assert set(named).isdisjoint(found.contested)
