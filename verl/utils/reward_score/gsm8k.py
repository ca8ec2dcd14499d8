"""`reward_score.gsm8k` with verl's arguments."""

from reward_score import default_compute_score


def compute_score(solution_str: str, ground_truth: object) -> float:
    """1.0 if the answer equals the reference as a number, else 0.0."""
    return default_compute_score("openai/gsm8k", solution_str, ground_truth)["score"]
