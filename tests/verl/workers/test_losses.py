"""The losses against loops over tokens written from their formulas."""
import math

import numpy as np
import pytest
import torch

from verl.config.engine import LOSS_AGG_MODES, ActorConfig
from verl.workers.engine.base import BatchTotals, LossInputs
from verl.workers.losses import mismatch_metrics, ppo_loss, sft_loss

ROWS, WIDTH, SCALE = 7, 9, 11
SETTINGS = {
    "clip_ratio_low": 0.1,
    "clip_ratio_high": 0.3,
    "clip_ratio_c": 2.0,
    "entropy_coeff": 0.05,
    "use_kl_loss": True,
    "kl_loss_coef": 0.3,
    "kl_loss_type": "low_var_kl",
}


def make_inputs(seed=0, **columns):
    """float64; row 2 has no counted token, row 3 is full, the others end early and have holes."""
    generator = torch.Generator().manual_seed(seed)
    normal = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)
    mask = torch.rand(ROWS, WIDTH, generator=generator) < 0.8
    mask &= torch.arange(WIDTH) < torch.randint(1, WIDTH + 1, (ROWS, 1), generator=generator)
    mask[2], mask[3] = False, True
    log_prob = normal(ROWS, WIDTH) - 3
    drawn = {
        "old_log_probs": log_prob + 0.4 * normal(ROWS, WIDTH),
        "ref_log_prob": log_prob + 0.4 * normal(ROWS, WIDTH),
        "rollout_log_probs": log_prob + 0.1 * normal(ROWS, WIDTH),
        "advantages": normal(ROWS),
    }
    return LossInputs(log_prob.requires_grad_(), normal(ROWS, WIDTH).abs().requires_grad_(), mask,
                      {name: drawn[name] for name in drawn} | columns)  # yapf: disable


def without(inputs, *names):
    return LossInputs(inputs.log_prob, inputs.entropy, inputs.response_mask,
                      {name: column for name, column in inputs.columns.items() if name not in names})  # yapf: disable


def rows_of(inputs, rows):
    return LossInputs(inputs.log_prob[rows], inputs.entropy[rows], inputs.response_mask[rows],
                      {name: column[rows] for name, column in inputs.columns.items()})  # yapf: disable


def totals_of(inputs):
    per_row = inputs.response_mask.sum(1)
    return BatchTotals(int(per_row.sum()), int((per_row > 0).sum()))


def aggregate(values, mask, mode):
    """`values(row, place)` of the counted tokens as one number."""
    rows = [[values(row, place) for place in range(WIDTH) if mask[row, place]] for row in range(ROWS)]
    rows = [row for row in rows if row]
    if mode == "token-mean":
        return sum(map(sum, rows)) / sum(map(len, rows))
    if mode == "seq-mean-token-mean":
        return sum(sum(row) / len(row) for row in rows) / len(rows)
    return sum(map(sum, rows)) / len(rows) / (SCALE if mode == "seq-mean-token-sum-norm" else 1)


def expected_ppo(inputs, mode):
    """Loss and metrics token by token."""
    array = lambda tensor: tensor.detach().numpy()
    log_prob, entropy, mask = array(inputs.log_prob), array(inputs.entropy), array(inputs.response_mask)
    columns = {name: array(column) for name, column in inputs.columns.items()}
    clipped, bounded = np.zeros((2, ROWS, WIDTH))

    def policy(row, place):
        advantage = columns["advantages"][row]
        ratio = math.exp(log_prob[row, place] - columns["old_log_probs"][row, place])
        within = min(max(ratio, 1 - SETTINGS["clip_ratio_low"]), 1 + SETTINGS["clip_ratio_high"])
        loss = max(-advantage * ratio, -advantage * within)
        clipped[row, place] = -advantage * within > -advantage * ratio
        if advantage < 0:
            bounded[row, place] = loss > -advantage * SETTINGS["clip_ratio_c"]
            loss = min(loss, -advantage * SETTINGS["clip_ratio_c"])
        return loss

    def k3(row, place):
        difference = columns["ref_log_prob"][row, place] - log_prob[row, place]
        return math.exp(difference) - difference - 1

    metrics = {
        "actor/pg_loss": aggregate(policy, mask, mode),
        "actor/entropy": aggregate(lambda row, place: entropy[row, place], mask, mode),
        "actor/kl_loss": aggregate(k3, mask, mode),
        "actor/ppo_kl": aggregate(lambda r, t: columns["old_log_probs"][r, t] - log_prob[r, t], mask, "token-mean"),
        "actor/pg_clipfrac": aggregate(lambda row, place: clipped[row, place], mask, "token-mean"),
        "actor/pg_clipfrac_lower": aggregate(lambda row, place: bounded[row, place], mask, "token-mean"),
    }
    loss = (metrics["actor/pg_loss"] - SETTINGS["entropy_coeff"] * metrics["actor/entropy"] +
            SETTINGS["kl_loss_coef"] * metrics["actor/kl_loss"])
    return loss, metrics


