"""GSM8K: grade-school word problems whose answer is one number (Cobbe et al. 2021, arXiv:2110.14168)."""

import sys
from collections.abc import Callable, Mapping

from data_preprocess.core import Dataset, Drop, Source, load, main, make_row
from reward_score.extraction import last_hashes, parse_number

INSTRUCTION = ' Reason step by step and write the final number after "####".'
DATASET = Dataset(domain="math",
                  name="gsm8k",
                  train=Source("openai/gsm8k", config="main"),
                  test=Source("openai/gsm8k", split="test", config="main"),
                  data_source="openai/gsm8k",
                  licence="MIT",
                  origin="openai/gsm8k",
                  size="8,792")


def get_datasets(cache_dir: str | None = None) -> tuple[object, object]:
    """(train, test) from the hub."""
    return load(DATASET, cache_dir)


def make_map_fn(split: str, data_source: str) -> Callable[[Mapping[str, object], int], dict]:
    """-> process_fn(example, index) -> row."""

    def process_fn(example: Mapping[str, object], index: int) -> dict:
        question, solution = example["question"], example["answer"]
        answer = (last_hashes(solution) or "").replace(",", "")
        if parse_number(answer) is None:
            raise Drop("the solution does not end in #### and a number")
        info = {"question": question, "answer": solution}
        return make_row(data_source, question + INSTRUCTION, answer, "math", info)

    return process_fn


if __name__ == "__main__":
    sys.exit(main(__file__))
