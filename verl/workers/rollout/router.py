"""Sends each unit of requests to the least busy replica and streams completions back.

A unit is what one replica call carries: the samples of one prompt for vLLM (one prefix in its cache), a fixed batch for
hf (whose results depend on the batch). A unit that overruns its deadline, or whose replica dies, is sent to another
replica; completions that had arrived stay. The last replica's failure is raised with its name.
"""
import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Sequence

import ray
from ray.exceptions import RayError

from verl.single_controller import WorkerFailure, explained, user_error
from verl.workers.rollout.base import Completion, Request
from verl.workers.rollout.replica import ReplicaSet

logger = logging.getLogger(__name__)


class RolloutRouter:
    """`capacity`: sequences in flight at one replica before the next unit waits."""

    def __init__(self, replicas: ReplicaSet, capacity: int, deadline: float):
        self.replicas, self.capacity, self.deadline = replicas, capacity, deadline
        self.in_flight = dict.fromkeys(replicas.handles, 0)
        self.failure = WorkerFailure("there is no rollout replica")  # of the replica that was lost last

    async def generate(self, units: Sequence[list[Request]]) -> AsyncIterator[list[Completion]]:
        """Completions of all units as they finish, each request exactly once. WorkerFailure when no replica is left; a
        ValueError of an engine as it is, since another replica would raise it too.
        """
        waiting = deque(units)
        arrived: asyncio.Queue[list[Completion]] = asyncio.Queue()
        arrival = asyncio.create_task(arrived.get())
        running: set[asyncio.Task[list[Request]]] = set()
        expected = sum(len(unit) for unit in units)
        try:
            while expected:
                while waiting and (replica := self._free_replica(len(waiting[0]))) is not None:
                    running.add(self._start(replica, waiting.popleft(), arrived))
                done, _ = await asyncio.wait({arrival, *running}, return_when=asyncio.FIRST_COMPLETED)
                for task in done & running:
                    running.remove(task)
                    if unfinished := task.result():
                        waiting.append(unfinished)
                if arrival in done:
                    completions, arrival = arrival.result(), asyncio.create_task(arrived.get())
                    expected -= len(completions)
                    yield completions
        finally:
            for task in (arrival, *running):
                task.cancel()
            await asyncio.gather(arrival, *running, return_exceptions=True)

    def _free_replica(self, size: int) -> int | None:
        if not self.in_flight:
            raise self.failure
        replica = min(self.in_flight, key=lambda r: (self.in_flight[r], r))
        load = self.in_flight[replica]
        return replica if load == 0 or load + size <= self.capacity else None

    def _start(self, replica: int, unit: list[Request],
               arrived: asyncio.Queue[list[Completion]]) -> asyncio.Task[list[Request]]:
        self.in_flight[replica] += len(unit)
        handle = self.replicas.handles[replica]  # now: when the task runs, the replica may have been dropped
        return asyncio.create_task(self._run(replica, handle, unit, arrived))

    async def _run(self, replica: int, handle: ray.actor.ActorHandle, unit: list[Request],
                   arrived: asyncio.Queue[list[Completion]]) -> list[Request]:
        """Runs `unit` on `replica`; -> the requests that still need another one."""
        left = {request.request_id: request for request in unit}
        try:
            async with asyncio.timeout(self.deadline):
                async for ref in handle.generate.options(num_returns="streaming").remote(unit):
                    completions = await ref
                    for completion in completions:
                        del left[completion.request_id]
                    arrived.put_nowait(completions)
            if left:
                self._lose(replica, f"it left {len(left)} of {len(unit)} requests unanswered")
        except RayError as error:
            if cause := user_error(error):
                raise cause from None
            self._lose(replica, str(explained(error) or error))
        except TimeoutError:
            self._lose(replica, f"no answer within {self.deadline:g} s (rollout.request_timeout)")
        finally:
            if replica in self.in_flight:
                self.in_flight[replica] -= len(unit)
        return list(left.values())

    def _lose(self, replica: int, reason: str) -> None:
        if replica not in self.in_flight:
            return  # another unit of the same replica has reported it
        name = self.replicas.describe(replica)
        del self.in_flight[replica]
        self.replicas.drop(replica)
        self.failure = WorkerFailure(f"{name} was the last rollout replica and failed: {reason}")
        logger.warning("%s failed; %d are left to do its work: %s", name, len(self.in_flight), reason)
