"""Spread samples over ranks so that all finish together."""
import heapq
from collections.abc import Sequence

import numpy as np

Partitions = list[list[int]]


def get_seqlen_balanced_partitions(
    seqlen_list: Sequence[float],
    k_partitions: int,
    equal_size: bool,
) -> Partitions:
    """Part `seqlen_list` (tokens, or any cost) into `k_partitions` so that the heaviest is as light as we find.

    The best of `karmarkar_karp` (usually), `longest_first` (few items to a part, long-tailed), consecutive runs and
    dealing in turn, so that balancing never does harm.

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
    costs = np.asarray(seqlen_list)
    candidates = [method(costs.tolist(), k_partitions, equal_size) for method in (karmarkar_karp, longest_first)]
    candidates.append([part.tolist() for part in np.array_split(np.arange(total), k_partitions)])
    candidates.append([list(range(first, total, k_partitions)) for first in range(k_partitions)])
    best = min(candidates, key=lambda parts: max(costs[part].sum() for part in parts))
    return [sorted(part) for part in best]


def karmarkar_karp(costs: Sequence[float], k: int, equal_size: bool) -> Partitions:
    """The largest differencing method for `k` parts (Karmarkar and Karp 1982; of equal size: Michiels, Korst and Aarts
    2003). No part stays empty where there are items enough.

    Begins with a partition of every single item (`equal_size`: of every k neighbours by cost, one to a part) and joins
    the two most uneven ones, heaviest part to lightest, until one is left. A joint partition is at most as uneven as
    the worse of the two: sums differ by at most the largest item.
    """
    by_cost = sorted(range(len(costs)), key=lambda item: -costs[item])
    width = k if equal_size else 1
    heap = []  # (-unevenness, serial, its parts as (sum, items), heaviest first)
    for start in range(0, len(costs), width):
        parts = [(costs[item], [item]) for item in by_cost[start:start + width]] + [(0, [])] * (k - width)
        heap.append((parts[-1][0] - parts[0][0], start, parts))
    heapq.heapify(heap)
    serial = len(costs)
    while len(heap) > 1:
        first, second = heapq.heappop(heap)[2], heapq.heappop(heap)[2]
        joint = [(a + b, left + right) for (a, left), (b, right) in zip(first, reversed(second), strict=True)]
        joint.sort(key=lambda part: (-part[0], -len(part[1])))  # by size too: an empty part is filled before a zero sum
        heapq.heappush(heap, (joint[-1][0] - joint[0][0], serial, joint))
        serial += 1
    return [items for _, items in heap[0][2]]


def longest_first(costs: Sequence[float], k: int, equal_size: bool) -> Partitions:
    """Longest item first, each to the lightest of `k` parts with room (Graham 1969)."""
    room = len(costs) // k if equal_size else len(costs)
    parts: Partitions = [[] for _ in range(k)]
    lightest = [(0, 0, part) for part in range(k)]  # (sum, items, part) is a heap
    for item in sorted(range(len(costs)), key=lambda item: -costs[item]):
        weight, items, part = heapq.heappop(lightest)
        parts[part].append(item)
        if items + 1 < room:
            heapq.heappush(lightest, (weight + costs[item], items + 1, part))
    return parts


def rank_shares(costs: np.ndarray, ranks: int, mini_batches: int, balance: bool) -> Partitions:
    """Rows of each rank: equal parts of every one of `mini_batches` consecutive parts of the batch.

    Mini-batches are cut before rows are dealt to ranks: which rows make an update does not depend on how many ranks
    there are.

    Args:
        costs: [rows].
        balance: even out the costs; else the rows of a mini-batch are dealt as they come.
    """
    shares: Partitions = [[] for _ in range(ranks)]
    for rows in np.split(np.arange(len(costs)), mini_batches):
        if balance:
            parts = get_seqlen_balanced_partitions(costs[rows], ranks, equal_size=True)
        else:
            parts = np.split(np.arange(len(rows)), ranks)
        for share, part in zip(shares, parts, strict=True):
            share.extend(rows[part].tolist())
    return shares


def log_seqlen_unbalance(
    seqlen_list: Sequence[int],
    partitions: Partitions,
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


def cost_imbalance(costs: np.ndarray, partitions: Partitions) -> float:
    """Cost of the heaviest part over the mean, at least 1: how much longer the ranks take than they would, all equal.
    """
    return float(max(costs[part].sum() for part in partitions) * len(partitions) / costs.sum())
