"""Attention over packed sequences, registered with transformers under the name PACKED_ATTENTION.

The tokens of a micro-batch lie end to end in one row, [1, heads, total_tokens, head_dim]; no token sees another
sequence. CUDA in half precision uses one variable-length flash kernel. Elsewhere each run of equally long sequences is
one causal SDPA call over a view of shape [count, heads, length, head_dim]: nothing is padded and nothing is copied.
"""
import importlib.util
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AttentionInterface

PACKED_ATTENTION = "packed"

Run = tuple[int, int, int]  # (first token, number of sequences, their common length)


def runs_of_equal_length(lengths: Sequence[int]) -> list[Run]:
    """Consecutive equal `lengths` as runs; zero-length sequences take no tokens and are left out."""
    runs: list[Run] = []
    start = 0
    for length in (int(n) for n in lengths):
        if runs and runs[-1][2] == length:
            first, count, _ = runs[-1]
            runs[-1] = (first, count + 1, length)
        elif length:
            runs.append((start, 1, length))
        start += length
    return runs


def _window_mask(length: int, window: int, device: torch.device) -> Tensor:
    """[length, length] bool: query i sees keys i-window+1 … i (the window counts the query itself)."""
    position = torch.arange(length, device=device)
    distance = position[:, None] - position[None, :]
    return (distance >= 0) & (distance < window)


def _sdpa(query: Tensor, key: Tensor, value: Tensor, runs: Sequence[Run], scaling: float, window: int | None) -> Tensor:
    """[total, heads, head_dim]. One split per tensor, not a slice per run: its backward pass is one concatenation."""
    sizes = [count * length for _, count, length in runs]
    parts = zip(*(x[0].split(sizes, dim=1) for x in (query, key, value)), strict=True)
    return torch.cat([_sdpa_run(*part, run, scaling, window) for part, run in zip(parts, runs, strict=True)])


def _sdpa_run(query: Tensor, key: Tensor, value: Tensor, run: Run, scaling: float, window: int | None) -> Tensor:
    _, count, length = run
    rows = lambda x: x.view(x.shape[0], count, length, x.shape[2]).transpose(0, 1)
    mask = _window_mask(length, window, query.device) if window is not None and window < length else None
    out = F.scaled_dot_product_attention(rows(query),
                                         rows(key),
                                         rows(value),
                                         attn_mask=mask,
                                         is_causal=mask is None,
                                         scale=scaling,
                                         enable_gqa=query.shape[0] != key.shape[0])
    return out.transpose(1, 2).reshape(count * length, *out.shape[1::2])


def _varlen(query: Tensor, key: Tensor, value: Tensor, cu_seqlens: Tensor, max_length: int, scaling: float,
            window: int | None) -> Tensor:
    q, k, v = (x[0].transpose(0, 1) for x in (query, key, value))  # [total, heads, head_dim]
    left = -1 if window is None else window - 1
    lengths = (cu_seqlens, cu_seqlens, max_length, max_length)
    if importlib.util.find_spec("flash_attn") is not None:
        from flash_attn import flash_attn_varlen_func
        return flash_attn_varlen_func(q, k, v, *lengths, softmax_scale=scaling, causal=True, window_size=(left, -1))
    from torch.nn.attention.varlen import varlen_attn
    grouped = q.shape[1] != k.shape[1]
    return varlen_attn(q, k, v, *lengths, scale=scaling, window_size=(left, 0), enable_gqa=grouped)


def packed_attention(module: nn.Module,
                     query: Tensor,
                     key: Tensor,
                     value: Tensor,
                     attention_mask: Tensor | None,
                     *,
                     scaling: float,
                     sequence_runs: list[Run],
                     cu_seq_lens_q: Tensor,
                     max_length_q: int,
                     dropout: float = 0.0,
                     sliding_window: int | None = None,
                     softcap: float | None = None,
                     **unused: object) -> tuple[Tensor, None]:
    """Attention function for transformers. query [1, heads, total, head_dim] -> ([1, total, heads, head_dim], None)."""
    name = type(module).__name__
    if dropout:
        raise ValueError(f"{name}: attention dropout {dropout} makes old and new log-probs differ; set "
                         "+actor_rollout_ref.model.override_config.attention_dropout=0")
    if softcap is not None or unused.get("s_aux") is not None:
        raise ValueError(f"{name}: soft-capped or sink attention is not tested on packed sequences")
    assert attention_mask is None, "packed sequences are separated by cu_seq_lens, not by a mask"
    if query.is_cuda and query.dtype in (torch.bfloat16, torch.float16):
        return _varlen(query, key, value, cu_seq_lens_q, max_length_q, scaling, sliding_window)[None], None
    return _sdpa(query, key, value, sequence_runs, scaling, sliding_window)[None], None


AttentionInterface.register(PACKED_ATTENTION, packed_attention)
