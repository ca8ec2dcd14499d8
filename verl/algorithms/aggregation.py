"""From a loss per token to one number whose gradient does not depend on how the batch was split."""
import torch

LOSS_AGG_MODES = ("token-mean", "seq-mean-token-sum", "seq-mean-token-mean", "seq-mean-token-sum-norm")


def agg_loss(
    loss_mat: torch.Tensor,
    loss_mask: torch.Tensor,
    loss_agg_mode: str,
    dp_size: int = 1,
    batch_num_tokens: int | None = None,
    global_batch_size: int | None = None,
    loss_scale_factor: int | None = None,
) -> torch.Tensor:
    """This micro-batch's share of the mini-batch's loss: shares add up over micro-batches and ranks.

    With l the loss and m the mask of sequence i at token t, N = batch_num_tokens, S = global_batch_size,
    L = loss_scale_factor:
        token-mean:               sum_i sum_t m l / N
        seq-mean-token-sum:       sum_i sum_t m l / S
        seq-mean-token-mean:      sum_i (sum_t m l / sum_t m) / S
        seq-mean-token-sum-norm:  sum_i sum_t m l / (L S)    (Dr. GRPO, arXiv:2503.20783)

    Args:
        loss_mat: [rows, T]; what the mask leaves out is not read.
        loss_mask: [rows, T], True (non-zero) where a token counts. A sequence lies in one micro-batch as a whole.
        loss_agg_mode: one of LOSS_AGG_MODES.
        dp_size: factor on the result, for an engine that averages gradients over ranks instead of adding them.
        batch_num_tokens: masked tokens of the whole mini-batch, all ranks; None: of `loss_mask`.
        global_batch_size: sequences of the whole mini-batch, all ranks, that have at least one masked token (one
            without has no loss to average); None: of `loss_mask`.
        loss_scale_factor: tokens, a constant of the run such as the longest response allowed; None: T, which is right
            only where the padding is constant too.

    Returns:
        0-d, in the dtype of `loss_mat`; 0 where nothing counts.
    """
    mask = loss_mask.bool()
    token_losses = loss_mat.where(mask, 0)
    if loss_agg_mode == "token-mean":
        count = mask.sum() if batch_num_tokens is None else batch_num_tokens
        return dp_size * token_losses.sum() / _at_least_one(count)
    tokens = mask.sum(-1)
    losses = token_losses.sum(-1)
    if loss_agg_mode == "seq-mean-token-mean":
        losses = losses / tokens.clamp(min=1)
    elif loss_agg_mode == "seq-mean-token-sum-norm":
        losses = losses / (loss_mask.shape[-1] if loss_scale_factor is None else loss_scale_factor)
    elif loss_agg_mode != "seq-mean-token-sum":
        raise ValueError(f"actor_rollout_ref.actor.loss_agg_mode={loss_agg_mode!r}: take one of {LOSS_AGG_MODES}")
    count = (tokens > 0).sum() if global_batch_size is None else global_batch_size
    return dp_size * losses.sum() / _at_least_one(count)


def _at_least_one(count: int | torch.Tensor) -> int | torch.Tensor:
    return count.clamp(min=1) if isinstance(count, torch.Tensor) else max(count, 1)
