"""Whatever a seed does to it, the register ends exactly right."""

import os

import pytest

from tests.simulation import Simulation, reproduce

SEEDS = int(os.environ.get("SEEDS", "40"))
FIRST = int(os.environ.get("FIRST_SEED", "1"))


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
def test_every_table_equals_the_truth_whatever_happened(db, seed):
    found = Simulation(seed, db).run()
    assert not found, "\n".join([reproduce(seed), *found])


def test_reproduce(db):
    """The seed that the environment names, if it names one."""
    seed = os.environ.get("SEED")
    if seed is None:
        pytest.skip("no SEED is named")
    assert Simulation(int(seed), db).run() == []
