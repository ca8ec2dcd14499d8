"""What a worker process does: raw examples of one chunk become checked, filtered rows in an Arrow file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from data_preprocess.core.filters.base import Filter
from data_preprocess.core.filters.duplicates import prompt_key
from data_preprocess.core.lengths import prompt_lengths
from data_preprocess.core.row import check_row, finish_row
from data_preprocess.core.scripts import load_script
from data_preprocess.core.spec import Drop, Example, Row

EXAMPLES_SHOWN = 3
EXAMPLE_LENGTH = 100  # characters


@dataclass(frozen=True)
class Job:
    """What is the same for all chunks of one file.

    Attributes:
        script: file whose `make_map_fn` each worker calls.
        filters: beyond those of the script's DATASET.
        tokenizer: to measure prompts in tokens; empty: in characters.
        longest: tokens beyond which a prompt is dropped; None: none is.
        dedupe: mode of the keys returned.
        folder: for the chunks.
    """

    script: Path
    name: str
    split: str
    data_source: str
    options: Mapping[str, object]
    filters: tuple[Filter, ...]
    tokenizer: str
    longest: int | None
    dedupe: str
    folder: Path


@dataclass
class Chunk:
    """What became of a chunk.

    Attributes:
        path: Arrow file of the rows kept.
        keys: of each kept row, for finding duplicates.
        lengths: of each kept row's prompt.
        read: examples it had.
        dropped: reason -> how many.
        shown: reason -> a few of them.
    """

    path: Path
    keys: list[bytes] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    read: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    shown: dict[str, list[str]] = field(default_factory=dict)

    def drop(self, reason: str, what: str) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + 1
        shown = self.shown.setdefault(reason, [])
        if len(shown) < EXAMPLES_SHOWN:
            shown.append(" ".join(what.split())[:EXAMPLE_LENGTH])


def process_chunk(job: Job, number: int, examples: Sequence[tuple[int, Example]]) -> Chunk:
    """Maps, checks and filters; writes what is left.

    Raises:
        RowError: a row that training could not use.
        ValueError: the map function or a filter failed; the message names the example.
    """
    chunk = Chunk(job.folder / f"{number:08}.arrow", read=len(examples))
    rows = list(_mapped(job, examples, chunk))
    for keep in (*load_script(job.script).DATASET.filters, *job.filters):
        rows = _kept(rows, keep.check(rows), keep.reason, chunk)
    lengths = prompt_lengths(job.tokenizer, rows)
    if job.longest is not None:
        verdicts = [length <= job.longest for length in lengths]
        rows = _kept(rows, verdicts, f"prompt of more than {job.longest} tokens", chunk)
        lengths = [length for length in lengths if length <= job.longest]
    chunk.lengths = lengths
    chunk.keys = [prompt_key(row, job.dedupe) for row in rows]
    _write(chunk.path, rows, job)
    return chunk


def _kept(rows: Sequence[Row], verdicts: Sequence[bool], reason: str, chunk: Chunk) -> list[Row]:
    for row, kept in zip(rows, verdicts, strict=True):
        if not kept:
            chunk.drop(reason, row["prompt"][-1]["content"])
    return [row for row, kept in zip(rows, verdicts, strict=True) if kept]


def _mapped(job: Job, examples: Sequence[tuple[int, Example]], chunk: Chunk):  # noqa: ANN202 -- rows
    process_fn = load_script(job.script).make_map_fn(job.split, job.data_source, **job.options)
    for index, example in examples:
        where = f"{job.name} ({job.split}), row {index}"
        try:
            row = process_fn(example, index)
        except Drop as reason:
            chunk.drop(str(reason), str(example))
            continue
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise ValueError(f"{where}: {type(error).__name__}: {error}; the example has the fields "
                             f"{', '.join(map(str, example))}") from error
        if row is None or all(value is None for value in row.values()):
            chunk.drop("skipped by the script", str(example))
            continue
        row = finish_row(row, job.split, index)
        check_row(row, where)
        yield row


def _write(path: Path, rows: Sequence[Row], job: Job) -> None:
    try:
        table = pa.Table.from_pylist(list(rows))
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise ValueError(f"{job.name} ({job.split}): a field has values of several types ({error}); make them one, for "
                         "example as JSON text") from error
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
