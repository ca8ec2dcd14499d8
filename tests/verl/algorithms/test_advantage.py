import numpy as np
import pytest
import torch

from verl.algorithms.advantage import (
    ADV_ESTIMATOR_REGISTRY,
    AdvantageEstimator,
    compute_grpo_outcome_advantage,
    get_adv_estimator_fn,
    needs_values,
    register_adv_est,
)


def inputs(scores, tokens=5, dtype=torch.float64):
    """Rewards at the last of 1 … tokens response tokens."""
    lengths = torch.arange(len(scores)) % tokens + 1
    mask = torch.arange(tokens) < lengths[:, None]
    rewards = torch.zeros(len(scores), tokens, dtype=dtype)
    rewards[torch.arange(len(scores)), lengths - 1] = torch.as_tensor(scores, dtype=dtype)
    return rewards, mask


def reference(scores, index, epsilon, by_std):
    out = np.empty(len(scores))
    for i in range(len(scores)):
        group = [scores[j] for j in range(len(scores)) if index[j] == index[i]]
        if len(group) == 1:
            mean, std = 0.0, 1.0
        else:
            mean, std = np.mean(group), np.std(group, ddof=1)
        out[i] = (scores[i] - mean) / (std + epsilon) if by_std else scores[i] - mean
    return out


@pytest.mark.parametrize("by_std", [True, False])
def test_matches_the_formula(by_std):
    rng = np.random.default_rng(0)
    scores = rng.normal(size=40)
    index = np.array([f"uid{i}" for i in rng.integers(0, 9, 40)] + ["alone"], object)
    scores = np.append(scores, 0.7)
    rewards, mask = inputs(scores)
    advantages, returns = compute_grpo_outcome_advantage(rewards, mask, index, 1e-6, by_std)
    expected = reference(scores, index, 1e-6, by_std)[:, None] * mask.numpy()
    np.testing.assert_allclose(advantages.numpy(), expected, rtol=1e-12)
    assert torch.equal(advantages, returns) and advantages.dtype == torch.float64


def test_a_group_without_differences_gives_exactly_zero():
    rewards, mask = inputs([0.1] * 7, dtype=torch.float32)
    advantages, _ = compute_grpo_outcome_advantage(rewards, mask, np.zeros(7, int))
    assert advantages.dtype == torch.float32 and not advantages.any()


def test_a_single_sample_keeps_its_reward():
    rewards, mask = inputs([2.0])
    for by_std, expected in ((True, 2 / (1 + 1e-6)), (False, 2.0)):
        advantages, _ = compute_grpo_outcome_advantage(rewards, mask, np.array(["u"]), norm_adv_by_std_in_grpo=by_std)
        assert advantages[0, 0].item() == pytest.approx(expected, rel=1e-12)


def test_order_of_samples_does_not_matter():
    rng = np.random.default_rng(1)
    rewards, mask = inputs(rng.normal(size=24))
    index, order = np.repeat(np.arange(6), 4), rng.permutation(24)
    ordered, _ = compute_grpo_outcome_advantage(rewards, mask, index)
    shuffled, _ = compute_grpo_outcome_advantage(rewards[order], mask[order], index[order])
    torch.testing.assert_close(shuffled, ordered[order], rtol=1e-12, atol=1e-12)


def test_registry():
    assert get_adv_estimator_fn("grpo") is get_adv_estimator_fn(AdvantageEstimator.GRPO)
    with pytest.raises(ValueError, match="adv_estimator='nope' is unknown; known: gae, grpo"):
        get_adv_estimator_fn("nope")
    assert [needs_values(get_adv_estimator_fn(name)) for name in ("grpo", "gae")] == [False, True]
    try:
        mine = register_adv_est("mine")(lambda **_: None)
        assert get_adv_estimator_fn("mine") is mine
        with pytest.raises(ValueError, match="'mine' is registered twice"):
            register_adv_est("mine")(lambda **_: None)
    finally:
        ADV_ESTIMATOR_REGISTRY.pop("mine")
