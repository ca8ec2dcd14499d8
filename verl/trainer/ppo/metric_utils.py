"""Metrics of a step and of a validation, under verl's names: functions of the driver's batch.

Columns read from `batch.batch`: Ragged `prompts`, `responses`, `response_mask`; scores as `token_level_scores` or
`scores`, rewards as `token_level_rewards` or `rewards` (without either: the scores), each `[rows]` or Ragged per token;
`advantages`, `returns`, `values` where they exist, `[rows]` (then it holds for every token of the row) or Ragged.
From `non_tensor_batch`: `data_source`.
"""
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import lru_cache
from numbers import Real
from typing import Any

import numpy as np
import psutil

from verl.protocol import DataProto
from verl.utils.flops_counter import ModelCost
from verl.utils.ragged import Ragged

FAILURES = ("timeout", "crash", "error", "unavailable")  # RewardResult.status other than "ok"
TIMED_BY_RESPONSE_TOKEN = ("gen",)
TIMED_BY_TOKEN = ("ref", "old_log_prob", "values", "adv", "update_critic", "update_actor")


def compute_data_metrics(batch: DataProto, max_response_length: int, max_prompt_length: int) -> dict[str, float]:
    """Scores, advantages and lengths of a training batch, over all of it and per data_source.

    A sample without a response token was aborted. It is left out of `critic/score`, `critic/rewards` and
    `response_length_non_aborted`; one whose mask is empty, because nothing is known of it, is left out of scores and
    rewards. A statistic of no samples is NaN.
    """
    lengths = batch.batch["responses"].lengths
    answered = lengths > 0
    known = batch.batch["response_mask"].sum() > 0
    scored = known | ~answered
    scores = _per_sample(batch, "token_level_scores", "scores")
    rewards = _per_sample(batch, "token_level_rewards", "rewards", "token_level_scores", "scores")
    return {
        **_statistics("critic/score", scores[known]),
        **_statistics("critic/rewards", rewards[known]),
        **_token_metrics(batch),
        **_length_metrics("response_length", lengths, max_response_length),
        **_length_metrics("response_length_non_aborted", lengths[answered], max_response_length),
        "response/aborted_ratio":
            float(1 - answered.mean()),
        **_length_metrics("prompt_length", batch.batch["prompts"].lengths, max_prompt_length),
        **_data_source_metrics(batch.non_tensor_batch["data_source"], scores, scored, lengths, max_response_length),
    }


def compute_reward_metrics(data_sources: Sequence[str], statuses: Sequence[str],
                           seconds: Sequence[float]) -> dict[str, float]:
    """How scoring went, per data_source: the share of each failure and the latency of one score, in seconds.

    Args:
        data_sources, statuses, seconds: [samples], of `RewardResult`.
    """
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row, source in enumerate(data_sources):
        rows_of[source].append(row)
    metrics = {}
    for source, rows in sorted(rows_of.items()):
        counts = Counter(statuses[row] for row in rows)
        metrics |= {f"reward/{source}/{kind}_rate": counts[kind] / len(rows) for kind in FAILURES}
        for percent in (50, 99):
            metrics[f"reward/{source}/latency_p{percent}"] = float(
                np.percentile([seconds[row] for row in rows], percent))
    return metrics


def compute_timing_metrics(batch: DataProto, timing_raw: dict[str, float]) -> dict[str, float]:
    """Seconds per phase, and milliseconds per token: of responses for `gen`, of prompts and responses for others."""
    response_tokens = len(batch.batch["responses"].values)
    tokens = dict.fromkeys(TIMED_BY_RESPONSE_TOKEN, response_tokens)
    tokens |= dict.fromkeys(TIMED_BY_TOKEN, response_tokens + len(batch.batch["prompts"].values))
    metrics = {f"timing_s/{name}": seconds for name, seconds in timing_raw.items()}
    for name in timing_raw.keys() & tokens.keys():
        metrics[f"timing_per_token_ms/{name}"] = 1000 * timing_raw[name] / max(tokens[name], 1)
    return metrics


def compute_throughput_metrics(batch: DataProto, timing_raw: dict[str, float], n_devices: int) -> dict[str, float]:
    """Tokens of prompts and responses, seconds per step (`timing_raw["step"]`), tokens per second and device, and the
    memory in use on this node."""
    tokens = len(batch.batch["prompts"].values) + len(batch.batch["responses"].values)
    return {
        "perf/total_num_tokens": tokens,
        "perf/time_per_step": timing_raw["step"],
        "perf/throughput": tokens / (timing_raw["step"] * n_devices),
        "perf/cpu_memory_used_gb": psutil.virtual_memory().used / 2**30,
    }


def compute_mfu_metrics(batch: DataProto, timing_raw: dict[str, float], cost: ModelCost, ppo_epochs: int,
                        peak: float | None) -> dict[str, float]:
    """perf/mfu/actor: operations that the update needs over what the devices could have done in its time, `peak` per
    second all together; a prompt counts for each of its answers, as is usual, though it is read once. Nothing where
    the peak is unknown or nothing was updated.
    """
    if peak is None or "update_actor" not in timing_raw:
        return {}
    needed = ppo_epochs * cost.training(batch.batch["prompts"].lengths, batch.batch["responses"].lengths).sum()
    return {"perf/mfu/actor": float(needed / (peak * timing_raw["update_actor"]))}


