"""`reward_score.math` with verl's arguments."""

from reward_score import default_compute_score


def compute_score(solution_str: str, ground_truth: object) -> float:
    """1.0 if the boxed answer equals the reference mathematically, else 0.0."""
    return default_compute_score("math", solution_str, ground_truth)["score"]
