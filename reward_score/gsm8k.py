r"""`openai/gsm8k`: grade-school word problems with one number as the answer (Cobbe et al. 2021, arXiv:2110.14168)."""

from fractions import Fraction

from reward_score.extraction import after_thinking, last_boxed, last_hashes, parse_number
from reward_score.registry import register_reward


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
                 answer_format=r"the number after the last `####`, or in the last \boxed{...} if there is no ####",
                 reference_answer=_reference,
                 near_misses=_near_misses)
def compute_score(data_source: str,
                  solution_str: str,
                  ground_truth: object,
                  extra_info: dict | None = None,
                  **kwargs: object) -> dict[str, object]:
    r"""1.0 if the answer equals the reference as a number, exactly; else 0.0.

    The answer is what follows the last `####`; a response without one is read from its last `\boxed{}`. Extra key:
    `pred`.

    Raises:
        ValueError: `ground_truth` is not a number.
    """
    truth = _truth(ground_truth, data_source)
    answer = after_thinking(solution_str) or ""
    hashes = last_hashes(answer)
    pred = (last_boxed(answer) or "") if hashes is None else hashes
    score = float(parse_number(pred.rstrip("\\% ")) == truth)
    return {"score": score, "acc": score, "pred": pred[:200]}


def _truth(ground_truth: object, data_source: str) -> Fraction:
    truth = parse_number(str(ground_truth))
    if truth is None:
        raise ValueError(f"reward_model.ground_truth of {data_source!r} must be a number, got {ground_truth!r}; "
                         "for GSM8K that is what follows #### in the reference")
    return truth
