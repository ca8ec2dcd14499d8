"""The critic's loss."""
from typing import Any

import torch

from verl.algorithms.aggregation import agg_loss


def compute_value_loss(
    vpreds: torch.Tensor,
    returns: torch.Tensor,
    values: torch.Tensor,
    response_mask: torch.Tensor,
    cliprange_value: float,
    loss_agg_mode: str = "token-mean",
    global_batch_info: dict[str, Any] | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """PPO's clipped value loss: max((v - R)², (clip(v, V - c, V + c) - R)²) / 2, aggregated like a policy loss.

    Args:
        vpreds: [rows, T], v, of the critic being trained.
        returns: [rows, T], R, the targets.
        values: [rows, T], V, of the critic that the advantages were computed with.
        response_mask: [rows, T], True (non-zero) where a token counts.
        cliprange_value: c, in units of the reward.
        loss_agg_mode: see `agg_loss`.
        global_batch_info: the counts of the whole mini-batch, as `agg_loss` takes them; None: the tensors at hand.

    Returns:
        loss, and the share of tokens at which the clipped prediction decided (detached): both are shares of the
        mini-batch's value, which add up over micro-batches and ranks.
    """
    info = global_batch_info or {}
    clipped = torch.maximum(torch.minimum(vpreds, values + cliprange_value), values - cliprange_value)
    free, bounded = (vpreds - returns).square(), (clipped - returns).square()
    loss = 0.5 * agg_loss(torch.maximum(free, bounded), response_mask, loss_agg_mode, **info)
    decided = (bounded > free).to(vpreds.dtype)
    clipfrac = agg_loss(decided, response_mask, "token-mean", batch_num_tokens=info.get("batch_num_tokens"))
    return loss, clipfrac
