"""BigMath as filtered for Reasoning360 in March 2025, and the test sets of its mathematics."""

import sys
from collections.abc import Callable, Mapping

from data_preprocess.core import Dataset, Source, load, main
from data_preprocess.math.boxed import REWARD_OPTIONS, TEST_SETS, make_boxed_map_fn

DATASET = Dataset(domain="math",
                  name="bigmath_preview_filtered_mar21",
                  train=Source("SDSB/big_math_partial_mar21_filtered_basic"),
                  test={
                      name: source for name, source in TEST_SETS.items() if name != "aime2025_repeated_8x"
                  },
                  options=REWARD_OPTIONS,
                  origin="SDSB/big_math_partial_mar21_filtered_basic")


def get_datasets(cache_dir: str | None = None) -> tuple[object, object]:
    """(train, {name: test set}) from the hub."""
    return load(DATASET, cache_dir)


def make_map_fn(split: str,
                data_source: str,
                train_reward_metric: str = "naive_dapo",
                test_reward_metric: str = "naive_dapo") -> Callable[[Mapping[str, object], int], dict]:
    """-> process_fn(example, index) -> row."""
    return make_boxed_map_fn(data_source, train_reward_metric if split == "train" else test_reward_metric)


if __name__ == "__main__":
    sys.exit(main(__file__))
