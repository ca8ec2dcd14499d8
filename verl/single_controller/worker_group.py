"""A group of workers called as one object, with a deadline on every call and the culprit in every failure."""
import functools
import time
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError, UnserializableException
from ray.util.placement_group import PlacementGroup
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from verl.single_controller.dispatch import Dispatch, collect_results, registered_methods, split_arguments
from verl.single_controller.resource_pool import ResourcePool
from verl.single_controller.worker import Worker
from verl.utils.errors import RunFailure

GRACE = 3.0  # s after the first failure, in which the rank that caused it may still report
PEER_LOSS = ("connection closed by peer", "connection reset", "nccl", "gloo", "timed out", "broken pipe")


class WorkerFailure(RuntimeError):
    """A worker died, raised, or overran its deadline; the message names it and ends with its own last traceback."""


class WorkerGroup:
    """`world_size` actors of `worker_class`; its registered methods are methods of the group."""

    def __init__(self,
                 name: str,
                 worker_class: type[Worker],
                 pool: ResourcePool,
                 *args: Any,
                 call_timeout: float,
                 env: dict[str, str] | None = None,
                 **kwargs: Any):
        self.name, self.call_timeout, self.world_size = name, call_timeout, pool.world_size
        actor = ray.remote(worker_class)
        places = [(group, i) for group in pool.placement_groups() for i in range(pool.devices_per_node)]
        self.workers = [
            actor.options(**self._options(pool, place, rank, env or {})).remote(*args, **kwargs)
            for rank, place in enumerate(places)
        ]
        self._where: list[dict[str, str | int]] = []
        for method, mode in registered_methods(worker_class).items():
            setattr(self, method, functools.partial(self._call, method, mode))
        self._where = self.identify()

    def _options(self, pool: ResourcePool, place: tuple[PlacementGroup, int], rank: int,
                 env: dict[str, str]) -> dict[str, Any]:
        group, local_rank = place
        env = env | {
            "RANK": str(rank),
            "WORLD_SIZE": str(pool.world_size),
            "LOCAL_RANK": str(local_rank),
            "LOCAL_WORLD_SIZE": str(pool.devices_per_node)
        }
        return {
            "num_cpus": 1,
            "num_gpus": 1 if pool.device == "cuda" else 0,
            "runtime_env": {"env_vars": env},
            "scheduling_strategy": PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=local_rank),
        }  # yapf: disable

    @property
    def locations(self) -> list[dict[str, str | int]]:
        """`Worker.identify()` of every rank."""
        return self._where

    def _call(self, method: str, mode: Dispatch, *args: Any, timeout: float | None = None, **kwargs: Any) -> Any:
        calls = split_arguments(mode, self.world_size, args, kwargs)
        refs = [getattr(w, method).remote(*a, **k) for w, (a, k) in zip(self.workers, calls, strict=False)]
        return collect_results(mode, self._gather(method, refs, timeout or self.call_timeout))

    def _gather(self, method: str, refs: list[ray.ObjectRef], timeout: float) -> list[Any]:
        deadline = time.monotonic() + timeout
        pending, results = list(refs), {}
        while pending:
            done, pending = ray.wait(pending, timeout=max(0.0, deadline - time.monotonic()))
            if not done:
                late = ", ".join(self._describe(refs.index(ref)) for ref in pending)
                raise WorkerFailure(f"{method}: no answer within {timeout:g} s from {late}; "
                                    "raise trainer.call_timeout if the work is really that long")
            try:
                results |= zip(done, ray.get(done, timeout=timeout), strict=True)
            except RayError:
                raise self._failure(method, refs) from None
        return [results[ref] for ref in refs]

    def _failure(self, method: str, refs: list[ray.ObjectRef]) -> Exception:
        """The exception to raise: a user error (ValueError) as it is, one that explains itself (RunFailure) with the
        rank, else the rank that failed first by cause, not by clock.
        """
        ray.wait(refs, num_returns=len(refs), timeout=GRACE)
        ready, _ = ray.wait(refs, num_returns=len(refs), timeout=0)
        errors = [(rank, error) for rank, ref in enumerate(refs) if ref in ready and (error := _error(ref)) is not None]
        rank, error = min(errors, key=lambda item: (_blame(item[1]), item[0]))
        if cause := user_error(error):
            return cause
        if cause := explained(error):
            return type(cause)(f"{self._describe(rank)}: {cause}")
        kind = "failed" if _is_raised(error) else "died"
        return WorkerFailure(f"{self._describe(rank)} {kind} in {method}:\n{error}")

    def _describe(self, rank: int) -> str:
        where = self._where[rank] if rank < len(self._where) else {"ip": "starting", "pid": "?"}
        return f"{self.name} worker {rank} (node {where['ip']}, pid {where['pid']})"

    def shutdown(self) -> None:
        """Kills the workers."""
        for worker in self.workers:
            ray.kill(worker)


def user_error(error: RayError) -> ValueError | None:
    """The ValueError that a worker raised, if that is what `error` is: something the user gave cannot work."""
    cause = error.cause if isinstance(error, RayTaskError) else None
    return cause if isinstance(cause, ValueError) else None


def explained(error: RayError) -> RunFailure | None:
    """The RunFailure that a worker raised, if that is what `error` is: its message needs no traceback."""
    cause = error.cause if isinstance(error, RayTaskError) else None
    return cause if isinstance(cause, RunFailure) else None


def _error(ref: ray.ObjectRef) -> RayError | None:
    try:
        ray.get(ref, timeout=GRACE)
    except RayError as error:
        return error
    return None


def _is_raised(error: RayError) -> bool:
    """Whether the worker's own code raised; else its process is gone (killed, out of memory, its node lost)."""
    return isinstance(error, (RayTaskError, UnserializableException))


def _blame(error: RayError) -> int:
    """0: the process is gone; 1: its own exception; 2: it lost a peer in a collective."""
    if not _is_raised(error):
        return 0
    cause = error.cause if isinstance(error, RayTaskError) else error
    return 2 if any(sign in str(cause).lower() for sign in PEER_LOSS) else 1
