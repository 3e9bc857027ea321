"""Whatever a seed does to it, the register ends exactly right.

`SEEDS=2000 scripts/test tests/test_simulation.py -n 2` lives more lives, `FIRST_SEED` begins elsewhere, and
`SEED=7 scripts/test tests/test_simulation.py` lives one of them again; `SEED="7 12"` both.
"""

import os

import pytest

from tests.simulation import Simulation, reproduce

QUICK = 3
SEEDS = int(os.environ.get("SEEDS", "300"))
FIRST = int(os.environ.get("FIRST_SEED", "1"))
LIVES = [int(seed) for seed in os.environ.get("SEED", "").split()] or range(FIRST, FIRST + SEEDS)


@pytest.mark.parametrize(
    "seed",
    [pytest.param(seed, marks=[pytest.mark.slow] if number >= QUICK else []) for number, seed in enumerate(LIVES)],
)
def test_every_table_equals_the_truth_whatever_happened(db, seed):
    found = Simulation(seed, db).run()
    assert not found, "\n".join([reproduce(seed), *found])
