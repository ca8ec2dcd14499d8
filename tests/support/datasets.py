"""Runs a dataset script on its fixture, as a user would, and reads what it wrote."""

import json
from pathlib import Path

import pyarrow.parquet as pq

from data_preprocess.core.cli import main
from data_preprocess.core.scripts import find_script
from reward_score import default_compute_score, resolve

FIXTURES = Path(__file__).parents[1] / "data_preprocess" / "fixtures"


def make(name, folder, *flags, fixture=True):
    """Runs the script `domain/script` into `folder`; -> {"train": {file stem: rows}, "test": {...}}."""
    source = ["--input-dir", str(FIXTURES / name)] if fixture else []
    status = main(str(find_script(name)), [*source, "--data-dir", str(folder), "--num-proc", "1", *flags])
    assert status == 0
    return {split: _read(folder / split) for split in ("train", "test")}


def cards(folder):
    """Of every file in `folder`: file stem -> card."""
    return {path.name.removesuffix(".parquet.card.json"): json.loads(path.read_text())
            for path in Path(folder).rglob("*.card.json")}  # yapf: disable


def score(row, answer):
    """What the row's reward says of `answer`."""
    return default_compute_score(row["data_source"], answer, row["reward_model"]["ground_truth"], row["extra_info"])


def score_truth(row):
    """What it says of the truth, written in the asked format."""
    write = resolve(row["data_source"]).reference_answer
    return score(row, write(row["reward_model"]["ground_truth"], row["extra_info"]))


def _read(folder):
    return {path.stem: pq.read_table(path).to_pylist() for path in sorted(folder.glob("*.parquet"))}
