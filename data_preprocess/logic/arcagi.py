"""ARC-AGI 1 and 2: find the rule of a grid puzzle (Chollet, arXiv:1911.01547); `--name arcagi1` or `arcagi2`.

Their rows are `simulation__arcagi1` and `simulation__arcagi2`, as upstream names them.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from data_preprocess.core import Dataset, Drop, Source, load, main
from data_preprocess.core.files import Example
from data_preprocess.logic.grids import grid_row

DOWNLOAD = (
    "git clone https://github.com/fchollet/ARC-AGI (for --name arcagi2: https://github.com/arcprize/ARC-AGI-2); "
    "its folder `data` holds `training` and `evaluation`")


def read_tasks(folder: Path) -> Iterator[Example]:
    """A task per JSON file: `{"train": [{"input", "output"}, ...], "test": [...]}`; `task_id` is the file's name.

    Raises:
        ValueError: a file is none.
    """
    files = sorted(folder.glob("*.json"))
    if not files:
        raise ValueError(f"{folder}: a folder of task files (*.json) is needed")
    for file in files:
        try:
            yield {"task_id": file.stem, **json.loads(file.read_text(encoding="utf-8"))}
        except (ValueError, TypeError) as error:
            raise ValueError(f"{file} is no task ({error})") from error


DATASET = Dataset(domain="simulation",
                  name="arcagi1",
                  train=Source(local="training", read=read_tasks, download=DOWNLOAD),
                  test=Source(local="evaluation", read=read_tasks, download=DOWNLOAD),
                  ability="logic",
                  max_prompt_tokens=4096,
                  licence="Apache-2.0",
                  origin="github.com/fchollet/ARC-AGI",
                  size="400 + 400")


def get_datasets(cache_dir: str | None = None) -> tuple[object, object]:
    """Raises ValueError, which says how to download it."""
    return load(DATASET, cache_dir)


def make_map_fn(split: str, data_source: str) -> Callable[[Mapping[str, object], int], dict]:
    """-> process_fn(example, index) -> row about the first test input of a task."""

    def process_fn(example: Mapping[str, object], index: int) -> dict:
        if not example["test"] or "output" not in example["test"][0]:
            raise Drop("no test output")
        pairs = [(pair["input"], pair["output"]) for pair in example["train"]]
        asked = example["test"][0]
        return grid_row(data_source, pairs, asked["input"], asked["output"], {"task_id": example["task_id"]})

    return process_fn


if __name__ == "__main__":
    sys.exit(main(__file__))
