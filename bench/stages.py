"""What the sampler found: CPU and waiting by stage, for each task and role."""

import json
from collections import defaultdict
from pathlib import Path

import usage

ORDER = ("start", "fetch", "parse", "decode", "write", "hop", "ours", "other")
CELERY = "hop"
Spent = dict[tuple[str, str, str], tuple[float, float]]
"""By (role, task, stage): CPU seconds, and seconds of waiting."""


def read(folder: Path) -> Spent:
    found: dict[tuple[str, str, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for path in folder.glob("*.json"):
        told = json.loads(path.read_text())
        for task, stage, cpu_s, wait_s in told["rows"]:
            spent = found[told["role"], task, stage]
            spent[0] += cpu_s
            spent[1] += wait_s
    return {key: (value[0], value[1]) for key, value in found.items()}


def celery_share(run: Spent, idle: Spent) -> float:
    """Celery's part of the CPU that work took, of all processes, starting them left out."""

    def of(spent: Spent, *, hop: bool) -> float:
        return sum(
            cpu_s for (_, _, stage), (cpu_s, _) in spent.items() if stage != "start" and (stage == CELERY) >= hop
        )

    work_s = of(run, hop=False) - of(idle, hop=False)
    return round(max(of(run, hop=True) - of(idle, hop=True), 0.0) / max(work_s, 0.01), 3)


def shown(run: Spent, idle: Spent) -> str:
    """One line a role and task, CPU by stage; then what the children waited for."""
    names = sorted(
        {(role, task) for role, task, _ in run}, key=lambda key: -sum(run.get((*key, s), (0, 0))[0] for s in ORDER)
    )
    rows = []
    for role, task in names:
        cells = [run.get((role, task, stage), (0.0, 0.0)) for stage in ORDER]
        total = sum(cpu_s for cpu_s, _ in cells)
        if total < 0.005:
            continue
        waits = {stage: round(cell[1], 2) for stage, cell in zip(ORDER, cells, strict=True) if cell[1] >= 0.01}
        told = ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in sorted(waits.items(), key=lambda w: -w[1]))
        rows.append([role, task, *(round(cpu_s, 3) or None for cpu_s, _ in cells), round(total, 2), told or "-"])
    text = usage.table(("process", "task", *ORDER, "CPU s", "waited for, s"), rows)
    return f"{text}\n\nCelery's share of the work's CPU: {celery_share(run, idle):.1%} (stage `hop`, less an idle start and stop)"
