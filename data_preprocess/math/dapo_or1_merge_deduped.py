"""DAPO-Math and Skywork-OR1 merged without duplicates, and the test sets of Reasoning360's mathematics."""

import sys
from collections.abc import Callable, Mapping

from data_preprocess.core import Dataset, Source, load, main
from data_preprocess.math.boxed import REWARD_OPTIONS, TEST_SETS, make_boxed_map_fn

DATASET = Dataset(domain="math",
                  name="merged_deduped_dapo_or1_dataset",
                  train=Source("SDSB/merged_deduped_dapo_or1_dataset"),
                  test=TEST_SETS,
                  options={
                      **REWARD_OPTIONS, "suffix": ""
                  },
                  suffix=lambda split, options: options["suffix"] if split == "train" else "",
                  origin="SDSB/merged_deduped_dapo_or1_dataset")


def get_datasets(cache_dir: str | None = None) -> tuple[object, object]:
    """(train, {name: test set}) from the hub."""
    return load(DATASET, cache_dir)


def make_map_fn(split: str,
                data_source: str,
                train_reward_metric: str = "naive_dapo",
                test_reward_metric: str = "naive_dapo",
                suffix: str = "") -> Callable[[Mapping[str, object], int], dict]:
    """-> process_fn(example, index) -> row. `suffix` only names the train file, as in `_llm_judge`."""
    return make_boxed_map_fn(data_source, train_reward_metric if split == "train" else test_reward_metric)


if __name__ == "__main__":
    sys.exit(main(__file__))
