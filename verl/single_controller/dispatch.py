"""`@register(dispatch)` on a worker's method says how a group call is split over the ranks and how the results come
back.
"""
from collections.abc import Callable
from enum import StrEnum
from typing import Any

import ray

from verl.protocol import DataProto

_ATTRIBUTE = "_dispatch_mode"


class Dispatch(StrEnum):
    """RANK_ZERO: rank 0 alone, its result. ONE_TO_ALL: the same arguments to all, a list of results.

    DP_COMPUTE_PROTO: every DataProto argument is split into contiguous chunks, one per rank; DataProto results are
    concatenated in rank order. Arguments that are no DataProto go to every rank as they are.
    """
    RANK_ZERO = "rank_zero"
    ONE_TO_ALL = "one_to_all"
    DP_COMPUTE_PROTO = "dp_compute_proto"


def register(dispatch_mode: Dispatch = Dispatch.ONE_TO_ALL) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Marks a method of a Worker as callable on its WorkerGroup."""

    def mark(method: Callable[..., Any]) -> Callable[..., Any]:
        setattr(method, _ATTRIBUTE, dispatch_mode)
        return method

    return mark


def registered_methods(worker_class: type) -> dict[str, Dispatch]:
    """Name -> dispatch mode of every registered method, inherited ones too."""
    methods = {name: getattr(worker_class, name) for name in dir(worker_class) if not name.startswith("__")}
    return {name: getattr(m, _ATTRIBUTE) for name, m in methods.items() if hasattr(m, _ATTRIBUTE)}


def split_arguments(mode: Dispatch, world_size: int, args: tuple[Any, ...],
                    kwargs: dict[str, Any]) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Arguments per called rank. Each DataProto chunk enters the object store once."""
    if mode is Dispatch.RANK_ZERO:
        return [(args, kwargs)]
    if mode is Dispatch.ONE_TO_ALL:
        return [(args, kwargs)] * world_size
    spread = lambda value: _shards(value, world_size) if isinstance(value, DataProto) else [value] * world_size
    columns = [spread(value) for value in args]
    named = {name: spread(value) for name, value in kwargs.items()}
    return [(tuple(c[rank] for c in columns), {
        name: c[rank] for name, c in named.items()
    }) for rank in range(world_size)]


def _shards(batch: DataProto, world_size: int) -> list[ray.ObjectRef]:
    if len(batch) % world_size:
        raise ValueError(f"{len(batch)} rows do not divide over {world_size} workers; pad the batch or change its size")
    return [ray.put(chunk) for chunk in batch.chunk(world_size)]


def collect_results(mode: Dispatch, results: list[Any]) -> Any:
    """What the group call returns, see Dispatch."""
    if mode is Dispatch.RANK_ZERO:
        return results[0]
    if mode is Dispatch.DP_COMPUTE_PROTO and isinstance(results[0], DataProto):
        return DataProto.concat(results)
    return results
