"""The rollout actors: one replica per group of devices, and the driver's handle on all of them."""
import importlib.util
import os
from collections.abc import AsyncIterator
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.placement_group import PlacementGroup
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from verl.config.model import ModelConfig
from verl.config.rollout import RolloutConfig
from verl.single_controller import ResourcePool, WorkerFailure, explained, user_error
from verl.utils.memory import limit_memory, out_of_memory_is_named
from verl.workers.rollout.base import Completion, Request, RolloutEngine


def engine_name(config: RolloutConfig) -> str:
    """`auto` is vllm where it is installed, else hf. Asking for vllm without it is a ValueError."""
    installed = importlib.util.find_spec("vllm") is not None
    if config.name == "vllm" and not installed:
        raise ValueError(
            "actor_rollout_ref.rollout.name=vllm, but vllm is not installed: pip install -e '.[cpu]' (or '.[gpu]'), "
            "or set actor_rollout_ref.rollout.name=hf")
    if config.name == "auto":
        return "vllm" if installed else "hf"
    return config.name


def build_engine(model: ModelConfig, config: RolloutConfig, device: str, max_model_len: int) -> RolloutEngine:
    """Imports the package of the engine `config.name` (vllm or hf) and of no other."""
    if config.name == "vllm":
        from verl.workers.rollout.vllm import VLLMEngine
        return VLLMEngine(model, config, device, max_model_len)
    from verl.workers.rollout.hf import HFEngine
    return HFEngine(model, config, device)


class RolloutReplica:
    """One engine in one actor; all methods run on the actor's event loop."""

    def __init__(self, cuda_devices: str, model: ModelConfig, config: RolloutConfig, device: str, max_model_len: int,
                 memory_limit_gb: float | None):
        if cuda_devices:
            os.environ["CUDA_VISIBLE_DEVICES"] = cuda_devices  # before the engine's package looks
        self.memory_limit_gb = memory_limit_gb
        self.engine = build_engine(model, config, device, max_model_len)

    async def start(self) -> dict[str, str | int]:
        """Loads the engine; -> where it runs."""
        if self.memory_limit_gb:
            limit_memory(self.memory_limit_gb, "trainer.worker_memory_limit_gb")
        with out_of_memory_is_named("start_replicas"):
            await self.engine.start()
        return {"ip": ray.util.get_node_ip_address(), "pid": os.getpid()}

    async def generate(self, requests: list[Request]) -> AsyncIterator[list[Completion]]:
        with out_of_memory_is_named("gen"):
            async for completions in self.engine.generate(requests):
                yield completions

    async def update_weights(self, version: int, directory: str) -> None:
        with out_of_memory_is_named("update_weights"):
            await self.engine.update_weights(version, directory)

    async def transfer(self, step: str, info: dict[str, Any]) -> None:
        await self.engine.transfer(step, info)

    async def set_version(self, version: int) -> None:
        self.engine.version = version

    async def sleep(self) -> None:
        await self.engine.sleep()

    async def wake(self, tag: str) -> None:
        with out_of_memory_is_named("update_weights"):
            await self.engine.wake(tag)


def _options(place: tuple[PlacementGroup, int], env: dict[str, str]) -> dict[str, Any]:
    """A replica takes no CPU or GPU of its own: it shares the bundle of the training worker at `place`."""
    group, bundle = place
    return {
        "num_cpus": 0,
        "runtime_env": {"env_vars": env},
        "scheduling_strategy": PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=bundle),
        "max_concurrency": 1000,
    }  # yapf: disable


class ReplicaSet:
    """The replicas that are alive. `locations[i]` are the devices that replica i shares with training workers."""

    def __init__(self,
                 model: ModelConfig,
                 config: RolloutConfig,
                 pool: ResourcePool,
                 max_model_len: int,
                 locations: list[dict[str, str | int]],
                 env: dict[str, str],
                 memory_limit_gb: float | None = None):
        self.config = config
        limit = memory_limit_gb if config.name == "hf" else None  # vLLM takes a share of the device instead
        width = config.tensor_model_parallel_size if pool.device == "cuda" else 1
        count = config.num_replicas or (pool.world_size // width if pool.device == "cuda" else pool.nnodes)
        stride = max(width, pool.world_size // count)
        places = [(group, i) for group in pool.placement_groups() for i in range(pool.devices_per_node)]
        self.handles: dict[int, ray.actor.ActorHandle] = {}
        self.where: dict[int, dict[str, str | int]] = {}
        for replica in range(count):
            first = replica * stride % pool.world_size
            devices = ",".join(str(where["cuda"]) for where in locations[first:first + width])
            actor = ray.remote(RolloutReplica).options(**_options(places[first], env))
            self.handles[replica] = actor.remote(devices, model, config, pool.device, max_model_len, limit)

    def start(self) -> None:
        """Waits until every replica has loaded its model."""
        self.where = self._all("start", timeout=self.config.start_timeout)

    def update_weights(self, version: int, directories: dict[str, str]) -> None:
        """Every replica loads `directories[ip of its node]` as weight version `version`."""
        refs = {
            i: h.update_weights.remote(version, directories[str(self.where[i]["ip"])]) for i, h in self.handles.items()
        }
        self._gather("update_weights", refs, self.config.request_timeout)

    def set_version(self, version: int) -> None:
        """Names the weights that a transfer has brought."""
        self._all("set_version", version)

    def sleep(self) -> None:
        """Frees the replicas' device memory."""
        self._all("sleep")

    def wake(self, tag: str) -> None:
        """Takes back the memory for `tag`: weights or kv_cache."""
        self._all("wake", tag)

    def drop(self, replica: int) -> None:
        """Kills a dead or stalled replica and goes on without it."""
        ray.kill(self.handles.pop(replica))

    def describe(self, replica: int) -> str:
        """Name of a replica for messages."""
        where = self.where.get(replica, {"ip": "starting", "pid": "?"})
        return f"{self.config.name} replica {replica} (node {where['ip']}, pid {where['pid']})"

    def shutdown(self) -> None:
        """Kills all replicas."""
        for replica in list(self.handles):
            self.drop(replica)

    def _all(self, method: str, *args: Any, timeout: float | None = None) -> dict[int, Any]:
        refs = {i: getattr(h, method).remote(*args) for i, h in self.handles.items()}
        return self._gather(method, refs, timeout or self.config.request_timeout)

    def _gather(self, method: str, refs: dict[int, ray.ObjectRef], timeout: float) -> dict[int, Any]:
        results = {}
        for replica, ref in refs.items():
            try:
                results[replica] = ray.get(ref, timeout=timeout)
            except GetTimeoutError:
                raise WorkerFailure(f"{method}: no answer within {timeout:g} s from {self.describe(replica)}") from None
            except RayError as error:
                if cause := user_error(error):
                    raise cause from None
                if cause := explained(error):
                    raise type(cause)(f"{self.describe(replica)}: {cause}") from None
                raise WorkerFailure(f"{self.describe(replica)} failed in {method}:\n{error}") from None
        return results
