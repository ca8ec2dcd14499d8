"""What a sequence costs, in floating-point operations."""
import re
from dataclasses import dataclass

import numpy as np
from transformers import PretrainedConfig

# Dense bfloat16 operations per second, of NVIDIA's data sheets, by a part of the name that torch gives.
PEAKS = {
    "A10": 125e12,
    "A100": 312e12,
    "A800": 312e12,
    "L40S": 362e12,
    "H20": 148e12,
    "H100": 989e12,
    "H100 NVL": 835e12,
    "H100 PCIe": 756e12,
    "H800": 989e12,
    "H200": 989e12,
    "B200": 2250e12,
}
BACKWARD = 2  # a backward pass multiplies each weight and each activation gradient: twice the forward


@dataclass(frozen=True)
class ModelCost:
    """Operations of one forward pass of a dense decoder with gated feed-forward layers (Llama, Qwen, Mistral, Gemma).

    A multiply-add is two operations; what is not a matrix product is left out (Kaplan et al., arXiv:2001.08361, 2.1).
    Attention is causal: a query meets the tokens up to itself, those within the window in a sliding layer.

    Attributes:
        per_token: 2 * weights of all layers, each `hidden * head_dim * (2 heads + 2 kv_heads) + 3 hidden *
            intermediate`.
        per_label: 2 * `hidden * vocabulary` of the head, which sees the tokens that predict a response token only.
        per_pair: 4 * `heads * head_dim`, scores and weighted values of one query and one key in one layer.
        windows: of each layer; None is full attention.
    """
    per_token: float
    per_label: float
    per_pair: float
    windows: tuple[int | None, ...]

    @classmethod
    def of(cls, config: PretrainedConfig) -> "ModelCost":
        """From a Hugging Face config."""
        config = config.get_text_config()
        layers, hidden, heads = config.num_hidden_layers, config.hidden_size, config.num_attention_heads
        head_dim = getattr(config, "head_dim", None) or hidden // heads
        kv_heads = getattr(config, "num_key_value_heads", None) or heads
        layer = hidden * head_dim * (2 * heads + 2 * kv_heads) + 3 * hidden * config.intermediate_size
        window = getattr(config, "sliding_window", None)
        kinds = getattr(config, "layer_types", None) or ["sliding_attention" if window else "full_attention"] * layers
        windows = tuple(window if kind == "sliding_attention" else None for kind in kinds)
        return cls(2.0 * layers * layer, 2.0 * hidden * config.vocab_size, 4.0 * heads * head_dim, windows)

    def forward(self, prompt_lengths: np.ndarray, response_lengths: np.ndarray) -> np.ndarray:
        """float64 [rows]: operations of prompts and responses of these lengths [rows]. The last token of a response is
        not read: it predicts nothing.
        """
        lengths = np.asarray(prompt_lengths + np.maximum(response_lengths - 1, 0), np.float64)
        pairs = sum(self.windows.count(window) * causal_pairs(lengths, window) for window in set(self.windows))
        return self.per_token * lengths + self.per_label * response_lengths + self.per_pair * pairs

    def training(self, prompt_lengths: np.ndarray, response_lengths: np.ndarray) -> np.ndarray:
        """float64 [rows]: of a forward and a backward pass, recomputed activations not counted."""
        return (1 + BACKWARD) * self.forward(prompt_lengths, response_lengths)


def causal_pairs(lengths: np.ndarray, window: int | None) -> np.ndarray:
    """Queries times the keys each of them sees, `window` at most (the query's own among them)."""
    seen = lengths if window is None else np.minimum(lengths, window)
    return seen * (seen + 1) / 2 + (lengths - seen) * seen


def device_peak(name: str) -> float | None:
    """Operations per second of the GPU `name` at best; None where we do not know."""
    known = [part for part in PEAKS if re.search(rf"\b{part}\b", name)]
    return PEAKS[max(known, key=len)] if known else None
