"""BARC: synthetic ARC puzzles, written as programs by language models (arXiv:2411.02272)."""

import sys
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path

from data_preprocess.core import Dataset, Drop, Source, load, main
from data_preprocess.core.files import Example, read_examples
from data_preprocess.logic.grids import grid_row

HUB = "barc0/200k_HEAVY_gpt4o-description-gpt4omini-code_generated_problems"
FIRST = 10_000


def read_first(path: Path) -> Iterator[Example]:
    """The examples that are used: the first 10,000."""
    return islice(read_examples(path), FIRST)


DATASET = Dataset(domain="simulation",
                  name="barc",
                  train=Source(HUB, split=f"train[:{FIRST}]", read=read_first),
                  test_share=0.2,
                  ability="logic",
                  max_prompt_tokens=4096,
                  licence="MIT",
                  origin=HUB,
                  size="200k")


def get_datasets(cache_dir: str | None = None) -> tuple[object, object]:
    """(all, None) from the hub."""
    return load(DATASET, cache_dir)


def make_map_fn(split: str, data_source: str) -> Callable[[Mapping[str, object], int], dict]:
    """-> process_fn(example, index) -> row that asks for the output of the last pair."""

    def process_fn(example: Mapping[str, object], index: int) -> dict:
        pairs = [(pair[0], pair[1]) for pair in example["examples"]]
        if len(pairs) < 2:
            raise Drop("fewer than two examples")
        return grid_row(data_source, pairs[:-1], *pairs[-1], {})

    return process_fn


if __name__ == "__main__":
    sys.exit(main(__file__))
