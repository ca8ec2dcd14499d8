"""From the chunks of one file to the parquet that training reads."""

import hashlib
import os
import random
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP = 4096


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


def write_parquet(path: Path, chunks: Sequence[tuple[Path, Sequence[int]]]) -> str:
    """Writes the chosen rows of each chunk, in order, under one schema; returns the file's sha256.

    The file appears under its name only when it is complete.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    schema = _schema([chunk for chunk, _ in chunks])
    try:
        with pq.ParquetWriter(unfinished, schema, compression="zstd") as writer:
            for chunk, positions in chunks:
                with pa.memory_map(str(chunk)) as file:
                    table = pa.ipc.open_file(file).read_all().take(pa.array(positions, pa.int64()))
                    writer.write_table(_conform(table, schema), row_group_size=ROW_GROUP)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _schema(chunks: Sequence[Path]) -> pa.Schema:
    schemas = []
    for chunk in chunks:
        with pa.memory_map(str(chunk)) as file:
            schema = pa.ipc.open_file(file).schema
            if schema not in schemas:
                schemas.append(schema)
    return pa.unify_schemas(schemas, promote_options="permissive")


def _conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Adds the columns and struct fields that other chunks have."""
    empty = schema.empty_table()
    return pa.concat_tables([empty, table], promote_options="permissive").select(schema.names).cast(schema)
