"""Starts what every run needs: Ray and the training workers."""
import os
import socket
from typing import Any

import ray
import torch

from verl.config.engine import FSDPConfig, OptimConfig
from verl.config.model import ModelConfig
from verl.config.trainer import RayKwargsConfig, TrainerConfig
from verl.single_controller import ResourcePool, WorkerGroup
from verl.utils.external import VARIABLE as EXTERNAL_MODULES
from verl.workers.train_worker import TrainWorker

CONNECT_TIMEOUT = 10.0  # s


def resolve_device(device: str) -> str:
    """`auto` is cuda where this machine has one. ValueError for cuda without one."""
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("trainer.device=cuda, but torch sees no CUDA device here; set trainer.device=cpu or auto")
    return ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device


def start_ray(config: RayKwargsConfig) -> None:
    """Joins the cluster of `ray_init.address` or RAY_ADDRESS, else starts one on this machine."""
    address = config.ray_init.address or os.environ.get("RAY_ADDRESS")
    options: dict[str, Any] = {
        "address": address
    } if address else {
        "num_cpus": config.ray_init.num_cpus,
        "include_dashboard": False
    }
    if address and ":" in address:
        _check_reachable(address)
    ray.init(log_to_driver=True, configure_logging=False, **options)


def _check_reachable(address: str) -> None:
    """Ray itself waits for minutes."""
    host, port = address.rpartition("://")[2].rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_TIMEOUT).close()
    except OSError as error:
        raise ValueError(f"no Ray cluster answers at {address} ({error}); correct ray_kwargs.ray_init.address or "
                         "RAY_ADDRESS, or unset both to start one here") from error


def threads_per_process(processes_per_node: int) -> dict[str, str]:
    """Environment that shares a node's cores among so many processes of one kind (training and generation take turns).

    An idle thread spins for a moment, then sleeps: by default GNU OpenMP spins for milliseconds, which multiplies the
    time of small operations as soon as another process wants the core.
    """
    threads = max(1, (os.cpu_count() or 1) // processes_per_node)
    return {"OMP_NUM_THREADS": str(threads), "GOMP_SPINCOUNT": "20000"}


def start_trainer(config: TrainerConfig, pool: ResourcePool, nccl_timeout: float) -> WorkerGroup:
    """One training worker per device, joined into one process group."""
    env = threads_per_process(config.n_gpus_per_node) if pool.device == "cpu" else {}
    env |= {name: os.environ[name] for name in (EXTERNAL_MODULES,) if name in os.environ}
    group = WorkerGroup("train", TrainWorker, pool, pool.device, call_timeout=config.call_timeout, env=env)
    group.join(group.free_address(), nccl_timeout)
    if config.worker_memory_limit_gb:
        group.limit_memory(config.worker_memory_limit_gb)
    return group


def load_models(group: WorkerGroup, model: ModelConfig, fsdp: FSDPConfig, optim: OptimConfig, grad_clip: float,
                ref: FSDPConfig | None) -> None:
    """The actor, and the reference model where `ref` says how to shard it. The critic has its own `load_critic`."""
    group.load_actor(model, fsdp, optim, grad_clip)
    if ref is not None:
        group.load_ref(model, ref)
