"""Which rows go through the model together: micro-batches that never hold more tokens than the cap."""
import heapq
import math
from collections.abc import Sequence

import numpy as np

from verl.utils.ragged import Ragged
from verl.utils.seqlen_balancing import get_seqlen_balanced_partitions

MIN_SAVING = 0.05  # of all tokens
COPY_COST = 8  # copies of a token's keys and values take as much memory as one token's activations, at most
Lengths = Sequence[int] | np.ndarray


def first_fit_decreasing(lengths: Lengths, capacity: int) -> list[list[int]]:
    """Pack rows into as few bins as first-fit-decreasing finds: at most 11/9 of the optimum + 2/3 (Dósa 2007).

    Longest row first, each into the first bin with room. A max-tree over the bins' free tokens finds that bin in
    O(log rows).

    Args:
        lengths: tokens per row.
        capacity: tokens per bin, never exceeded.

    Returns:
        Row indices per bin, longest first; rows of equal length in their order.
    """
    lengths = np.asarray(lengths, np.int64)
    if lengths.max(initial=0) > capacity:
        row = int(lengths.argmax())
        raise ValueError(f"row {row} has {lengths[row]} tokens, more than ppo_max_token_len_per_gpu={capacity}; "
                         "raise that key or shorten the prompt or response")
    leaves = 1 << max(len(lengths) - 1, 0).bit_length()
    free = [capacity] * (2 * leaves)  # free[node] is the most that a bin below the node has left; leaves are bins
    bins = [[] for _ in range(leaves)]
    for row in np.argsort(-lengths, kind="stable").tolist():
        length = int(lengths[row])
        node = 1
        while node < leaves:
            node *= 2
            if free[node] < length:
                node += 1
        bins[node - leaves].append(row)
        free[node] -= length
        while node > 1:
            node //= 2
            free[node] = max(free[2 * node], free[2 * node + 1])
    return [rows for rows in bins if rows]


def plan_micro_batches(
    lengths: Lengths,
    max_tokens: int | None,
    micro_batch_size: int | None,
    min_count: int = 1,
    costs: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    prompt_lengths: np.ndarray | None = None,
) -> list[np.ndarray]:
    """Cut rows into micro-batches bounded by tokens or by rows.

    Every rank has to run the same number, so the ranks agree on the largest of their counts and plan again with it as
    `min_count`: the heaviest micro-batches that can be are split in two, and empty ones stand in where rows run out.
    They also run in step, each waiting for the slowest: in order of cost, what they run at one time is alike (7B
    model, 64 rows a rank, long-tailed to 32k: 1 % lost in waiting, 14 to 20 % in order of tokens).

    Args:
        lengths: tokens per row.
        max_tokens: `ppo_max_token_len_per_gpu`, when `use_dynamic_bsz`; else None.
        micro_batch_size: `ppo_micro_batch_size_per_gpu` in rows; else None.
        costs: [rows] in any unit, by which micro-batches are ordered and split; None: the tokens.
        groups: [rows], equal where rows share their prompt. The cap counts it once for the rows of a micro-batch (and
            a `COPY_COST`-th for each of the others), so they are kept together where that takes no more micro-batches.
        prompt_lengths: [rows], with `groups`.

    Returns:
        int64 row indices per micro-batch, every row exactly once, shorter rows first (equal lengths side by side, in
        order). The costliest micro-batch comes first, the empty ones last.
    """
    if (max_tokens is None) == (micro_batch_size is None):
        raise ValueError("set exactly one of ppo_max_token_len_per_gpu (with use_dynamic_bsz=True) and "
                         "ppo_micro_batch_size_per_gpu")
    lengths = np.asarray(lengths, np.int64)
    if micro_batch_size is None:
        parts = first_fit_decreasing(lengths, max_tokens)
        if groups is not None:
            parts = min(_group_by_group(lengths, max_tokens, groups, prompt_lengths), parts, key=len)
    else:
        rows = list(range(len(lengths)))
        parts = [rows[start:start + micro_batch_size] for start in range(0, len(rows), micro_batch_size)]
    costs = lengths if costs is None else costs
    parts = _split_heaviest(parts, costs, min_count)
    parts.sort(key=lambda rows: (-costs[rows].sum(), rows))
    parts += [[]] * (min_count - len(parts))
    in_order = [np.array(sorted(rows), np.int64) for rows in parts]
    return [rows[np.argsort(lengths[rows], kind="stable")] for rows in in_order]


def _group_by_group(lengths: np.ndarray, capacity: int, groups: np.ndarray,
                    prompt_lengths: np.ndarray) -> list[list[int]]:
    """Fills one bin after the other with rows of one group after the other, longest first; what does not fit any more
    goes to the next bin, with its prompt. No row may be longer than the capacity.
    """
    parts: list[list[int]] = []
    free = 0  # tokens left in the last bin
    order = np.lexsort((-lengths, groups))
    for rows in np.split(order, np.flatnonzero(np.diff(groups[order])) + 1) if len(order) else []:
        prompt, has_prompt, left = int(prompt_lengths[rows[0]]), False, rows.tolist()
        saved = prompt - math.ceil(prompt / COPY_COST)
        while left:
            later = []
            for row in left:
                tokens = int(lengths[row]) - saved * has_prompt
                if tokens > free:
                    later.append(row)
                else:
                    parts[-1].append(row)
                    free, has_prompt = free - tokens, True
            if later:
                parts.append([])
                free, has_prompt = capacity, False
            left = later
    return parts


def prompt_groups(prompts: Ragged, responses: Ragged) -> np.ndarray | None:
    """Which rows have the same prompt: int64 [rows], equal for equal ones. None where reading each once saves less than
    MIN_SAVING of the tokens: copies for attention, and micro-batches that are less even, would cost as much.
    """
    numbers: dict[bytes, int] = {}
    groups = np.array([numbers.setdefault(prompts[row].tobytes(), len(numbers)) for row in range(len(prompts))],
                      np.int64)  # yapf: disable
    _, first = np.unique(groups, return_index=True)
    saved = prompts.lengths.sum() - prompts.lengths[first].sum()
    return groups if saved > MIN_SAVING * (len(prompts.values) + len(responses.values)) else None


def _split_heaviest(parts: list[list[int]], costs: np.ndarray, min_count: int) -> list[list[int]]:
    """Halve the part that costs most among those of several rows until there are `min_count` or single rows only."""
    done = [rows for rows in parts if len(rows) == 1]
    heap = [(-costs[rows].sum(), rows) for rows in parts if len(rows) > 1]
    heapq.heapify(heap)
    while heap and len(done) + len(heap) < min_count:
        rows = heapq.heappop(heap)[1]
        for half in get_seqlen_balanced_partitions(costs[rows], 2, equal_size=False):
            half = [rows[i] for i in half]
            if len(half) == 1:
                done.append(half)
            else:
                heapq.heappush(heap, (-costs[half].sum(), half))
    return done + [rows for _, rows in heap]
