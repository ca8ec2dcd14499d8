"""GAE against loops over the tokens that count, written from the paper's sums; whitening and the value loss too."""
import functools
import math
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from verl.algorithms.advantage import compute_gae_advantage_return, lambda_returns, masked_whiten
from verl.algorithms.aggregation import LOSS_AGG_MODES
from verl.algorithms.value_loss import compute_value_loss

ROWS, WIDTH, UNKNOWN = 9, 13, 4


def draw(seed=0):
    """Rewards, values and a mask with holes; row UNKNOWN counts nothing. What does not count is NaN."""
    rng = np.random.default_rng(seed)
    mask = (np.arange(WIDTH) < rng.integers(1, WIDTH + 1, ROWS)[:, None]) & (rng.random((ROWS, WIDTH)) < 0.8)
    mask[UNKNOWN] = False
    rewards, values = (np.where(mask, rng.normal(size=(ROWS, WIDTH)), np.nan) for _ in range(2))
    return rewards, values, mask


def by_sums(rewards, values, mask, gamma, lam):
    """A_t = sum_l (gamma lam)^l delta_{t+l} over the tokens that count, and R_t = A_t + V_t."""
    advantages, returns = np.zeros((2, ROWS, WIDTH))
    for row in range(ROWS):
        places = np.flatnonzero(mask[row])
        r, v = rewards[row, places], np.append(values[row, places], 0.0)
        deltas = [r[k] + gamma * v[k + 1] - v[k] for k in range(len(places))]
        for k, place in enumerate(places):
            advantages[row, place] = sum((gamma * lam)**i * delta for i, delta in enumerate(deltas[k:]))
            returns[row, place] = advantages[row, place] + v[k]
    return advantages, returns


def whitened(values, mask):
    counted = values[mask]
    return np.where(mask, (values - counted.mean()) / np.sqrt(counted.var(ddof=1) + 1e-8), 0)


