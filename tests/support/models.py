"""Tiny random causal LMs of the families that are tested packed."""
from pathlib import Path

import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

SIZES = {
    "vocab_size": 61,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 128,
    "bos_token_id": None,
    "eos_token_id": 1,
    "pad_token_id": 0,
    "initializer_range": 0.2,
}
FAMILIES = {
    "llama":
        lambda: LlamaForCausalLM(LlamaConfig(**SIZES)),
    "qwen2":
        lambda: Qwen2ForCausalLM(Qwen2Config(**{
            k: v for k, v in SIZES.items() if k != "head_dim"
        })),
    "qwen2_tied":
        lambda: Qwen2ForCausalLM(
            Qwen2Config(**{
                k: v for k, v in SIZES.items() if k != "head_dim"
            }, tie_word_embeddings=True)),
    "qwen3":
        lambda: Qwen3ForCausalLM(Qwen3Config(**SIZES)),
    "mistral":
        lambda: MistralForCausalLM(MistralConfig(**SIZES, sliding_window=4)),
}


def make_model(family: str, seed: int = 0) -> PreTrainedModel:
    """Random float32 weights that depend on `seed` alone."""
    torch.manual_seed(seed)
    model = FAMILIES[family]()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:  # norms and biases start at constants, which hides faults
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def save_model(family: str, folder: Path, seed: int = 0) -> Path:
    """Writes the model as a Hugging Face folder."""
    make_model(family, seed).save_pretrained(folder)
    return folder
