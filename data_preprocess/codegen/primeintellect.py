"""PrimeIntellect's verifiable coding problems, as DeepCoder-Preview filtered them."""

import re
import sys
from collections.abc import Callable, Mapping

from data_preprocess.codegen.prompts import mentions_image, task_prompt
from data_preprocess.codegen.unit_tests import code_of, function_truth, program_truth, read_tests, unwrapped
from data_preprocess.core import Dataset, Drop, Source, load, main, make_row
from data_preprocess.core.filters import ReferenceFilter

DATASET = Dataset(domain="codegen",
                  name="primeintellect",
                  train=Source("agentica-org/DeepCoder-Preview-Dataset", config="primeintellect"),
                  filters=(ReferenceFilter(),),
                  max_prompt_tokens=4096,
                  options={"max_tests": 0},
                  licence="MIT",
                  origin="agentica-org/DeepCoder-Preview-Dataset",
                  size="16,252")
# A statement whose text was lost: it starts with the head of its examples or of its input.
_HEADLESS = re.compile(
    r"(?:solve the following coding problem[^\n]*\n)?\W*(?:examples?|inputs?)[ \t]*\d*[ \t]*[^\w\s]*[ \t]*(?:\n|:|$)",
    re.IGNORECASE)


def get_datasets(cache_dir: str | None = None) -> tuple[object, object]:
    """(train, None) from the hub."""
    return load(DATASET, cache_dir)


def make_map_fn(split: str, data_source: str, max_tests: int = 0) -> Callable[[Mapping[str, object], int], dict]:
    """-> process_fn(example, index) -> row; a program gets `max_tests`, those with the shortest inputs; 0: all."""

    def process_fn(example: Mapping[str, object], index: int) -> dict:
        problem = example["problem"]
        if mentions_image(problem):
            raise Drop("needs an image")
        if _HEADLESS.match(problem):
            raise Drop("statement has examples only")
        tests = read_tests(example["tests"])
        if tests.function:
            cases = [(arguments, unwrapped(value)) for arguments, value in tests.pairs]
            truth = function_truth(tests.function, cases)
        else:
            truth = program_truth(tests.pairs, max_tests)
        return make_row(
            data_source, task_prompt(problem, function=tests.function), truth, "codegen", {
                "reference": code_of(example["solutions"]),
                "original_prompt": problem,
                "dataset": "PrimeIntellect",
                "function_name": tests.function
            })

    return process_fn


if __name__ == "__main__":
    sys.exit(main(__file__))
