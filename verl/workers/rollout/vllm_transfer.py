"""Weights from colocated training workers to vLLM over CUDA IPC, by vLLM's own transfer engines.

Every training rank gathers each packed chunk of whole tensors on its device; rank 0 sends the handles of all ranks, and
each vLLM worker opens the one of its own GPU. No bytes leave the device.
"""
from collections.abc import Iterator
from typing import Any

import ray
from ray.actor import ActorHandle
from torch import Tensor
from vllm.distributed.weight_transfer.base import ParamMeta
from vllm.distributed.weight_transfer.base import WeightSource as VLLMWeightSource
from vllm.distributed.weight_transfer.ipc_engine import IPCTrainerInitInfo, IPCTrainerWeightTransferEngine

from verl.workers.engine.weights import WeightSource


class ReplicaClient:
    """The calls that vLLM's sending side makes, to all replicas at once and with a deadline (vLLM's own has none)."""

    def __init__(self, replicas: list[ActorHandle], timeout: float):
        self.replicas, self.timeout = replicas, timeout

    def init_weight_transfer_engine(self, init_info: dict[str, Any]) -> None:
        self._all("init", init_info)

    def start_weight_update(self) -> None:
        self._all("start", {})

    def update_weights(self, update_info: dict[str, Any]) -> None:
        self._all("update", update_info)

    def finish_weight_update(self, weight_version: str | None = None) -> None:
        self._all("finish", {})

    def _all(self, step: str, info: dict[str, Any]) -> None:
        ray.get([replica.transfer.remote(step, info) for replica in self.replicas], timeout=self.timeout)


class _GatheredWeights(VLLMWeightSource):
    """Our weights under vLLM's interface: cast first, then gathered."""

    def __init__(self, source: WeightSource):
        self.source = source

    def metadata(self) -> list[ParamMeta]:
        return [ParamMeta(name, self.source.dtype, tuple(p.shape)) for name, p in self.source.parameters.items()]

    def __iter__(self) -> Iterator[tuple[str, Tensor]]:
        return self.source.gather(list(self.source.parameters))


def send_weights(source: WeightSource, rank: int, replicas: list[ActorHandle], timeout: float) -> None:
    """One whole update, called on every training rank; returns when all replicas have the weights."""
    info = IPCTrainerInitInfo(rank=rank, packed=True)
    client = ReplicaClient(replicas, timeout)
    sender = IPCTrainerWeightTransferEngine.trainer_init(info, client=client, source=_GatheredWeights(source))
    sender.send_weights()
