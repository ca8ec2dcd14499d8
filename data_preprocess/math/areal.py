"""AReaL's and RLinf's files: AReaL-boba (106k problems), or jsonl with id2info.json; see verl/utils/dataset/areal.py.

Ready-made prompts stay as they are. Code tasks have tests instead of solutions and make a file of their own:
`--task code --domain codegen`. Without --input-file, AReaL-boba-106k.jsonl comes from the hub.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from data_preprocess.core import Dataset, Drop, Source, main, make_row
from verl.utils.dataset.areal import read_lines

HUB, FILE = "inclusionAI/AReaL-boba-Data", "AReaL-boba-106k.jsonl"


def read(path: Path) -> Iterator[dict]:
    """What is on each line of a file, or of a folder's .jsonl files: {file, line, problem, row}."""
    files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    if not files:
        raise ValueError(f"{path}: the folder has no .jsonl file")
    for file in files:
        for line in read_lines(file):
            yield {"file": file.name, "line": line.number, "problem": line.problem, "row": line.row}


DATASET = Dataset(domain="math",
                  name="areal",
                  train=Source(HUB, read=read),
                  options={"task": ""},
                  licence="not stated",
                  origin=HUB,
                  size="106k")


def get_datasets(cache_dir: str | None = None) -> tuple[object, object]:
    """(train, None) from the hub."""
    from huggingface_hub import hf_hub_download

    return read(Path(hf_hub_download(HUB, FILE, repo_type="dataset", cache_dir=cache_dir))), None


def make_map_fn(split: str, data_source: str, task: str = "") -> Callable[[Mapping[str, object], int], dict]:
    """-> process_fn(example, index) -> row; of `task` only, or of every task but code."""

    def process_fn(example: Mapping[str, object], index: int) -> dict:
        row = example["row"]
        if row is None:
            raise Drop(f"malformed: {example['problem']}")
        if row["ability"] != task if task else row["ability"] == "code":
            raise Drop(f"task {row['ability']}, to be had with --task {row['ability']}")
        made = make_row(data_source, row["prompt"], row["reward_model"]["ground_truth"], row["ability"],
                        row["extra_info"], row["apply_chat_template"], row.get("raw_prompt"))
        return made | {"add_bos": row.get("add_bos", False)}

    return process_fn


if __name__ == "__main__":
    sys.exit(main(__file__))
