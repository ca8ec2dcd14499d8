"""Stand-ins for rollout replicas that follow a script, for tests of the router's decisions."""
import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
from ray.exceptions import OutOfMemoryError, RayActorError, RayTaskError

from verl.config.rollout import RolloutConfig
from verl.single_controller import WorkerFailure
from verl.workers.rollout.base import Completion, Request, Sampling


@dataclass(frozen=True)
class Call:
    """How one generate call goes: after every `delay` seconds the next of `sizes` completions arrives, then the end.

    `end`: finish (all that are left arrive, the stream closes), die (the process), oom (Ray kills it), raise, refuse
    (a ValueError), stall, freeze (a stall in which `health` does not answer either), short (the stream closes though
    requests are left).
    `hops`: turns of the event loop between the end of a delay and what it brings, so that things of the same instant
    can happen in every order.
    """
    end: str = "finish"
    sizes: tuple[int, ...] = ()
    delay: float = 1.0
    hops: int = 0


def unit(name: str, size: int) -> list[Request]:
    """Requests name/0, name/1, …"""
    return [Request(f"{name}/{i}", np.zeros(1, np.int32), Sampling(1.0, 1), i) for i in range(size)]


def _completion(request: Request) -> Completion:
    return Completion(request.request_id, np.zeros(1, np.int32), np.zeros(1, np.float32), "stop", ((0, 1),))


class ScriptedReplica:
    """An actor handle: `handle.generate.options(num_returns="streaming").remote(unit)`. What is not scripted
    finishes.
    """

    def __init__(self, calls: list[Call], capacity: int):
        self.calls, self.capacity = list(calls), capacity
        self.open: list[_Stream] = []
        self.received: list[list[str]] = []
        self.dead = asyncio.Event()
        self.generate = self
        self.health = SimpleNamespace(remote=self._health)
        self.finished = 0
        self.frozen = False

    def options(self, num_returns: str) -> "ScriptedReplica":
        assert num_returns == "streaming"
        return self

    def _health(self) -> asyncio.Future:
        answer = asyncio.get_running_loop().create_future()
        if self.dead.is_set():
            answer.set_exception(RayActorError(error_msg="the actor died"))
        elif not self.frozen:
            answer.set_result(self.finished)
        return answer

    def remote(self, requests: list[Request]) -> "_Stream":
        load = sum(len(stream.left) for stream in self.open)
        assert self.dead.is_set() or not load or load + len(requests) <= self.capacity, "over capacity"
        self.received.append([request.request_id for request in requests])
        stream = _Stream(self, requests, self.calls.pop(0) if self.calls else Call())
        self.open.append(stream)
        return stream


@dataclass
class _Stream:
    """What Ray returns: an async iterator of references, each an awaitable; an error is raised by its reference."""
    replica: ScriptedReplica
    requests: list[Request]
    call: Call

    def __post_init__(self) -> None:
        self.left, self.sizes = list(self.requests), list(self.call.sizes)

    def __aiter__(self) -> AsyncIterator[asyncio.Future]:
        return self

    async def __anext__(self) -> asyncio.Future:
        if self not in self.replica.open:
            raise StopAsyncIteration
        error = None
        if self.left or self.call.end != "finish":
            await self._wait()
        if not self.replica.dead.is_set():
            if self.left and (self.sizes or self.call.end == "finish"):
                return self._reference(self._take())
            error = await self._end()
        self.replica.open.remove(self)
        if self.replica.dead.is_set() or error:
            return self._reference(error=error or RayActorError(error_msg="the actor died"))
        raise StopAsyncIteration

    async def _wait(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.call.delay):
                await self.replica.dead.wait()
        for _ in range(self.call.hops):
            await asyncio.sleep(0)

    def _take(self) -> list[Completion]:
        size = self.sizes.pop(0) if self.sizes else len(self.left)
        taken, self.left = self.left[:size], self.left[size:]
        self.replica.finished += size
        return [_completion(request) for request in taken]

    async def _end(self) -> Exception | None:
        if self.call.end in ("die", "oom"):
            self.replica.dead.set()
        if self.call.end in ("stall", "freeze"):
            self.replica.frozen = self.call.end == "freeze"
            await self.replica.dead.wait()
        return {
            "oom": OutOfMemoryError("the node ran low on memory"),
            "raise": RayTaskError("generate", "Traceback: boom", RuntimeError("boom")),
            "refuse": RayTaskError("generate", "Traceback: …", ValueError("the prompt is too long")),
        }.get(self.call.end)

    def _reference(self, value: list[Completion] | None = None, error: Exception | None = None) -> asyncio.Future:
        reference = asyncio.get_running_loop().create_future()
        reference.set_exception(error) if error else reference.set_result(value)
        return reference


class ScriptedReplicas:
    """A ReplicaSet of them. The successor of a lost one takes `start_time` seconds to start and goes on with what is
    left of its script.
    """

    def __init__(self,
                 *scripts: list[Call],
                 capacity: int,
                 config: RolloutConfig,
                 start_time: float = 50.0,
                 lost: tuple[int, ...] = ()):
        self.config, self.capacity, self.start_time = config, capacity, start_time
        self.incarnations = [[ScriptedReplica(calls, capacity)] for calls in scripts]
        self.handles = {i: made[0] for i, made in enumerate(self.incarnations) if i not in lost}
        self.dropped: list[int] = []
        self.reasons: list[str] = []
        self.restarts: Counter[int] = Counter()

    @property
    def lost(self) -> list[int]:
        return [i for i in range(len(self.incarnations)) if i not in self.handles]

    def drop(self, replica: int, reason: str) -> None:
        self.handles.pop(replica).dead.set()
        self.dropped.append(replica)
        self.reasons.append(reason)

    def replace(self, replica: int) -> None:
        if self.restarts[replica] >= self.config.max_restarts:
            raise WorkerFailure(f"replica {replica} is used up: {self.reasons[-1]}")
        self.restarts[replica] += 1
        made = self.incarnations[replica]
        made.append(ScriptedReplica(made[-1].calls, self.capacity))
        self.handles[replica] = made[-1]

    async def bring_up(self, replica: int) -> None:
        await asyncio.sleep(self.start_time)

    def received(self, replica: int) -> list[list[list[str]]]:
        """Request ids of the units that each incarnation got."""
        return [made.received for made in self.incarnations[replica]]
