r"""`math_dapo*`, `aime*`: DAPO's scores (Yu et al. 2025, arXiv:2503.14476): 1 for a right answer, else -1.

DAPO's prompt asks for a last line `Answer: ...`, AIME's prompts for a box; whichever comes last is the answer.
"""

from reward_score.equivalence.answers import PRED_LENGTH, boxed_near_misses, boxed_reference, judge_any, references
from reward_score.extraction import after_thinking, last_answer_line, last_boxed
from reward_score.registry import register_reward


@register_reward("math_dapo",
                 "math_dapo_reasoning",
                 "aime*",
                 libraries=("reward_score.equivalence.algebra",),
                 answer_format=r"a last line `Answer: ...`, or the last \boxed{...}, whichever comes later",
                 reference_answer=boxed_reference,
                 near_misses=boxed_near_misses)
def compute_score(data_source: str,
                  solution_str: str,
                  ground_truth: object,
                  extra_info: dict | None = None,
                  **kwargs: object) -> dict[str, object]:
    """1.0 for a right answer, -1.0 for a wrong one or none. Extra keys: `pred`, and `refused` as in `math`.

    Raises:
        ValueError: `ground_truth` is empty.
    """
    pred = last_boxed_or_line(after_thinking(solution_str) or "")
    verdict = judge_any(references(ground_truth, data_source), pred)
    acc = float(verdict.equal)
    return {"score": 2 * acc - 1, "acc": acc, "pred": pred[:PRED_LENGTH], "refused": verdict.refused}


def last_boxed_or_line(answer: str) -> str:
    r"""The last `\boxed{}`, or what follows the last `Answer:` if that is later; empty if it is unfinished."""
    _, boxed, tail = answer.rpartition(r"\boxed")
    line = last_answer_line(tail)
    if line is not None or not boxed:
        return line or ""
    return last_boxed(answer) or ""
