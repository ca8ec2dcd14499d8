"""Policy losses, registered by name for `actor.policy_loss.loss_mode`.

Every loss takes (old_log_prob, log_prob, advantages, response_mask, loss_agg_mode, config, rollout_is_weights), all
tensors [rows, T], and returns (loss, metrics). Loss and metrics are shares of the mini-batch's value: with the global
counts in `config.global_batch_info` they add up over micro-batches and ranks to what one large batch would give.
Metrics are 0-d, detached and on the device; whoever logs them moves them once.
"""
from collections.abc import Callable
from typing import Any, Protocol

import torch

from verl.algorithms.aggregation import agg_loss

PolicyLossFn = Callable[..., tuple[torch.Tensor, dict[str, torch.Tensor]]]

POLICY_LOSS_REGISTRY: dict[str, PolicyLossFn] = {}


class ClipConfig(Protocol):
    """What the losses read of `actor_rollout_ref.actor`."""
    clip_ratio: float
    clip_ratio_low: float | None
    clip_ratio_high: float | None
    clip_ratio_c: float
    global_batch_info: dict[str, Any]  # keyword arguments of agg_loss; empty: the tensors at hand are the whole batch


def register_policy_loss(name: str) -> Callable[[PolicyLossFn], PolicyLossFn]:
    """Decorator: make a loss known to `actor.policy_loss.loss_mode` by this name."""

    def register(function: PolicyLossFn) -> PolicyLossFn:
        if POLICY_LOSS_REGISTRY.setdefault(name, function) is not function:
            raise ValueError(f"policy loss {name!r} is registered twice; choose another name")
        return function

    return register


def get_policy_loss_fn(name: str) -> PolicyLossFn:
    """The loss registered under this name."""
    if name not in POLICY_LOSS_REGISTRY:
        known = ", ".join(sorted(POLICY_LOSS_REGISTRY))
        raise ValueError(f"actor_rollout_ref.actor.policy_loss.loss_mode={name!r} is unknown; known: {known}")
    return POLICY_LOSS_REGISTRY[name]


@register_policy_loss("vanilla")
def compute_policy_loss_vanilla(
    old_log_prob: torch.Tensor,
    log_prob: torch.Tensor,
    advantages: torch.Tensor,
    response_mask: torch.Tensor,
    loss_agg_mode: str = "token-mean",
    config: ClipConfig | None = None,
    rollout_is_weights: torch.Tensor | None = None,
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """PPO's clipped loss (arXiv:1707.06347) with separate bounds (arXiv:2503.14476) and dual clip (arXiv:1912.09729).

    With r = exp(log_prob - old_log_prob), the difference clamped to ±20:
        A >= 0:  -min(r A, clip(r, 1 - low, 1 + high) A)
        A <  0:  -max(min(r A, clip(r, 1 - low, 1 + high) A), c A)

    Args:
        old_log_prob, log_prob, advantages, response_mask: [rows, T].
        loss_agg_mode: see `agg_loss`.
        config: bounds (low and high fall back to `clip_ratio`; c = `clip_ratio_c` > 1) and the global counts.
        rollout_is_weights: [rows, T], factors on the token losses that correct for the rollout's own policy.

    Returns:
        loss, and the token means actor/pg_clipfrac (the upper or lower bound decided), actor/pg_clipfrac_lower (the
        dual clip decided) and actor/ppo_kl (k1 estimate of KL(old || new)).
    """
    assert config is not None, "the loss takes its bounds from the actor's config"
    assert config.clip_ratio_c > 1, f"clip_ratio_c must exceed 1, is {config.clip_ratio_c}"
    low = config.clip_ratio if config.clip_ratio_low is None else config.clip_ratio_low
    high = config.clip_ratio if config.clip_ratio_high is None else config.clip_ratio_high
    log_ratio = (log_prob - old_log_prob).clamp(-20, 20)
    ratio = log_ratio.exp()

    unclipped = -advantages * ratio
    clipped = -advantages * ratio.clamp(1 - low, 1 + high)
    pessimistic = torch.maximum(unclipped, clipped)
    bound = -advantages * config.clip_ratio_c
    losses = torch.where(advantages < 0, torch.minimum(pessimistic, bound), pessimistic)
    if rollout_is_weights is not None:
        losses = losses * rollout_is_weights

    token_means = {
        "actor/pg_clipfrac": clipped > unclipped,
        "actor/pg_clipfrac_lower": (pessimistic > bound) & (advantages < 0),
        "actor/ppo_kl": -log_ratio,
    }
    tokens = config.global_batch_info.get("batch_num_tokens")
    metrics = {
        name: agg_loss(values.detach().to(losses.dtype), response_mask, "token-mean", batch_num_tokens=tokens)
        for name, values in token_means.items()
    }
    return agg_loss(losses, response_mask, loss_agg_mode, **config.global_batch_info), metrics
