"""The benchmarks run, check what they did, and say where the time goes. How fast anything is, no test says."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BENCH = ROOT / "bench"


def ran(*words, **variables):
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | variables,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_decoding_writing_and_resolving_are_measured_beside_a_floor_of_the_same_run(tmp_path):
    shown = ran(BENCH / "own.py", "--smoke", "--only", "decode,write,resolve", "--out", tmp_path / "out.jsonl")
    rows = lines_of(tmp_path / "out.jsonl")
    assert [(row["bench"], row["what"]) for row in rows] == [
        (bench, what) for bench in ("decode", "write", "resolve") for what in ("floor", "product")
    ]
    for floor, product in zip(rows[::2], rows[1::2], strict=True):
        assert floor["n"] == product["n"] > 250
        assert product["x_floor"] > 1, "nobody does all of it for less than the floor"
        assert product["per_cpu_s"] < floor["per_cpu_s"]
    assert all(f"| {row['bench']}" in shown for row in rows)


@pytest.mark.slow
def test_a_backfill_is_measured_with_its_workers_and_without_what_starting_them_costs(tmp_path):
    shown = ran(BENCH / "own.py", "--smoke", "--only", "backfill", "--out", tmp_path / "out.jsonl")
    _floor, product, work = lines_of(tmp_path / "out.jsonl")
    assert product["pools"] > 250
    assert product["requests"] >= 5
    assert work["cpu_s"] == pytest.approx(product["cpu_s"] - work["idle_cpu_s"], abs=0.01)
    assert set(work["rss_mb"]) >= {"worker", "worker child", "backfill", "follow"}
    assert 0 <= work["celery_share"] <= 1
    for task in ("scan", "resolve_tokens"):
        assert f"| worker child | {task} " in shown


def test_a_process_that_is_looked_at_says_in_which_stage_its_cpu_went(tmp_path):
    program = (
        "import time\n"
        "from indexer.evm.text import clean\n"
        "until = time.process_time() + 0.6\n"
        "while time.process_time() < until: clean('\\u00e9' * 4000, 64)\n"
        "time.sleep(0.3)\n"
    )
    ran("-c", program, PYTHONPATH=f"{BENCH / 'sampler'}:{ROOT}", BENCH_SAMPLES=str(tmp_path))
    (told,) = [json.loads(path.read_text()) for path in tmp_path.glob("*.json")]
    cpu_s = {stage: used for _task, stage, used, _waited in told["rows"]}
    waited_s = {stage: waited for _task, stage, _used, waited in told["rows"]}
    assert max(cpu_s, key=cpu_s.get) == "decode"
    assert 0.4 < cpu_s["decode"] < 1.5
    assert waited_s["other"] > 0.2, "a busy machine lets it wait elsewhere as well"


@pytest.mark.shared
@pytest.mark.slow
def test_beside_the_floor_nothing_is_missing_and_every_token_is_right(tmp_path, shared):
    out = tmp_path / "out.jsonl"
    options = ("--blocks", 20_000, "--reps", 1, "--jobs", "meta", "--only", "floor_pipeline,gazetteer_idle,gazetteer")
    ran(BENCH / "side_by_side.py", shared / "bench", *options, "--out", out)
    floor, idle, product = lines_of(out)
    assert [row["competitor"] for row in (floor, idle, product)] == ["floor_pipeline", "gazetteer_idle", "gazetteer"]
    for row in (floor, product):
        assert row["pools_missing"] == row["pools_extra"] == 0 < row["pools"]
        assert row["tokens_right"] == row["tokens_wellformed"] > 0
    assert idle["logs_returned"] == 0, "an idle run reads nothing"
    assert not any(row["timed_out"] or row["exit"] for row in (floor, idle, product))


@pytest.mark.slow
def test_history_of_a_distant_node_is_measured_for_one_worker_and_for_more(tmp_path):
    shown = ran(BENCH / "scaling.py", "--smoke", "--workers", "1,2", "--out", tmp_path / "out.jsonl")
    one, two = lines_of(tmp_path / "out.jsonl")
    assert (one["workers"], one["children"], two["children"]) == (1, 2, 4)
    for row in (one, two):
        assert row["requests"] >= row["ranges"] == 30
        assert row["bound_s"] > 0
        assert row["work_cpu_ms"] > 0
    assert f"| {one['requests']} " in shown
