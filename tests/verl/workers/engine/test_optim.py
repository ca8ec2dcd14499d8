"""The learning-rate schedule, clipping over ranks, and what a broken gradient does."""
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import clip_grad_norm_

from tests.support.two_ranks import MAX_NORM
from verl.config.engine import OptimConfig
from verl.workers.engine.optim import build_optimizer, lr_factor

SCHEDULES = st.fixed_dictionaries({
    "warmup_steps": st.integers(0, 20),
    "total_steps": st.integers(1, 100),
    "kind": st.sampled_from(["constant", "cosine"]),
    "min_ratio": st.floats(0, 1),
    "num_cycles": st.just(0.5),
})


@given(SCHEDULES)
def test_shape_of_the_schedule(schedule):
    warmup, total = schedule["warmup_steps"], max(schedule["total_steps"], schedule["warmup_steps"] + 1)
    factor = [lr_factor(step, **schedule | {"total_steps": total}) for step in range(total + 20)]
    rise, rest = factor[:warmup], factor[warmup:]
    assert rise == pytest.approx([(step + 1) / warmup for step in range(warmup)])
    assert rest[0] == 1
    if schedule["kind"] == "constant":
        assert set(rest) == {1.0}
    else:
        assert all(a >= b for a, b in zip(rest, rest[1:], strict=False))
        assert rest[-20:] == pytest.approx([schedule["min_ratio"]] * 20)
        halfway = lr_factor(warmup + 50, **schedule | {"total_steps": warmup + 100})
        assert halfway == pytest.approx((1 + schedule["min_ratio"]) / 2)


@given(st.integers(0, 300), st.floats(0.1, 4), st.floats(0, 1))
def test_cosine_waves_stay_within_bounds(step, num_cycles, min_ratio):
    factor = lr_factor(step, warmup_steps=0, total_steps=100, kind="cosine", min_ratio=min_ratio, num_cycles=num_cycles)
    assert min_ratio - 1e-12 <= factor <= 1
    progress = min(1.0, step / 100)
    wave = (1 + math.cos(2 * math.pi * num_cycles * progress)) / 2
    assert factor == pytest.approx(min_ratio + (1 - min_ratio) * wave)


@pytest.mark.parametrize("warmup, expected", [
    ({"lr_warmup_steps": 4, "lr_warmup_steps_ratio": 0.5}, 4),
    ({"lr_warmup_steps": 0, "lr_warmup_steps_ratio": 0.5}, 0),
    ({"lr_warmup_steps_ratio": 0.2}, 10),
    ({}, 0),
])  # yapf: disable
def test_warm_up_by_steps_or_by_ratio(warmup, expected):
    optimizer, schedule = build_optimizer(nn.Linear(2, 2), OptimConfig(lr=0.1, total_training_steps=50, **warmup))
    rates = []
    for _ in range(12):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx([0.1 * min(1.0, (step + 1) / max(1, expected)) for step in range(12)])


def test_settings_reach_adamw():
    config = OptimConfig(lr=0.1, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.3)
    group = build_optimizer(nn.Linear(2, 2), config)[0].param_groups[0]
    assert (group["betas"], group["eps"], group["weight_decay"]) == ((0.8, 0.95), 1e-6, 0.3)


@pytest.mark.parametrize("fsdp_size", [-1, 1], ids=["sharded", "replicated"])
def test_clipping_over_two_ranks_equals_torch_on_whole_gradients(on_two_ranks, fsdp_size):
    ours = on_two_ranks["clipping"][fsdp_size]
    parameters = [nn.Parameter(torch.zeros_like(gradient)) for gradient in ours["before"].values()]
    for parameter, gradient in zip(parameters, ours["before"].values(), strict=True):
        parameter.grad = gradient.clone()
    norm = clip_grad_norm_(parameters, MAX_NORM)
    assert norm > 2 * MAX_NORM  # clipping has something to do
    assert ours["norms"] == pytest.approx([float(norm)] * 2, rel=1e-6)
    for parameter, clipped in zip(parameters, ours["after"].values(), strict=True):
        torch.testing.assert_close(clipped, parameter.grad, rtol=1e-5, atol=1e-9)


def test_a_nan_gradient_of_one_rank_skips_the_step_on_all(on_two_ranks):
    ours = on_two_ranks["nan"]
    for metrics in ours["skipped"]:
        assert metrics["skipped_updates"] == 1 and math.isnan(metrics["grad_norm"])
    for name, before in ours["before"].items():
        assert torch.equal(ours["between"][name], before), name
    for metrics in ours["stepped"]:  # nothing of the broken gradient is left, and the schedule did not move on
        assert metrics["skipped_updates"] == 0 and math.isfinite(metrics["grad_norm"])
        assert metrics["lr"] == ours["skipped"][0]["lr"]
    assert all(torch.isfinite(after).all() for after in ours["after"].values())
    assert any(not torch.equal(after, ours["before"][name]) for name, after in ours["after"].items())
