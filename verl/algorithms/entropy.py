"""Entropy of the policy's next-token distribution."""
import torch

from verl.algorithms.aggregation import agg_loss


def entropy_from_logits(logits: torch.Tensor) -> torch.Tensor:
    """Nats: [..., vocabulary] -> [...]."""
    log_probs = logits.log_softmax(-1)
    return -(log_probs.exp() * log_probs).sum(-1)


def compute_entropy_loss(
    logits: torch.Tensor,
    response_mask: torch.Tensor,
    loss_agg_mode: str = "token-mean",
) -> torch.Tensor:
    """Entropy [rows, T, vocabulary] -> 0-d, aggregated like a loss over the masked tokens at hand."""
    return agg_loss(entropy_from_logits(logits), response_mask, loss_agg_mode)
