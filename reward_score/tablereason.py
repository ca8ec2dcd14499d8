r"""`table*`: questions about tables, answered with cells or numbers in the last `\boxed{}`. No algebra is needed.

HiTab (Cheng et al. 2022, arXiv:2108.06712) and MultiHiertt (Zhao et al. 2022, arXiv:2206.01347): cells, several of them
separated by `|`, as a set. FinQA (Chen et al. 2021, arXiv:2109.00122): one number.
"""

import re
from fractions import Fraction

from reward_score.equivalence.answers import PRED_LENGTH, boxed_near_misses, boxed_reference
from reward_score.equivalence.numbers import Number, agree, read_number
from reward_score.equivalence.text import canonical, split_unit, squeezed
from reward_score.extraction import after_thinking, last_boxed
from reward_score.registry import register_reward

MIN_SIGNIFICANT = 3  # digits that a rounded number must show
MAX_LENGTH = 10_000  # characters of an answer; no cell is longer

_SEPARATOR = re.compile(r"\\mid(?![a-z])|\\?\|")
_TEXT = re.compile(r"\\(?:text|textbf|mathrm)\s*\{([^{}]*)\}")
_ESCAPED = re.compile(r"\\([&%_#$])")
_PERCENT = re.compile(r"(.*?)\s*(?:\\?%|\\text\s*\{\s*percent\s*\})", re.DOTALL)


def _cell_near_misses(ground_truth: object, extra_info: dict) -> list[str]:
    truth = str(ground_truth)
    return [rf"\boxed{{{truth}|none of these}}", rf"\boxed{{not {truth}}}", rf"\boxed{{{truth}", truth]


@register_reward("table*",
                 "table__hitab",
                 "table__multihier",
                 answer_format=r"the answer in the last \boxed{...}; several answers are separated by |, in any order",
                 reference_answer=boxed_reference,
                 near_misses=_cell_near_misses)
def compute_score(data_source: str,
                  solution_str: str,
                  ground_truth: object,
                  extra_info: dict | None = None,
                  **kwargs: object) -> dict[str, object]:
    r"""1.0 if the boxed answers are the reference's (`a|b`) as a set; else 0.0. Extra key: `pred`.

    Cells are equal as text (spaces, case and `\text{}` aside) or as numbers; units as in `equivalence`.

    Raises:
        ValueError: `ground_truth` is empty.
    """
    truths = _cells(_text_of(ground_truth, data_source))
    pred = last_boxed(after_thinking(solution_str) or "") or ""
    answers = _cells(pred) if len(pred) <= MAX_LENGTH else []
    equal = _covers(truths, answers) and _covers(answers, truths)
    score = float(bool(answers) and len(answers) <= 4 * len(truths) + 4 and equal)
    return {"score": score, "acc": score, "pred": pred[:PRED_LENGTH]}


@register_reward("table__finqa",
                 answer_format=r"the number in the last \boxed{...}; a percentage counts only with its percent sign",
                 reference_answer=boxed_reference,
                 near_misses=boxed_near_misses)
def compute_finqa_score(data_source: str,
                        solution_str: str,
                        ground_truth: object,
                        extra_info: dict | None = None,
                        **kwargs: object) -> dict[str, object]:
    r"""1.0 if the boxed number is the reference, or the reference rounded to three or more digits; else 0.0.

    For 0.35714: `0.357` and `35.7\%` are right, `35.7` and `0.36` are not. An integer must be met exactly. Units and
    currencies are not looked at. Extra key: `pred`.

    Raises:
        ValueError: `ground_truth` is not a number.
    """
    truth = read_number(_text_of(ground_truth, data_source)) or _from_float(ground_truth)
    if truth is None:
        raise ValueError(f"reward_model.ground_truth of {data_source!r} must be a number, got {ground_truth!r}")
    pred = last_boxed(after_thinking(solution_str) or "") or ""
    answer = _amount(pred) if len(pred) <= MAX_LENGTH else None
    score = float(answer is not None and _rounds_to(truth, answer))
    return {"score": score, "acc": score, "pred": pred[:PRED_LENGTH]}


def _text_of(ground_truth: object, data_source: str) -> str:
    ground_truth = ground_truth.tolist() if hasattr(ground_truth, "tolist") else ground_truth
    text = "" if ground_truth is None else str(ground_truth).strip()
    if not text:
        raise ValueError(f"reward_model.ground_truth of {data_source!r} is empty; write the answer there, as text")
    return text


def _cells(text: str) -> list[str]:
    return [cell for cell in map(_plain, _SEPARATOR.split(_TEXT.sub(r"\1", text))) if cell]


def _plain(cell: str) -> str:
    return canonical(_ESCAPED.sub(r"\1", cell))


def _covers(cells: list[str], others: list[str]) -> bool:
    """Whether every one of `cells` has its equal among `others`."""
    return all(any(_same_cell(cell, other) for other in others) for cell in cells)


def _same_cell(a: str, b: str) -> bool:
    if squeezed(a).casefold() == squeezed(b).casefold():
        return True
    (a, unit), (b, other) = split_unit(a), split_unit(b)
    first, second = read_number(a), read_number(b)
    return first is not None and second is not None and (not unit or not other or unit == other) and agree(
        first, second)


def _amount(text: str) -> Number | None:
    r"""The number of `\$ 5.2 \text{ million}`; `35.7\%` is 0.357."""
    percent = _PERCENT.fullmatch(canonical(text))
    number = read_number(percent[1] if percent else re.sub(r"\s*\\text\s*\{[^{}0-9]*\}$", "", canonical(text)))
    if number is None or not percent:
        return number
    return Number(number.value / 100, _step(number) / 100, _digits(number))


def _from_float(ground_truth: object) -> Number | None:
    """`1e-05`, which is how Python writes small floats."""
    try:
        return Number(Fraction(str(ground_truth)))
    except ValueError:
        return None


def _rounds_to(truth: Number, answer: Number) -> bool:
    if truth.value == answer.value:
        return True
    if truth.value.denominator == 1:
        return False
    coarse = max(truth, answer, key=_step)
    return _digits(coarse) >= MIN_SIGNIFICANT and abs(truth.value - answer.value) <= _step(coarse) / 2


def _step(number: Number) -> Fraction:
    """The weight of the last digit; 0 for a fraction, which rounds nothing."""
    return number.step or Fraction(number.value.denominator == 1)


def _digits(number: Number) -> int:
    return number.significant or len(str(abs(number.value.numerator)))
