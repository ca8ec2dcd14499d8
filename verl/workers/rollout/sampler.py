"""Token sampling for the hf engine, a pure function of logits and one uniform number per row."""
import numpy as np
import torch
from torch import Tensor

from verl.workers.rollout.base import Sampling


def uniforms(seeds: list[int], max_new_tokens: int) -> Tensor:
    """[rows, max_new_tokens] float64 in [0, 1): one counter-based stream (Philox) per seed."""
    rows = [np.random.Generator(np.random.Philox(key=seed)).random(max_new_tokens) for seed in seeds]
    return torch.from_numpy(np.stack(rows))


def processed_log_probs(logits: Tensor, sampling: Sampling, new_tokens: int) -> Tensor:
    """log p [rows, vocab] that is sampled from, after min_new_tokens, temperature, top-k and top-p; float32.

    Greedy, the last three are off, as in vLLM.
    """
    logits = logits.float()
    if new_tokens < sampling.min_new_tokens and sampling.stop_ids:
        logits = logits.index_fill(-1, torch.tensor(sampling.stop_ids, device=logits.device), -torch.inf)
    if sampling.temperature == 0:
        return logits.log_softmax(dim=-1)
    logits = logits / sampling.temperature
    if 0 < sampling.top_k < logits.shape[-1]:
        threshold = logits.topk(sampling.top_k, dim=-1).values[:, -1:]
        logits = logits.masked_fill(logits < threshold, -torch.inf)
    if sampling.top_p < 1:
        logits = _nucleus(logits, sampling.top_p)
    return logits.log_softmax(dim=-1)


def _nucleus(logits: Tensor, top_p: float) -> Tensor:
    """Keeps the smallest set of most likely tokens whose mass reaches `top_p` (Holtzman et al. 2020, arXiv:1904.09751).
    """
    ordered, order = logits.sort(dim=-1, descending=True)
    mass_before = ordered.softmax(dim=-1).cumsum(dim=-1) - ordered.softmax(dim=-1)
    ordered = ordered.masked_fill(mass_before >= top_p, -torch.inf)
    return torch.empty_like(logits).scatter_(-1, order, ordered)


def choose(log_probs: Tensor, uniform: Tensor, greedy: bool) -> Tensor:
    """Token ids [rows] by inverse CDF at `uniform` [rows], or the most likely ones."""
    if greedy:
        return log_probs.argmax(dim=-1)
    cdf = log_probs.double().exp().cumsum(dim=-1)
    point = uniform[:, None].to(cdf.device) * cdf[:, -1:]
    return torch.searchsorted(cdf, point, right=True)[:, 0].clamp_(max=cdf.shape[-1] - 1)
