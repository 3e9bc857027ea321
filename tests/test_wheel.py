"""What is installed is whole: a wheel, outside of the checkout, runs the demo and its own migrations and views."""

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DEMO_S = 8


@pytest.fixture(scope="module")
def installed():
    """A directory that holds the built wheel's packages and nothing else of this checkout."""
    with tempfile.TemporaryDirectory(prefix="gz-wheel-") as place:
        build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
        source = Path(place) / "source"
        source.mkdir()
        names = subprocess.run(
            ["git", "-C", ROOT, "ls-files"], check=True, capture_output=True, text=True
        ).stdout.split()
        for name in names:
            if (ROOT / name).is_file():
                (source / name).parent.mkdir(parents=True, exist_ok=True)
                (source / name).write_bytes((ROOT / name).read_bytes())
        subprocess.run([*build, "--wheel-dir", place, str(source)], check=True)
        (wheel,) = Path(place).glob("gazetteer-*.whl")
        target = Path(place) / "installed"
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(target)
        Path(place).chmod(0o755)
        yield target


def run(installed, directory, *words, timeout=180):
    env = {key: value for key, value in os.environ.items() if not key.startswith("GAZETTEER_")}
    return subprocess.run(
        [sys.executable, "-P", "-m", "workers", *words],
        env=env | {"PYTHONPATH": str(installed)},
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def test_the_wheel_is_what_is_imported_and_it_carries_facts_migrations_and_views(installed, tmp_path):
    script = "import indexer, workers, migrations; print(indexer.__file__, workers.__file__, migrations.__file__)"
    env = dict(os.environ, PYTHONPATH=str(installed))
    told = subprocess.run(
        [sys.executable, "-P", "-c", script], env=env, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert all(Path(path).is_relative_to(installed) for path in told.stdout.split())
    for wanted in (
        "indexer/known/factories.toml",
        "indexer/store/views/10_pools.sql",
        "migrations/versions/0001_the_register.py",
    ):
        assert (installed / wanted).is_file(), wanted
    assert not (installed / "tests").exists()


@pytest.mark.slow
def test_the_demo_runs_from_a_wheel_in_a_directory_with_packages_of_the_same_names(installed, tmp_path, server_root):
    for name in ("indexer", "workers", "migrations"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('the wrong package')\n")
    done = run(
        installed, tmp_path, "demo", "--for", str(DEMO_S), "--seed", "5", "--data-dir", str(server_root / "wheel")
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "the register equals the truth" in done.stdout
