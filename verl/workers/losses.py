"""What a mini-batch is trained on: the policy loss with its KL and entropy terms, the critic's loss, the SFT loss."""
import dataclasses

import torch
from torch import Tensor

from verl.algorithms.aggregation import agg_loss
from verl.algorithms.kl import kl_penalty
from verl.algorithms.policy_loss import get_policy_loss_fn
from verl.algorithms.value_loss import compute_value_loss
from verl.config.critic import CriticConfig
from verl.config.engine import ActorConfig
from verl.workers.engine.base import BatchTotals, LossFn, LossInputs


def ppo_loss(config: ActorConfig, loss_scale_factor: int) -> LossFn:
    """Policy loss + kl_loss_coef * KL(pi || ref) - entropy_coeff * H, aggregated by `loss_agg_mode` over global counts.

    Columns: `advantages` [rows] or [rows, T]; optional `old_log_probs` (absent: the update is on-policy and old is this
    very forward), `ref_log_prob`, `rollout_log_probs`. `loss_scale_factor`: see agg_loss (seq-mean-token-sum-norm).
    """
    policy_loss = get_policy_loss_fn(config.policy_loss.loss_mode)

    def loss_fn(inputs: LossInputs, totals: BatchTotals) -> tuple[Tensor, dict[str, Tensor]]:
        info = totals.as_info(config.loss_scale_factor or loss_scale_factor)
        log_prob, mask, columns = inputs.log_prob, inputs.response_mask, inputs.columns
        old_log_prob = columns.get("old_log_probs", log_prob.detach())
        loss, metrics = policy_loss(old_log_prob, log_prob, _per_token(columns["advantages"], mask), mask,
                                    config.loss_agg_mode, dataclasses.replace(config, global_batch_info=info))
        metrics = metrics | {"actor/pg_loss": loss.detach()}
        if inputs.entropy is not None:
            entropy = agg_loss(inputs.entropy, mask, config.loss_agg_mode, **info)
            metrics["actor/entropy"] = entropy.detach()
            if config.entropy_coeff:
                loss = loss - config.entropy_coeff * entropy
        if config.use_kl_loss:
            kl = agg_loss(kl_penalty(log_prob, columns["ref_log_prob"], config.kl_loss_type), mask,
                          config.loss_agg_mode, **info)
            loss = loss + config.kl_loss_coef * kl
            metrics["actor/kl_loss"] = kl.detach()
        if "old_log_probs" not in columns and "rollout_log_probs" in columns:
            metrics |= mismatch_metrics(log_prob.detach(), columns["rollout_log_probs"], mask, totals.tokens)
        return loss, metrics

    return loss_fn


def value_loss(config: CriticConfig, loss_scale_factor: int) -> LossFn:
    """Clipped value loss over global counts. Columns `values` (of the critic before the update) and `returns`."""

    def loss_fn(inputs: LossInputs, totals: BatchTotals) -> tuple[Tensor, dict[str, Tensor]]:
        info, mask, vpreds = totals.as_info(loss_scale_factor), inputs.response_mask, inputs.vpreds
        loss, clipfrac = compute_value_loss(vpreds, inputs.columns["returns"], inputs.columns["values"], mask,
                                            config.cliprange_value, config.loss_agg_mode, info)
        mean = agg_loss(vpreds.detach(), mask, "token-mean", batch_num_tokens=totals.tokens)
        return loss, {"critic/vf_loss": loss.detach(), "critic/vf_clipfrac": clipfrac, "critic/vpred_mean": mean}

    return loss_fn


def _per_token(advantages: Tensor, mask: Tensor) -> Tensor:
    """[rows] or [rows, T] -> [rows, T]."""
    return advantages[:, None] * mask if advantages.ndim == 1 else advantages


def mismatch_metrics(log_prob: Tensor, rollout_log_prob: Tensor, mask: Tensor, num_tokens: int) -> dict[str, Tensor]:
    """How far the trainer's probabilities are from those of the engine that sampled: over tokens, in nats and in
    probability.
    """
    log_diff = torch.where(mask, (log_prob - rollout_log_prob).abs(), 0.0)
    prob_diff = torch.where(mask, (log_prob.exp() - rollout_log_prob.exp()).abs(), 0.0)
    largest = lambda diff: torch.cat([diff.flatten(), diff.new_zeros(1)]).max()  # 0 where there is no token
    return {
        "training/rollout_log_probs_diff_max": largest(log_diff),
        "training/rollout_log_probs_diff_mean": log_diff.sum() / num_tokens,
        "training/rollout_probs_diff_max": largest(prob_diff),
        "training/rollout_probs_diff_mean": prob_diff.sum() / num_tokens,
    }


def sft_loss(inputs: LossInputs, totals: BatchTotals) -> tuple[Tensor, dict[str, Tensor]]:
    """Cross-entropy per answer token over the whole batch, in nats."""
    loss = agg_loss(-inputs.log_prob, inputs.response_mask, "token-mean", **totals.as_info(None))
    return loss, {"train/loss": loss.detach()}