@pytest.mark.parametrize("gamma, lam", [(1.0, 1.0), (1.0, 0.0), (0.9, 0.95), (0.0, 0.5), (0.99, 1.0)])
def test_gae_matches_the_sums(gamma, lam):
    rewards, values, mask = draw()
    advantages, returns = compute_gae_advantage_return(*map(torch.from_numpy, (rewards, values, mask)), gamma, lam)
    expected, expected_returns = by_sums(rewards, values, mask, gamma, lam)
    np.testing.assert_allclose(returns.numpy(), expected_returns, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(advantages.numpy(), whitened(expected, mask), rtol=1e-10, atol=1e-12)
    assert not advantages[UNKNOWN].any() and not returns[UNKNOWN].any()


def test_lambda_one_is_the_discounted_sum_of_rewards():
    rewards, values, mask = draw(1)
    returns = lambda_returns(*map(torch.from_numpy, (rewards, values, mask)), 0.9, 1.0).numpy()
    for row in range(ROWS):
        r = rewards[row, mask[row]]
        expected = [sum(0.9**i * x for i, x in enumerate(r[k:])) for k in range(len(r))]
        np.testing.assert_allclose(returns[row, mask[row]], expected, rtol=1e-12, atol=1e-14)


class Ranks:
    """Threads that add up what each of them brings."""

    def __init__(self, count):
        self.barrier, self.brought = threading.Barrier(count), [None] * count

    def add_up(self, rank, values):
        self.brought[rank] = values
        self.barrier.wait(10)
        total = sum(self.brought)
        self.barrier.wait(10)
        return total


def test_ranks_that_add_up_their_sums_whiten_as_one():
    """Each rank holds some rows, one of them none that counts; the moments are those of all rows."""
    columns = [torch.from_numpy(x) for x in draw(2)]
    whole, _ = compute_gae_advantage_return(*columns, 0.95, 0.9)
    parts = [slice(0, UNKNOWN), slice(UNKNOWN, UNKNOWN + 1), slice(UNKNOWN + 1, ROWS)]
    ranks = Ranks(len(parts))

    def of_rank(k, share=True):
        add_up = functools.partial(ranks.add_up, k) if share else None
        return compute_gae_advantage_return(*(x[parts[k]] for x in columns), 0.95, 0.9, sum_over_ranks=add_up)[0]

    with ThreadPoolExecutor(len(parts)) as pool:
        torch.testing.assert_close(torch.cat(list(pool.map(of_rank, range(len(parts))))), whole, rtol=1e-10, atol=1e-12)
    alone = torch.cat([of_rank(k, share=False) for k in range(len(parts))])
    assert not torch.allclose(alone, whole, atol=1e-2)  # moments of one's own rows are noticed


@pytest.mark.parametrize("counted", [0, 1])
def test_whitening_of_next_to_nothing_is_finite(counted):
    values, mask = torch.full((2, 3), math.nan), torch.zeros(2, 3, dtype=torch.bool)
    values[0, :counted], mask[0, :counted] = 2.5, True
    assert not masked_whiten(values, mask).any()


def test_whitening_may_keep_the_mean():
    rewards, _, mask = draw(3)
    kept = masked_whiten(torch.from_numpy(rewards), torch.from_numpy(mask), shift_mean=False).numpy()[mask]
    assert kept.mean() == pytest.approx(rewards[mask].mean()) and kept.std(ddof=1) == pytest.approx(1, abs=1e-6)


def expected_value_loss(vpreds, returns, values, mask, clip, mode, scale):
    losses, decided = np.zeros((2, ROWS, WIDTH))
    for row, t in np.argwhere(mask):
        v, target, old = vpreds[row, t], returns[row, t], values[row, t]
        free, bounded = (v - target)**2, (min(max(v, old - clip), old + clip) - target)**2
        losses[row, t], decided[row, t] = max(free, bounded) / 2, bounded > free
    rows = [losses[row, mask[row]] for row in range(ROWS) if mask[row].any()]
    loss = {
        "token-mean": sum(map(sum, rows)) / mask.sum(),
        "seq-mean-token-sum": sum(map(sum, rows)) / len(rows),
        "seq-mean-token-mean": sum(row.mean() for row in rows) / len(rows),
        "seq-mean-token-sum-norm": sum(map(sum, rows)) / len(rows) / scale,
    }[mode]
    return loss, decided.sum() / mask.sum()


@pytest.mark.parametrize("mode", LOSS_AGG_MODES)
def test_value_loss_matches_the_loop_however_it_is_cut(mode):
    rng = np.random.default_rng(5)
    _, values, mask = draw(5)
    vpreds, returns = (np.where(mask, values + rng.normal(size=mask.shape), np.nan) for _ in range(2))
    loss, clipfrac = expected_value_loss(vpreds, returns, values, mask, 0.4, mode, 20)
    info = {"batch_num_tokens": int(mask.sum()), "global_batch_size": int(mask.any(1).sum()), "loss_scale_factor": 20}
    for cuts in ([slice(0, ROWS)], [slice(0, 2), slice(2, 3), slice(3, 3), slice(3, ROWS)]):
        parts = [compute_value_loss(*(torch.from_numpy(x[rows]) for x in (vpreds, returns, values, mask)), 0.4, mode,
                                    info) for rows in cuts]  # yapf: disable
        assert sum(float(part[0]) for part in parts) == pytest.approx(loss, rel=1e-12)
        assert sum(float(part[1]) for part in parts) == pytest.approx(clipfrac, rel=1e-12)
    assert 0.1 < clipfrac < 0.9


def test_a_clipped_prediction_has_no_gradient():
    """Beyond the range and moving away from nothing but the old value: the bound decides, and it does not move."""
    vpreds = torch.tensor([[1.0, 0.2]], requires_grad=True)
    loss, clipfrac = compute_value_loss(vpreds, torch.tensor([[1.5, 1.5]]), torch.zeros(1, 2), torch.ones(1, 2), 0.5)
    loss.backward()
    assert vpreds.grad[0].tolist() == pytest.approx([0.0, (0.2 - 1.5) / 2]) and float(clipfrac) == 0.5
