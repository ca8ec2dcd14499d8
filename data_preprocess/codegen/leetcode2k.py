"""LeetCodeDataset: LeetCode problems with a hundred tests each, split by date (arXiv:2504.14655)."""

import json
import sys
from collections.abc import Callable, Mapping

from data_preprocess.codegen.prompts import FENCE
from data_preprocess.core import Dataset, Drop, Source, load, main, make_row
from data_preprocess.core.filters import ReferenceFilter

REVISION = "34803eb64eab1979069ba1f80e7ea474282e28f3"  # upstream's; later ones have other columns and splits
DATASET = Dataset(domain="codegen",
                  name="leetcode2k",
                  train=Source("newfacade/LeetCodeDataset", revision=REVISION),
                  test=Source("newfacade/LeetCodeDataset", split="test", revision=REVISION),
                  filters=(ReferenceFilter(),),
                  max_prompt_tokens=4096,
                  licence="Apache-2.0",
                  origin="newfacade/LeetCodeDataset",
                  size="about 2k")


def get_datasets(cache_dir: str | None = None) -> tuple[object, object]:
    """(train, test) from the hub."""
    return load(DATASET, cache_dir)


def make_map_fn(split: str, data_source: str) -> Callable[[Mapping[str, object], int], dict]:
    """-> process_fn(example, index) -> row."""

    def process_fn(example: Mapping[str, object], index: int) -> dict:
        if not (example["test"] or "").strip() or not (example["entry_point"] or "").strip():
            raise Drop("no tests")
        query = _without_answer_head(example["query"])
        meta = example.get("meta") or example  # newer revisions have no `meta`
        tests = f"{example['test']}\n\ncheck({example['entry_point'].strip()})"
        return make_row(
            data_source, f"{query}\n\n{FENCE}", json.dumps({"functional": tests}), "codegen", {
                "reference": example["completion"],
                "original_prompt": query,
                "prefix": example["prompt"],
                "dataset": "LeetCodeDataset",
                "question_title": meta.get("question_title") or meta.get("task_id") or "",
                "difficulty": meta.get("difficulty") or ""
            })

    return process_fn


def _without_answer_head(query: str) -> str:
    """`query` ends with the head of the answer, for models that complete texts."""
    return query.partition("### Answer:")[0].replace("### Format: ", "### Format:\n").strip()


if __name__ == "__main__":
    sys.exit(main(__file__))
