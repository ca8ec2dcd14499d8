"""Which rows make an optimizer step, a choice over the whole batch whatever rank holds a row; and what steps add up to.
"""
from collections.abc import Iterator

import numpy as np

from verl.protocol import DataProto

PROMPT = "prompt"  # column: which of the batch's distinct prompts a row answers, int [rows]
POSITION = "position"  # column: a row's place in the whole batch, int64 [rows]


def mini_batches(batch: DataProto, total: int, count: int, epochs: int, seed: int | None) -> Iterator[DataProto]:
    """This rank's rows of `count` mini-batches of equal size, `epochs` times over.

    Args:
        batch: this rank's rows, with their place in the whole batch of `total` rows (column POSITION).
        seed: draws another order for each epoch, the same on all ranks; None: consecutive parts of the batch.
    """
    for epoch in range(epochs):
        order = np.arange(total) if seed is None else np.random.default_rng((seed, epoch)).permutation(total)
        part = order[batch.batch[POSITION]] * count // total
        for k in range(count):
            yield batch[np.flatnonzero(part == k)]


def average_updates(updates: list[dict[str, float]]) -> dict[str, float]:
    """Mean over the optimizer steps of one call; maxima stay maxima."""
    return {
        name: (max if name.endswith("_max") else np.mean)([u[name] for u in updates]).__float__() for name in updates[0]
    }
