r"""`openai/gsm8k`: grade-school word problems with one number as the answer (Cobbe et al. 2021, arXiv:2110.14168)."""

from fractions import Fraction

from reward_score.equivalence.text import canonical, split_unit, squeezed
from reward_score.extraction import after_thinking, last_boxed, last_hashes, parse_number
from reward_score.registry import register_reward

MAX_LENGTH = 1000  # characters of an answer


def _reference(ground_truth: object, extra_info: dict) -> str:
    return f"Step by step.\n#### {ground_truth}"


def _near_misses(ground_truth: object, extra_info: dict) -> list[str]:
    number = _truth(ground_truth, "this row")
    values = [number + 1, number * 100, number / 100, -number] if number else [number + 1]
    wrong = [f"#### {float(value)}" for value in values]
    return [
        *wrong, f"#### {ground_truth} million", f"<think>#### {ground_truth}", f"#### {ground_truth}\n#### ", "#### "
    ]


@register_reward("openai/gsm8k",
                 answer_format=r"the number after the last `####`, or in the last \boxed{...} if that comes later",
                 reference_answer=_reference,
                 near_misses=_near_misses)
def compute_score(data_source: str,
                  solution_str: str,
                  ground_truth: object,
                  extra_info: dict | None = None,
                  **kwargs: object) -> dict[str, object]:
    r"""1.0 if the answer equals the reference as a number, exactly; else 0.0.

    The answer is what follows the last `####` (`#### 42`), or the last `\boxed{}` where that comes later; a unit
    (`\text{ eggs}`, `eggs`) is not looked at. Extra key: `pred`.

    Raises:
        ValueError: `ground_truth` is not a number.
    """
    truth = _truth(ground_truth, data_source)
    answer = after_thinking(solution_str) or ""
    after_hashes = answer.rpartition("####")[2]
    boxed = "\\boxed" in after_hashes or "\\fbox" in after_hashes
    pred = (last_boxed(answer) if boxed else last_hashes(answer)) or ""
    score = float(_number(pred) == truth)
    return {"score": score, "acc": score, "pred": pred[:200]}


def _number(pred: str) -> Fraction | None:
    if len(pred) > MAX_LENGTH:
        return None
    text, _ = split_unit(canonical(pred))
    return parse_number(squeezed(text))


def _truth(ground_truth: object, data_source: str) -> Fraction:
    truth = parse_number(str(ground_truth))
    if truth is None:
        raise ValueError(f"reward_model.ground_truth of {data_source!r} must be a number, got {ground_truth!r}; "
                         "for GSM8K that is what follows #### in the reference")
    return truth
