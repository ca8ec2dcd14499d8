"""Advantage estimators: from rewards to how much better than expected each token did."""
import inspect
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
    GAE = "gae"


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


def needs_values(estimator: AdvantageFn) -> bool:
    """Whether it takes a critic's `values`. Such a one is called with `compute_gae_advantage_return`'s arguments."""
    return "values" in inspect.signature(estimator).parameters


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


@register_adv_est(AdvantageEstimator.GAE)
def compute_gae_advantage_return(
    token_level_rewards: torch.Tensor,
    values: torch.Tensor,
    response_mask: torch.Tensor,
    gamma: float,
    lam: float,
    sum_over_ranks: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Generalised advantage estimation (arXiv:1506.02438), whitened over all tokens that count.

    Args:
        token_level_rewards, values: [samples, T]; values[:, t] is of the state before token t.
        response_mask: [samples, T], True (non-zero) at tokens that count; what it leaves out is not read.
        gamma, lam: discount per token and lambda.
        sum_over_ranks: adds a tensor up over the ranks that share the batch; None: the tensors at hand are all of it.

    Returns:
        advantages and returns (lambda-returns, the critic's targets), both [samples, T], 0 where nothing counts.
    """
    mask = response_mask.bool()
    returns = lambda_returns(token_level_rewards, values, mask, gamma, lam)
    advantages = (returns - values).where(mask, 0)
    return masked_whiten(advantages, mask, sum_over_ranks=sum_over_ranks), returns


def lambda_returns(rewards: torch.Tensor, values: torch.Tensor, mask: torch.Tensor, gamma: float,
                   lam: float) -> torch.Tensor:
    """G_t = r_t + gamma ((1 - lambda) V_{t+1} + lambda G_{t+1}) over the tokens that count, 0 after the last.

    G_t - V_t is the GAE advantage. Tokens that do not count (a tool's words between two turns) are skipped: for the
    token before them, the next one that counts is t + 1. All tensors [samples, T].
    """
    rewards, values = rewards.where(mask, 0), values.where(mask, 0)
    returns = torch.zeros_like(values)
    next_value = next_return = torch.zeros_like(values[:, 0]) if values.shape[1] else None
    for t in reversed(range(values.shape[1])):
        here = rewards[:, t] + gamma * ((1 - lam) * next_value + lam * next_return)
        next_value = torch.where(mask[:, t], values[:, t], next_value)
        next_return = torch.where(mask[:, t], here, next_return)
        returns[:, t] = here.where(mask[:, t], 0)
    return returns


def masked_whiten(values: torch.Tensor,
                  mask: torch.Tensor,
                  shift_mean: bool = True,
                  sum_over_ranks: Callable[[torch.Tensor], torch.Tensor] | None = None) -> torch.Tensor:
    """`values` with mean 0 (or their own, unless `shift_mean`) and unbiased variance 1 where `mask` is True, 0
    elsewhere.

    The moments are of all ranks' values when `sum_over_ranks` adds them up, and taken in float64.
    """
    reduce = sum_over_ranks or (lambda x: x)
    mask = mask.bool()
    counted = values[mask].double()
    count, total = reduce(torch.stack([counted.new_tensor(len(counted)), counted.sum()]))
    mean = total / count.clamp(min=1)
    squares = reduce((counted - mean).square().sum())
    whitened = (values.double() - mean) * (squares / (count - 1).clamp(min=1) + 1e-8).rsqrt()
    whitened = whitened if shift_mean else whitened + mean
    return whitened.to(values.dtype).where(mask, 0)
