"""Training engines on the CPU, and one step with them."""
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.tensor import DTensor

from verl.config.engine import ActorConfig, FSDPConfig, MixedPrecisionConfig, OptimConfig
from verl.config.model import ModelConfig
from verl.protocol import DataProto
from verl.workers.engine.base import LossFn, MicroBatchBounds
from verl.workers.engine.fsdp import FSDPEngine
from verl.workers.losses import ppo_loss

BOUNDS = MicroBatchBounds(max_tokens=40, size=None)
OPTIM = OptimConfig(lr=1e-2, lr_warmup_steps=2, lr_scheduler_type="cosine", total_training_steps=10)
PPO = ppo_loss(ActorConfig(), loss_scale_factor=12)


@contextmanager
def single_rank() -> Iterator[None]:
    """A process group of this process alone."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        yield
    finally:
        dist.destroy_process_group()


def make_engine(folder: Path | str,
                dtype: str = "fp32",
                param_dtype: str | None = None,
                optim: OptimConfig | None = OPTIM,
                grad_clip: float = 1.0,
                fsdp_size: int = -1,
                offload: bool = False,
                device: str = "cpu",
                **model) -> FSDPEngine:
    """`dtype` of masters and gradients, `param_dtype` (default: the same) of forward and backward."""
    precision = MixedPrecisionConfig(param_dtype=param_dtype or dtype, reduce_dtype=dtype)
    model = ModelConfig(path=str(folder), **{"enable_gradient_checkpointing": False} | model)
    fsdp = FSDPConfig(model_dtype=dtype,
                      mixed_precision=precision,
                      fsdp_size=fsdp_size,
                      param_offload=offload,
                      optimizer_offload=offload)
    return FSDPEngine(model, fsdp, torch.device(device), optim, grad_clip)


def train_step(engine: FSDPEngine,
               batch: DataProto,
               loss_fn: LossFn = PPO,
               bounds: MicroBatchBounds = BOUNDS) -> dict[str, float]:
    """One optimizer step on this rank's rows."""
    return engine.forward_backward(batch, loss_fn, bounds, 1.0, with_entropy=True) | engine.optimizer_step()


def whole(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Gathered copies. Collective."""
    gather = lambda t: t.full_tensor() if isinstance(t, DTensor) else t
    return {name: gather(tensor.detach()).clone() for name, tensor in tensors.items()}


def gradients(engine: FSDPEngine) -> dict[str, Tensor]:
    return whole({name: p.grad for name, p in engine.parameters.items()})


def moments(engine: FSDPEngine) -> dict[str, Tensor]:
    """AdamW's state by parameter and name."""
    state = engine.snapshot(["optimizer"]).parts["optimizer"]["state"]
    return whole({f"{name}.{key}": value for name, entry in state.items() for key, value in entry.items()})
