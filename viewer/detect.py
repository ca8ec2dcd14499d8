"""What a path is: a run, rollouts, a dataset or a wandb table, told from its contents."""
import json
from enum import StrEnum
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

RUN_FILES = ("metrics.jsonl", "rollouts", "validation")
RESPONSE_NAMES = ("response", "output")  # ours; verl's JSON lines
HEAD_BYTES = 1 << 22  # of a JSON file's first line


class Kind(StrEnum):
    """Kinds of sources; the values are those of --source-type."""
    RUN = "run"
    ROLLOUTS = "rollouts"
    DATASET = "dataset"
    WANDB_TABLE = "wandb_table"


class SourceError(ValueError):
    """A path that cannot be shown; the message says what is wrong and what to do."""


def detect(path: str | Path) -> Kind:
    """The kind of `path`.

    Raises:
        SourceError: it does not exist, or is none of them.
    """
    path = Path(path)
    if not path.exists():
        raise SourceError(f"{path} does not exist")
    if path.is_dir():
        return _kind_of_folder(path)
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if head.startswith(b"PAR1"):
        return _kind_of_columns(path, _schema(path).names)
    return _kind_of_json(path, head)


def _kind_of_folder(path: Path) -> Kind:
    if any((path / name).exists() for name in RUN_FILES):
        return Kind.RUN
    if any(path.glob("*.parquet")) or any(path.glob("*.jsonl")):
        return Kind.ROLLOUTS if all(_is_step_file(file) for file in _data_files(path)) else _refuse_folder(path)
    runs = sorted({file.parent.name for file in path.glob("*/metrics.jsonl")})
    hint = f"; runs are below it: {', '.join(runs[:5])}" if runs else ""
    raise SourceError(f"{path} has none of {', '.join(RUN_FILES)} and no step_N.parquet{hint}")


def _refuse_folder(path: Path) -> Kind:
    raise SourceError(f"{path} has several files: open one of them, e.g. {_data_files(path)[0]}")


def _data_files(path: Path) -> list[Path]:
    return sorted([*path.glob("*.parquet"), *path.glob("*.jsonl")])


def _is_step_file(path: Path) -> bool:
    return path.stem.removeprefix("step_").isdecimal()


def _schema(path: Path) -> pa.Schema:
    try:
        return pq.read_schema(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise SourceError(f"{path} is no whole parquet file ({error})") from error


def _kind_of_columns(path: Path, names: list[str]) -> Kind:
    if set(RESPONSE_NAMES) & set(names):
        return Kind.ROLLOUTS
    if "prompt" in names:
        return Kind.DATASET
    raise SourceError(f"{path} has the columns {', '.join(names[:20])}: rollouts need `response`, a dataset `prompt`")


def _kind_of_json(path: Path, head: bytes) -> Kind:
    """A wandb table is one object, which may be far longer than what was read of it."""
    start = head.lstrip()
    if not start.startswith(b"{"):
        raise SourceError(f"{path} is neither parquet nor JSON")
    try:
        first = json.loads(start.split(b"\n", 1)[0])
    except ValueError:
        first = {}
    if {"columns", "data"} <= set(first) or (not first and b'"columns"' in start and b'"data"' in start):
        return Kind.WANDB_TABLE
    if set(RESPONSE_NAMES) & set(first):
        return Kind.ROLLOUTS
    raise SourceError(f"{path} is no wandb table (`columns` and `data`), and its first line has none of "
                      f"{', '.join(RESPONSE_NAMES)}")
