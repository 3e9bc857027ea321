"""What venues sent, kept as it came: one Parquet file a run, the row's JSON as text beside its place in the list.

A list that is the same as the last one is not written again. A file is there whole or not at all.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from blake3 import blake3

from indexer.errors import Refused

KEPT = 30
"""Files a scope; the oldest go first."""
GROUP_ROWS = 10_000
_NAME_BYTES = 16
_SCHEMA = pa.schema([pa.field("position", pa.int32(), nullable=False), pa.field("row", pa.string(), nullable=False)])


def keep(root: Path, venue: str, scope: str, run_id: int, rows: Sequence[Mapping[str, object]]) -> str:
    """Write the rows below `root` unless the newest file of the scope holds just these; returns its relative path.

    Raises Refused where the directory cannot be written.
    """
    texts = [orjson.dumps(row, default=str, option=orjson.OPT_NON_STR_KEYS).decode() for row in rows]
    digest = blake3("\n".join(texts).encode()).hexdigest(length=_NAME_BYTES)
    folder = root / venue / scope.replace(":", "_")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        older = sorted(folder.glob("*.parquet"), key=_run_of)
        if older and older[-1].stem.endswith(f"-{digest}"):
            return str(older[-1].relative_to(root))
        path = folder / f"{run_id}-{digest}.parquet"
        _write(path, texts, {"venue": venue, "scope": scope, "run_id": str(run_id)})
        for file in older[: max(len(older) + 1 - KEPT, 0)]:
            file.unlink(missing_ok=True)
    except OSError as error:
        raise Refused(f"{folder}: {error.strerror}; make it writable, or name another data_dir") from error
    return str(path.relative_to(root))


def read(root: Path, name: str) -> list[dict[str, object]]:
    """The rows of a file that `keep` named, in their order."""
    table = pq.read_table(root / name)
    return [orjson.loads(text) for text in table.column("row").to_pylist()]


def _write(path: Path, texts: Sequence[str], facts: Mapping[str, str]) -> None:
    table = pa.table({"position": range(len(texts)), "row": texts}, schema=_SCHEMA.with_metadata(dict(facts)))
    partial = path.with_suffix(f".{os.getpid()}.partial")
    with partial.open("wb") as file:
        pq.write_table(table, file, compression="zstd", row_group_size=GROUP_ROWS)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _run_of(file: Path) -> int:
    return int(file.stem.partition("-")[0])