@pytest.mark.parametrize("mode", LOSS_AGG_MODES)
def test_ppo_loss(mode):
    inputs = without(make_inputs(), "rollout_log_probs")
    loss, metrics = ppo_loss(ActorConfig(loss_agg_mode=mode, **SETTINGS), SCALE)(inputs, totals_of(inputs))
    expected_loss, expected = expected_ppo(inputs, mode)
    assert float(loss.detach()) == pytest.approx(expected_loss, rel=1e-12)
    assert {name: float(value) for name, value in metrics.items()} == pytest.approx(expected, rel=1e-12)
    assert not any(value.requires_grad for value in metrics.values())
    assert 0 < expected["actor/pg_clipfrac"] < 1 and expected["actor/pg_clipfrac_lower"] > 0  # each branch was taken


@pytest.mark.parametrize("mode", LOSS_AGG_MODES)
def test_micro_batches_add_up(mode):
    """Loss, gradient and summed metrics, whatever the cut; an empty part counts nothing. Maxima stay maxima."""
    loss_fn = ppo_loss(ActorConfig(loss_agg_mode=mode, **SETTINGS), SCALE)
    whole = without(make_inputs(), "old_log_probs")
    results = []
    for cuts in ([slice(0, ROWS)], [slice(0, 3), slice(3, 3), slice(3, 4), slice(4, ROWS)]):
        parts = [loss_fn(rows_of(whole, rows), totals_of(whole)) for rows in cuts]
        gradient = torch.autograd.grad(sum(loss for loss, _ in parts), (whole.log_prob, whole.entropy))
        combined = {
            name: (max if name.endswith("_max") else sum)(float(metrics[name]) for _, metrics in parts)
            for name in parts[0][1]
        }
        results.append((combined, gradient))
    assert results[1][0] == pytest.approx(results[0][0], rel=1e-12)
    assert len(results[0][0]) == 10
    torch.testing.assert_close(results[1][1], results[0][1], rtol=1e-12, atol=1e-14)


def test_on_policy_update_without_old_log_probs():
    """The ratio is exactly 1; the gradient is that of -A log p."""
    inputs = without(make_inputs(), "old_log_probs", "rollout_log_probs")
    loss, metrics = ppo_loss(ActorConfig(), SCALE)(inputs, totals_of(inputs))
    assert [float(metrics[f"actor/{name}"]) for name in ("ppo_kl", "pg_clipfrac", "pg_clipfrac_lower")] == [0, 0, 0]
    loss.backward()
    weight = inputs.response_mask.double() / inputs.response_mask.sum()
    torch.testing.assert_close(inputs.log_prob.grad, -inputs.columns["advantages"][:, None] * weight, rtol=1e-12,
                               atol=0)  # yapf: disable
    assert inputs.entropy.grad is None


