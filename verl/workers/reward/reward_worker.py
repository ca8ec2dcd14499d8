"""The reward actor: decodes answers and scores them in killable processes."""
import asyncio
from dataclasses import dataclass
from typing import Any

import numpy as np

from reward_score.pool import RewardPool, RewardRequest, RewardResult
from verl.utils.tokenizer import load_tokenizer


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

    async def score(self, answers: list[np.ndarray], *tasks: Task) -> list[tuple[str, RewardResult]]:
        """(text, result) of each answer, in order: token ids int32 [n], and the task of each. Each has the pool's own
        deadline.
        """
        texts = self.tokenizer.batch_decode(answers, skip_special_tokens=True)
        requests = [
            RewardRequest(task.data_source, text, task.ground_truth, task.extra_info)
            for task, text in zip(tasks, texts, strict=True)
        ]
        results = await asyncio.gather(*(asyncio.wrap_future(self.pool.submit(request)) for request in requests))
        return list(zip(texts, results, strict=True))

    async def ping(self) -> None:
        """A sign of life."""

    async def close(self) -> None:
        """Ends the pool's processes."""
        await asyncio.to_thread(self.pool.close)
