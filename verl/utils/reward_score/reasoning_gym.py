"""`reward_score.reasoning_gym` with verl's arguments."""

from reward_score import default_compute_score


def compute_score(solution_str: str, ground_truth: object, extra_info: dict) -> dict[str, object]:
    """The generator's own score, with `acc`; `extra_info` holds `task` and `entry`."""
    return default_compute_score("reasoning_gym", solution_str, ground_truth, extra_info)
