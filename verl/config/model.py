"""The language model: the `actor_rollout_ref.model` keys."""
from dataclasses import dataclass
from typing import Any

from verl.config.fields import key


@dataclass(frozen=True)
class ModelConfig:
    """A causal LM in Hugging Face format, shared by actor, reference and rollout."""
    path: str = key("", "local folder or hub id of the model; required")
    tokenizer_path: str | None = key(None, "local folder or hub id of the tokenizer; null: the model's")
    trust_remote_code: bool = key(False, "run code that comes with the model")
    enable_gradient_checkpointing: bool = key(True, "recompute activations in the backward pass to save memory")
    enable_activation_offload: bool = key(False, "keep what checkpointed layers need for that in host memory")
    use_remove_padding: bool = key(True, "pack sequences, never pad")
    override_config: dict[str, Any] = key({}, "entries to change in the model's own config.json")
