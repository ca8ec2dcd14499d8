"""Reading rows from .parquet, .json and .jsonl, several files with different columns at once.

Files are kept apart, not concatenated: sources disagree on types (a ground truth is a string here and a list there). A
row is a plain dict of Python values, nested lists and dicts included; a column that a file lacks is simply absent, so
`row.get(name)` is None.
"""
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

Row = dict[str, Any]
_BLOCK = 1024  # rows turned into Python objects at a time; ground truths can be megabytes each


@dataclass(frozen=True)
class RowFile:
    """The rows taken from one file: an Arrow table for parquet, dicts for JSON (whose rows need not share types)."""
    path: str
    data: pa.Table | list[Row]
    row_numbers: np.ndarray  # [len] position of each row in the file, from 0

    def __len__(self) -> int:
        return len(self.row_numbers)

    def __getitem__(self, i: int) -> Row:
        return dict(self.data[i]) if isinstance(self.data, list) else self.data.slice(i, 1).to_pylist()[0]

    def __iter__(self) -> Iterator[Row]:
        if isinstance(self.data, list):
            yield from map(dict, self.data)
            return
        for block in self.data.to_batches(max_chunksize=_BLOCK):
            yield from block.to_pylist()

    @property
    def columns(self) -> list[str]:
        if isinstance(self.data, list):
            return list(dict.fromkeys(key for row in self.data for key in row))
        return self.data.column_names

    def keep(self, mask: np.ndarray) -> "RowFile":
        """The rows where `mask` (bool, [len]) is true."""
        if isinstance(self.data, list):
            data = [row for row, kept in zip(self.data, mask, strict=True) if kept]
        else:
            data = self.data.filter(pa.array(mask))
        return RowFile(self.path, data, self.row_numbers[mask])


@dataclass(frozen=True)
class Rows:
    """Rows of several files in order, addressed by one index."""
    files: tuple[RowFile, ...]

    def __len__(self) -> int:
        return sum(map(len, self.files))

    def __getitem__(self, i: int) -> Row:
        file, local = self._locate(i)
        return file[local]

    def __iter__(self) -> Iterator[Row]:
        for file in self.files:
            yield from file

    def where(self, i: int) -> str:
        """How an error message names row `i`."""
        file, local = self._locate(i)
        return f"{file.path}, row {file.row_numbers[local]}"

    def columns(self, i: int) -> list[str]:
        """The columns of the file that row `i` came from."""
        return self._locate(i)[0].columns

    def split(self, flat: np.ndarray) -> list[np.ndarray]:
        """Cuts one value per row into one array per file."""
        return np.split(flat, np.cumsum([len(file) for file in self.files])[:-1])

    def keep(self, mask: np.ndarray) -> "Rows":
        """The rows where `mask` (bool, one per row) is true."""
        return Rows(tuple(file.keep(part) for file, part in zip(self.files, self.split(mask), strict=True)))

    def _locate(self, i: int) -> tuple[RowFile, int]:
        if not 0 <= i < len(self):
            raise IndexError(f"row {i} of {len(self)}")
        for file in self.files:
            if i < len(file):
                return file, i
            i -= len(file)
        raise AssertionError("unreachable: the lengths of the files sum to len(self)")


def read_rows(files: Sequence[str],
              key: str = "data.train_files",
              foreign: Callable[[Path], RowFile | None] | None = None) -> Rows:
    """All rows of `files`.

    `foreign` is asked first about each JSON file: it reads the layout that it knows, and returns None for others.

    Raises ValueError if a file is missing, of another kind or unreadable; `key` is the config key that the message
    names.
    """
    if not files:
        raise ValueError(f"{key} is empty: name at least one .parquet, .json or .jsonl file")
    return Rows(tuple(_read_file(path, key, foreign) for path in files))


def sample_rows(rows: Rows, max_samples: int, shuffle: bool, seed: int) -> Rows:
    """At most `max_samples` rows (all if negative), in file order: a draw by `seed` if `shuffle`, else the first ones.
    """
    if max_samples < 0 or max_samples >= len(rows):
        return rows
    mask = np.zeros(len(rows), dtype=bool)
    order = np.random.default_rng(seed).permutation(len(rows)) if shuffle else np.arange(len(rows))
    mask[order[:max_samples]] = True
    return rows.keep(mask)


def parse_lines(file: Path) -> Iterator[tuple[int, Row | str]]:
    """(number from 1, object) of each line of JSON lines that is not blank; instead of an object, what is wrong."""
    with open(file, "rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line.decode())
            except ValueError as error:
                yield number, f"is not JSON ({error}): correct the line"
                continue
            yield number, row if isinstance(row, dict) else "is not an object: each line must be {…}"


def _read_file(path: str, key: str, foreign: Callable[[Path], RowFile | None] | None) -> RowFile:
    readers = {".parquet": _read_parquet, ".json": _read_json, ".jsonl": _read_json_lines}
    file = Path(path).expanduser()
    if file.suffix not in readers:
        raise ValueError(f"{key}: {path} is neither .parquet, .json nor .jsonl: convert it, or name another file")
    if not file.is_file():
        raise ValueError(f"{key}: no file {path}: check the path, or make it with a script of data_preprocess/")
    if foreign is not None and file.suffix != ".parquet" and (rows := foreign(file)) is not None:
        return rows
    data = readers[file.suffix](file)
    return RowFile(str(path), data, np.arange(len(data)))


def _read_parquet(file: Path) -> pa.Table:
    try:
        # ParquetFile reads this one file; read_table would add columns for folders named like "split=train".
        with pq.ParquetFile(file) as parquet:
            return parquet.read()
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"{file} cannot be read as parquet ({error}): make it again") from error


def _read_json(file: Path) -> list[Row]:
    """A JSON array of objects; a file that is none is read as JSON lines, which often carry this suffix too."""
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError:
        return _read_json_lines(file)
    if isinstance(rows, dict):
        rows = [rows]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"{file} is not a list of objects: write [{{…}}, {{…}}] or one object per line")
    return rows


def _read_json_lines(file: Path) -> list[Row]:
    rows = []
    for number, row in parse_lines(file):
        if isinstance(row, str):
            raise ValueError(f"{file}, line {number} {row}")
        rows.append(row)
    return rows
