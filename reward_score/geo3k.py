r"""`hiyouga/geometry3k`: geometry with a figure (Lu et al. 2021, arXiv:2105.04165); thoughts in `<think>`, then a box.

0.9 for the right answer and 0.1 for the format, as verl weighs them.
"""

from reward_score.equivalence.answers import PRED_LENGTH, boxed_near_misses, boxed_reference, judge_any, references
from reward_score.extraction import after_thinking, last_boxed
from reward_score.registry import register_reward

FORMAT_WEIGHT = 0.1


def _reference(ground_truth: object, extra_info: dict) -> str:
    return f"<think>From the figure.</think>{boxed_reference(ground_truth, extra_info)}"


def _near_misses(ground_truth: object, extra_info: dict) -> list[str]:
    return [f"<think>From the figure.</think>{response}" for response in boxed_near_misses(ground_truth, extra_info)]


@register_reward("hiyouga/geometry3k",
                 libraries=("reward_score.equivalence.algebra",),
                 answer_format=r"<think>thoughts</think>, then the answer in the last \boxed{...}",
                 reference_answer=_reference,
                 near_misses=_near_misses)
def compute_score(data_source: str,
                  solution_str: str,
                  ground_truth: object,
                  extra_info: dict | None = None,
                  **kwargs: object) -> dict[str, object]:
    """0.9 * `acc` + 0.1 * `format`; a right answer without thoughts has 0.9. Extra keys: `format`, `pred`, `refused`.

    Raises:
        ValueError: `ground_truth` is empty.
    """
    answer = after_thinking(solution_str)
    box = last_boxed(answer or "")
    verdict = judge_any(references(ground_truth, data_source), box or "")
    thought = "<think>" in solution_str.rpartition("</think>")[0]
    form = float(thought and box is not None)
    acc = float(verdict.equal)
    score = 1.0 if acc and form else (1 - FORMAT_WEIGHT) * acc + FORMAT_WEIGHT * form
    return {"score": score, "acc": acc, "format": form, "pred": (box or "")[:PRED_LENGTH], "refused": verdict.refused}
