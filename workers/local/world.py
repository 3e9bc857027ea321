"""The demo's world as its neighbours see it: the settings that point at it, and its controls."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import urllib3
from urllib3.exceptions import HTTPError

from indexer.errors import NodeUnavailable

CALENDAR = "world.json"
SETTINGS = "gazetteer.toml"
CONTROL_S = 60.0
START_S = 120.0
LOOK_S = 0.05
OWN = {"history": "all", "requests_per_s": 500, "lease_s": 15, "task_s": 10}
"""Settings of the demo's register. Leases are short, so that one that was killed goes on within seconds."""

Rows = Sequence[Mapping[str, Any]]


def write_settings(root: Path, chains: Rows, factories: Rows, venues: Rows = ()) -> None:
    """Write the gazetteer.toml of this world, in one step."""
    parts = [_pairs(OWN)]
    for table, rows in (("chain", chains), ("factory", factories), ("venue", venues)):
        parts += [f"[[{table}]]\n{_pairs(row)}" for row in rows]
    partial = root / f"{SETTINGS}.partial"
    partial.write_text("\n".join(parts), encoding="utf-8")
    partial.replace(root / SETTINGS)


def _pairs(row: Mapping[str, Any]) -> str:
    return "".join(f"{key} = {_value(value)}\n" for key, value in row.items())


def _value(value: object) -> str:
    """Texts, numbers, flags and lists of them are written alike in JSON and TOML; tables are not."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(key)} = {_value(of)}" for key, of in value.items()) + "}"
    return json.dumps(value)


def kept(root: Path) -> tuple[str, bool] | None:
    """The seed of the world that is kept here and whether its time has ended; None where there is none."""
    try:
        found = json.loads((root / CALENDAR).read_text(encoding="utf-8"))
        return str(found["seed"]), found["stopped_s"] is not None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


class Controls:
    """A running world's controls. All raise NodeUnavailable when it does not answer."""

    def __init__(self, port: int) -> None:
        self._at = f"http://127.0.0.1:{port}/control"
        self._pool = urllib3.PoolManager(retries=False, timeout=CONTROL_S)

    def await_start(self, given_up: Callable[[], bool]) -> tuple[str, ...]:
        """Wait until it answers, or until `given_up()`; returns the names of its chains."""
        deadline = time.monotonic() + START_S
        while not given_up():
            try:
                return tuple(chain["chain"] for chain in self._ask("GET", "status"))
            except NodeUnavailable:
                if time.monotonic() > deadline:
                    raise
                time.sleep(LOOK_S)
        return ()

    def stop(self) -> None:
        """End its time: nothing is mined any more, everything is final."""
        self._ask("POST", "stop")

    def truth(self) -> list[dict[str, Any]]:
        """What a register must hold, chain by chain."""
        found: list[dict[str, Any]] = self._ask("GET", "truth")
        return found

    def _ask(self, method: str, what: str) -> Any:  # noqa: ANN401 - JSON
        try:
            answer = self._pool.request(method, f"{self._at}/{what}")
        except HTTPError as error:
            raise NodeUnavailable(f"the simulated world does not answer: {type(error).__name__}") from error
        if answer.status != 200:  # noqa: PLR2004 - OK
            raise NodeUnavailable(f"the simulated world answers with status {answer.status}")
        return json.loads(answer.data)