def process_validation_metrics(
    data_sources: Sequence[str],
    sample_uids: Sequence[str],
    infos_dict: dict[str, Sequence[Any]],
) -> dict[str, float]:
    """Accuracy of N samples per prompt: a figure per prompt, averaged over the prompts of a data_source.

    Per numeric variable of `infos_dict`: mean@N; for N > 1 also std@N (population), best@n/mean for n = 2, 4, … and N,
    and, where a data_source has answers in `pred`, maj@N/mean. best@n is the exact expectation of the best of n samples
    drawn without replacement (for a variable of 0 and 1: the unbiased pass@n, arXiv:2107.03374). maj@N is the mean of
    the most frequent answer's samples, averaged over the answers that tie for it; None, no answer found, is one of
    them. Nothing is drawn at random.

    Args:
        data_sources: [samples].
        sample_uids: [samples], equal for samples of one prompt.
        infos_dict: [samples] each: acc, reward, score, pred, …. None where a sample lacks the key. Text and `pred` are
            no variables.

    Returns:
        `{section}/{data_source}/{variable}/{figure}`. In val-core: of acc (else reward, else score) the figures at the
        largest N. In val-aux: the others.
    """
    for name, values in infos_dict.items():
        if len(values) != len(data_sources):
            raise ValueError(f"validation info {name!r} has {len(values)} values for {len(data_sources)} samples")
    prompts_of: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for row, (source, uid) in enumerate(zip(data_sources, sample_uids, strict=True)):
        prompts_of[source][uid].append(row)
    metrics = {}
    for source, prompts in prompts_of.items():
        names = infos_dict.keys() - {"pred"}
        figures = {name: _variable_figures(name, infos_dict, list(prompts.values())) for name in sorted(names)}
        core = next((name for name in ("acc", "reward", "score") if figures.get(name)), None)
        largest = max(map(_samples, figures[core])) if core else 0
        for name in figures:
            for figure, value in figures[name].items():
                section = "val-core" if name == core and _samples(figure) == largest else "val-aux"
                metrics[f"{section}/{source}/{name}/{figure}"] = value
    return metrics


def _per_sample(batch: DataProto, *names: str) -> np.ndarray:
    column = next(batch.batch[name] for name in names if name in batch.batch)
    return column.sum() if isinstance(column, Ragged) else column


def _statistics(prefix: str, values: np.ndarray) -> dict[str, float]:
    if not len(values):
        return dict.fromkeys((f"{prefix}/mean", f"{prefix}/max", f"{prefix}/min"), math.nan)
    return {
        f"{prefix}/mean": float(values.mean(dtype=np.float64)),
        f"{prefix}/max": float(values.max()),
        f"{prefix}/min": float(values.min()),
    }


def _length_metrics(prefix: str, lengths: np.ndarray, longest: int) -> dict[str, float]:
    clipped = float((lengths == longest).mean()) if len(lengths) else math.nan
    return _statistics(prefix, lengths) | {f"{prefix}/clip_ratio": clipped}


def _token_metrics(batch: DataProto) -> dict[str, float]:
    mask = batch.batch["response_mask"]
    counted = mask.values.astype(bool)
    metrics = {}
    for name in ("advantages", "returns", "values"):
        if name in batch.batch:
            column = batch.batch[name]
            tokens = column.values if isinstance(column, Ragged) else np.repeat(column, mask.lengths)
            metrics |= _statistics(f"critic/{name}", tokens[counted])
    return metrics


def _data_source_metrics(sources: np.ndarray, scores: np.ndarray, scored: np.ndarray, lengths: np.ndarray,
                         longest: int) -> dict[str, float]:
    metrics = {}
    for source in sorted(set(sources)):
        rows = sources == source
        metrics |= _length_metrics(f"response_length/{source}", lengths[rows], longest)
        its_scores = scores[rows & scored]
        metrics |= _statistics(f"critic/scores/{source}", its_scores)
        metrics[f"critic/scores/{source}/std"] = float(its_scores.std(
            dtype=np.float64)) if len(its_scores) else math.nan
    return metrics


def _samples(figure: str) -> int:
    """8 of best@8/mean."""
    return int(figure.split("@")[1].split("/")[0])


def _variable_figures(name: str, infos: dict[str, Sequence[Any]], prompts: list[list[int]]) -> dict[str, float]:
    preds = infos.get("pred", [])
    answered = len(preds) > 0 and any(preds[row] is not None for rows in prompts for row in rows)
    collected = defaultdict(list)
    for rows in prompts:
        rows = [row for row in rows if isinstance(infos[name][row], (Real, np.bool_))]
        values = np.array([infos[name][row] for row in rows], np.float64)
        for figure, value in _prompt_figures(values, [preds[row] for row in rows] if answered else None).items():
            collected[figure].append(value)
    return {figure: float(np.mean(values)) for figure, values in collected.items()}


def _prompt_figures(values: np.ndarray, preds: list[Any] | None) -> dict[str, float]:
    total = len(values)
    if total == 0:
        return {}
    figures = {f"mean@{total}": values.mean()}
    if total == 1:
        return figures
    figures[f"std@{total}"] = values.std()
    for n in sorted({total, *(2**power for power in range(1, total.bit_length()))}):
        figures[f"best@{n}/mean"] = np.sort(values) @ _best_of_weights(n, total)
    if preds is not None:
        figures[f"maj@{total}/mean"] = _majority(values, preds)
    return figures


@lru_cache
def _best_of_weights(n: int, total: int) -> np.ndarray:
    """Probability that the i-th smallest of `total` values is the largest of n drawn without replacement."""
    return np.array([math.comb(below, n - 1) / math.comb(total, n) for below in range(total)])


def _majority(values: np.ndarray, preds: list[Any]) -> float:
    answers = [str(pred) for pred in preds]  # hashable, and 4 agrees with "4"
    votes = Counter(answers)
    most = max(votes.values())
    return values[[votes[answer] == most for answer in answers]].mean()
