"""Bugs that are planted on purpose are found: each patch of `tests/planted` makes a seed of the simulation fail.

A patch begins with a line that says what it breaks, and a line `seeds: ...` with seeds that are known to show it.
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
ONE_SEED_S = 240


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


def live(copy, seed):
    """One seed's life in the copy: pytest's exit code and what it printed."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pytest", "-q", "-x", "tests/test_simulation.py"],
        cwd=copy,
        env=dict(os.environ, PYTHONPATH=str(copy), SEED=str(seed)),
        capture_output=True,
        text=True,
        timeout=ONE_SEED_S,
        check=False,
    )
    return done.returncode, done.stdout


def seeds_of(patch):
    return [int(word) for word in re.search(r"^seeds:(.*)$", patch.read_text(), re.MULTILINE)[1].split()]


@pytest.mark.slow
@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.stem)
def test_a_planted_bug_makes_a_seed_fail(copy, patch):
    applied = subprocess.run(
        ["patch", "-p1", "--fuzz=0", "-i", patch], cwd=copy, capture_output=True, text=True, check=False
    )
    assert applied.returncode == 0, f"{patch.name} no longer applies; plant it anew\n{applied.stdout}"
    outcomes = [live(copy, seed) for seed in seeds_of(patch)]
    assert any(code == 1 and "SEED=" in said for code, said in outcomes), outcomes[-1][1][-2000:]


def test_every_bug_of_the_list_is_planted():
    assert {patch.stem for patch in PATCHES} >= {
        "cursor_saved_apart_from_rows",
        "rewind_by_one_block",
        "negative_made_final_too_early",
        "coverage_for_emitters_not_listened_to",
        "lease_finished_by_the_wrong_holder",
        "events_read_past_an_open_transaction",
    }
