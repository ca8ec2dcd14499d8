"""Rows, flags and a prepared run."""
import argparse
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from data_analysis.layout import DataFolder, Manifest, RunFolder
from data_analysis.transform import add_flags, transform
from tests.support.runs import rl_row

MODEL = "org/model"


def training_rows(count: int) -> list[dict]:
    """Rows without ids; the gsm8k reward scores them."""
    return [rl_row(i) for i in range(count)]


def flags_of(dataset: object, output: object, /, **changes: object) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_flags(parser)
    flags = parser.parse_args(["--dataset", str(dataset), "--output", str(output)])
    vars(flags).update({"output": Path(output)} | changes)
    return flags


def run_transform(dataset: object, output: object, **changes: object) -> Manifest:
    return transform(flags_of(dataset, output, **changes))


def make_run(folder: Path, rows: int = 4, splits: int = 2) -> RunFolder:
    """A split dataset, and the folder for answers to it."""
    pq.write_table(pa.Table.from_pylist(training_rows(rows)), folder / "rows.parquet")
    run_transform(folder / "rows.parquet", folder / "data", splits=splits)
    run = DataFolder(folder / "data").run(MODEL)
    run.open(MODEL, 0)
    return run
