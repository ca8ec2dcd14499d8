"""The training worker: one process per device; actor, reference model and critic on one engine each.

A step's rows arrive once (`load_batch`) and stay; the methods after it add columns to them. Only metrics go back to the
driver.
"""
import datetime
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from ray.actor import ActorHandle

from verl.config.critic import CriticConfig
from verl.config.engine import CHECKPOINT_PARTS, ActorConfig, FSDPConfig, OptimConfig
from verl.config.model import ModelConfig
from verl.protocol import DataProto
from verl.single_controller import Dispatch, Worker, register
from verl.utils.external import import_external_modules
from verl.workers.engine.base import MicroBatchBounds
from verl.workers.engine.fsdp import FSDPEngine
from verl.workers.losses import mismatch_metrics, ppo_loss, sft_loss, value_loss
from verl.workers.mini_batches import POSITION
from verl.workers.mini_batches import mini_batches as split
from verl.workers.token_rewards import reward_kl, value_advantages, value_metrics

POLICY_COLUMNS = ("rollout_log_probs", "old_log_probs", "ref_log_prob", "advantages")  # those that are there
VALUE_COLUMNS = ("values", "returns")
MODEL_COLUMNS = ("prompts", "responses", "response_mask", POSITION)


class TrainWorker(Worker):
    """Holds the actor (always), the reference model (when a KL term needs it) and the critic (when advantages do)."""

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

    @register(Dispatch.ONE_TO_ALL)
    def load_critic(self, model: ModelConfig, fsdp: FSDPConfig, optim: OptimConfig, grad_clip: float) -> int:
        """Builds the critic and its optimizer; -> its number of parameters."""
        self.critic = FSDPEngine(model, fsdp, self.device, optim, grad_clip, value_head=True)
        return sum(p.numel() for p in self.critic.parameters.values())

    @register(Dispatch.DP_COMPUTE_PROTO)
    def load_batch(self, batch: DataProto) -> None:
        """Takes this rank's rows of a step."""
        self.batch = batch

    @register(Dispatch.DP_COMPUTE_PROTO)
    def add_columns(self, columns: DataProto) -> None:
        """Takes more columns of the held rows."""
        self.batch = self.batch.union(columns)

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
    def values(self, bounds: MicroBatchBounds) -> None:
        """Adds `values`."""
        self.batch.batch["values"] = self.critic.forward(self.batch, bounds, 1.0).batch["values"]

    @register(Dispatch.ONE_TO_ALL)
    def reward_kl(self, kind: str) -> np.ndarray:
        """Adds `reward_kl`, the KL to the reference per token; -> its sum per held row, in nats."""
        self.batch.batch["reward_kl"], sums = reward_kl(self.batch, kind)
        return sums

    @register(Dispatch.ONE_TO_ALL)
    def value_advantages(self, estimator: str, gamma: float, lam: float, kl_coef: float) -> dict[str, float]:
        """Adds `advantages` and `returns`, from the rewards less `kl_coef` times the KL and the values; -> what they
        are like.
        """
        self.batch.batch |= value_advantages(self.batch, estimator, gamma, lam, kl_coef, sum_over_ranks)
        return value_metrics(self.batch, self.critic.reduce_metrics)

    @register(Dispatch.ONE_TO_ALL)
    def update_actor(self, config: ActorConfig, bounds: MicroBatchBounds, temperature: float, mini_batches: int,
                     loss_scale_factor: int, seed: int) -> dict[str, float]:
        """`ppo_epochs` passes over the held rows in `mini_batches` equal parts each, drawn with `seed` where the config
        says shuffle; -> metrics averaged over the updates.
        """
        with_entropy = config.entropy_coeff != 0 or config.calculate_entropy
        loss_fn, updates = ppo_loss(config, loss_scale_factor), []
        for part in self._parts(POLICY_COLUMNS, mini_batches, config.ppo_epochs, seed if config.shuffle else None):
            metrics = self.actor.forward_backward(part, loss_fn, bounds, temperature, with_entropy)
            step = self.actor.optimizer_step()
            updates.append(metrics | {f"actor/{name}": value for name, value in step.items()})
        self._free_memory()
        return average_updates(updates)

    @register(Dispatch.ONE_TO_ALL)
    def update_critic(self, config: CriticConfig, bounds: MicroBatchBounds, mini_batches: int, loss_scale_factor: int,
                      seed: int) -> dict[str, float]:
        """As `update_actor`, towards the column `returns`."""
        loss_fn, updates = value_loss(config, loss_scale_factor), []
        for part in self._parts(VALUE_COLUMNS, mini_batches, config.ppo_epochs, seed if config.shuffle else None):
            metrics = self.critic.forward_backward(part, loss_fn, bounds, 1.0, False)
            step = self.critic.optimizer_step()
            updates.append(metrics | {f"critic/{name}": value for name, value in step.items()})
        self._free_memory()
        return average_updates(updates)

    def _parts(self, columns: Sequence[str], count: int, epochs: int, seed: int | None) -> Iterator[DataProto]:
        there = [name for name in columns if name in self.batch.batch]
        batch = self.batch.select([*MODEL_COLUMNS, *there], [])
        return split(batch, len(batch) * self.world_size, count, epochs, seed)

    def _free_memory(self) -> None:
        """The replicas that wake next share it."""
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

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
    def save_checkpoint(self, directory: str, contents: Sequence[str] = CHECKPOINT_PARTS, role: str = "actor") -> None:
        """Writes these parts of the state of `role` (actor, critic) under `directory`, which all nodes share."""
        Path(directory).mkdir(parents=True, exist_ok=True)
        getattr(self, role).save(Path(directory), contents)

    @register(Dispatch.ONE_TO_ALL)
    def load_checkpoint(self, directory: str, contents: Sequence[str] = CHECKPOINT_PARTS, role: str = "actor") -> None:
        """Reads these parts of what `save_checkpoint` wrote."""
        getattr(self, role).load(Path(directory), contents)

    @register(Dispatch.ONE_TO_ALL)
    def export_hf(self, directory: str, role: str = "actor") -> None:
        """Writes the model of `role` as a Hugging Face folder."""
        Path(directory).mkdir(parents=True, exist_ok=True)
        getattr(self, role).export_hf(Path(directory))

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
    def send_weights(self, replicas: dict[int, ActorHandle], dtype: str, timeout: float) -> dict[int, str]:
        """Gives the weights to colocated vLLM replicas over CUDA IPC; -> why a replica did not take them, on rank 0."""
        from verl.workers.rollout.vllm_transfer import send_weights
        return send_weights(self.actor.weights(dtype), self.rank, replicas, timeout)

    @register(Dispatch.ONE_TO_ALL)
    def remove_weights(self, directory: str) -> None:
        """Removes what `write_weights` wrote on this node."""
        if self.local_rank == 0:
            shutil.rmtree(self._weights_folder(directory))


def sum_over_ranks(values: torch.Tensor) -> torch.Tensor:
    """A CPU tensor, added up over all ranks."""
    dist.all_reduce(values)
    return values


def average_updates(updates: list[dict[str, float]]) -> dict[str, float]:
    """Mean over the optimizer steps of one call; maxima stay maxima."""
    return {
        name: (max if name.endswith("_max") else np.mean)([u[name] for u in updates]).__float__() for name in updates[0]
    }
