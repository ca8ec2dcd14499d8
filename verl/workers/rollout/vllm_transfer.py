"""Weights from colocated training workers to vLLM over CUDA IPC, by vLLM's own transfer engines.

Every training rank gathers each packed chunk of whole tensors on its device; rank 0 sends the handles of all ranks, and
each vLLM worker opens the one of its own GPU. No bytes leave the device.
"""
import time
from collections.abc import Iterator
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayError, RayTaskError
from torch import Tensor
from vllm.distributed.weight_transfer.base import ParamMeta
from vllm.distributed.weight_transfer.base import WeightSource as VLLMWeightSource
from vllm.distributed.weight_transfer.ipc_engine import IPCTrainerInitInfo, IPCTrainerWeightTransferEngine
from vllm.v1.engine.exceptions import EngineDeadError

from verl.workers.engine.weights import WeightSource


class ReplicaClient:
    """The calls that vLLM's sending side makes, to all replicas at once and with a deadline (vLLM's own has none).

    A replica that dies or stalls is left out from then on, and `lost` says why.
    """

    def __init__(self, replicas: dict[int, ActorHandle], timeout: float):
        self.replicas, self.timeout = dict(replicas), timeout
        self.lost: dict[int, str] = {}

    def init_weight_transfer_engine(self, init_info: dict[str, Any]) -> None:
        self._all("init", init_info)

    def start_weight_update(self) -> None:
        self._all("start", {})

    def update_weights(self, update_info: dict[str, Any]) -> None:
        self._all("update", update_info)

    def finish_weight_update(self, weight_version: str | None = None) -> None:
        self._all("finish", {})

    def _all(self, step: str, info: dict[str, Any]) -> None:
        deadline = time.monotonic() + self.timeout
        for i, ref in {i: replica.transfer.remote(step, info) for i, replica in self.replicas.items()}.items():
            try:
                ray.get(ref, timeout=max(0.0, deadline - time.monotonic()))
            except RayError as error:
                if isinstance(error, RayTaskError) and not isinstance(error.cause, EngineDeadError):
                    raise  # its process lives and refuses: another one would too
                del self.replicas[i]
                self.lost[i] = f"failed in transfer ({step}):\n{error}"


class _GatheredWeights(VLLMWeightSource):
    """Our weights under vLLM's interface: cast first, then gathered."""

    def __init__(self, source: WeightSource):
        self.source = source

    def metadata(self) -> list[ParamMeta]:
        return [ParamMeta(name, self.source.dtype, tuple(p.shape)) for name, p in self.source.parameters.items()]

    def __iter__(self) -> Iterator[tuple[str, Tensor]]:
        return self.source.gather(list(self.source.parameters))


def send_weights(source: WeightSource, rank: int, replicas: dict[int, ActorHandle], timeout: float) -> dict[int, str]:
    """One whole update, called on every training rank; returns when all replicas have the weights, but for those of
    which rank 0 says why not.
    """
    info = IPCTrainerInitInfo(rank=rank, packed=True)
    client = ReplicaClient(replicas, timeout)
    sender = IPCTrainerWeightTransferEngine.trainer_init(info, client=client, source=_GatheredWeights(source))
    sender.send_weights()
    return client.lost
