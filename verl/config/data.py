"""Where prompts come from: the `data` keys."""
from dataclasses import dataclass
from typing import Any

from verl.config.fields import key

TRUNCATIONS = ("error", "left", "right", "middle")


@dataclass(frozen=True)
class DataConfig:
    """Training and validation prompts."""
    train_files: list[str] = key([], "parquet or JSON files to train on; required")
    val_files: list[str] = key([], "parquet or JSON files to validate on")
    prompt_key: str = key("prompt", "column that holds the chat messages")
    reward_fn_key: str = key("data_source", "column that picks the reward function")
    max_prompt_length: int = key(512, "longest prompt, in tokens", at_least=1)
    max_response_length: int = key(512, "longest answer, in tokens", at_least=1)
    train_batch_size: int = key(1024, "prompts per training step", at_least=1)
    val_batch_size: int | None = key(None, "prompts per validation batch; null: all at once", at_least=1)
    shuffle: bool = key(True, "draw training prompts in random order")
    seed: int | None = key(1, "seed of that order; null: 0")
    filter_overlong_prompts: bool = key(False, "drop (and count) prompts longer than max_prompt_length")
    truncation: str = key("error", "what to do with longer prompts: stop, or cut off that end", choices=TRUNCATIONS)
    train_max_samples: int = key(-1, "use at most so many training rows; -1: all", at_least=-1)
    val_max_samples: int = key(-1, "use at most so many validation rows; -1: all", at_least=-1)
    trust_remote_code: bool = key(False, "run code that comes with the tokenizer")
    apply_chat_template_kwargs: dict[str, Any] = key({}, "passed to the tokenizer's chat template")
