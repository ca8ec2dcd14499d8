"""The root of main_sft's config."""
from dataclasses import dataclass
from typing import Any

from verl.config.data import TRUNCATIONS
from verl.config.engine import CheckpointConfig, FSDPConfig, OptimConfig
from verl.config.fields import group, key
from verl.config.model import ModelConfig
from verl.config.trainer import RayKwargsConfig, TrainerConfig


@dataclass(frozen=True)
class SFTDataConfig:
    """Examples to imitate: prompt and response, or messages."""
    train_files: list[str] = key([], "parquet or JSON files to train on; required")
    val_files: list[str] = key([], "parquet or JSON files to validate on")
    prompt_key: str = key("prompt", "column of the prompt (text or messages)")
    response_key: str = key("response", "column of the answer")
    messages_key: str = key("messages", "column of whole conversations, used where a row has it")
    train_batch_size: int = key(256, "rows per optimizer step, over all devices", at_least=1)
    max_length: int = key(1024, "longest row, in tokens", at_least=1)
    truncation: str = key("error", "what to do with longer rows: stop, or cut off that end", choices=TRUNCATIONS)
    shuffle: bool = key(True, "draw rows in random order")
    seed: int | None = key(1, "seed of that order; null: 0")
    train_max_samples: int = key(-1, "use at most so many training rows; -1: all", at_least=-1)
    val_max_samples: int = key(-1, "use at most so many validation rows; -1: all", at_least=-1)
    apply_chat_template_kwargs: dict[str, Any] = key({}, "passed to the tokenizer's chat template")
    micro_batch_size_per_gpu: int | None = key(None, "rows per forward-backward on a device", at_least=1)
    use_dynamic_bsz: bool = key(True, "fill micro-batches up to max_token_len_per_gpu instead of counting rows")
    max_token_len_per_gpu: int = key(8192, "hard cap on the tokens of a micro-batch", at_least=1)


@dataclass(frozen=True)
class SFTConfig:
    """Supervised fine-tuning: `python -m verl.trainer.main_sft`."""
    data: SFTDataConfig = group(SFTDataConfig)
    model: ModelConfig = group(ModelConfig)
    optim: OptimConfig = group(OptimConfig, lr=1e-5)
    fsdp_config: FSDPConfig = group(FSDPConfig)
    grad_clip: float = key(1.0, "largest norm of the gradient", above=0)
    checkpoint: CheckpointConfig = group(CheckpointConfig)
    trainer: TrainerConfig = group(TrainerConfig)
    ray_kwargs: RayKwargsConfig = group(RayKwargsConfig)
