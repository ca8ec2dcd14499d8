r"""MATH: competition problems with solutions that box the answer (Hendrycks et al. 2021, arXiv:2103.03874).

Reads the hub's table as well as the original archive, `MATH/{train,test}/<subject>/<number>.json`. The script is not
called `math.py` since Python would take it for its own `math` in whatever is run from this folder.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from data_preprocess.core import Dataset, Drop, Source, load, main, make_row
from data_preprocess.core.files import read_examples
from data_preprocess.math.boxed import INSTRUCTION
from reward_score.extraction import last_boxed


def read(path: Path) -> Iterator[dict]:
    """Examples of a table, or of a folder with a file for each."""
    if not path.is_dir():
        yield from read_examples(path)
        return
    for file in sorted(path.rglob("*.json")):
        yield json.loads(file.read_text(encoding="utf-8"))


DATASET = Dataset(domain="math",
                  name="math_lighteval",
                  train=Source("DigitalLearningGmbH/MATH-lighteval", read=read),
                  test=Source("DigitalLearningGmbH/MATH-lighteval", split="test", read=read),
                  data_source="DigitalLearningGmbH/MATH-lighteval",
                  licence="MIT",
                  origin="DigitalLearningGmbH/MATH-lighteval",
                  size="12,500")


def get_datasets(cache_dir: str | None = None) -> tuple[object, object]:
    """(train, test) from the hub."""
    return load(DATASET, cache_dir)


def make_map_fn(split: str, data_source: str) -> Callable[[Mapping[str, object], int], dict]:
    """-> process_fn(example, index) -> row."""

    def process_fn(example: Mapping[str, object], index: int) -> dict:
        question, answer = example["problem"], last_boxed(example["solution"])
        if not answer:
            raise Drop("no boxed answer in the solution")
        info = {"original_question": question, "level": example["level"], "type": example["type"]}
        return make_row(data_source, question + INSTRUCTION, answer, "math", info)

    return process_fn


if __name__ == "__main__":
    sys.exit(main(__file__))
