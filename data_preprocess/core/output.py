"""From the chunks of one file to the parquet that training reads."""

import hashlib
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

ROW_GROUP = 4096


@dataclass(frozen=True)
class Kept:
    """What is left of a chunk: rows at `positions` of the Arrow file `path`.

    `copies` says of a position how many rows before it have the same prompt, where there are any and they stay.
    """

    path: Path
    positions: list[int]
    copies: dict[int, int] = field(default_factory=dict)


def add_suffix(name: str, rows: int) -> str:
    """`name_164`, `name_2k`, `name_2.4k`: the file name says how many rows there are, rounded above a thousand."""
    if rows < 1000:
        return f"{name}_{rows}"
    return f"{name}_{rows // 1000}k" if rows % 1000 == 0 else f"{name}_{rows / 1000:.1f}k"


def choose(rows: int, sample_size: int | None, seed: int, name: str) -> set[int] | None:
    """Positions of a sample of `rows`, by a draw of `seed`; None for all of them."""
    if sample_size is None or sample_size >= rows:
        return None
    return set(random.Random(f"{seed}/{name}").sample(range(rows), sample_size))


def write_parquet(path: Path, chunks: Sequence[Kept]) -> str:
    """Writes the rows kept of each chunk, in order, under one schema; returns the file's sha256.

    The file appears under its name only when it is complete.

    Raises:
        ValueError: two rows have one `extra_info.id`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    schema = _schema([chunk.path for chunk in chunks])
    seen: set[str] = set()
    try:
        with pq.ParquetWriter(unfinished, schema, compression="zstd") as writer:
            for chunk in chunks:
                with pa.memory_map(str(chunk.path)) as file:
                    table = pa.ipc.open_file(file).read_all()
                    if len(chunk.positions) < len(table):
                        table = table.take(pa.array(chunk.positions, pa.int64()))
                    table = _number_copies(_conform(table, schema), chunk)
                    _check_ids(table, seen)
                    writer.write_table(table, row_group_size=ROW_GROUP)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_ids(table: pa.Table, seen: set[str]) -> None:
    for row_id in pc.struct_field(table["extra_info"], "id").to_pylist():
        if row_id in seen:
            raise ValueError(f"extra_info.id {row_id!r} belongs to two rows: let the script give each its own, or none")
        seen.add(row_id)


def _schema(chunks: Sequence[Path]) -> pa.Schema:
    schemas = []
    for chunk in chunks:
        with pa.memory_map(str(chunk)) as file:
            schema = pa.ipc.open_file(file).schema
            if schema not in schemas:
                schemas.append(schema)
    return pa.unify_schemas(schemas, promote_options="permissive")


def _conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Adds the columns and struct fields that other chunks have; by way of Python, since Arrow's cast breaks on empty
    columns within lists of structs."""
    return table if table.schema == schema else pa.Table.from_pylist(table.to_pylist(), schema=schema)


def _number_copies(table: pa.Table, chunk: Kept) -> pa.Table:
    """Appends `-1`, `-2`, ... to the ids of rows that repeat an earlier prompt: ids are unique within a file."""
    if not chunk.copies:
        return table
    rows = table["extra_info"].to_pylist()
    for row, position in zip(rows, chunk.positions, strict=True):
        if position in chunk.copies:
            row["id"] += f"-{chunk.copies[position]}"
    column = table.schema.get_field_index("extra_info")
    field = table.schema.field(column)
    return table.set_column(column, field, pa.array(rows, field.type))
