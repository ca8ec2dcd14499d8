"""The training worker: one process per device, actor and reference model on one engine each.

A step's rows arrive once (`load_batch`) and stay; the methods after it add columns to them. Only metrics go back to the
driver.
"""
import datetime
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from ray.actor import ActorHandle

from verl.config.engine import CHECKPOINT_PARTS, ActorConfig, FSDPConfig, OptimConfig
from verl.config.model import ModelConfig
from verl.protocol import DataProto
from verl.single_controller import Dispatch, Worker, register
from verl.utils.external import import_external_modules
from verl.workers.engine.base import MicroBatchBounds
from verl.workers.engine.fsdp import FSDPEngine
from verl.workers.losses import mismatch_metrics, ppo_loss, sft_loss


class TrainWorker(Worker):
    """Holds the actor (always) and the reference model (when a KL term needs it)."""

    def __init__(self, device: str):
        super().__init__()
        import_external_modules()  # losses are looked up here
        self.device = torch.device(device)  # Ray shows each worker its own GPU only, as device 0
        self.batch: DataProto | None = None

    @register(Dispatch.ONE_TO_ALL)
    def join(self, address: tuple[str, int], timeout: float) -> None:
        """Forms the process group that meets at `address`; collectives give up after `timeout` seconds."""
        if self.device.type == "cuda":
            torch.cuda.set_device(0)
        dist.init_process_group("cpu:gloo,cuda:nccl" if self.device.type == "cuda" else "gloo",
                                init_method=f"tcp://{address[0]}:{address[1]}",
                                rank=self.rank,
                                world_size=self.world_size,
                                timeout=datetime.timedelta(seconds=timeout))

    @register(Dispatch.ONE_TO_ALL)
    def load_actor(self, model: ModelConfig, fsdp: FSDPConfig, optim: OptimConfig, grad_clip: float) -> int:
        """Builds the trained model and its optimizer; -> its number of parameters."""
        self.actor = FSDPEngine(model, fsdp, self.device, optim, grad_clip)
        return sum(p.numel() for p in self.actor.parameters.values())

    @register(Dispatch.ONE_TO_ALL)
    def load_ref(self, model: ModelConfig, fsdp: FSDPConfig) -> None:
        """Builds the frozen reference model."""
        self.ref = FSDPEngine(model, fsdp, self.device)

    @register(Dispatch.DP_COMPUTE_PROTO)
    def load_batch(self, batch: DataProto) -> None:
        """Takes this rank's rows of a step."""
        self.batch = batch

    @register(Dispatch.DP_COMPUTE_PROTO)
    def compute_log_prob(self, batch: DataProto, temperature: float = 1.0) -> DataProto:
        """`log_probs`, `entropys` of the responses of `batch`, one sequence at a time; for probes and tests."""
        return self.actor.forward(batch, MicroBatchBounds(max_tokens=None, size=1), temperature)

    @register(Dispatch.ONE_TO_ALL)
    def old_log_prob(self, bounds: MicroBatchBounds, temperature: float) -> dict[str, float]:
        """Adds `old_log_probs`; -> how far the rollout engine's are from them."""
        log_probs = self.actor.forward(self.batch, bounds, temperature).batch["log_probs"]
        self.batch.batch["old_log_probs"] = log_probs
        rollout = self.batch.batch["rollout_log_probs"].values
        mask = torch.from_numpy(self.batch.batch["response_mask"].values.astype(bool))
        tokens = self.actor.reduce_metrics({"tokens": mask.sum()})["tokens"]
        return self.actor.reduce_metrics(
            mismatch_metrics(torch.from_numpy(log_probs.values), torch.tensor(rollout), mask, int(tokens)))

    @register(Dispatch.ONE_TO_ALL)
    def ref_log_prob(self, bounds: MicroBatchBounds, temperature: float) -> None:
        """Adds `ref_log_prob`."""
        self.batch.batch["ref_log_prob"] = self.ref.forward(self.batch, bounds, temperature).batch["log_probs"]

    @register(Dispatch.ONE_TO_ALL)
    def update_actor(self, config: ActorConfig, bounds: MicroBatchBounds, temperature: float, mini_batches: int,
                     loss_scale_factor: int) -> dict[str, float]:
        """`ppo_epochs` passes over the held rows in `mini_batches` consecutive parts each; -> metrics averaged over the
        updates.
        """
        with_entropy = config.entropy_coeff != 0 or config.calculate_entropy
        loss_fn = ppo_loss(config, loss_scale_factor)
        updates = []
        for _ in range(config.ppo_epochs):
            for part in self.batch.chunk(mini_batches):
                metrics = self.actor.forward_backward(part, loss_fn, bounds, temperature, with_entropy)
                step = self.actor.optimizer_step()
                updates.append(metrics | {f"actor/{name}": value for name, value in step.items()})
        if self.device.type == "cuda":
            torch.cuda.empty_cache()  # the replicas that wake next share this memory
        return average_updates(updates)

    @register(Dispatch.ONE_TO_ALL)
    def update_sft(self, bounds: MicroBatchBounds) -> dict[str, float]:
        """One optimizer step on the held rows."""
        metrics = self.actor.forward_backward(self.batch, sft_loss, bounds, 1.0, False)
        return metrics | {f"train/{name}": value for name, value in self.actor.optimizer_step().items()}

    @register(Dispatch.ONE_TO_ALL)
    def evaluate_sft(self, bounds: MicroBatchBounds) -> dict[str, float]:
        """Cross-entropy per answer token of the held rows, in nats."""
        log_probs = self.actor.forward(self.batch, bounds, 1.0).batch["log_probs"].values
        mask = self.batch.batch["response_mask"].values.astype(bool)
        sums = self.actor.reduce_metrics({
            "loss": torch.tensor(-log_probs[mask].sum(dtype=np.float64)),
            "tokens": torch.tensor(mask.sum())
        })
        return {"val/loss": sums["loss"] / max(1.0, sums["tokens"])}

    @register(Dispatch.ONE_TO_ALL)
    def save_checkpoint(self, directory: str, contents: Sequence[str] = CHECKPOINT_PARTS) -> None:
        """Writes these parts of the actor's state under `directory`, which all nodes share."""
        Path(directory).mkdir(parents=True, exist_ok=True)
        self.actor.save(Path(directory), contents)

    @register(Dispatch.ONE_TO_ALL)
    def load_checkpoint(self, directory: str, contents: Sequence[str] = CHECKPOINT_PARTS) -> None:
        """Reads these parts of what `save_checkpoint` wrote."""
        self.actor.load(Path(directory), contents)

    @register(Dispatch.ONE_TO_ALL)
    def export_hf(self, directory: str) -> None:
        """Writes the actor as a Hugging Face folder."""
        Path(directory).mkdir(parents=True, exist_ok=True)
        self.actor.export_hf(Path(directory))

    @register(Dispatch.ONE_TO_ALL)
    def write_weights(self, directory: str, dtype: str) -> str:
        """Writes the whole weights once per node, complete or not at all; -> the node's folder on its writer, else ''.
        """
        writer, final = self.local_rank == 0, self._weights_folder(directory)
        partial = final.with_suffix(".partial")
        if writer:
            partial.mkdir(parents=True, exist_ok=True)
        self.actor.weights(dtype).write_safetensors(partial, writer)
        if writer:
            partial.rename(final)
        return str(final) if writer else ""

    def _weights_folder(self, directory: str) -> Path:
        """One folder per writer: nodes may share a machine's memory."""
        return Path(f"{directory}_rank_{self.rank}")

    @register(Dispatch.ONE_TO_ALL)
    def send_weights(self, replicas: list[ActorHandle], dtype: str, timeout: float) -> None:
        """Gives the weights to colocated vLLM replicas over CUDA IPC."""
        from verl.workers.rollout.vllm_transfer import send_weights
        send_weights(self.actor.weights(dtype), self.rank, replicas, timeout)

    @register(Dispatch.ONE_TO_ALL)
    def remove_weights(self, directory: str) -> None:
        """Removes what `write_weights` wrote on this node."""
        if self.local_rank == 0:
            shutil.rmtree(self._weights_folder(directory))


def average_updates(updates: list[dict[str, float]]) -> dict[str, float]:
    """Mean over the optimizer steps of one call; maxima stay maxima."""
    return {
        name: (max if name.endswith("_max") else np.mean)([u[name] for u in updates]).__float__() for name in updates[0]
    }
