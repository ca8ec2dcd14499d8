"""Brings the trainer's weights to the rollout replicas as a new version, and checks that they arrived.

Transport `file`: one training worker per node writes safetensors into a versioned directory in shared memory and
renames it; the replicas of that node load it, and it is removed. It works on every device. Transport `ipc`: colocated
processes hand each other the addresses of CUDA tensors (vllm_transfer.py). A replica that is lost on the way is
dropped; one that was restarted takes the current weights from files, whatever the transport.
"""
import asyncio
import logging
import os
import shutil
import tempfile
import threading
import uuid
from collections.abc import Collection
from pathlib import Path

import numpy as np
import psutil

from verl.config.rollout import RolloutConfig
from verl.protocol import DataProto
from verl.single_controller import WorkerGroup
from verl.utils.errors import RunFailure
from verl.utils.ragged import Ragged
from verl.workers.rollout.base import Completion, Request, Sampling
from verl.workers.rollout.replica import ReplicaSet
from verl.workers.rollout.router import RolloutRouter

logger = logging.getLogger(__name__)
PREFIX = "reasoning360-weights"


def shared_memory_directory() -> Path:
    """A fresh path in RAM where the system has one (/dev/shm), else in the temp directory. The same on all nodes."""
    base = Path("/dev/shm") if Path("/dev/shm").is_dir() else Path(tempfile.gettempdir())
    name = f"{PREFIX}-{os.uname().nodename}"  # a driver of another node may be alive though its pid is not known here
    for left in base.glob(f"{name}-*"):  # of drivers on this node that were killed while they published
        owner, pid, _ = left.name.rsplit("-", 2)
        if owner == name and not psutil.pid_exists(int(pid)):
            shutil.rmtree(left, ignore_errors=True)
    return base / f"{name}-{os.getpid()}-{uuid.uuid4().hex[:12]}"


class WeightSync:
    """Publishes versions 1, 2, …; version 0 is what the replicas loaded from disk."""

    def __init__(self, trainer: WorkerGroup, replicas: ReplicaSet, config: RolloutConfig):
        self.trainer, self.replicas, self.dtype = trainer, replicas, config.dtype
        self.transfer = self._through_ipc if config.transport == "ipc" else self._through_files
        self.directory = shared_memory_directory()
        self.version = 0
        self.writing = threading.Lock()  # memory for one copy of the weights, though several replicas may restart

    def publish(self) -> int:
        """Trainer weights -> replicas; -> the new version. Colocated order: wake weights, transfer, wake KV cache."""
        self.version += 1
        self.replicas.wake("weights")
        self.transfer()
        self.replicas.wake("kv_cache")
        return self.version

    async def bring_up(self, replica: int) -> None:
        """Starts a replica that takes a lost one's place, and gives it the current weights; the others go on meanwhile.
        WorkerFailure when it does not start; if it is lost later, it is dropped.
        """
        await asyncio.to_thread(self._bring_up, replica)

    def _bring_up(self, replica: int) -> None:
        self.replicas.start([replica])
        if self.version:
            with self.writing:
                self._through_files([replica])

    def _through_files(self, replicas: Collection[int] | None = None) -> None:
        written = self.trainer.write_weights(str(self.directory / f"version_{self.version}"), self.dtype)
        directories = {
            str(where["ip"]): path for where, path in zip(self.trainer.locations, written, strict=True) if path
        }
        self.replicas.update_weights(self.version, directories, replicas)
        self.trainer.remove_weights(str(self.directory / f"version_{self.version}"))

    def _through_ipc(self) -> None:
        timeout = self.replicas.config.stall_timeout  # less than the ranks wait for one another
        lost = self.trainer.send_weights(self.replicas.handles, self.dtype, timeout)[0]
        for replica, reason in lost.items():
            self.replicas.drop(replica, reason)
        self.replicas.set_version(self.version)

    def close(self) -> None:
        """Removes what is left in shared memory on this node."""
        shutil.rmtree(self.directory, ignore_errors=True)


def probe(trainer: WorkerGroup,
          router: RolloutRouter,
          prompt_ids: np.ndarray,
          sampling: Sampling,
          tolerance: float,
          offloaded: WeightSync | None = None) -> float:
    """Largest |log-prob difference| (nats) between engine and trainer on a greedy completion; RunFailure beyond
    `tolerance`. If the trainer is `offloaded`, there may be no room for it beside the replicas: they sleep while it
    computes, and get their weights anew.
    """
    completion = asyncio.run(_complete(router, Request("probe", prompt_ids, sampling, seed=0)))
    rows = trainer.world_size
    batch = DataProto.from_dict({
        "prompts": Ragged.from_rows([prompt_ids] * rows),
        "responses": Ragged.from_rows([completion.token_ids] * rows)
    })
    if offloaded:
        offloaded.replicas.sleep()
    recomputed = trainer.compute_log_prob(batch).batch["log_probs"][0]
    if offloaded:
        offloaded.publish()
    difference = float(np.abs(recomputed - completion.log_probs).max())
    if not difference <= tolerance:
        raise RunFailure(
            "after the weight sync the rollout engine disagrees with the trainer: log-probs of a probe differ by "
            f"{difference:.2e} (tolerance {tolerance:.0e}). Known cause: an engine version that keeps a stale tied "
            "lm_head; see pyproject.toml for the pinned one, or set actor_rollout_ref.rollout.name=hf")
    logger.info("weight sync probe: log-probs differ by at most %.1e", difference)
    return difference


async def _complete(router: RolloutRouter, request: Request) -> Completion:
    return [completion async for batch in router.generate([[request]]) for completion in batch][0]
