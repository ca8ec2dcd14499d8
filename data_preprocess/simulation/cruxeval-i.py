"""CRUXEval-I: find an input of a function that leads to the output given."""

import sys
from collections.abc import Callable, Mapping

from data_preprocess.core import Dataset, Source, load, main
from data_preprocess.simulation.cruxeval_rows import cruxeval_row

QUESTION = "Replace `??` by arguments for which this assertion holds. Any that do are right."
DATASET = Dataset(domain="simulation",
                  name="cruxeval-i",
                  test=Source("cruxeval-org/cruxeval", split="test"),
                  max_prompt_tokens=4096,
                  licence="MIT",
                  origin="cruxeval-org/cruxeval",
                  size="800")


def get_datasets(cache_dir: str | None = None) -> tuple[object, object]:
    """(None, test) from the hub."""
    return load(DATASET, cache_dir)


def make_map_fn(split: str, data_source: str) -> Callable[[Mapping[str, object], int], dict]:
    """-> process_fn(example, index) -> row."""

    def process_fn(example: Mapping[str, object], index: int) -> dict:
        return cruxeval_row(data_source, example, QUESTION, f"assert f(??) == {example['output']}")

    return process_fn


if __name__ == "__main__":
    sys.exit(main(__file__))
