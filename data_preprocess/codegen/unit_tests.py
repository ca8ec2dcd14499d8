"""Unit tests of raw data sets, in their several notations, and the ground truths that `reward_score.coder1` reads."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from data_preprocess.core import Drop
from reward_score.extraction import last_code_block

# Decimals may differ by 1e-5, as upstream's tests allow; a tuple may stand for a list, since JSON has none.
# The function is looked up first, so that it may bear any name.
_CALLS = '''\
try:
    _call = Solution().{name}
except NameError:
    _call = {name}

import json as _json
import math as _math


def _same(value, expected):
    if isinstance(expected, list):
        return isinstance(value, (list, tuple)) and len(value) == len(expected) and all(map(_same, value, expected))
    if {{type(value), type(expected)}} in ({{float}}, {{float, int}}):
        return value == expected or _math.isclose(value, expected, rel_tol=1e-5, abs_tol=1e-5)
    return value == expected


for _arguments, _expected in _json.loads({cases!r}):
    assert _same(_call(*_arguments), _expected), "another value"
'''


@dataclass(frozen=True)
class Tests:
    """Pairs of input and output; `function` is the name of what is called, empty for programs; `kind` as it is told."""

    pairs: list[tuple[object, object]]
    function: str = ""
    kind: str = ""


def read_tests(value: object) -> Tests:
    """Tests as JSON text or what it holds.

    Args:
        value: `{"inputs": [...], "outputs": [...][, "fn_name"]}`, as APPS and TACO write them, or a list of `{"input",
            "output", "type" or "testtype"[, "fn_name"]}`, as PrimeIntellect and LiveCodeBench do.

    Raises:
        Drop: there are none, or they cannot be read.
    """
    try:
        tests = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):  # ValueError: also for integers of more than 4300 digits
        raise Drop("tests are no JSON") from None
    if not tests:
        raise Drop("no tests")
    if isinstance(tests, Mapping):
        inputs, outputs = tests.get("inputs") or (), tests.get("outputs") or ()
        if len(inputs) != len(outputs) or len(inputs) == 0:
            raise Drop("no tests, or not as many inputs as outputs")
        return Tests(list(zip(inputs, outputs, strict=True)), tests.get("fn_name") or "")
    (kind, function), *others = {(test.get("type") or test.get("testtype"), test.get("fn_name")) for test in tests}
    if others:
        raise Drop("tests of several kinds")
    return Tests([(test["input"], test["output"]) for test in tests], function or "", kind or "")


def program_truth(pairs: Sequence[tuple[object, object]], most: int = 0, longest: int = 0) -> str:
    """Ground truth of programs from stdin to stdout.

    Args:
        pairs: texts, or lists of lines.
        most: tests kept, those with the shortest inputs; 0: all.
        longest: characters of an input; tests with longer ones are left out. 0: any.

    Raises:
        Drop: no test is left, or none expects any output.
    """
    texts = [(_text(given), _text(expected)) for given, expected in pairs]
    if longest:
        texts = [pair for pair in texts if len(pair[0]) <= longest]
    if most:
        texts = sorted(texts, key=lambda pair: len(pair[0]))[:most]
    if not any(expected.strip() for _, expected in texts):
        raise Drop("no test of a moderate size that expects an output")
    return json.dumps({"inputs": [given for given, _ in texts], "outputs": [expected for _, expected in texts]})


def function_truth(name: str, cases: Sequence[tuple[Sequence[object], object]]) -> str:
    """Ground truth of a function, or of a method of `Solution`, from (arguments, value) of each test.

    Raises:
        Drop: `name` is none.
    """
    if not isinstance(name, str) or not name.isidentifier():
        raise Drop("the function's name is missing or no identifier")
    text = json.dumps([[list(arguments), expected] for arguments, expected in cases])
    return json.dumps({"functional": _CALLS.format(name=name, cases=text)})


def code_of(solutions: object) -> str:
    """The first of a row's solutions (a list, or its JSON text), out of its Markdown fence.

    Raises:
        Drop: there is none.
    """
    solutions = json.loads(solutions or "[]") if isinstance(solutions, str) else solutions
    code = next(iter(solutions or ()), "")
    block = last_code_block(code)
    code = code if block is None else block
    if not code.strip():
        raise Drop("no reference solution")
    return code


def unwrapped(value: object) -> object:
    """The value of a list that holds one: how APPS and its heirs write what a function returns."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _text(value: object) -> str:
    text = value if isinstance(value, str) else "\n".join(map(str, value))
    return text.replace("\r\n", "\n")
