"""The rollout actors: one replica per group of devices, and the driver's handle on all of them.

A replica that dies, fails or misses a deadline is dropped: its process is killed and the others go on. `replace` puts a
new process in its place, up to `rollout.max_restarts` times; router.py and weight_sync.py decide when.
"""
import importlib.util
import logging
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection
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
from verl.workers.rollout.predecessor import end_process_group

logger = logging.getLogger(__name__)
CLOSE_TIMEOUT = 10.0  # s, for the replicas to end their engines; then they are killed


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

    async def start(self, predecessor: int | None) -> dict[str, str | int]:
        """Loads the engine, once the lost replica with the pid `predecessor` has given its memory back; -> where it
        runs.
        """
        if predecessor is not None:
            end_process_group(predecessor)
        if self.memory_limit_gb:
            limit_memory(self.memory_limit_gb, "trainer.worker_memory_limit_gb")
        with out_of_memory_is_named("start_replicas"):
            await self.engine.start()
        return {"ip": ray.util.get_node_ip_address(), "pid": os.getpid()}

    async def generate(self, requests: list[Request]) -> AsyncIterator[list[Completion]]:
        with out_of_memory_is_named("gen"):
            async for completions in self.engine.generate(requests):
                yield completions

    async def health(self) -> int:
        return await self.engine.health()

    async def update_weights(self, version: int, directory: str) -> None:
        with out_of_memory_is_named("update_weights"):
            await self.engine.update_weights(version, directory)

    async def transfer(self, step: str, info: dict[str, Any]) -> None:
        with out_of_memory_is_named("update_weights"):
            await self.engine.transfer(step, info)

    async def set_version(self, version: int) -> None:
        self.engine.version = version

    async def sleep(self) -> None:
        await self.engine.sleep()

    async def wake(self, tag: str) -> None:
        with out_of_memory_is_named("update_weights"):
            await self.engine.wake(tag)

    async def close(self) -> None:
        await self.engine.close()


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
    """The replicas that are not lost. `locations[i]` are the devices that replica i shares with training workers."""

    def __init__(self,
                 model: ModelConfig,
                 config: RolloutConfig,
                 pool: ResourcePool,
                 max_model_len: int,
                 locations: list[dict[str, str | int]],
                 env: dict[str, str],
                 memory_limit_gb: float | None = None):
        self.config, self.env = config, env
        limit = memory_limit_gb if config.name == "hf" else None  # vLLM takes a share of the device instead
        self.arguments = (model, config, pool.device, max_model_len, limit)
        width = config.tensor_model_parallel_size if pool.device == "cuda" else 1
        self.count = config.num_replicas or (pool.world_size // width if pool.device == "cuda" else pool.nnodes)
        stride = max(width, pool.world_size // self.count)
        bundles = [(group, i) for group in pool.placement_groups() for i in range(pool.devices_per_node)]
        firsts = [replica * stride % pool.world_size for replica in range(self.count)]
        self.places = [bundles[first] for first in firsts]
        self.devices = [",".join(str(where["cuda"]) for where in locations[first:first + width]) for first in firsts]
        self.handles = {replica: self._create(replica) for replica in range(self.count)}
        self.where: dict[int, dict[str, str | int]] = {}
        self.failures: dict[int, str] = {}  # of each replica that was ever lost, the last one
        self.predecessors: dict[int, int] = {}  # their pids
        self.restarts: Counter[int] = Counter()

    def _create(self, replica: int) -> ray.actor.ActorHandle:
        actor = ray.remote(RolloutReplica).options(**_options(self.places[replica], self.env))
        return actor.remote(self.devices[replica], *self.arguments)

    def start(self, replicas: Collection[int] | None = None) -> None:
        """Waits until the replicas (all) have loaded their model. WorkerFailure names one that has not."""
        chosen = self.handles if replicas is None else replicas
        refs = {i: self.handles[i].start.remote(self.predecessors.get(i)) for i in chosen}
        self.where |= self._gather("start", refs, self.config.start_timeout)
        for replica in refs.keys() - self.handles.keys():
            raise WorkerFailure(self.failures[replica])

    def update_weights(self,
                       version: int,
                       directories: dict[str, str],
                       replicas: Collection[int] | None = None) -> None:
        """The replicas (all) load `directories[ip of their node]` as weight version `version`."""
        refs = {}
        for i in self.handles if replicas is None else replicas:
            refs[i] = self.handles[i].update_weights.remote(version, directories[str(self.where[i]["ip"])])
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

    def drop(self, replica: int, reason: str) -> None:
        """Kills a replica that is of no more use; nothing if that is done already."""
        if (handle := self.handles.pop(replica, None)) is None:
            return
        ray.kill(handle)
        self.failures[replica] = f"{self.describe(replica)} {reason}"
        logger.warning("%s", self.failures[replica])

    def replace(self, replica: int) -> None:
        """A new process in the place of a lost one; `start` it. WorkerFailure when that was done too often."""
        if self.restarts[replica] >= self.config.max_restarts:
            raise WorkerFailure(f"{self.failures[replica]}\nIt has been restarted {self.restarts[replica]} times, and "
                                f"actor_rollout_ref.rollout.max_restarts={self.config.max_restarts}")
        self.restarts[replica] += 1
        where = self.where[replica]
        self.predecessors[replica], self.where[replica] = int(where["pid"]), where | {"pid": "?"}
        self.handles[replica] = self._create(replica)
        logger.warning("%s replica %d is restarted (%d of at most %d times)", self.config.name, replica,
                       self.restarts[replica], self.config.max_restarts)

    @property
    def lost(self) -> list[int]:
        """Those that were dropped and not replaced."""
        return [replica for replica in range(self.count) if replica not in self.handles]

    def describe(self, replica: int) -> str:
        """Name of a replica for messages."""
        where = self.where.get(replica, {"ip": "starting", "pid": "?"})
        return f"{self.config.name} replica {replica} (node {where['ip']}, pid {where['pid']})"

    def shutdown(self) -> None:
        """Ends all replicas, their engines' processes included."""
        refs = [handle.close.remote() for handle in self.handles.values()]
        if refs:
            ray.wait(refs, num_returns=len(refs), timeout=CLOSE_TIMEOUT)
        for handle in self.handles.values():
            ray.kill(handle)
        self.handles = {}

    def _all(self, method: str, *args: Any) -> None:
        refs = {i: getattr(h, method).remote(*args) for i, h in self.handles.items()}
        self._gather(method, refs, self.config.request_timeout)

    def _gather(self, method: str, refs: dict[int, ray.ObjectRef], timeout: float) -> dict[int, Any]:
        """What the replicas answer; one that does not is dropped. A user's error (ValueError) is raised."""
        deadline, results = time.monotonic() + timeout, {}
        for replica, ref in refs.items():
            try:
                results[replica] = ray.get(ref, timeout=max(0.0, deadline - time.monotonic()))
            except GetTimeoutError:
                self.drop(replica, f"gave no answer to {method} within {timeout:g} s")
            except RayError as error:
                if cause := user_error(error):
                    raise cause from None
                if cause := explained(error):
                    raise type(cause)(f"{self.describe(replica)}: {cause}") from None
                self.drop(replica, f"failed in {method}:\n{error}")
        return results
