"""`simulation__cruxeval-i`, `-o`: the input that gives an output, the output of an input (CRUXEval, arXiv:2401.03065).

The ground truth is JSON, `{"functional": code}`, the code of a function `f`; `extra_info["reference"]` is its output
and `extra_info["original_prompt"]` shows the assertion to complete. The answer is that assertion, `assert f(16) == 17`.
It is read, not run: only its literals reach the sandbox, where `f` is called with them.
"""

import ast
import json
import re

from reward_score.extraction import after_thinking, last_code_block
from reward_score.registry import register_reward
from reward_score.syntax import parse, parse_expression

SECONDS = 5.0
MAX_ANSWER = 20_000  # characters of an assertion
_LANGUAGES = ("python", "python3", "py", "")
_GIVEN = re.compile(r"assert (f\([^\n]*\)) == \?\?")
_ERRORS = (ValueError, SyntaxError, TypeError, MemoryError, RecursionError)


def _reference(ground_truth: object, extra_info: dict) -> str | None:
    given = _GIVEN.findall((extra_info or {}).get("original_prompt") or "")
    if not given or not (extra_info or {}).get("reference"):
        return None  # the row of an input task does not hold an input
    return f"```python\nassert {given[-1]} == {extra_info['reference']}\n```"


def _near_misses(ground_truth: object, extra_info: dict) -> list[str]:
    output = (extra_info or {}).get("reference")
    misses = [
        "pass", "assert True", f"assert {output} == {output}", "assert f == f", "def f(*_): return 1\nassert f() == 1"
    ]
    return ["", f"assert {output}", *(f"```python\n{miss}\n```" for miss in misses)]


@register_reward(
    "simulation__cruxeval*",
    needs_extra_info=("reference",),
    libraries=("reward_score.sandbox",),
    warm_up="reward_score.sandbox:warm",
    answer_format="The completed assertion, `assert f(...) == ...` with literals, in the last ```python block.",
    reference_answer=_reference,
    near_misses=_near_misses)
def compute_score(data_source: str,
                  solution_str: str,
                  ground_truth: object,
                  extra_info: dict | None = None,
                  **kwargs: object) -> dict[str, object]:
    """1.0 if the last block ends with `assert f(<literals>) == <the row's output>` and that holds.

    For `-o` the arguments must be those of the row's prompt, where it is there. Extra keys: `pred`, the assertion, and
    `verdict`, as in `coder1`, or "no assertion", "other input", "other output".

    Raises:
        ValueError: `ground_truth` holds no code, or the row has no `reference`.
    """
    code, output = _row(data_source, ground_truth, extra_info or {})
    pred = (last_code_block(after_thinking(solution_str) or "", _LANGUAGES) or "").strip()
    verdict = _judge(pred, code, output, _given_input(data_source, extra_info))
    score = float(verdict == "pass")
    return {"score": score, "acc": score, "pred": pred[-200:], "verdict": verdict}


def _row(data_source: str, ground_truth: object, extra_info: dict) -> tuple[str, object]:
    try:
        code = (json.loads(ground_truth) if isinstance(ground_truth, str) else ground_truth)["functional"]
        found = re.search(r"^def f\(", code, re.MULTILINE)
    except (ValueError, TypeError, KeyError):
        found = None
    if not found:
        raise ValueError(f"ground_truth of {data_source!r} must be JSON, {{\"functional\": code of f}}")
    try:
        return code, ast.literal_eval(parse_expression(str(extra_info["reference"])))
    except (KeyError, *_ERRORS):
        raise ValueError(f"extra_info['reference'] of {data_source!r} must be the output of f, as a literal") from None


def _given_input(data_source: str, extra_info: dict | None) -> tuple[tuple, dict] | None:
    """The arguments that an output task asks about."""
    given = _GIVEN.findall((extra_info or {}).get("original_prompt") or "")
    return _call(parse_expression(given[-1])) if given else None


def _judge(pred: str, code: str, output: object, given: tuple[tuple, dict] | None) -> str:
    assertion = _assertion(pred)
    if assertion is None:
        return "no assertion"
    (args, kwargs), claimed = assertion
    if given is not None and not _identical((args, kwargs), given):
        return "other input"
    if not _identical(claimed, output):
        return "other output"
    from reward_score.sandbox import Limits, run_tests
    return run_tests(code, f"assert f(*{args!r}, **{kwargs!r}) == {output!r}", limits=Limits(seconds=SECONDS)).verdict


def _assertion(text: str) -> tuple[tuple[tuple, dict], object] | None:
    """`assert f(args) == value` as ((args, kwargs), value); None if it does not end so, in literals only."""
    if not text or len(text) > MAX_ANSWER:
        return None
    try:
        last = parse(text).body[-1]
        compared = last.test if isinstance(last, ast.Assert) else None
        if not isinstance(compared, ast.Compare) or [type(op) for op in compared.ops] != [ast.Eq]:
            return None
        return _call(compared.left), ast.literal_eval(compared.comparators[0])
    except (IndexError, *_ERRORS):
        return None


def _call(node: ast.expr) -> tuple[tuple, dict]:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id != "f":
        raise ValueError("no call of f")
    kwargs = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in node.keywords if keyword.arg}
    if len(kwargs) < len(node.keywords):
        raise ValueError("a keyword twice, or **")
    return tuple(map(ast.literal_eval, node.args)), kwargs


def _identical(a: object, b: object) -> bool:
    """Equal, and of the same types all through: True is not 1."""
    if type(a) is not type(b):
        return False
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(_identical, a, b))
    if isinstance(a, dict):
        return a == b and all(_identical(a[key], b[key]) for key in a)
    return a == b
