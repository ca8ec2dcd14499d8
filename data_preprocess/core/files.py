"""Reads raw examples from files, a piece at a time: .parquet, .arrow, .json, .jsonl, .csv."""

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path

BLOCK = 256  # examples turned into Python objects at a time
Example = dict[str, object]


def read_examples(path: str | Path) -> Iterator[Example]:
    """The examples of a file, or of all files of a folder in the order of their names.

    Raises:
        ValueError: no such file, another format, or something in it that cannot be read; the message names the line.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix in READERS)
        if not files:
            raise ValueError(f"{path}: the folder has no file that ends in {', '.join(READERS)}")
        for file in files:
            yield from READERS[file.suffix](file)
        return
    if not path.is_file():
        raise ValueError(f"{path}: there is no such file")
    if path.suffix not in READERS:
        raise ValueError(f"{path}: its name must end in {', '.join(READERS)}")
    yield from READERS[path.suffix](path)


def find(folder: Path, stem: str) -> Path | None:
    """The file `stem.*` that can be read, or the folder `stem`, within `folder`."""
    candidates = [folder / f"{stem}{suffix}" for suffix in READERS] + [folder / stem]
    return next((path for path in candidates if path.exists()), None)


def _parquet(path: Path) -> Iterator[Example]:
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(BLOCK):
            yield from batch.to_pylist()


def _arrow(path: Path) -> Iterator[Example]:
    """Either of Arrow's two file formats; `datasets` writes the streaming one."""
    import pyarrow

    with pyarrow.memory_map(str(path)) as file:
        try:
            batches = pyarrow.ipc.open_stream(file)
        except pyarrow.ArrowInvalid:
            reader = pyarrow.ipc.open_file(file)
            batches = (reader.get_batch(i) for i in range(reader.num_record_batches))
        for batch in batches:
            for start in range(0, batch.num_rows, BLOCK):
                yield from batch.slice(start, BLOCK).to_pylist()


def _json_lines(path: Path) -> Iterator[Example]:
    from verl.utils.dataset.rows import parse_lines

    for number, example in parse_lines(path):
        if isinstance(example, str):
            raise ValueError(f"{path}, line {number} {example}")
        yield example


def _json(path: Path) -> Iterator[Example]:
    """A list of objects; or, since the ending is used for both, an object per line."""
    try:
        examples = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError:
        yield from _json_lines(path)
        return
    if not isinstance(examples, list) or not all(isinstance(example, dict) for example in examples):
        raise ValueError(f"{path}: must be a list of objects, or an object per line")
    yield from examples


def _csv(path: Path) -> Iterator[Example]:
    csv.field_size_limit(sys.maxsize)
    with path.open(encoding="utf-8", newline="") as file:
        for number, example in enumerate(csv.DictReader(file), start=2):
            if None in example or None in example.values():
                raise ValueError(f"{path}, line {number} has more or fewer fields than the header")
            yield example


READERS = {".parquet": _parquet, ".arrow": _arrow, ".json": _json, ".jsonl": _json_lines, ".csv": _csv}
