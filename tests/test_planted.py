"""Bugs that are planted on purpose are found: each patch of `tests/planted` makes a seed of the simulation fail.

A patch begins with a line that says what it breaks, and a line `seeds: ...` with seeds that showed it. A change of
the code elsewhere may give these lives another turn, so further ones are lived until one shows it.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PATCHES = sorted((ROOT / "tests" / "planted").glob("*.patch"))
COPIED = ("indexer", "workers", "migrations", "tests", "pyproject.toml")
FURTHER_SEEDS = 30
LIVES_S = 280


@pytest.fixture
def copy(tmp_path):
    """A copy of this checkout that may be broken."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tmp_path / name)
    return tmp_path


def planted(copy, patch):
    """Plant the bug in the copy, which has to be as the patch remembers it."""
    applied = subprocess.run(
        ["patch", "-p1", "--fuzz=0", "-i", patch], cwd=copy, capture_output=True, text=True, check=False
    )
    assert applied.returncode == 0, f"{patch.name} no longer applies; plant it anew\n{applied.stdout}"


def live(copy, seeds):
    """The lives of these seeds in the copy, until one fails: pytest's exit code and what it printed."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pytest", "-q", "-x", "tests/test_simulation.py"],
        cwd=copy,
        env=dict(os.environ, PYTHONPATH=str(copy), SEED=" ".join(map(str, seeds))),
        capture_output=True,
        text=True,
        timeout=LIVES_S,
        check=False,
    )
    return done.returncode, done.stdout


def seeds_of(patch):
    return [int(word) for word in re.search(r"^seeds:(.*)$", patch.read_text(), re.MULTILINE)[1].split()]


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.stem)
def test_a_planted_bug_fits_the_code_as_it_is(copy, patch):
    planted(copy, patch)
    assert len(seeds_of(patch)) >= 3


@pytest.mark.slow
@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.stem)
def test_a_planted_bug_makes_a_seed_fail(copy, patch):
    planted(copy, patch)
    known = seeds_of(patch)
    further = [seed for seed in range(1, FURTHER_SEEDS + 1) if seed not in known]
    code, said = live(copy, [*known, *further])
    assert code == 1, said[-2000:]
    assert re.search(r"SEED=\d+ scripts/test", said), said[-2000:]


def test_every_bug_of_the_list_is_planted():
    assert {patch.stem for patch in PATCHES} >= {
        "cursor_saved_apart_from_rows",
        "rewind_by_one_block",
        "negative_made_final_too_early",
        "coverage_for_emitters_not_listened_to",
        "lease_finished_by_the_wrong_holder",
        "events_read_past_an_open_transaction",
        "audit_believes_the_second_reading",
        "audited_without_reading",
    }
