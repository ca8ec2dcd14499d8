"""DAPO-Math-17k and its AIME 2024 test set (Yu et al. 2025, arXiv:2503.14476); the rows have verl's schema already.

The hub's train file repeats its 17k problems a hundred times; duplicates are dropped. The test file repeats 30 problems
32 times, for an average; those stay.
"""

import sys
from collections.abc import Callable, Mapping

from data_preprocess.core import Dataset, Source, load, main, make_row

DATASET = Dataset(domain="math",
                  name="dapo",
                  train=Source("BytedTsinghua-SIA/DAPO-Math-17k"),
                  test={"aime_2024": Source("BytedTsinghua-SIA/AIME-2024", local="aime_2024", repeats=True)},
                  data_source="math_dapo",
                  licence="Apache-2.0",
                  origin="BytedTsinghua-SIA/DAPO-Math-17k",
                  size="1,791,700")


def get_datasets(cache_dir: str | None = None) -> tuple[object, object]:
    """(train, {"aime_2024": test}) from the hub."""
    return load(DATASET, cache_dir)


def make_map_fn(split: str, data_source: str) -> Callable[[Mapping[str, object], int], dict]:
    """-> process_fn(example, index) -> row."""

    def process_fn(example: Mapping[str, object], index: int) -> dict:
        info = {"uuid": str(example["extra_info"]["index"])}
        truth = example["reward_model"]["ground_truth"]
        return make_row(data_source, example["prompt"], truth, "math", info)

    return process_fn


if __name__ == "__main__":
    sys.exit(main(__file__))
