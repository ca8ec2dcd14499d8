"""SuperGPQA: up to ten choices from 285 graduate disciplines (arXiv:2502.14739), in the order of the dataset."""

import sys
from collections.abc import Callable, Mapping

from data_preprocess.core import Dataset, Drop, Source, load, main, make_row
from data_preprocess.stem.choices import BOX_INSTRUCTION, LETTERS, lettered

DATASET = Dataset(domain="stem",
                  name="supergpqa",
                  test=Source("m-a-p/SuperGPQA", local="SuperGPQA-all"),
                  test_sample_size=1000,
                  licence="MIT",
                  origin="m-a-p/SuperGPQA",
                  size="26,529")


def get_datasets(cache_dir: str | None = None) -> tuple[object, object]:
    """(None, test) from the hub."""
    return load(DATASET, cache_dir)


def make_map_fn(split: str, data_source: str) -> Callable[[Mapping[str, object], int], dict]:
    """-> process_fn(example, index) -> row."""

    def process_fn(example: Mapping[str, object], index: int) -> dict:
        options, letter = example["options"], example["answer_letter"].strip()
        if len(options) > len(LETTERS):
            raise Drop(f"more than {len(LETTERS)} options")
        if letter not in LETTERS[:len(options)] or options[LETTERS.index(letter)] != example["answer"]:
            raise Drop("the letter does not name the answer")
        prompt = f"{example['question'].strip()}\n\n{lettered(options)}\n\n{BOX_INSTRUCTION}"
        info = {"original_prompt": prompt, "dataset": "m-a-p/SuperGPQA", "discipline": example["discipline"]}
        return make_row(data_source, prompt, letter, "stem", info)

    return process_fn


if __name__ == "__main__":
    sys.exit(main(__file__))
