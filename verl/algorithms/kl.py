"""Estimates of the KL divergence from samples, per token (J. Schulman, "Approximating KL Divergence", 2020)."""
import torch


def kl_penalty(logprob: torch.Tensor, ref_logprob: torch.Tensor, kl_penalty: str) -> torch.Tensor:
    """Estimate KL(policy || reference) at each sampled token.

    With d = logprob - ref_logprob:
        kl, k1:          d, unbiased, of either sign
        abs:             |d|
        mse, k2:         d²/2, biased; its gradient is the unbiased one of the KL
        low_var_kl, k3:  exp(-d) + d - 1, unbiased, never negative; d clamped to ±20 and the result to ±10
    A trailing "+" (k1+, k3+) keeps the value and takes the gradient of k2.

    Args:
        logprob: any shape, of the policy being trained.
        ref_logprob: the same shape, of the reference.
        kl_penalty: a name from the list (`actor.kl_loss_type`).
    """
    name = kl_penalty.removesuffix("+")
    value = _estimate(logprob - ref_logprob, name)
    if name == kl_penalty:
        return value
    k2 = _estimate(logprob - ref_logprob, "k2")
    return value.detach() + k2 - k2.detach()


def _estimate(log_ratio: torch.Tensor, name: str) -> torch.Tensor:
    if name in ("kl", "k1"):
        return log_ratio
    if name == "abs":
        return log_ratio.abs()
    if name in ("mse", "k2"):
        return log_ratio.square() / 2
    if name in ("low_var_kl", "k3"):
        log_ratio = log_ratio.clamp(-20, 20)
        return ((-log_ratio).exp() + log_ratio - 1).clamp(-10, 10)
    if name == "full":
        raise NotImplementedError("kl_loss_type=full needs the whole vocabulary's logits of both models; use k3")
    raise ValueError(f"kl_loss_type={name!r}: take one of kl, k1, abs, mse, k2, low_var_kl, k3, or one of them with +")