def test_terms_that_are_off_cost_and_report_nothing():
    inputs = without(make_inputs(), "rollout_log_probs")
    silent = LossInputs(inputs.log_prob, None, inputs.response_mask, inputs.columns)
    _, metrics = ppo_loss(ActorConfig(), SCALE)(silent, totals_of(inputs))
    assert set(metrics) == {f"actor/{name}" for name in ("pg_loss", "ppo_kl", "pg_clipfrac", "pg_clipfrac_lower")}
    loss, reported = ppo_loss(ActorConfig(), SCALE)(inputs, totals_of(inputs))
    assert reported.keys() - metrics.keys() == {"actor/entropy"}
    loss.backward()
    assert inputs.entropy.grad is None  # reported, but no part of the loss


def test_advantages_per_token():
    per_row = make_inputs()
    per_token = make_inputs(advantages=per_row.columns["advantages"][:, None].expand(ROWS, WIDTH))
    losses = [ppo_loss(ActorConfig(), SCALE)(inputs, totals_of(inputs))[0] for inputs in (per_row, per_token)]
    assert torch.equal(*losses)


def test_loss_scale_factor_of_the_config_comes_first():
    inputs = make_inputs()
    losses = [
        ppo_loss(ActorConfig(loss_agg_mode="seq-mean-token-sum-norm", loss_scale_factor=factor),
                 SCALE)(inputs, totals_of(inputs))[0].detach() for factor in (None, 2 * SCALE)
    ]
    torch.testing.assert_close(losses[0], 2 * losses[1])


def test_mismatch_with_the_rollout_engine():
    """Over counted tokens alone, in nats and in probability; reported by the loss where the update is on-policy."""
    inputs = make_inputs()
    log_prob, rollout = inputs.log_prob.detach(), inputs.columns["rollout_log_probs"].clone()
    mask = inputs.response_mask
    rollout[~mask] = math.nan  # what is not counted is not read
    pairs = [(float(a), float(b)) for a, b in zip(log_prob[mask], rollout[mask], strict=True)]
    nats, probabilities = [abs(a - b) for a, b in pairs], [abs(math.exp(a) - math.exp(b)) for a, b in pairs]
    expected = {
        "training/rollout_log_probs_diff_max": max(nats),
        "training/rollout_log_probs_diff_mean": sum(nats) / len(nats),
        "training/rollout_probs_diff_max": max(probabilities),
        "training/rollout_probs_diff_mean": sum(probabilities) / len(probabilities),
    }
    ours = mismatch_metrics(log_prob, rollout, mask, len(pairs))
    assert {name: float(value) for name, value in ours.items()} == pytest.approx(expected, rel=1e-12)
    loss_fn = ppo_loss(ActorConfig(), SCALE)
    assert expected.keys() <= loss_fn(without(inputs, "old_log_probs"), totals_of(inputs))[1].keys()
    assert not expected.keys() & loss_fn(inputs, totals_of(inputs))[1].keys()


def test_mismatch_of_nothing_is_zero():
    for shape in ((0, 0), (3, 0)):
        nothing = mismatch_metrics(torch.zeros(shape), torch.zeros(shape), torch.zeros(shape, dtype=torch.bool), 5)
        assert {float(value) for value in nothing.values()} == {0.0}
    one_bad = torch.tensor([[0.0, math.nan]])
    bad = mismatch_metrics(torch.zeros(1, 2), one_bad, torch.ones(1, 2, dtype=torch.bool), 2)
    assert math.isnan(bad["training/rollout_log_probs_diff_max"])  # seen, not lost in the maximum


def test_sft_loss():
    inputs = without(make_inputs(), "advantages")
    loss, metrics = sft_loss(inputs, totals_of(inputs))
    counted = inputs.log_prob.detach()[inputs.response_mask]
    assert float(loss.detach()) == pytest.approx(-float(counted.mean()), rel=1e-12)
    assert metrics.keys() == {"train/loss"} and float(metrics["train/loss"]) == float(loss.detach())
    halves = [sft_loss(rows_of(inputs, rows), totals_of(inputs))[0] for rows in (slice(0, 4), slice(4, ROWS))]
    torch.testing.assert_close(sum(halves), loss)
