"""Turns prompts into a scored batch: generation and scoring overlap, each completion is scored as it arrives."""
import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import ray
from ray.exceptions import RayError

from reward_score.pool import RewardResult
from reward_score.shaping import Shaping
from verl.protocol import DataProto
from verl.single_controller import WorkerFailure, WorkerGroup
from verl.utils.dataset.rl_dataset import PromptRow
from verl.utils.errors import RunFailure
from verl.utils.ragged import Ragged
from verl.workers.reward.reward_worker import Task
from verl.workers.rollout.base import Completion, Request, Sampling, sample_seed
from verl.workers.rollout.router import RolloutRouter

HEARTBEAT = 5.0  # s between looks at the reward actor and at the training workers, which idle meanwhile
HEARTBEAT_TIMEOUT = 180.0  # s; a reward actor that has just been started may still be loading

Sources = dict[str, tuple[PromptRow, ray.ObjectRef]]  # request id -> what it asks, and the Task to judge it by


@dataclass(frozen=True)
class Sample:
    """One answer to one prompt, scored."""
    row: PromptRow
    completion: Completion
    text: str
    reward: RewardResult

    @property
    def known(self) -> bool:
        """Whether anything is known of it; False when a judge or a remote sandbox did not answer."""
        return self.reward.status != "unavailable"


class Rollouts:
    """Generates samples on the replicas and scores them on the reward actor.

    `unit_size` None: a unit is the samples of one prompt; else fixed batches of so many sequences (see RolloutRouter).
    """

    def __init__(self, router: RolloutRouter, reward: ray.actor.ActorHandle, trainer: WorkerGroup,
                 unit_size: int | None, seed: int, max_failure_rate: float, shaping: Shaping):
        self.router, self.reward, self.trainer = router, reward, trainer
        self.unit_size, self.seed, self.max_failure_rate, self.shaping = unit_size, seed, max_failure_rate, shaping

    def collect(self, rows: list[PromptRow], sampling: Sampling, n: int, step: int,
                on_progress: Callable[[int], None]) -> DataProto:
        """`n` scored samples of every row, in row order (columns: see `to_batch`). RunFailure when too many scores
        failed.
        """
        requests = {
            f"{step}/{row.index}/{k}":
                Request(f"{step}/{row.index}/{k}", row.prompt_ids, sampling,
                        sample_seed(self.seed, step, str(row.index), k)) for row in rows for k in range(n)
        }
        # A task may be large (a program's tests): it enters the object store once, not with each of its answers.
        tasks = [ray.put(Task(row.data_source, row.ground_truth, row.extra_info)) for row in rows]
        asked = ((row, task) for row, task in zip(rows, tasks, strict=True) for _ in range(n))
        sources = dict(zip(requests, asked, strict=True))
        samples = asyncio.run(self._watched(self._generate(list(requests.values()), n, sources, on_progress)))
        check_failures(samples, self.max_failure_rate)
        return to_batch([samples[request_id] for request_id in requests], self.shaping)

    async def _watched(self, work: Any) -> dict[str, Sample]:
        worker, *watchers = (asyncio.create_task(c) for c in (work, self._watch_trainer(), self._watch_reward()))
        done, pending = await asyncio.wait({worker, *watchers}, return_when=asyncio.FIRST_COMPLETED)
        await _cancel(pending)
        for watcher in done.intersection(watchers):
            watcher.result()  # raises: a watcher ends no other way
        return worker.result()

    async def _watch_trainer(self) -> None:
        """Raises when a training worker dies while nobody calls it."""
        while True:
            await asyncio.sleep(HEARTBEAT)
            timeout = None if self.router.restoring else HEARTBEAT_TIMEOUT  # None: they may be writing weights for it
            await asyncio.to_thread(self.trainer.identify, timeout=timeout)

    async def _watch_reward(self) -> None:
        """Raises when the reward actor dies, hangs or scores nothing, which need not wait until all is generated."""
        while True:
            await asyncio.sleep(HEARTBEAT)
            await _of_reward(self.reward.ping.remote(), HEARTBEAT_TIMEOUT)

    async def _generate(self, requests: list[Request], n: int, sources: Sources,
                        on_progress: Callable[[int], None]) -> dict[str, Sample]:
        size = self.unit_size or n
        units = [requests[start:start + size] for start in range(0, len(requests), size)]
        scoring = []
        try:
            async for completions in self.router.generate(units):
                scoring.append(asyncio.create_task(self._score(completions, sources)))
                on_progress(len(completions))
            return {s.completion.request_id: s for samples in await asyncio.gather(*scoring) for s in samples}
        finally:
            await _cancel(scoring)

    async def _score(self, completions: list[Completion], sources: Sources) -> list[Sample]:
        rows, tasks = zip(*(sources[c.request_id] for c in completions), strict=True)
        scored = await _of_reward(self.reward.score.remote([c.token_ids for c in completions], *tasks), None)
        return [Sample(row, c, text, result) for row, c, (text, result) in zip(rows, completions, scored, strict=True)]


async def _cancel(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Ends what is still running and takes note of what had failed already."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _of_reward(reference: ray.ObjectRef, timeout: float | None) -> Any:
    """What the reward actor answers. WorkerFailure when it cannot within `timeout` seconds; None: while `ping` answers,
    for how long scores may take depends on how many wait.
    """
    try:
        async with asyncio.timeout(timeout):
            return await reference
    except RayError as error:  # before TimeoutError, which one that the actor raised is as well
        raise WorkerFailure(f"the reward actor failed: {error}") from None
    except TimeoutError:
        raise WorkerFailure(f"the reward actor gave no sign of life for {timeout:g} s") from None


def check_failures(samples: dict[str, Sample], max_rate: float) -> None:
    """RunFailure with examples when more than `max_rate` of the rewards timed out, crashed, raised or found no judge,
    or when nothing is known of any answer.
    """
    failed = [s for s in samples.values() if s.reward.status != "ok"]
    if len(failed) <= max_rate * len(samples) and (not failed or any(s.known for s in samples.values())):
        return
    kinds = Counter((s.row.data_source, s.reward.status) for s in failed)
    examples = "; ".join(f"{s.row.data_source} ({s.reward.status}): {s.reward.error}" for s in failed[:3])
    raise RunFailure(
        f"{len(failed)} of {len(samples)} rewards failed, more than reward_model.max_failure_rate={max_rate}: "
        f"{dict(kinds)}. Examples: {examples}")


def to_batch(samples: list[Sample], shaping: Shaping) -> DataProto:
    """Ragged prompts, responses, response_mask, rollout_log_probs; `scores` and (shaped) `rewards` per sample; objects
    uid, data_source and the sample itself, for people and metrics.

    A sample of which nothing is known has an empty mask, so that no loss and no statistic counts it.
    """
    responses = Ragged.from_rows([s.completion.token_ids for s in samples])
    rewards = [shaping(s.reward.score, s.reward.acc, s.text, len(s.completion.token_ids)) for s in samples]
    known = np.repeat(np.array([s.known for s in samples], bool), responses.lengths)
    return DataProto.from_dict(
        {
            "prompts": Ragged.from_rows([s.row.prompt_ids for s in samples]),
            "responses": responses,
            "response_mask": Ragged(known, responses.offsets),
            "rollout_log_probs": Ragged.from_rows([s.completion.log_probs for s in samples]),
            "scores": np.array([s.reward.score for s in samples], np.float64),
            "rewards": np.array(rewards, np.float64),
        }, {
            "uid": [str(s.row.index) for s in samples],
            "data_source": [s.row.data_source for s in samples],
            "sample": samples,
        })
