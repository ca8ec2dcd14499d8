"""The samples of one step as a parquet file, for people and for the viewer."""
import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from verl.utils.fs import atomic_file

SCHEMA = pa.schema([
    ("step", pa.int64()),
    ("uid", pa.string()),  # of the prompt: its samples share it
    ("sample_index", pa.int32()),  # which of the prompt's n samples
    ("data_source", pa.string()),
    ("prompt", pa.string()),
    ("response", pa.string()),
    ("ground_truth", pa.string()),  # as JSON unless it is a string
    ("score", pa.float64()),
    ("acc", pa.float64()),
    ("status", pa.string()),  # of the reward: ok, timeout, crash, error
    ("response_length", pa.int32()),  # tokens
    ("finish_reason", pa.string()),
    ("extra", pa.string()),  # JSON object
])


def write_rollouts(path: str | os.PathLike, rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes one row per sample, atomically.

    Args:
        path: of the .parquet file.
        rows: the columns of `SCHEMA`; one that is left out is null. `extra` is a mapping of whatever else is known.
    """
    table = pa.Table.from_pylist([_row(row) for row in rows], schema=SCHEMA)
    with atomic_file(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(row) - set(SCHEMA.names))
    assert not unknown, f"no column {unknown[0]!r} in a rollout dump: put it into `extra`"
    truth = row.get("ground_truth")
    as_text = truth if truth is None or isinstance(truth, str) else _to_json(truth)
    return {**row, "ground_truth": as_text, "extra": _to_json(row.get("extra") or {})}


def _to_json(value: Any) -> str:  # noqa: ANN401 - whatever a reward returned
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Numpy and torch values as Python ones; text for what JSON has no form for."""
    return value.tolist() if hasattr(value, "tolist") else str(value)
