"""What the benchmarks of this folder share."""

from data_preprocess.core import Drop
from reward_score import default_compute_score


def refuse_unreadable(row: dict) -> dict:
    """The row; raises Drop if its reward cannot read it: an unknown instruction or task, a missing argument."""
    try:
        default_compute_score(row["data_source"], "", row["reward_model"]["ground_truth"], row["extra_info"])
    except ValueError as error:
        raise Drop("ground truth that the reward cannot read") from error
    return row
