"""verl's import path for `reward_score`."""

from reward_score import _default_compute_score, default_compute_score
from verl.utils.reward_score import gsm8k, math, reasoning_gym

__all__ = ["_default_compute_score", "default_compute_score", "gsm8k", "math", "reasoning_gym"]
