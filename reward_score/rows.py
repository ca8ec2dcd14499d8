"""Reads dataset rows as rewards see them, a block at a time."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BLOCK = 1024  # rows
COLUMNS = ("data_source", "reward_model", "extra_info")


@dataclass(frozen=True)
class Row:
    """What one row tells its reward function; `number` counts from 0 within `file`."""

    file: str
    number: int
    data_source: str
    ground_truth: object
    extra_info: dict

    def __str__(self) -> str:
        return f"{self.file} row {self.number}"


def read_rows(file: str) -> Iterator[Row]:
    """The rows of a `.parquet`, `.jsonl` or `.json` (a list, or a row per line) file.

    Raises:
        ValueError: no such file, another format, a line that is no object, or a row without `data_source` or
            `reward_model.ground_truth`.
    """
    path = Path(file).expanduser()
    if not path.is_file():
        raise ValueError(f"{file}: there is no such file")
    readers = {".parquet": _parquet, ".jsonl": _json_lines, ".json": _json_list}
    if path.suffix not in readers:
        raise ValueError(f"{file}: its name must end in {', '.join(readers)}")
    for number, fields in enumerate(readers[path.suffix](path)):
        yield _row(file, number, fields)


def _row(file: str, number: int, fields: dict) -> Row:
    reward_model = fields.get("reward_model")
    if not fields.get("data_source"):
        raise ValueError(f"{file} row {number}: there is no data_source")
    if not isinstance(reward_model, dict) or reward_model.get("ground_truth") is None:
        raise ValueError(f"{file} row {number}: there is no reward_model.ground_truth")
    extra_info = fields.get("extra_info") or {}
    if not isinstance(extra_info, dict):
        raise ValueError(f"{file} row {number}: extra_info is not an object")
    extra_info = {key: value for key, value in extra_info.items() if value is not None}
    return Row(file, number, fields["data_source"], reward_model["ground_truth"], extra_info)


def _parquet(path: Path) -> Iterator[dict]:
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path) as file:
        present = [name for name in COLUMNS if name in file.schema_arrow.names]
        for batch in file.iter_batches(BLOCK, columns=present):
            yield from batch.to_pylist()


def _json_lines(path: Path) -> Iterator[dict]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield _object(line, f"{path} line {number}")


def _json_list(path: Path) -> Iterator[dict]:
    """A list of rows; or, since the ending is used for both, a row per line, as training reads it."""
    content = path.read_bytes()
    try:
        rows = json.loads(content)
    except ValueError as error:
        if not content.lstrip().startswith(b"{"):
            raise ValueError(f"{path} is not JSON ({error})") from error
        yield from _json_lines(path)
        return
    rows = [rows] if isinstance(rows, dict) else rows
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"{path}: the file must hold a list of rows, or a row per line")
    yield from rows


def _object(line: bytes, where: str) -> dict:
    try:
        row = json.loads(line.decode())
    except ValueError as error:
        raise ValueError(f"{where} is not JSON ({error})") from error
    if not isinstance(row, dict):
        raise ValueError(f"{where} is not an object: a row is {{\"data_source\": …, \"reward_model\": …}}")
    return row
