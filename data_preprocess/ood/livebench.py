"""LiveBench's reasoning, data analysis and language tasks of June and July 2024 (arXiv:2406.19314)."""

import sys
from collections.abc import Callable, Mapping

from data_preprocess.core import Dataset, Drop, Source, load, main, make_row
from data_preprocess.ood.rows import refuse_unreadable

FIRST_DAY, LAST_DAY = "2024-06-01", "2024-07-31"
DATASET = Dataset(domain="ood",
                  name="livebench",
                  test={
                      f"livebench_{category}": Source(f"livebench/{category}", "test", local=category)
                      for category in ("reasoning", "data_analysis", "language")
                  },
                  data_source="ood__livebench",
                  max_prompt_tokens=4096,
                  origin="livebench/{reasoning,data_analysis,language}",
                  size="about 500")


def get_datasets(cache_dir: str | None = None) -> tuple[object, object]:
    """(None, {name: test set}) from the hub."""
    return load(DATASET, cache_dir)


def make_map_fn(split: str, data_source: str) -> Callable[[Mapping[str, object], int], dict]:
    """-> process_fn(example, index) -> row."""

    def process_fn(example: Mapping[str, object], index: int) -> dict:
        turns, truth, date = example["turns"], example["ground_truth"], str(example["livebench_release_date"])[:10]
        if not FIRST_DAY <= date <= LAST_DAY:
            raise Drop(f"released before {FIRST_DAY} or after {LAST_DAY}")
        if len(turns) != 1:
            raise Drop("several turns")
        if not truth:
            raise Drop("no ground truth")
        info = {"category": example["category"], "task": example["task"], "prompt": turns, "date": date}
        return refuse_unreadable(make_row(data_source, turns[0], truth, "ood", info))

    return process_fn


if __name__ == "__main__":
    sys.exit(main(__file__))
