"""The reward actor: decodes answers and scores them in killable processes."""
import asyncio
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from reward_score.pool import RewardPool, RewardRequest, RewardResult
from verl.utils.tokenizer import load_tokenizer

STALL_TIMEOUT = 180.0  # s beyond the deadline of one answer


@dataclass(frozen=True)
class Task:
    """What a prompt's answers are judged by."""
    data_source: str
    ground_truth: Any
    extra_info: dict[str, Any]


class RewardWorker:
    """Wraps `reward_score.pool.RewardPool`; decoding happens here, so the driver never touches tokens."""

    def __init__(self, tokenizer_path: str, trust_remote_code: bool, pool_args: dict[str, Any]):
        self.tokenizer = load_tokenizer(tokenizer_path, trust_remote_code)
        self.pool = RewardPool(**pool_args)
        self.stall_timeout = STALL_TIMEOUT + pool_args.get("timeout", 0.0)
        self.unscored, self.progress = 0, time.monotonic()  # when the last answer was scored, or came to an idle pool

    async def score(self, answers: list[np.ndarray], *tasks: Task) -> list[tuple[str, RewardResult]]:
        """(text, result) of each answer, in order: token ids int32 [n], and the task of each. Each has the pool's own
        deadline.
        """
        texts = self.tokenizer.batch_decode(answers, skip_special_tokens=True)
        requests = [
            RewardRequest(task.data_source, text, task.ground_truth, task.extra_info)
            for task, text in zip(tasks, texts, strict=True)
        ]
        if not self.unscored:
            self.progress = time.monotonic()
        futures = [asyncio.wrap_future(self.pool.submit(request)) for request in requests]
        self.unscored += len(futures)
        for future in futures:
            future.add_done_callback(self._scored)
        results = await asyncio.gather(*futures)
        return list(zip(texts, results, strict=True))

    def _scored(self, future: asyncio.Future[RewardResult]) -> None:
        self.unscored, self.progress = self.unscored - 1, time.monotonic()

    async def ping(self) -> None:
        """A sign of life. RuntimeError when answers wait though none has been scored for long."""
        silent = time.monotonic() - self.progress
        if self.unscored and silent > self.stall_timeout:
            raise RuntimeError(f"no answer was scored for {silent:.0f} s, though {self.unscored} wait and each has a "
                               "deadline; the processes of the reward pool hang")

    async def close(self) -> None:
        """Ends the pool's processes."""
        await asyncio.to_thread(self.pool.close)
