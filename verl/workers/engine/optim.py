"""AdamW, the learning-rate schedule and gradient clipping."""
import math
from functools import partial

import torch
from torch import nn
from torch.distributed.tensor import DTensor
from torch.optim.lr_scheduler import LambdaLR

from verl.config.engine import OptimConfig


def lr_factor(step: int, *, warmup_steps: int, total_steps: int, kind: str, min_ratio: float,
              num_cycles: float) -> float:
    """Multiplier of the base rate at `step` (0-based): linear warm-up to 1, then constant or cosine decay to
    `min_ratio`.
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    if kind == "constant":
        return 1.0
    progress = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
    cosine = 0.5 * (1.0 + math.cos(math.pi * 2.0 * num_cycles * progress))
    return min_ratio + (1.0 - min_ratio) * max(0.0, cosine)


def build_optimizer(module: nn.Module, config: OptimConfig) -> tuple[torch.optim.AdamW, LambdaLR]:
    """`config.total_training_steps` counts optimizer steps; a negative `lr_warmup_steps` means the ratio counts."""
    optimizer = torch.optim.AdamW(module.parameters(),
                                  lr=config.lr,
                                  betas=tuple(config.betas),
                                  eps=config.eps,
                                  weight_decay=config.weight_decay)
    warmup = config.lr_warmup_steps
    if warmup < 0:
        warmup = int(config.lr_warmup_steps_ratio * max(0, config.total_training_steps))
    factor = partial(lr_factor,
                     warmup_steps=warmup,
                     total_steps=config.total_training_steps,
                     kind=config.lr_scheduler_type,
                     min_ratio=config.min_lr_ratio,
                     num_cycles=config.num_cycles)
    return optimizer, LambdaLR(optimizer, factor)


def clip_gradients(module: nn.Module, max_norm: float) -> float:
    """Clips to `max_norm` over all shards; returns the norm before clipping."""
    norm = torch.nn.utils.clip_grad_norm_(module.parameters(), max_norm)
    return float(norm.full_tensor() if isinstance(norm, DTensor) else norm)
