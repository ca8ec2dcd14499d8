"""MBPP+: 378 tasks of MBPP, mended, with 35 times as many tests (EvalPlus, arXiv:2305.01210)."""

import json
import sys
from collections.abc import Callable, Mapping

from data_preprocess.codegen.mbpp import mbpp_prompt
from data_preprocess.core import Dataset, Drop, Source, load, main, make_row
from data_preprocess.core.filters import ReferenceFilter

DATASET = Dataset(domain="codegen",
                  name="mbppplus",
                  test=Source("evalplus/mbppplus", split="test"),
                  filters=(ReferenceFilter(),),
                  max_prompt_tokens=4096,
                  licence="Apache-2.0",
                  origin="evalplus/mbppplus",
                  size="378")


def get_datasets(cache_dir: str | None = None) -> tuple[object, object]:
    """(None, test) from the hub."""
    return load(DATASET, cache_dir)


def make_map_fn(split: str, data_source: str) -> Callable[[Mapping[str, object], int], dict]:
    """-> process_fn(example, index) -> row."""

    def process_fn(example: Mapping[str, object], index: int) -> dict:
        shown = list(example["test_list"] or ())
        if not shown or not (example["test"] or "").strip():
            raise Drop("no tests")
        tests = "\n".join([*(example.get("test_imports") or ()), example["test"]])
        return make_row(
            data_source, mbpp_prompt(example["prompt"], shown), json.dumps({"functional": tests}), "codegen", {
                "reference": example["code"],
                "original_prompt": example["prompt"],
                "dataset": "mbppplus",
                "task_id": str(example["task_id"])
            })

    return process_fn


if __name__ == "__main__":
    sys.exit(main(__file__))
