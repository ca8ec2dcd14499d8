"""KV cache and attention for decoding one token a step: nothing is copied that stays as it was.

transformers' DynamicLayer copies all keys and values each step, and its SDPA copies them again for every query head of
a group. Here steps write into room that was made ahead, and the query heads of a group are the queries of one call.
"""
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AttentionInterface, DynamicCache, PretrainedConfig
from transformers.cache_utils import DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, AttentionMaskInterface

DECODE_ATTENTION = "decode"
ROOM = 64  # steps between two growths


class RoomyLayer(DynamicLayer):
    """Keys and values [rows, heads, room, head_dim], of which the first `length` positions are filled."""

    def __init__(self) -> None:
        super().__init__()
        self.length = 0

    def update(self, key_states: Tensor, value_states: Tensor, *args: object,
               **kwargs: object) -> tuple[Tensor, Tensor]:
        end = self.length + key_states.shape[2]
        if not self.is_initialized:
            self.dtype, self.device, self.is_initialized = key_states.dtype, key_states.device, True
            self.keys, self.values = key_states, value_states  # a prompt; its room comes with the first step after it
        else:
            if end > self.keys.shape[2]:
                self.keys, self.values = self._grown(self.keys, end), self._grown(self.values, end)
            self.keys[:, :, self.length:end] = key_states
            self.values[:, :, self.length:end] = value_states
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def _grown(self, old: Tensor, end: int) -> Tensor:
        new = old.new_empty(*old.shape[:2], end + ROOM, old.shape[3])
        new[:, :, :self.length] = old[:, :, :self.length]
        return new

    def get_seq_length(self) -> int:
        return self.length


def roomy_cache(config: PretrainedConfig) -> DynamicCache:
    """A cache of the model's own layer kinds, with the plain ones replaced."""
    cache = DynamicCache(config=config)
    cache.layers = [RoomyLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


def decode_attention(module: nn.Module,
                     query: Tensor,
                     key: Tensor,
                     value: Tensor,
                     attention_mask: Tensor | None,
                     scaling: float | None = None,
                     **kwargs: object) -> tuple[Tensor, None]:
    """Attention function for transformers. One query [rows, heads, 1, head_dim] per row: the heads that share keys
    become the queries of one head. More queries, as in a prompt: transformers' own.
    """
    rows, heads, queries, head_dim = query.shape
    if queries > 1:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **kwargs)
    out = F.scaled_dot_product_attention(query.reshape(rows, key.shape[1], -1, head_dim),
                                         key,
                                         value,
                                         attn_mask=attention_mask,
                                         scale=scaling)
    return out.reshape(rows, 1, heads, head_dim), None


AttentionInterface.register(DECODE_ATTENTION, decode_attention)
AttentionMaskInterface.register(DECODE_ATTENTION, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])
