"""The FSDP2 engine: packed micro-batches, global denominators, sharded optimizer and checkpoints."""
import functools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.checkpoint.state_dict import (
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy
from torch.utils._pytree import tree_map_only

from verl.config.engine import CHECKPOINT_PARTS, FSDPConfig, OptimConfig
from verl.config.model import ModelConfig
from verl.protocol import DataProto
from verl.utils.dtypes import to_dtype
from verl.utils.flops_counter import ModelCost
from verl.utils.hub import local_folder
from verl.utils.ragged import Ragged
from verl.workers.engine.base import BatchTotals, LossFn, LossInputs, MicroBatchBounds, TrainEngine
from verl.workers.engine.checkpoint import Snapshot, Staging, read
from verl.workers.engine.micro_batch import MicroBatch
from verl.workers.engine.model import build_model, load_model_config, materialize, sum_gradients
from verl.workers.engine.offload import HostCopies, has_host_memory
from verl.workers.engine.optim import build_optimizer, clip_gradients
from verl.workers.engine.packing import plan_micro_batches, prompt_groups
from verl.workers.engine.weights import WeightSource


class FSDPEngine(TrainEngine):
    """Needs an initialised default process group. Without `optim` the engine only runs forward (the reference model).
    With `value_head` it is a critic on the model's backbone.
    """

    def __init__(self,
                 model: ModelConfig,
                 fsdp: FSDPConfig,
                 device: torch.device,
                 optim: OptimConfig | None = None,
                 grad_clip: float = 1.0,
                 value_head: bool = False):
        self.device, self.grad_clip = device, grad_clip
        self._mesh = mesh = device_mesh(device, fsdp.fsdp_size)
        self.folder = local_folder(model.path)
        key = "critic.model" if value_head else "actor_rollout_ref.model"
        self.hf_config = load_model_config(model.path, model.trust_remote_code, model.override_config, key)
        policy = MixedPrecisionPolicy(param_dtype=to_dtype(fsdp.mixed_precision.param_dtype, device.type),
                                      reduce_dtype=to_dtype(fsdp.mixed_precision.reduce_dtype, device.type))
        self.cost = ModelCost.of(self.hf_config)
        self.module = build_model(self.hf_config, mesh, to_dtype(fsdp.model_dtype, device.type), policy,
                                  model.enable_gradient_checkpointing and optim is not None,
                                  model.enable_activation_offload and has_host_memory(device),
                                  fsdp.reshard_after_forward, value_head)
        sum_gradients(self.module)
        materialize(self.module, model.path, device, key)
        self.module.train(optim is not None)
        self.optimizer, self.schedule = build_optimizer(self.module, optim) if optim is not None else (None, None)
        self.shards = HostCopies(self.module.parameters, device, fsdp.param_offload and has_host_memory(device))
        self.moments = HostCopies(self._moments, device, fsdp.optimizer_offload and has_host_memory(device))

    @property
    def parameters(self) -> dict[str, Tensor]:
        """Sharded parameters by their Hugging Face names; tied ones once."""
        return dict(self.module.model.named_parameters())

    @torch.no_grad()
    def forward(self, batch: DataProto, bounds: MicroBatchBounds, temperature: float) -> DataProto:
        self.onload()
        responses = batch.batch["responses"]
        columns = {name: np.zeros(len(responses.values), np.float32) for name in self.module.outputs}
        for rows, micro in self._micro_batches(batch, bounds):
            where = _token_positions(responses, rows)
            for column, out in zip(columns.values(), self.module(micro, temperature, True), strict=True):
                column[where] = out.float().cpu().numpy()
        self._reshard()
        return DataProto.from_dict({name: Ragged(column, responses.offsets) for name, column in columns.items()})

    def forward_backward(self, batch: DataProto, loss_fn: LossFn, bounds: MicroBatchBounds, temperature: float,
                         with_entropy: bool) -> dict[str, float]:
        self.onload()
        totals = self._totals(batch)
        metrics: dict[str, Tensor] = {}
        for rows, micro in self._micro_batches(batch, bounds):
            out = self.module(micro, temperature, with_entropy)
            loss, contributions = loss_fn(self._loss_inputs(batch, rows, micro, out), totals)
            loss.backward()
            for name, value in contributions.items():
                value = value.detach().double()
                metrics[name] = value if name not in metrics else _combine(name, metrics[name], value)
        return self.reduce_metrics(metrics)

    def optimizer_step(self) -> dict[str, float]:
        grad_norm = clip_gradients(self.module, self.grad_clip)
        lr = self.schedule.get_last_lr()[0]
        if math.isfinite(grad_norm):  # the norm is global, so every rank decides alike
            self.moments.onload()  # only now: the backward pass has freed its activations
            self.optimizer.step()
            self.schedule.step()
            self.shards.changed = self.moments.changed = True
        self.optimizer.zero_grad()
        self.moments.offload()
        return {"grad_norm": grad_norm, "lr": lr, "skipped_updates": float(not math.isfinite(grad_norm))}

    def snapshot(self, contents: Sequence[str], on_host: bool = False) -> Snapshot:
        self.hf_config.architectures = [type(self.module.model).__name__]
        parts, group = self._state(contents), None
        weights = WeightSource(self.parameters if "hf_model" in contents else {}, self._master_dtype, self.shards.fetch)
        if on_host:
            parts, group = self._staging.copy(parts), self._staging.group
            staged = {name.removeprefix("model."): copy for name, copy in parts.get("model", {}).items()}
            left = {name: self.shards.where_it_is(p) for name, p in weights.parameters.items() if name not in staged}
            staged |= self._staging.copy(left)
            weights = WeightSource({name: staged[name] for name in weights.parameters}, self._master_dtype)
        return Snapshot(parts, weights, self._shapes(), self.hf_config, self.folder / "generation_config.json", group)

    @functools.cached_property
    def _staging(self) -> Staging:
        return Staging.like(self._mesh)

    @property
    def _master_dtype(self) -> torch.dtype:
        return next(iter(self.parameters.values())).dtype

    def load(self, directory: Path, contents: Sequence[str] = CHECKPOINT_PARTS) -> None:
        self.onload()
        self.moments.onload()
        state = self._state(contents)
        read(directory, state, self._shapes(), self.hf_config)
        if "model" in state:
            set_model_state_dict(self.module, state["model"])
        if "optimizer" in state:
            settings = [{k: v for k, v in group.items() if k != "params"} for group in self.optimizer.param_groups]
            set_optimizer_state_dict(self.module, self.optimizer, state["optimizer"])
            for group, ours in zip(self.optimizer.param_groups, settings, strict=True):
                group.update(ours)  # moments are resumed; betas, weight decay and the rate are this run's
        if "extra" in state:
            self.schedule.last_epoch = state["extra"]["steps"] - 1
            self.schedule.step()
        self.shards.changed = self.moments.changed = True
        self.moments.offload()

    def _state(self, contents: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The parts of `contents` as DCP takes them, in place where they are tensors (on the device or the host)."""
        if "optimizer" in contents and not self.optimizer.state:
            self.onload()  # torch makes the first moments by a step that changes nothing
            self.moments.onload()
        parts = {
            "model": lambda: get_model_state_dict(self.module),
            "optimizer": self._optimizer_state,
            "extra": lambda: {"steps": self.schedule.last_epoch},
        }  # yapf: disable
        state = {name: part() for name, part in parts.items() if name in contents}
        return tree_map_only(Tensor, lambda t: self.shards.where_it_is(self.moments.where_it_is(t)), state)

    def _optimizer_state(self) -> dict[str, Any]:
        is_new = not self.optimizer.state
        state = get_optimizer_state_dict(self.module, self.optimizer)
        if is_new:  # torch fills it in by a step of its own, at rate 0, which must not count
            for entry in self.optimizer.state.values():
                entry["step"].zero_()
        return state

    def weights(self, dtype: str) -> WeightSource:
        return WeightSource(self.parameters, to_dtype(dtype, self.device.type), self.shards.fetch)

    def onload(self) -> None:
        self.shards.onload()

    def offload(self) -> None:
        self.shards.offload()
        self.moments.offload()

    def _moments(self) -> list[Tensor]:
        return [value for state in self.optimizer.state.values() for value in state.values()] if self.optimizer else []

    def _reshard(self) -> None:
        """Back to shards, as after a backward pass: without one the root stays gathered, in the forward's dtype."""
        for unit in self.module.modules():
            if isinstance(unit, FSDPModule):
                unit.reshard()

    def _shapes(self) -> dict[str, list[int]]:
        return {name: list(p.shape) for name, p in self.parameters.items()}

    def _micro_batches(self, batch: DataProto, bounds: MicroBatchBounds) -> Iterator[tuple[np.ndarray, MicroBatch]]:
        """Row indices of each micro-batch, and what is in it. All ranks run as many as the busiest one: each forward is
        a collective.
        """
        prompts, responses = batch.batch["prompts"], batch.batch["responses"]
        groups = prompt_groups(prompts, responses)
        lengths, costs = prompts.lengths + responses.lengths, self.cost.forward(prompts.lengths, responses.lengths)
        plan = functools.partial(plan_micro_batches,
                                 lengths,
                                 bounds.max_tokens,
                                 bounds.size,
                                 costs=costs,
                                 groups=groups,
                                 prompt_lengths=prompts.lengths)
        parts = plan()
        most = torch.tensor(len(parts), device=self.device)
        dist.all_reduce(most, dist.ReduceOp.MAX)
        for rows in parts if int(most) == len(parts) else plan(int(most)):
            shared = None if groups is None else groups[rows]
            yield rows, MicroBatch.pack(prompts[rows], responses[rows], self.device, shared)

    def _totals(self, batch: DataProto) -> BatchTotals:
        mask: Ragged = batch.batch["response_mask"]
        per_row = np.add.reduceat(np.append(mask.values, 0), mask.offsets[:-1]) * (mask.lengths > 0) if len(
            mask) else np.zeros(0)
        counts = torch.tensor([per_row.sum(), (per_row > 0).sum()], dtype=torch.int64, device=self.device)
        dist.all_reduce(counts)
        return BatchTotals(*(int(n) for n in counts))

    def _loss_inputs(self, batch: DataProto, rows: np.ndarray, micro: MicroBatch, out: tuple[Tensor | None,
                                                                                             ...]) -> LossInputs:
        width = int(micro.response_lengths.max(initial=0))
        columns = {}
        for name, column in batch.batch.items():
            if name in ("prompts", "responses"):
                continue
            values = column[rows].to_padded(length=width) if isinstance(column, Ragged) else column[rows]
            columns[name] = torch.from_numpy(np.ascontiguousarray(values)).to(self.device)
        outputs = {
            name: None if x is None else micro.padded(x) for name, x in zip(self.module.outputs, out, strict=True)
        }
        return LossInputs(log_prob=outputs.get("log_probs"),
                          entropy=outputs.get("entropys"),
                          response_mask=columns.pop("response_mask").bool(),
                          columns=columns,
                          vpreds=outputs.get("values"))

    def reduce_metrics(self, metrics: dict[str, Tensor]) -> dict[str, float]:
        """Global values from each rank's contributions: the sum, or the maximum where the name ends in _max."""
        reduced: dict[str, float] = {}
        for op, names in ((dist.ReduceOp.MAX, [n for n in sorted(metrics) if n.endswith("_max")]),
                          (dist.ReduceOp.SUM, [n for n in sorted(metrics) if not n.endswith("_max")])):
            if names:
                values = torch.stack([metrics[name].double() for name in names]).to(self.device)
                dist.all_reduce(values, op)
                reduced |= dict(zip(names, values.tolist(), strict=True))
        return reduced


def device_mesh(device: torch.device, fsdp_size: int) -> DeviceMesh:
    """All ranks share one copy of the weights (-1), or every `fsdp_size` of them do (HSDP, a mesh of two axes)."""
    world = dist.get_world_size()
    if fsdp_size in (-1, world):
        return init_device_mesh(device.type, (world,), mesh_dim_names=("shard",))
    if world % fsdp_size:
        raise ValueError(f"fsdp_config.fsdp_size={fsdp_size} does not divide the {world} training workers")
    return init_device_mesh(device.type, (world // fsdp_size, fsdp_size), mesh_dim_names=("replicate", "shard"))


def _combine(name: str, total: Tensor, value: Tensor) -> Tensor:
    return torch.maximum(total, value) if name.endswith("_max") else total + value


def _token_positions(column: Ragged, rows: np.ndarray) -> np.ndarray:
    return np.concatenate([np.arange(column.offsets[r], column.offsets[r + 1]) for r in rows
                          ]) if len(rows) else np.zeros(0, int)
