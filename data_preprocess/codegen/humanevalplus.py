"""HumanEval+: HumanEval with 80 times as many tests (EvalPlus, arXiv:2305.01210), in a corrected copy."""

import sys

from data_preprocess.codegen.humaneval import make_map_fn
from data_preprocess.core import Dataset, Source, load, main
from data_preprocess.core.filters import ReferenceFilter

__all__ = ["DATASET", "get_datasets", "make_map_fn"]

DATASET = Dataset(domain="codegen",
                  name="humanevalplus",
                  test=Source("autoprogrammer/humanevalplus_corrected", split="test"),
                  filters=(ReferenceFilter(),),
                  max_prompt_tokens=4096,
                  origin="autoprogrammer/humanevalplus_corrected",
                  size="164")


def get_datasets(cache_dir: str | None = None) -> tuple[object, object]:
    """(None, test) from the hub."""
    return load(DATASET, cache_dir)


if __name__ == "__main__":
    sys.exit(main(__file__))
