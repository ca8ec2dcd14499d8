r"""`simulation__codeio*`: predict what a function returns, or what it was called with (CodeI/O, arXiv:2502.07316).

The ground truth is `"output": <json>` or `"input": <json>`. A predicted input is compared with the one of the data set:
the row does not hold the code that could try another one.
"""

import json
import math

from reward_score.extraction import after_thinking, last_boxed, last_code_block
from reward_score.registry import register_reward

RELATIVE_TOLERANCE = 1e-6  # where one of two numbers is a decimal; integers must be equal
_NOTHING = object()


def _reference(ground_truth: object, extra_info: dict) -> str:
    return f"```json\n{{{ground_truth}}}\n```"


def _near_misses(ground_truth: object, extra_info: dict) -> list[str]:
    other = json.dumps({"output": ["not", "it"]})
    right = _reference(ground_truth, extra_info)
    return ["", "null", "```json\n```", right.removesuffix("```"), f"<think>{right}",
            f"{right}\n```json\n{other}\n```"]  # yapf: disable


@register_reward("simulation__codeio*",
                 answer_format=r'JSON in the last ```json block, or in \boxed{}: {"output": ...} or {"input": ...}.',
                 reference_answer=_reference,
                 near_misses=_near_misses)
def compute_score(data_source: str,
                  solution_str: str,
                  ground_truth: object,
                  extra_info: dict | None = None,
                  **kwargs: object) -> dict[str, object]:
    """1.0 if the predicted JSON equals the truth: same types (`true` is not 1), same order; decimals within 1e-6.

    The key may be left out (`{"output": 3}`, `"output": 3`, `3`). Extra key: `pred`.

    Raises:
        ValueError: `ground_truth` is not of the form above.
    """
    key, truth = _truth(data_source, ground_truth)
    pred = _answer(after_thinking(solution_str) or "") or ""
    value = _parse(pred)
    score = 0.0
    if value is not _NOTHING:
        inner = value[key] if isinstance(value, dict) and list(value) == [key] else _NOTHING
        score = float(_same(value, truth) or _same(inner, truth))
    return {"score": score, "acc": score, "pred": pred[:200]}


def _truth(data_source: str, ground_truth: object) -> tuple[str, object]:
    try:
        (key, truth), = json.loads(f"{{{ground_truth}}}").items()
    except ValueError:
        key, truth = "", None
    if key not in ("input", "output"):
        raise ValueError(f'ground_truth of {data_source!r} must be \'"output": <json>\' or \'"input": <json>\', '
                         f"got {str(ground_truth)[:80]!r}")
    return key, truth


def _answer(text: str) -> str | None:
    block = last_code_block(text, ("json", ""))
    if block is not None or text.rfind("```json") > text.rfind("\\boxed"):  # a block that was not finished
        return block
    return last_boxed(text)


def _parse(text: str) -> object:
    text = text.strip()
    plain = text.replace("\\{", "{").replace("\\}", "}").replace("\\_", "_").replace('\\"', '"')
    for attempt in (text, f"{{{text}}}", plain, f"{{{plain}}}"):
        try:
            return json.loads(attempt) if text else _NOTHING
        except (ValueError, RecursionError):
            continue
    return _NOTHING


def _same(value: object, truth: object) -> bool:
    """Equal as JSON; without recursion, for a deep answer."""
    pairs = [(value, truth)]
    while pairs:
        a, b = pairs.pop()
        if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
            pairs += zip(a, b, strict=True)
        elif isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
            pairs += [(a[key], b[key]) for key in a]
        elif not _same_scalar(a, b):
            return False
    return True


def _same_scalar(a: object, b: object) -> bool:
    if type(a) in (int, float) and type(b) in (int, float) and float in (type(a), type(b)):
        try:
            return math.isclose(a, b, rel_tol=RELATIVE_TOLERANCE) or (a != a and b != b)
        except OverflowError:
            return False
    return type(a) is type(b) and not isinstance(a, list | dict) and a == b
