"""The training worker: one process per device; actor, reference model and critic on one engine each.

A step's rows arrive once (`load_batch`) and stay; the methods after it add columns to them. Only metrics go back to the
driver.
"""
import datetime
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
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
from verl.utils.flops_counter import device_peak
from verl.utils.memory import PhaseMemory, limit_memory, out_of_memory_is_named
from verl.utils.ragged import Ragged
from verl.workers.engine.base import LossFn, MicroBatchBounds
from verl.workers.engine.checkpoint import Snapshot
from verl.workers.engine.fsdp import FSDPEngine
from verl.workers.losses import mismatch_metrics, ppo_loss, sft_loss, value_loss
from verl.workers.mini_batches import POSITION, PROMPT, average_updates
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
        self.memory = PhaseMemory(self.device)
        self.writer = ThreadPoolExecutor(1, "checkpoint")  # one thread: all ranks write in the same order
        self.writes: list[Future[None]] = []

    @contextmanager
    def _phase(self, name: str, *done: FSDPEngine, shared: bool = True) -> Iterator[None]:
        """Watches the memory of a phase. After it the engines that are `done` go to host memory, where they are
        offloaded, and other processes may have what is free of the device's, where it is `shared`.
        """
        with self.memory.phase(name):
            yield
        for engine in done:
            engine.offload()
        if shared and self.device.type == "cuda":
            torch.cuda.empty_cache()

    @register(Dispatch.ONE_TO_ALL)
    def limit_memory(self, gib: float) -> None:
        """Bounds the host memory of this worker."""
        limit_memory(gib, "trainer.worker_memory_limit_gb")

    @register(Dispatch.ONE_TO_ALL)
    def memory_metrics(self) -> dict[str, float]:
        """This rank's peaks of the phases since the last call, in GiB."""
        return self.memory.take()

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

    @register(Dispatch.RANK_ZERO)
    def device_peak(self) -> float | None:
        """Operations per second that this device can do; None where we do not know (CPUs, rare GPUs)."""
        return device_peak(torch.cuda.get_device_name()) if self.device.type == "cuda" else None

    @register(Dispatch.ONE_TO_ALL)
    def load_actor(self, model: ModelConfig, fsdp: FSDPConfig, optim: OptimConfig, grad_clip: float) -> int:
        """Builds the trained model and its optimizer; -> its number of parameters."""
        with self._phase("load"):
            self.actor = FSDPEngine(model, fsdp, self.device, optim, grad_clip)
            self.actor.offload()
        return sum(p.numel() for p in self.actor.parameters.values())

    @register(Dispatch.ONE_TO_ALL)
    def load_ref(self, model: ModelConfig, fsdp: FSDPConfig) -> None:
        """Builds the frozen reference model."""
        with self._phase("load"):
            self.ref = FSDPEngine(model, fsdp, self.device)
            self.ref.offload()

    @register(Dispatch.ONE_TO_ALL)
    def load_critic(self, model: ModelConfig, fsdp: FSDPConfig, optim: OptimConfig, grad_clip: float) -> int:
        """Builds the critic and its optimizer; -> its number of parameters."""
        with self._phase("load"):
            self.critic = FSDPEngine(model, fsdp, self.device, optim, grad_clip, value_head=True)
            self.critic.offload()
        return sum(p.numel() for p in self.critic.parameters.values())

    @register(Dispatch.DP_COMPUTE_PROTO)
    def load_batch(self, batch: DataProto, prompts: Ragged | None = None) -> None:
        """Takes this rank's rows of a step. Column `prompts`, or the distinct `prompts` and column PROMPT in its stead.
        """
        if prompts is not None:
            batch = DataProto(batch.batch | {"prompts": prompts[batch.batch[PROMPT]]})
        self.batch = batch

    @register(Dispatch.DP_COMPUTE_PROTO)
    def add_columns(self, columns: DataProto) -> None:
        """Takes more columns of the held rows."""
        self.batch = self.batch.union(columns)

    @register(Dispatch.DP_COMPUTE_PROTO)
    def compute_log_prob(self, batch: DataProto, temperature: float = 1.0) -> DataProto:
        """`log_probs`, `entropys` of the responses of `batch`, one sequence at a time; for probes and tests."""
        with self._phase("old_log_prob", self.actor):
            return self.actor.forward(batch, MicroBatchBounds(max_tokens=None, size=1), temperature)

    @register(Dispatch.ONE_TO_ALL)
    def old_log_prob(self, bounds: MicroBatchBounds, temperature: float) -> dict[str, float]:
        """Adds `old_log_probs`; -> how far the rollout engine's are from them."""
        with self._phase("old_log_prob", self.actor):
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
        with self._phase("ref", self.ref):
            self.batch.batch["ref_log_prob"] = self.ref.forward(self.batch, bounds, temperature).batch["log_probs"]

    @register(Dispatch.ONE_TO_ALL)
    def values(self, bounds: MicroBatchBounds) -> None:
        """Adds `values`."""
        with self._phase("values", self.critic):
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
        loss_fn, parts = ppo_loss(config, loss_scale_factor), self._parts(POLICY_COLUMNS, mini_batches, config, seed)
        with self._phase("update_actor"):  # the actor stays for the transfer of its weights
            return self._update("actor", parts, loss_fn, bounds, temperature, with_entropy)

    @register(Dispatch.ONE_TO_ALL)
    def update_critic(self, config: CriticConfig, bounds: MicroBatchBounds, mini_batches: int, loss_scale_factor: int,
                      seed: int) -> dict[str, float]:
        """As `update_actor`, towards the column `returns`."""
        loss_fn, parts = value_loss(config, loss_scale_factor), self._parts(VALUE_COLUMNS, mini_batches, config, seed)
        with self._phase("update_critic", self.critic):
            return self._update("critic", parts, loss_fn, bounds, 1.0, False)

    def _parts(self, columns: Sequence[str], count: int, config: ActorConfig | CriticConfig,
               seed: int) -> Iterator[DataProto]:
        """The mini-batches of all epochs."""
        there = [name for name in columns if name in self.batch.batch]
        batch = self.batch.select([*MODEL_COLUMNS, *there], [])
        return split(batch, len(batch) * self.world_size, count, config.ppo_epochs, seed if config.shuffle else None)

    def _update(self, role: str, parts: Iterator[DataProto], loss_fn: LossFn, bounds: MicroBatchBounds,
                temperature: float, with_entropy: bool) -> dict[str, float]:
        """An optimizer step on each of `parts`."""
        engine, updates = getattr(self, role), []
        for part in parts:
            metrics = engine.forward_backward(part, loss_fn, bounds, temperature, with_entropy)
            updates.append(metrics | {f"{role}/{name}": value for name, value in engine.optimizer_step().items()})
        return average_updates(updates)

    @register(Dispatch.ONE_TO_ALL)
    def update_sft(self, bounds: MicroBatchBounds) -> dict[str, float]:
        """One optimizer step on the held rows."""
        with self._phase("update_sft", self.actor, shared=False):
            metrics = self.actor.forward_backward(self.batch, sft_loss, bounds, 1.0, False)
            return metrics | {f"train/{name}": value for name, value in self.actor.optimizer_step().items()}

    @register(Dispatch.ONE_TO_ALL)
    def evaluate_sft(self, bounds: MicroBatchBounds) -> dict[str, float]:
        """Cross-entropy per answer token of the held rows, in nats."""
        with self._phase("evaluate_sft", self.actor, shared=False):
            log_probs = self.actor.forward(self.batch, bounds, 1.0).batch["log_probs"].values
        mask = self.batch.batch["response_mask"].values.astype(bool)
        sums = self.actor.reduce_metrics({
            "loss": torch.tensor(-log_probs[mask].sum(dtype=np.float64)),
            "tokens": torch.tensor(mask.sum())
        })
        return {"val/loss": sums["loss"] / max(1.0, sums["tokens"])}

    @register(Dispatch.ONE_TO_ALL)
    def save_checkpoint(self,
                        directory: str,
                        contents: Sequence[str] = CHECKPOINT_PARTS,
                        role: str = "actor",
                        background: bool = False) -> None:
        """Writes these parts of the state of `role` (actor, critic) into `directory`, which all nodes share. In the
        `background` they are only copied before this returns, and `saved` says when they are written.
        """
        engine = getattr(self, role)
        with self._phase("save_checkpoint", engine):
            snapshot = engine.snapshot(contents, on_host=background)
            if background:
                self.writes.append(self.writer.submit(self._write, snapshot, Path(directory), role))
            else:
                snapshot.write(Path(directory), role)

    @staticmethod
    def _write(snapshot: Snapshot, directory: Path, role: str) -> None:
        with out_of_memory_is_named("save_checkpoint"):
            snapshot.write(directory, role)

    @register(Dispatch.ONE_TO_ALL)
    def saved(self) -> bool:
        """Whether everything is written that was to be in the background. Raises what kept it from being written."""
        while self.writes and self.writes[0].done():
            self.writes[0].result()
            self.writes.pop(0)
        return not self.writes

    @register(Dispatch.ONE_TO_ALL)
    def load_checkpoint(self, directory: str, contents: Sequence[str] = CHECKPOINT_PARTS, role: str = "actor") -> None:
        """Reads these parts of what `save_checkpoint` wrote."""
        with self._phase("load", getattr(self, role)):
            getattr(self, role).load(Path(directory) / role, contents)

    @register(Dispatch.ONE_TO_ALL)
    def write_weights(self, directory: str, dtype: str) -> str:
        """Writes the whole weights once per node, complete or not at all; -> the node's folder on its writer, else ''.
        """
        writer, final = self.local_rank == 0, self._weights_folder(directory)
        partial = final.with_suffix(".partial")
        if writer:
            partial.mkdir(parents=True, exist_ok=True)
        with self._phase("update_weights", self.actor):
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
        with self._phase("update_weights", self.actor):
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
