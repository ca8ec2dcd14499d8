"""Spread samples over ranks so that all finish together."""
import heapq
from collections.abc import Sequence

import numpy as np


def get_seqlen_balanced_partitions(
    seqlen_list: Sequence[int],
    k_partitions: int,
    equal_size: bool,
) -> list[list[int]]:
    """Part `seqlen_list` (tokens, or any cost) into `k_partitions`, longest first to the lightest part with room.

    Sums of two parts differ by at most the longest item (Graham 1969), unless `equal_size` forces it otherwise.

    Args:
        equal_size: every part gets len(seqlen_list) / k_partitions items.

    Returns:
        Indices per part, ascending; no part is empty. The same input gives the same parts.
    """
    total = len(seqlen_list)
    if not 1 <= k_partitions <= total:
        raise ValueError(f"{total} samples cannot fill {k_partitions} parts: use a larger batch or fewer ranks")
    if equal_size and total % k_partitions:
        raise ValueError(f"{total} samples do not divide into {k_partitions} equal parts: change the batch size")
    room = total // k_partitions if equal_size else total
    parts = [[] for _ in range(k_partitions)]
    lightest = [(0, 0, part) for part in range(k_partitions)]  # (sum, items, part) is a heap
    for item in np.argsort(-np.asarray(seqlen_list), kind="stable").tolist():
        weight, items, part = heapq.heappop(lightest)
        parts[part].append(item)
        if items + 1 < room:
            heapq.heappush(lightest, (weight + seqlen_list[item], items + 1, part))
    return [sorted(part) for part in parts]


def log_seqlen_unbalance(
    seqlen_list: Sequence[int],
    partitions: list[list[int]],
    prefix: str = "global_seqlen",
) -> dict[str, float]:
    """Tokens per part, before balancing (consecutive samples) and after it (`partitions`)."""
    lengths = np.asarray(seqlen_list)
    before = [part.sum() for part in np.array_split(lengths, len(partitions))]
    after = [lengths[part].sum() for part in partitions]
    figures = {
        "min": min(before),
        "max": max(before),
        "minmax_diff": max(before) - min(before),
        "balanced_min": min(after),
        "balanced_max": max(after),
        "mean": lengths.sum() / len(partitions),
    }
    return {f"{prefix}/{name}": float(figure) for name, figure in figures.items()}
