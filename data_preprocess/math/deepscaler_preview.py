"""DeepScaleR-Preview: 40k competition problems (AIME, AMC, Omni-MATH, STILL)."""

import sys
from collections.abc import Callable, Mapping

from data_preprocess.core import Dataset, Source, load, main, make_row

INSTRUCTION = " Please output the final answer within \\boxed{}."
DATASET = Dataset(domain="math",
                  name="deepscaler_preview",
                  train=Source("agentica-org/DeepScaleR-Preview-Dataset"),
                  licence="MIT",
                  origin="agentica-org/DeepScaleR-Preview-Dataset",
                  size="40,315")


def get_datasets(cache_dir: str | None = None) -> tuple[object, object]:
    """(train, None) from the hub."""
    return load(DATASET, cache_dir)


def make_map_fn(split: str, data_source: str) -> Callable[[Mapping[str, object], int], dict]:
    """-> process_fn(example, index) -> row."""

    def process_fn(example: Mapping[str, object], index: int) -> dict:
        question = example["problem"]
        return make_row(data_source, question + INSTRUCTION, example["answer"], "math", {"original_question": question})

    return process_fn


if __name__ == "__main__":
    sys.exit(main(__file__))
