r"""`openai/gsm8k`: grade-school word problems with one number as the answer (Cobbe et al. 2021, arXiv:2110.14168)."""

from reward_score.extraction import after_thinking, last_boxed, last_hashes, parse_number
from reward_score.registry import register_reward


@register_reward("openai/gsm8k")
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
    truth = parse_number(str(ground_truth))
    if truth is None:
        raise ValueError(f"ground_truth of {data_source!r} must be a number, got {ground_truth!r}")
    answer = after_thinking(solution_str) or ""
    pred = last_hashes(answer) or last_boxed(answer) or ""
    score = float(parse_number(pred.rstrip("\\% ")) == truth)
    return {"score": score, "acc": score, "pred": pred[:200]}
