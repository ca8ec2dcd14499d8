"""Sends each unit of requests to the least busy replica and streams completions back.

A unit is what one replica call carries: the samples of one prompt for vLLM (one prefix in its cache), a fixed batch for
hf (whose results depend on the batch). A replica is lost when it dies, overruns the deadline of a unit, or gets on with
nothing for `rollout.stall_timeout`. Its unfinished requests go to the others at once, or to its successor; completions
that had arrived stay. (A fixed batch is sent again whole, so that the rest of it comes out as it would have; what comes
twice is dropped.) The successor starts meanwhile:

    _run ───┐                                                    ┌─▶ _watch (every HEARTBEAT)
            ├─ _lose ─▶ replicas.drop ─▶ _restore: replace, start, current weights ─▶ takes units again
    _watch ─┘                                └─ restarts used up, or it does not start: WorkerFailure ends the run
"""
import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence

import ray
from ray.exceptions import RayError

from verl.single_controller import explained, user_error
from verl.workers.rollout.base import Completion, Request
from verl.workers.rollout.replica import ReplicaSet

HEARTBEAT = 5.0  # s between looks at a replica


class RolloutRouter:
    """`capacity`: sequences in flight at one replica before the next unit waits. `bring_up` starts a replica that
    `replicas.replace` has put in place, and gives it the current weights (WeightSync.bring_up). `fixed_batches`: what a
    unit gives depends on all of its requests.
    """

    def __init__(self, replicas: ReplicaSet, capacity: int, bring_up: Callable[[int], Awaitable[None]],
                 fixed_batches: bool):
        self.replicas, self.capacity, self.bring_up = replicas, capacity, bring_up
        self.fixed_batches = fixed_batches
        self.deadline, self.stall_timeout = replicas.config.request_timeout, replicas.config.stall_timeout
        self.in_flight: dict[int, int] = {}  # sequences at each replica that can take more
        self.restoring: set[int] = set()
        self.tasks: set[asyncio.Task[list[Request]]] = set()  # each ends with the requests that still need a replica

    async def generate(self, units: Sequence[list[Request]]) -> AsyncIterator[list[Completion]]:
        """Completions of all units as they finish, each request exactly once; one call at a time. Ends when no replica
        is starting any more: none may start beside the training. WorkerFailure when a replica cannot be restarted; a
        ValueError of an engine as it is, since another replica would raise it too.
        """
        waiting, missing = deque(units), {request.request_id for unit in units for request in unit}
        arrived: asyncio.Queue[list[Completion]] = asyncio.Queue()
        arrival = asyncio.create_task(arrived.get())
        self._begin()
        try:
            while missing or self.restoring:
                while waiting and (replica := self._free_replica(len(waiting[0]))) is not None:
                    self._start(replica, waiting.popleft(), arrived)
                done, _ = await asyncio.wait({arrival, *self.tasks}, return_when=asyncio.FIRST_COMPLETED)
                for task in done & self.tasks:
                    self.tasks.remove(task)
                    if unfinished := task.result():
                        waiting.append(unfinished)
                if arrival in done:
                    completions, arrival = arrival.result(), asyncio.create_task(arrived.get())
                    completions = [c for c in completions if c.request_id in missing]
                    missing -= {c.request_id for c in completions}
                    if completions:
                        yield completions
        finally:
            for task in (arrival, *self.tasks):
                task.cancel()
            await asyncio.gather(arrival, *self.tasks, return_exceptions=True)
            self.tasks, self.restoring = set(), set()

    def _begin(self) -> None:
        """Replicas may have been lost since the last call."""
        self.in_flight = {}
        for replica in self.replicas.handles:
            self._join(replica)
        for replica in self.replicas.lost:
            self._replace(replica)

    def _join(self, replica: int) -> None:
        self.in_flight[replica] = 0
        self._spawn(self._watch(replica, self.replicas.handles[replica]))

    def _replace(self, replica: int) -> None:
        self.restoring.add(replica)
        self._spawn(self._restore(replica))

    def _spawn(self, work: Coroutine[None, None, list[Request]]) -> None:
        self.tasks.add(asyncio.create_task(work))

    def _free_replica(self, size: int) -> int | None:
        replica = min(self.in_flight, key=lambda r: (self.in_flight[r], r), default=None)
        load = 0 if replica is None else self.in_flight[replica]
        return replica if load == 0 or load + size <= self.capacity else None

    def _start(self, replica: int, unit: list[Request], arrived: asyncio.Queue[list[Completion]]) -> None:
        self.in_flight[replica] += len(unit)
        handle = self.replicas.handles[replica]  # now: when the task runs, the replica may have been dropped
        self._spawn(self._run(replica, handle, unit, arrived))

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
                self._lose(replica, handle, f"left {len(left)} of {len(unit)} requests unanswered")
        except RayError as error:
            if cause := user_error(error):
                raise cause from None
            self._lose(replica, handle, f"failed in generate:\n{explained(error) or error}")
        except TimeoutError:
            self._lose(replica, handle, f"gave no answer within {self.deadline:g} s (rollout.request_timeout)")
        finally:
            if self._is_current(replica, handle):
                self.in_flight[replica] -= len(unit)
        return unit if left and self.fixed_batches else list(left.values())

    async def _watch(self, replica: int, handle: ray.actor.ActorHandle) -> list[Request]:
        """Loses the replica when it dies, or does not answer or get on while it has work."""
        clock = asyncio.get_running_loop().time
        progress, since = -1, clock()
        while self._is_current(replica, handle):
            try:
                async with asyncio.timeout(self.stall_timeout):
                    latest = await handle.health.remote()
            except RayError as error:
                self._lose(replica, handle, f"failed in health:\n{error}")
                break
            except TimeoutError:
                latest = progress
            if latest != progress or not self.in_flight.get(replica):
                progress, since = latest, clock()
            elif clock() - since >= self.stall_timeout:
                self._lose(replica, handle, f"made no progress for {self.stall_timeout:g} s (rollout.stall_timeout)")
            await asyncio.sleep(min(HEARTBEAT, self.stall_timeout))
        return []

    def _is_current(self, replica: int, handle: ray.actor.ActorHandle) -> bool:
        return replica in self.in_flight and self.replicas.handles.get(replica) is handle

    def _lose(self, replica: int, handle: ray.actor.ActorHandle, reason: str) -> None:
        if self._is_current(replica, handle):  # else another task has reported it
            del self.in_flight[replica]
            self.replicas.drop(replica, reason)
            self._replace(replica)

    async def _restore(self, replica: int) -> list[Request]:
        """Puts a successor in a lost replica's place."""
        while replica not in self.replicas.handles:  # it can be lost again while it takes its weights
            self.replicas.replace(replica)
            try:
                await self.bring_up(replica)
            except asyncio.CancelledError:
                self.replicas.drop(replica, "was starting when the run ended")  # or who waits for it would go on
                raise
        self.restoring.remove(replica)
        self._join(replica)
        return []
