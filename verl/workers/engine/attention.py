"""Attention over packed sequences, registered with transformers under the name PACKED_ATTENTION.

The tokens of a micro-batch lie end to end in one row, [1, heads, tokens, head_dim]; no token sees another sequence.
CUDA in half precision uses one variable-length flash kernel. Elsewhere each run of equally long sequences is one SDPA
call over a view of shape [count, heads, length, head_dim]: nothing is padded.

A prompt that several sequences share lies in the row once, in the first of them. The others have queries for their own
tokens only, and their keys and values begin with copies of the prompt's: a query is as far from the end of the queries
as its own key is from the end of the keys.
"""
import importlib.util
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from transformers import AttentionInterface

PACKED_ATTENTION = "packed"

FULL_BLOCK = 512  # keys; up to here a mask is faster on CPUs (1.3 times) than queries whose output is dropped

Run = tuple[int, int, int]  # (number of sequences, their common number of queries, of keys)


class TakeTokens(torch.autograd.Function):
    """x [tokens, ...] -> [places, ...]; a token's gradient is the sum over its places, in float32 at least (on CUDA in
    any order).
    """

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, token_of: Tensor) -> Tensor:
        ctx.save_for_backward(token_of)
        ctx.tokens = len(x)
        return x.index_select(0, token_of)

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor, None]:
        total = torch.promote_types(grad.dtype, torch.float32)
        sums = grad.new_zeros((ctx.tokens, *grad.shape[1:]), dtype=total)
        return sums.index_add_(0, ctx.saved_tensors[0], grad.to(total)).to(grad.dtype), None


def runs_of_equal_length(queries: Sequence[int], keys: Sequence[int]) -> list[Run]:
    """Consecutive sequences of as many `queries` and as many `keys` as runs; every sequence has both."""
    runs: list[Run] = []
    for lengths in zip(map(int, queries), map(int, keys), strict=True):
        if runs and runs[-1][1:] == lengths:
            runs[-1] = (runs[-1][0] + 1, *lengths)
        else:
            runs.append((1, *lengths))
    return runs


def _mask(queries: int, keys: int, window: int | None, device: torch.device) -> Tensor | None:
    """[queries, keys] bool: a query sees its own key and those before it, `window` in all. None where `is_causal` says
    it all.
    """
    if queries == keys and (window is None or window >= keys):
        return None
    position = torch.arange(keys, device=device)
    distance = position[keys - queries:, None] - position[None, :]
    return (distance >= 0) & (distance < (keys if window is None else window))


def _sdpa(query: Tensor, key: Tensor, value: Tensor, runs: Sequence[Run], scaling: float, window: int | None) -> Tensor:
    """[tokens, heads, head_dim]. One split per tensor, not a slice per run: its backward pass is one concatenation."""
    queries, keys = ([run[0] * run[side] for run in runs] for side in (1, 2))
    parts = zip(query[0].split(queries, dim=1), *(x[0].split(keys, dim=1) for x in (key, value)), runs, strict=True)
    return torch.cat([_sdpa_run(*part, scaling, window) for part in parts])


def _sdpa_run(query: Tensor, key: Tensor, value: Tensor, run: Run, scaling: float, window: int | None) -> Tensor:
    count, queries, keys = run
    rows = lambda x, length: x.view(x.shape[0], count, length, x.shape[2]).transpose(0, 1)
    q, k, v = rows(query, queries), rows(key, keys), rows(value, keys)
    if queries < keys > FULL_BLOCK:
        q = F.pad(q, (0, 0, keys - queries, 0))  # causal attention leaves out whole blocks, a mask never does
    mask = _mask(q.shape[2], keys, window, query.device)
    out = F.scaled_dot_product_attention(q,
                                         k,
                                         v,
                                         attn_mask=mask,
                                         is_causal=mask is None,
                                         scale=scaling,
                                         enable_gqa=query.shape[0] != key.shape[0])[:, :, -queries:]
    return out.transpose(1, 2).reshape(count * queries, *out.shape[1::2])


def _varlen(query: Tensor, key: Tensor, value: Tensor, lengths: tuple[Tensor, Tensor, int, int], scaling: float,
            window: int | None) -> Tensor:
    """`lengths`: where queries and keys of each sequence begin and end, and the most of each. Both kernels align the
    ends of queries and keys.
    """
    q, k, v = (x[0].transpose(0, 1) for x in (query, key, value))  # [total, heads, head_dim]
    left = -1 if window is None else window - 1
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
                     cu_seq_lens_k: Tensor,
                     max_length_q: int,
                     max_length_k: int,
                     key_tokens: Tensor | None = None,
                     dropout: float = 0.0,
                     sliding_window: int | None = None,
                     softcap: float | None = None,
                     **unused: object) -> tuple[Tensor, None]:
    """Attention function for transformers. query [1, heads, tokens, head_dim] -> ([1, tokens, heads, head_dim], None).

    Args:
        key_tokens: int64 [all keys], the token of each key where sequences share prompts; None: every token is one key.
    """
    name = type(module).__name__
    if dropout:
        raise ValueError(f"{name}: attention dropout {dropout} makes old and new log-probs differ; set "
                         "+actor_rollout_ref.model.override_config.attention_dropout=0")
    if softcap is not None or unused.get("s_aux") is not None:
        raise ValueError(f"{name}: soft-capped or sink attention is not tested on packed sequences")
    assert attention_mask is None, "packed sequences are separated by cu_seq_lens, not by a mask"
    if key_tokens is not None:
        key, value = (TakeTokens.apply(x[0].transpose(0, 1), key_tokens).transpose(0, 1)[None] for x in (key, value))
    if query.is_cuda and query.dtype in (torch.bfloat16, torch.float16):
        lengths = cu_seq_lens_q, cu_seq_lens_k, max_length_q, max_length_k
        return _varlen(query, key, value, lengths, scaling, sliding_window)[None], None
    return _sdpa(query, key, value, sequence_runs, scaling, sliding_window)[None], None


AttentionInterface.register(PACKED_ATTENTION, packed_attention)
