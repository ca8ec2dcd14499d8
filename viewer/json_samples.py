"""Samples out of JSON: wandb tables and JSON lines, as Arrow batches in the schema of a rollout dump."""
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from itertools import count, islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from verl.utils.rollout_dump import SCHEMA
from viewer.detect import SourceError
from viewer.text import clean

BATCH_ROWS = 256  # answers may be long
# Names of ours first, then those of verl's own dumps.
ALIASES = {
    "prompt": ("prompt", "input"),
    "response": ("response", "output"),
    "ground_truth": ("ground_truth", "gts"),
    "score": ("score", "reward"),
}
_NUMBERS = {"step": int, "sample_index": int, "response_length": int, "score": float, "acc": float}


def read_json(path: Path, is_table: bool) -> Iterator[pa.RecordBatch]:
    """The samples of a file.

    Raises:
        SourceError: no wandb table, or a broken line that is not the last.
    """
    rows = _table_rows(path) if is_table else _line_rows(path)
    while some := list(islice(rows, BATCH_ROWS)):
        yield pa.RecordBatch.from_pylist(some, schema=SCHEMA)


def _table_rows(path: Path) -> Iterator[dict[str, Any]]:
    """A row of a wandb table holds a step and, as input_i, output_i, score_i, its samples: one row each.

    Equal prompts share their number, also in other steps: they are samples of one prompt.
    """
    columns, data = _read_table(path)
    if "step" not in columns or "output_1" not in columns:
        raise SourceError(f"{path}: the columns are {', '.join(columns[:8])}; a table of generations has step, "
                          "input_1, output_1, score_1, …")
    numbers: dict[str, int] = {}
    for values in data:
        row, seen = dict(zip(columns, values, strict=False)), {}
        for i in count(1):
            if f"output_{i}" not in columns:
                break
            if row.get(f"output_{i}") is None:
                continue
            prompt = clean(row.get(f"input_{i}") or "")
            uid = str(numbers.setdefault(prompt, len(numbers) + 1))
            seen[uid] = seen.get(uid, -1) + 1
            fields = {"step": row["step"], "uid": uid, "sample_index": seen[uid], "prompt": prompt}
            yield _row({**fields, "response": row[f"output_{i}"], "score": row.get(f"score_{i}")})


def _read_table(path: Path) -> tuple[list[str], list[list[Any]]]:
    try:
        table = json.loads(path.read_text(encoding="utf-8", errors="replace"))
        return [str(name) for name in table["columns"]], list(table["data"])
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{path} is no wandb table: {error!r}") from error


def _line_rows(path: Path) -> Iterator[dict[str, Any]]:
    """JSON lines, as verl dumps them; a last line torn by a kill is left out."""
    broken = None
    with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
        for number, line in enumerate(file, 1):
            if broken:
                raise SourceError(f"{path}, line {number - 1}: {broken}")
            if not line.strip():
                continue
            try:
                values = json.loads(line)
            except ValueError as error:
                broken = f"no JSON ({error})"
                continue
            if not isinstance(values, dict):
                raise SourceError(f"{path}, line {number}: no object")
            yield _row(_renamed(values, number - 1))


def _renamed(values: Mapping[str, Any], index: int) -> dict[str, Any]:
    """A line with our names; what has none goes to `extra`, and a prompt without uid is known by its text."""
    row, taken = {}, set()
    for name in SCHEMA.names:
        found = next((alias for alias in ALIASES.get(name, (name,)) if alias in values), None)
        if found:
            row[name] = values[found]
            taken.add(found)
    row.setdefault("uid", hashlib.md5(str(row.get("prompt")).encode(errors="replace")).hexdigest()[:12])
    row.setdefault("sample_index", index)
    rest = {name: value for name, value in values.items() if name not in taken}
    return row if "extra" in row or not rest else row | {"extra": rest}


def _row(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _value(name, value) for name, value in values.items()}


def _value(name: str, value: Any) -> Any:  # noqa: ANN401
    return _number(value, _NUMBERS[name]) if name in _NUMBERS else _text(value)


def _number(value: Any, kind: type) -> float | int | None:  # noqa: ANN401 - whatever the JSON has
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return kind(value)


def _text(value: Any) -> str | None:  # noqa: ANN401
    if value is None or isinstance(value, str):
        return value and clean(value)
    return clean(json.dumps(value, ensure_ascii=False))
