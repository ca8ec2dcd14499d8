"""What a rollout engine does: token ids in, token ids and log-probs out."""
import hashlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Sampling:
    """verl's sampling keys. temperature 0 is greedy; top_k -1 and top_p 1 are off; `stop_ids` end a sequence and belong
    to it.
    """
    temperature: float
    max_new_tokens: int
    top_k: int = -1
    top_p: float = 1.0
    min_new_tokens: int = 0
    stop_ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class Request:
    """One sequence to generate. `prompt_ids` int32 [length]."""
    request_id: str
    prompt_ids: np.ndarray
    sampling: Sampling
    seed: int


@dataclass(frozen=True)
class Completion:
    """token_ids int32 [n], log_probs float32 [n] under the sampling distribution (nats); finish_reason
    stop|length|abort.

    `version_spans`: (weight version, number of tokens sampled under it), in order; the counts sum to n.
    """
    request_id: str
    token_ids: np.ndarray
    log_probs: np.ndarray
    finish_reason: str
    version_spans: tuple[tuple[int, int], ...]


def version_spans(counts: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """(version, its tokens) from (version, tokens up to its end), in order; versions without tokens are left out."""
    ends = [0, *(end for _, end in counts)]
    spans = [(version, end - start) for (version, end), start in zip(counts, ends, strict=False)]
    return tuple(span for span in spans if span[1])


class RolloutEngine(ABC):
    """Lives inside one replica actor. `version` counts weight updates; 0 is what is on disk."""

    version: int = 0

    @abstractmethod
    async def start(self) -> None:
        """Loads the model; returns when `generate` may be called."""

    @abstractmethod
    def generate(self, requests: list[Request]) -> AsyncIterator[list[Completion]]:
        """Completions of `requests` in whatever order they finish, several at a time. ValueError for a request that no
        replica could serve.
        """

    @abstractmethod
    async def update_weights(self, version: int, directory: str) -> None:
        """Loads the safetensors under `directory` as weight version `version`."""

    async def transfer(self, step: str, info: dict[str, Any]) -> None:
        """One call of an engine's own weight-transfer protocol, where it has one."""
        raise NotImplementedError(f"{type(self).__name__} takes weights from files only")

    @abstractmethod
    async def health(self) -> int:
        """A count that moves as long as `generate` gets on: decode steps or tokens. Raises when the engine is dead.

        It answers at once, also in the midst of the work.
        """

    @abstractmethod
    async def sleep(self) -> None:
        """Frees device memory while training runs; nothing where the engine has none to give."""

    @abstractmethod
    async def wake(self, tag: str) -> None:
        """Takes back the memory for `tag`: "weights" before an update, "kv_cache" after it."""

    @abstractmethod
    async def close(self) -> None:
        """Ends the engine's own processes, where it has any."""


def sample_seed(run_seed: int, step: int, uid: str, sample: int) -> int:
    """Seed of one sample, a function of what it is and never of when or where it runs. 63 bits."""
    key = f"{run_seed}/{step}/{uid}/{sample}".encode()
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big") >> 1
