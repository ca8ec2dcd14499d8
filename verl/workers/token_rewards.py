"""From a sample's reward to rewards, advantages and returns of its tokens, on the rank that holds them.

Columns of `batch`: `rewards` [rows]; Ragged `response_mask`, and `values`, `old_log_probs`, `ref_log_prob`, `reward_kl`
where a function says so. Everything is computed in float64; what is kept is float32.
"""
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from verl.algorithms.advantage import get_adv_estimator_fn
from verl.algorithms.kl import kl_penalty
from verl.protocol import DataProto
from verl.utils.ragged import Ragged

Reduce = Callable[[Tensor], Tensor]


def reward_kl(batch: DataProto, kind: str) -> tuple[Ragged, np.ndarray]:
    """Estimate of KL(policy || reference) per token (`old_log_probs` and `ref_log_prob`), 0 where nothing counts; and
    its sum per row, float64 [rows].
    """
    columns = (
        torch.from_numpy(batch.batch[name].values.astype(np.float64)) for name in ("old_log_probs", "ref_log_prob"))
    mask = batch.batch["response_mask"]
    kl = Ragged(np.where(mask.values, kl_penalty(*columns, kind).numpy(), 0.0), mask.offsets)
    return Ragged(kl.values.astype(np.float32), kl.offsets), kl.sum()


def token_level_rewards(batch: DataProto, kl_coef: float) -> Tensor:
    """[rows, longest]: each row's reward at its last token that counts, less kl_coef * `reward_kl` where that is there.
    """
    mask = _padded(batch, "response_mask").bool()
    filled = mask.any(1)
    last = mask.shape[1] - 1 - mask.flip(1).int().argmax(1)
    rewards = torch.zeros(mask.shape, dtype=torch.float64)
    rewards[filled, last[filled]] = torch.from_numpy(batch.batch["rewards"].astype(np.float64))[filled]
    return rewards - kl_coef * _padded(batch, "reward_kl") if "reward_kl" in batch.batch else rewards


def value_advantages(batch: DataProto, estimator: str, gamma: float, lam: float, kl_coef: float,
                     sum_over_ranks: Reduce) -> dict[str, Ragged]:
    """Columns `advantages` and `returns` by an estimator that takes `values` (see `needs_values`)."""
    mask = _padded(batch, "response_mask").bool()
    results = get_adv_estimator_fn(estimator)(token_level_rewards=token_level_rewards(batch, kl_coef),
                                              values=_padded(batch, "values"),
                                              response_mask=mask,
                                              gamma=gamma,
                                              lam=lam,
                                              sum_over_ranks=sum_over_ranks)
    keep = batch.batch["response_mask"].padding_mask(length=mask.shape[1])
    return {
        name: Ragged.from_padded(result.numpy().astype(np.float32), keep)
        for name, result in zip(("advantages", "returns"), results, strict=True)
    }


def value_metrics(batch: DataProto, reduce: Callable[[dict[str, Tensor]], dict[str, float]]) -> dict[str, float]:
    """critic/{advantages,returns,values}/{mean,max,min} and critic/vf_explained_var over the tokens that count, all
    ranks'; NaN of none. `reduce`: see TrainEngine.reduce_metrics.
    """
    counted = batch.batch["response_mask"].values.astype(bool)
    names = ("advantages", "returns", "values")
    tokens = {name: torch.from_numpy(batch.batch[name].values[counted].astype(np.float64)) for name in names}
    tokens["errors"] = tokens["returns"] - tokens["values"]
    local = {"count": torch.tensor(float(counted.sum()))}
    for name, values in tokens.items():
        local |= {f"{name}": values.sum(), f"{name} squared": values.square().sum()}
        low = values.new_tensor([-math.inf])
        local |= {f"{name}_max": torch.cat([values, low]).max(), f"-{name}_max": torch.cat([-values, low]).max()}
    total = reduce(local)
    if not (count := total["count"]):
        return dict.fromkeys((f"critic/{name}/{figure}" for name in names for figure in ("mean", "max", "min")),
                             math.nan)
    variance = lambda name: total[f"{name} squared"] / count - (total[name] / count)**2
    metrics = {"critic/vf_explained_var": 1 - variance("errors") / (variance("returns") + 1e-5)}
    for name in names:
        figures = {"mean": total[name] / count, "max": total[f"{name}_max"], "min": -total[f"-{name}_max"]}
        metrics |= {f"critic/{name}/{figure}": value for figure, value in figures.items()}
    return metrics


def _padded(batch: DataProto, name: str) -> Tensor:
    """float64 [rows, longest response of this rank, at least 1]."""
    column = batch.batch[name]
    return torch.from_numpy(column.to_padded(length=max(1, int(column.lengths.max(initial=0)))).astype(np.float64))
