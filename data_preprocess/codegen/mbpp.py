"""MBPP: short Python tasks with three asserts each (arXiv:2108.07732)."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence

from data_preprocess.codegen.prompts import FENCE
from data_preprocess.core import Dataset, Drop, Source, load, main, make_row
from data_preprocess.core.filters import ReferenceFilter

DATASET = Dataset(domain="codegen",
                  name="mbpp",
                  train=Source("google-research-datasets/mbpp"),
                  test=Source("google-research-datasets/mbpp", split="test"),
                  filters=(ReferenceFilter(),),
                  max_prompt_tokens=4096,
                  licence="CC-BY-4.0",
                  origin="google-research-datasets/mbpp",
                  size="374 + 500")


def get_datasets(cache_dir: str | None = None) -> tuple[object, object]:
    """(train, test) from the hub."""
    return load(DATASET, cache_dir)


def make_map_fn(split: str, data_source: str) -> Callable[[Mapping[str, object], int], dict]:
    """-> process_fn(example, index) -> row."""

    def process_fn(example: Mapping[str, object], index: int) -> dict:
        shown, hidden = list(example["test_list"] or ()), list(example.get("challenge_test_list") or ())
        if not shown:
            raise Drop("no tests")
        tests = "\n".join([example.get("test_setup_code") or "", *shown, *hidden])
        return make_row(
            data_source, mbpp_prompt(example["text"], shown), json.dumps({"functional": tests}), "codegen", {
                "reference": example["code"],
                "original_prompt": example["text"],
                "dataset": "mbpp",
                "task_id": str(example["task_id"])
            })

    return process_fn


def mbpp_prompt(text: str, asserts: Sequence[str]) -> str:
    """The task, its asserts, which tell the function's name and arguments, and the form of the answer."""
    return "\n\n".join([
        text.strip(), "The code has to pass tests such as these; leave the tests themselves out of your answer:",
        "```python\n" + "\n".join(asserts) + "\n```", FENCE
    ])


if __name__ == "__main__":
    sys.exit(main(__file__))
