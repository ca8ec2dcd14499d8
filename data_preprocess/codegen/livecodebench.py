"""LiveCodeBench v5, as DeepCoder-Preview split it: older contests to train, later ones to test."""

import json
import sys
from collections.abc import Callable, Mapping

from data_preprocess.codegen.prompts import task_prompt
from data_preprocess.codegen.unit_tests import Tests, function_truth, program_truth, read_tests
from data_preprocess.core import Dataset, Drop, Source, load, main, make_row
from reward_score.literals import parse_literal

DATASET = Dataset(domain="codegen",
                  name="livecodebench",
                  train=Source("agentica-org/DeepCoder-Preview-Dataset", config="lcbv5"),
                  test=Source("agentica-org/DeepCoder-Preview-Dataset", config="lcbv5", split="test"),
                  max_prompt_tokens=4096,
                  options={"max_tests": 0},
                  licence="MIT",
                  origin="agentica-org/DeepCoder-Preview-Dataset",
                  size="599 + 279")


def get_datasets(cache_dir: str | None = None) -> tuple[object, object]:
    """(train, test) from the hub."""
    return load(DATASET, cache_dir)


def make_map_fn(split: str, data_source: str, max_tests: int = 0) -> Callable[[Mapping[str, object], int], dict]:
    """-> process_fn(example, index) -> row; a program gets `max_tests`, those with the shortest inputs; 0: all."""

    def process_fn(example: Mapping[str, object], index: int) -> dict:
        problem, starter = example["problem"], example.get("starter_code") or ""
        tests = read_tests(example["tests"])
        function = _method(example.get("metadata")) if tests.kind == "functional" else ""
        truth = _calls(function, tests) if function else program_truth(tests.pairs, max_tests)
        return make_row(data_source, task_prompt(problem, starter, function), truth, "codegen", {
            "reference": "",
            "original_prompt": problem,
            "dataset": "LiveCodeBench",
            "function_name": function
        })

    return process_fn


def _method(metadata: object) -> str:
    """The name that functional tests call."""
    metadata = json.loads(metadata) if isinstance(metadata, str) else metadata
    name = (metadata or {}).get("func_name")
    if not name:
        raise Drop("functional tests without a function's name")
    return name


def _calls(function: str, tests: Tests) -> str:
    """An input is a line of JSON per argument."""
    try:
        cases = [([_value(line)
                   for line in given.split("\n")
                   if line.strip()], _value(expected))
                 for given, expected in tests.pairs]
    except ValueError:
        raise Drop("a test's value cannot be read") from None
    return function_truth(function, cases)


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return parse_literal(text)  # True, None, 'text'


if __name__ == "__main__":
    sys.exit(main(__file__))
