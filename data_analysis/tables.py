"""Pass rates into datasets: annotate adds a column, filter keeps rows by it. Parquet to parquet, a batch at a time."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data_analysis.pass_rates import PassRate
from data_analysis.samples import Ids
from verl.utils.fs import atomic_file

BATCH = 4096  # rows


@dataclass
class Kept:
    """Rows of one file by what became of them; `unknown` have no pass rate."""
    rows: int = 0
    known: int = 0
    kept: int = 0
    too_hard: int = 0
    too_easy: int = 0
    unknown: int = 0


def outputs(inputs: Sequence[Path], output: Path) -> list[Path]:
    """Where each input's result goes: `output` itself if it ends in .parquet, else the same name in that folder."""
    names = {file.name for file in inputs}
    if output.suffix == ".parquet" and len(inputs) > 1 or len(names) < len(inputs):
        raise ValueError(f"{len(inputs)} input files need a folder as --output, and names that differ")
    found = [output if output.suffix == ".parquet" else output / file.name for file in inputs]
    if {file.resolve() for file in inputs} & {file.resolve() for file in found}:
        raise ValueError("--output would overwrite an input: name another")
    return found


def annotate(inputs: Sequence[Path], output: Path, rates: Mapping[str, PassRate], column: str) -> list[Kept]:
    """Adds `column` (null where unknown), and `extra_info.id` where it is missing; -> counts per input.

    Raises:
        ValueError: not one row has a rate: the map is of another dataset. Nothing is written.
    """
    ids = Ids()

    def check(counts: list[Kept]) -> None:
        if not any(count.known for count in counts):
            raise ValueError(f"no row of {', '.join(map(str, inputs))} is in the map: it is of another dataset")

    return _convert(inputs, output, lambda table, count: _with_rates(table, ids, rates, column, count), check)


def select(inputs: Sequence[Path], output: Path, column: str, low: float, high: float,
           drop_unknown: bool = False) -> list[Kept]:  # yapf: disable
    """Keeps rows with low < rate < high, and those without a rate unless `drop_unknown`; -> counts per input.

    Raises:
        ValueError: `column` is missing, or no row is left. Nothing is written.
    """
    if not low < high:
        raise ValueError(f"--low-pass-rate {low:g} must be below --high-pass-rate {high:g}")
    for file in inputs:
        if file.is_file() and column not in pq.read_schema(file).names:
            raise ValueError(f"{file} has no column {column!r}; add it: python -m data_analysis annotate")

    def check(counts: list[Kept]) -> None:
        if not any(count.kept for count in counts):
            raise ValueError(f"no row has a pass rate between {low:g} and {high:g}: widen them")

    return _convert(inputs, output, lambda table, count: _between(table, column, low, high, drop_unknown, count), check)


def _convert(inputs: Sequence[Path], output: Path, change: Callable[[pa.Table, Kept], pa.Table],
             check: Callable[[list[Kept]], None]) -> list[Kept]:  # yapf: disable
    """All outputs appear together, after `check`, or none does."""
    for file in inputs:
        if file.suffix != ".parquet" or not file.is_file():
            raise ValueError(f"{file}: there is no such .parquet file")
    targets, counts = outputs(inputs, output), [Kept() for _ in inputs]
    with contextlib.ExitStack() as stack:
        for file, target, count in zip(inputs, targets, counts, strict=True):
            _convert_one(file, stack.enter_context(atomic_file(target)), change, count)
        check(counts)
    return counts


def _convert_one(source: Path, target: Path, change: Callable[[pa.Table, Kept], pa.Table], count: Kept) -> None:
    with pq.ParquetFile(source) as file, contextlib.ExitStack() as stack:
        metadata, writer = file.schema_arrow.metadata, None
        for batch in file.iter_batches(BATCH):
            table = change(pa.Table.from_batches([batch]).replace_schema_metadata(metadata), count)
            writer = writer or stack.enter_context(pq.ParquetWriter(target, table.schema, compression="zstd"))
            writer.write_table(table)
        if writer is None:
            raise ValueError(f"{source} has no rows")


def _with_rates(table: pa.Table, ids: Ids, rates: Mapping[str, PassRate], column: str, count: Kept) -> pa.Table:
    needed = [name for name in ("data_source", "prompt", "reward_model", "extra_info") if name in table.column_names]
    names = [ids.name(row) for row in table.select(needed).to_pylist()]
    found = [rates[name].pass_rate if name in rates else None for name in names]
    count.rows += len(names)
    count.known += sum(name in rates for name in names)
    count.unknown += found.count(None)
    table = _with_ids(table, names)
    values = pa.array(found, pa.float64())
    if column in table.column_names:
        return table.set_column(table.column_names.index(column), column, values)
    return table.append_column(column, values)


def _with_ids(table: pa.Table, names: list[str]) -> pa.Table:
    """The other fields of `extra_info`, and all other columns, stay as they are, types included."""
    ids = pa.array(names, pa.string())
    fields, values = {}, {}
    if "extra_info" in table.column_names:
        column = table["extra_info"].combine_chunks()
        if not pa.types.is_struct(column.type):
            raise ValueError("extra_info is no struct")
        fields = {field.name: field for field in column.type}
        values = dict(zip(fields, column.flatten(), strict=True))
    fields["id"], values["id"] = pa.field("id", pa.string()), ids
    struct = pa.StructArray.from_arrays(list(values.values()), fields=list(fields.values()))
    if "extra_info" in table.column_names:
        return table.set_column(table.column_names.index("extra_info"), "extra_info", struct)
    return table.append_column("extra_info", struct)


def _between(table: pa.Table, column: str, low: float, high: float, drop_unknown: bool, count: Kept) -> pa.Table:
    rates = table[column]
    known = pc.is_valid(rates)
    hard = pc.fill_null(pc.less_equal(rates, low), False)
    easy = pc.fill_null(pc.greater_equal(rates, high), False)
    keep = pc.and_(pc.invert(pc.or_(hard, easy)), known if drop_unknown else pc.or_(known, pc.invert(known)))
    total = lambda mask: pc.sum(mask).as_py() or 0
    count.rows += len(table)
    count.known += total(known)
    count.unknown += len(table) - total(known)
    count.too_hard += total(hard)
    count.too_easy += total(easy)
    count.kept += total(keep)
    return table.filter(keep)
