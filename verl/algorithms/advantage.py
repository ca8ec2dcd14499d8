"""Advantage estimators: from rewards to how much better than expected each token did."""
from collections.abc import Callable
from enum import StrEnum
from typing import Any

import numpy as np
import torch

AdvantageFn = Callable[..., tuple[torch.Tensor, torch.Tensor]]

ADV_ESTIMATOR_REGISTRY: dict[str, AdvantageFn] = {}


class AdvantageEstimator(StrEnum):
    """Names that `algorithm.adv_estimator` knows."""
    GRPO = "grpo"


def register_adv_est(name_or_enum: str | AdvantageEstimator) -> Callable[[AdvantageFn], AdvantageFn]:
    """Decorator: make an estimator known to `algorithm.adv_estimator` by this name."""

    def register(function: AdvantageFn) -> AdvantageFn:
        if ADV_ESTIMATOR_REGISTRY.setdefault(str(name_or_enum), function) is not function:
            raise ValueError(f"advantage estimator {str(name_or_enum)!r} is registered twice; choose another name")
        return function

    return register


def get_adv_estimator_fn(name_or_enum: str | AdvantageEstimator) -> AdvantageFn:
    """The estimator registered under this name."""
    if str(name_or_enum) not in ADV_ESTIMATOR_REGISTRY:
        known = ", ".join(sorted(ADV_ESTIMATOR_REGISTRY))
        raise ValueError(f"algorithm.adv_estimator={str(name_or_enum)!r} is unknown; known: {known}")
    return ADV_ESTIMATOR_REGISTRY[str(name_or_enum)]


@register_adv_est(AdvantageEstimator.GRPO)
def compute_grpo_outcome_advantage(
    token_level_rewards: torch.Tensor,
    response_mask: torch.Tensor,
    index: np.ndarray,
    epsilon: float = 1e-6,
    norm_adv_by_std_in_grpo: bool = True,
    config: Any = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """GRPO (arXiv:2402.03300): a sample's reward against the mean of its prompt's samples.

    A = (R - mean) / (std + epsilon) with the unbiased std of the group; without the division it is that of Dr. GRPO
    (arXiv:2503.20783). A group of one has nothing to compare with: mean 0 and std 1 are taken.

    Args:
        token_level_rewards: [samples, T]; a sample's reward R is the sum of its row.
        response_mask: [samples, T], True (non-zero) at response tokens.
        index: [samples], equal for samples of one prompt (their uid).
        epsilon: keeps the quotient finite where all rewards of a group are equal (A = 0 there).
        norm_adv_by_std_in_grpo: divide by the std.
        config: unused; every estimator takes it.

    Returns:
        advantages and returns, both [samples, T], the same here: A at response tokens, 0 elsewhere.
    """
    rewards = token_level_rewards.sum(-1).double()  # in double, equal float32 rewards centre to exactly 0
    group, counts = np.unique(index, return_inverse=True, return_counts=True)[1:]
    group, counts = (torch.as_tensor(array, device=rewards.device) for array in (group, counts))
    single = (counts == 1)[group]
    sum_by_group = lambda values: torch.zeros_like(counts, dtype=values.dtype).index_add(0, group, values)[group]
    centred = torch.where(single, rewards, rewards - sum_by_group(rewards) / counts[group])
    if norm_adv_by_std_in_grpo:
        variance = sum_by_group(centred.square()) / (counts[group] - 1).clamp(min=1)
        centred = centred / (torch.where(single, 1, variance.sqrt()) + epsilon)
    advantages = centred.to(token_level_rewards.dtype).unsqueeze(-1) * response_mask
    return advantages, advantages
