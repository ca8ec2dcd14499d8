"""Log-probability and entropy of chosen tokens straight from hidden states, in chunks of tokens.

The full [tokens, vocab] logits never exist: each chunk's logits are made, reduced and dropped, and made again in the
backward pass. Reductions run in float32 (float64 for float64 input).
"""
import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

CHUNK_BYTES = 64 << 20  # of one chunk's logits; a few temporaries of the same size live beside it


def _chunks(num_tokens: int, vocab: int, itemsize: int) -> list[slice]:
    size = max(16, CHUNK_BYTES // (vocab * itemsize))
    return [slice(start, min(start + size, num_tokens)) for start in range(0, num_tokens, size)]


def _accumulate_dtype(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32


def _logits(hidden: Tensor, weight: Tensor, temperature: float) -> Tensor:
    """[chunk, vocab] in the accumulation dtype. On CUDA half-precision products are accumulated and kept in float32."""
    if hidden.is_cuda and hidden.dtype in (torch.bfloat16, torch.float16):
        logits = torch.mm(hidden, weight.t(), out_dtype=torch.float32)
    else:
        logits = (hidden @ weight.t()).to(_accumulate_dtype(hidden.dtype))
    return logits if temperature == 1.0 else logits.div_(temperature)


class _LinearLogProb(torch.autograd.Function):

    @staticmethod
    def forward(ctx: FunctionCtx, hidden: Tensor, weight: Tensor, labels: Tensor, temperature: float,
                with_entropy: bool) -> tuple[Tensor, Tensor | None]:
        dtype = _accumulate_dtype(hidden.dtype)
        log_prob = torch.empty(labels.shape, dtype=dtype, device=hidden.device)
        log_norm = torch.empty_like(log_prob)
        entropy = torch.empty_like(log_prob) if with_entropy else None
        for part in _chunks(len(labels), weight.shape[0], log_prob.element_size()):
            logits = _logits(hidden[part], weight, temperature)
            top = logits.amax(dim=-1)
            prob = logits.sub_(top[:, None]).exp()  # times their sum, which divides them below: one pass less
            total = prob.sum(-1)
            norm = total.log()
            log_norm[part] = norm + top
            log_prob[part] = logits.gather(-1, labels[part, None])[:, 0] - norm
            if entropy is not None:
                entropy[part] = norm - torch.linalg.vecdot(prob, logits) / total
        ctx.save_for_backward(hidden, weight, labels, log_norm, entropy)
        ctx.temperature = temperature
        ctx.set_materialize_grads(False)  # an entropy that is only reported costs nothing in backward
        return log_prob, entropy

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, grad_log_prob: Tensor, grad_entropy: Tensor | None) -> tuple[Tensor | None, ...]:
        """d log p(y) / dz = onehot(y) - p;  dH / dz = -p (log p + H), where z = logits / temperature."""
        hidden, weight, labels, log_norm, entropy = ctx.saved_tensors
        if grad_log_prob is None:
            grad_log_prob = torch.zeros_like(log_norm)
        slope = towards = grad_log_prob / ctx.temperature
        if grad_entropy is not None:
            entropy_slope = grad_entropy / ctx.temperature
            slope = slope + entropy_slope * entropy
        grad_hidden = torch.empty_like(hidden)
        grad_weight = torch.zeros(weight.shape, dtype=log_norm.dtype, device=weight.device)
        for part in _chunks(len(labels), weight.shape[0], log_norm.element_size()):
            log_p = _logits(hidden[part], weight, ctx.temperature).sub_(log_norm[part, None])
            slope_of_p = slope[part, None].neg()
            if grad_entropy is not None:
                slope_of_p = torch.addcmul(slope_of_p, log_p, entropy_slope[part, None], value=-1.0)
            grad_logits = log_p.exp_().mul_(slope_of_p)
            grad_logits.scatter_add_(-1, labels[part, None], towards[part, None])
            grad_logits = grad_logits.to(hidden.dtype)
            grad_hidden[part] = grad_logits @ weight
            _add_product(grad_weight, grad_logits, hidden[part])
        return grad_hidden, grad_weight.to(weight.dtype), None, None, None


def _add_product(total: Tensor, grad_logits: Tensor, hidden: Tensor) -> None:
    """total [vocab, hidden] += grad_logits^T hidden, accumulated in the dtype of `total`."""
    if grad_logits.dtype == total.dtype:
        total.addmm_(grad_logits.t(), hidden)
    else:
        total.add_(grad_logits.t() @ hidden)


def linear_log_prob(hidden: Tensor,
                    weight: Tensor,
                    labels: Tensor,
                    temperature: float = 1.0,
                    with_entropy: bool = False) -> tuple[Tensor, Tensor | None]:
    """Log-prob [tokens] of `labels` [tokens] under softmax(hidden [tokens, d] · weight [vocab, d]^T / temperature), in
    nats.

    The second value is the entropy [tokens] of the same distribution, or None unless `with_entropy`.
    """
    return _LinearLogProb.apply(hidden, weight, labels, temperature, with_entropy)
