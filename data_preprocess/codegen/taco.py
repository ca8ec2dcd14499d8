"""TACO-verified: contest problems from Codeforces, CodeChef, Codewars and others, with solutions that were run."""

import sys
from collections.abc import Callable, Mapping

from data_preprocess.codegen.prompts import mentions_image, task_prompt
from data_preprocess.codegen.unit_tests import Tests, code_of, function_truth, program_truth, read_tests, unwrapped
from data_preprocess.core import Dataset, Drop, Source, load, main, make_row
from data_preprocess.core.filters import ReferenceFilter

LEFT_OUT = ("geeksforgeeks", "leetcode")  # badly formatted
SHORTEST = 100  # letters and digits of a statement
LONGEST_INPUT = 4096  # characters
DATASET = Dataset(domain="codegen",
                  name="taco",
                  train=Source("likaixin/TACO-verified"),
                  filters=(ReferenceFilter(),),
                  max_prompt_tokens=4096,
                  options={"max_tests": 8},
                  origin="likaixin/TACO-verified",
                  size="12,898")


def get_datasets(cache_dir: str | None = None) -> tuple[object, object]:
    """(train, None) from the hub."""
    return load(DATASET, cache_dir)


def make_map_fn(split: str, data_source: str, max_tests: int = 8) -> Callable[[Mapping[str, object], int], dict]:
    """-> process_fn(example, index) -> row; a program gets `max_tests`, those with the shortest inputs; 0: all."""

    def process_fn(example: Mapping[str, object], index: int) -> dict:
        question, source, starter = example["question"], example["source"], example["starter_code"] or ""
        if source in LEFT_OUT:
            raise Drop(f"from {source}")
        if sum(map(str.isalnum, question)) < SHORTEST:
            raise Drop("statement too short")
        if mentions_image(question):
            raise Drop("needs an image")
        tests = read_tests(example["input_output"])
        truth = _calls(tests, source) if tests.function else program_truth(tests.pairs, max_tests, LONGEST_INPUT)
        return make_row(
            data_source, task_prompt(question, starter, tests.function), truth, "codegen", {
                "reference": code_of(example["solutions"]),
                "original_prompt": question,
                "dataset": "likaixin/TACO-verified",
                "source": source,
                "function_name": tests.function
            })

    return process_fn


def _calls(tests: Tests, source: str) -> str:
    """Codewars' values are wrapped in lists, HackerRank's are not."""
    unwrap = unwrapped if source == "codewars" else lambda value: value
    return function_truth(tests.function, [(arguments, unwrap(value)) for arguments, value in tests.pairs])


if __name__ == "__main__":
    sys.exit(main(__file__))
