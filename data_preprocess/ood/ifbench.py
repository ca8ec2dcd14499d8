"""IF-RLVR's prompts with one to five instructions of IFEval and IFBench (Pyatkin et al. 2025, arXiv:2507.02833)."""

import sys
from collections.abc import Callable, Mapping

from data_preprocess.core import Dataset, Drop, Source, load, main, make_row
from data_preprocess.ood.rows import refuse_unreadable

DATASET = Dataset(domain="ood",
                  name="ifbench",
                  test=Source("allenai/IF_multi_constraints_upto5"),
                  max_prompt_tokens=4096,
                  licence="ODC-BY",
                  origin="allenai/IF_multi_constraints_upto5",
                  size="95,373")


def get_datasets(cache_dir: str | None = None) -> tuple[object, object]:
    """(None, test) from the hub."""
    return load(DATASET, cache_dir)


def make_map_fn(split: str, data_source: str) -> Callable[[Mapping[str, object], int], dict]:
    """-> process_fn(example, index) -> row."""

    def process_fn(example: Mapping[str, object], index: int) -> dict:
        messages, truth = example["messages"], example["ground_truth"]
        if not messages or messages[-1]["role"] != "user":
            raise Drop("no user message at the end")
        if not truth:
            raise Drop("no ground truth")
        info = {"dataset": "allenai/IF_multi_constraints_upto5", "key": example["key"]}
        return refuse_unreadable(make_row(data_source, messages, truth, "ood", info))

    return process_fn


if __name__ == "__main__":
    sys.exit(main(__file__))
