"""HumanEval: 164 functions to complete from their docstrings (arXiv:2107.03374)."""

import json
import sys
from collections.abc import Callable, Mapping

from data_preprocess.codegen.prompts import FENCE
from data_preprocess.core import Dataset, Source, load, main, make_row
from data_preprocess.core.filters import ReferenceFilter

INSTRUCTION = (
    "Complete this Python function. Keep its name and signature, and repeat everything that it needs: imports, "
    "and helper functions that are given with it.")
DATASET = Dataset(domain="codegen",
                  name="humaneval",
                  test=Source("openai/openai_humaneval", split="test"),
                  filters=(ReferenceFilter(),),
                  max_prompt_tokens=4096,
                  licence="MIT",
                  origin="openai/openai_humaneval",
                  size="164")


def get_datasets(cache_dir: str | None = None) -> tuple[object, object]:
    """(None, test) from the hub."""
    return load(DATASET, cache_dir)


def make_map_fn(split: str, data_source: str) -> Callable[[Mapping[str, object], int], dict]:
    """-> process_fn(example, index) -> row. HumanEval+ has the same columns."""

    def process_fn(example: Mapping[str, object], index: int) -> dict:
        head = example["prompt"]
        tests = f"{example['test']}\n\ncheck({example['entry_point']})"
        return make_row(
            data_source, f"{INSTRUCTION}\n\n```python\n{head.strip()}\n```\n\n{FENCE}",
            json.dumps({"functional": tests}), "codegen", {
                "reference": f"{head}{example['canonical_solution']}",
                "original_prompt": head,
                "dataset": data_source.rpartition("__")[2],
                "task_id": example["task_id"]
            })

    return process_fn


if __name__ == "__main__":
    sys.exit(main(__file__))
