from types import SimpleNamespace

import numpy as np
import pytest
import torch

from verl.algorithms.policy_loss import (
    POLICY_LOSS_REGISTRY,
    compute_policy_loss_vanilla,
    get_policy_loss_fn,
    register_policy_loss,
)


def config_of(low=None, high=None, c=3.0, **counts):
    return SimpleNamespace(clip_ratio=0.2,
                           clip_ratio_low=low,
                           clip_ratio_high=high,
                           clip_ratio_c=c,
                           global_batch_info=counts)


def reference(old, new, adv, mask, low, high, c):
    """One token at a time, from the papers' formulae."""
    losses, upper, lower = [], [], []
    for o, n, a in zip(old[mask], new[mask], adv[mask], strict=True):
        r = np.exp(np.clip(n - o, -20, 20))
        surrogate = min(r * a, np.clip(r, 1 - low, 1 + high) * a)
        losses.append(-max(surrogate, c * a) if a < 0 else -surrogate)
        upper.append(np.clip(r, 1 - low, 1 + high) * a < r * a)
        lower.append(a < 0 and surrogate < c * a)
    return np.mean(losses), np.mean(upper), np.mean(lower), -np.mean(np.clip((new - old)[mask], -20, 20))


@pytest.mark.parametrize("low, high, c", [(None, None, 3.0), (0.1, 0.28, 1.5)])
def test_matches_the_formula(low, high, c):
    rng = np.random.default_rng(0)
    old, new = -rng.exponential(2, (8, 9)), -rng.exponential(2, (8, 9))
    adv, mask = rng.normal(size=(8, 9)), rng.random((8, 9)) < 0.7
    loss, metrics = compute_policy_loss_vanilla(*map(torch.tensor, (old, new, adv, mask)),
                                                config=config_of(low, high, c))
    expected = reference(old, new, adv, mask, low or 0.2, high or 0.2, c)
    names = ("actor/pg_clipfrac", "actor/pg_clipfrac_lower", "actor/ppo_kl")
    np.testing.assert_allclose([loss.item(), *(metrics[name].item() for name in names)], expected, rtol=1e-12)
    assert expected[1] > 0.1 and expected[2] > 0.1  # the case reaches every branch


@pytest.mark.parametrize("ratio, advantage, gradient", [
    (1.0, 1.0, -1.0),
    (1.5, 1.0, 0.0),
    (1.5, -1.0, 1.5),
    (0.5, -1.0, 0.0),
    (0.5, 1.0, -0.5),
    (4.0, -1.0, 0.0),
])  # yapf: disable
def test_gradient_flows_where_nothing_clips(ratio, advantage, gradient):
    log_prob = torch.tensor([[np.log(ratio)]], requires_grad=True)
    one = torch.ones(1, 1, dtype=torch.float64)
    loss, _ = compute_policy_loss_vanilla(0 * one, log_prob, advantage * one, one, config=config_of())
    loss.backward()
    assert log_prob.grad.item() == pytest.approx(gradient)


def test_on_policy_nothing_is_clipped_and_kl_is_zero():
    log_prob = -torch.rand(3, 4)
    _, metrics = compute_policy_loss_vanilla(log_prob,
                                             log_prob,
                                             torch.randn(3, 4),
                                             torch.ones(3, 4),
                                             config=config_of())
    assert set(metrics) == {"actor/pg_clipfrac", "actor/pg_clipfrac_lower", "actor/ppo_kl"}
    assert not any(metrics.values())


def test_metrics_are_detached_scalars():
    log_prob = torch.zeros(2, 3, requires_grad=True)
    ones = torch.ones(2, 3)
    loss, metrics = compute_policy_loss_vanilla(ones, log_prob, ones, ones, config=config_of())
    assert loss.requires_grad
    assert all(m.ndim == 0 and not m.requires_grad for m in metrics.values())


def test_rollout_weights_scale_the_token_losses():
    ones = torch.ones(1, 2, dtype=torch.float64)
    loss, metrics = compute_policy_loss_vanilla(ones,
                                                ones,
                                                ones,
                                                ones,
                                                config=config_of(),
                                                rollout_is_weights=torch.tensor([[0.5, 2.0]]))
    assert loss.item() == -1.25 and metrics["actor/ppo_kl"].item() == 0


def test_misuse_is_an_assertion():
    ones = torch.ones(1, 1)
    with pytest.raises(AssertionError, match="clip_ratio_c must exceed 1"):
        compute_policy_loss_vanilla(ones, ones, ones, ones, config=config_of(c=1.0))
    with pytest.raises(AssertionError, match="config"):
        compute_policy_loss_vanilla(ones, ones, ones, ones)


def test_registry():
    assert get_policy_loss_fn("vanilla") is compute_policy_loss_vanilla
    with pytest.raises(ValueError, match="loss_mode='nope' is unknown; known: vanilla"):
        get_policy_loss_fn("nope")
    try:
        mine = register_policy_loss("mine")(lambda **_: None)
        assert get_policy_loss_fn("mine") is mine
        with pytest.raises(ValueError, match="'mine' is registered twice"):
            register_policy_loss("mine")(lambda **_: None)
    finally:
        POLICY_LOSS_REGISTRY.pop("mine")
