import numpy as np
import pytest
import torch

from verl.algorithms.aggregation import LOSS_AGG_MODES, agg_loss

RNG = np.random.default_rng(0)
LOSSES = RNG.normal(size=(5, 4))
MASK = np.array([[1, 1, 1, 1], [1, 0, 0, 0], [0, 0, 0, 0], [0, 1, 1, 0], [1, 1, 1, 0]], bool)  # row 2: no token


def reference(mode, scale=4):
    rows = [loss[mask] for loss, mask in zip(LOSSES, MASK, strict=True) if mask.any()]
    if mode == "token-mean":
        return np.concatenate(rows).mean()
    per_row = {
        "seq-mean-token-sum": [row.sum() for row in rows],
        "seq-mean-token-mean": [row.mean() for row in rows],
        "seq-mean-token-sum-norm": [row.sum() / scale for row in rows],
    }[mode]
    return np.mean(per_row)


def run(mode, mask=MASK, **counts):
    return agg_loss(torch.tensor(LOSSES), torch.tensor(mask), mode, **counts).item()


@pytest.mark.parametrize("mode", LOSS_AGG_MODES)
@pytest.mark.parametrize("dtype", [bool, np.int64, np.float32])
def test_alone_it_is_the_mean_of_what_is_masked(mode, dtype):
    assert run(mode, MASK.astype(dtype)) == pytest.approx(reference(mode), rel=1e-12)


def test_global_counts_replace_those_at_hand():
    assert run("token-mean", batch_num_tokens=100) == pytest.approx(LOSSES[MASK].sum() / 100, rel=1e-12)
    for mode in LOSS_AGG_MODES[1:]:
        assert run(mode, global_batch_size=16) == pytest.approx(reference(mode) * 4 / 16, rel=1e-12)
        assert run(mode, global_batch_size=torch.tensor(16), dp_size=2) == pytest.approx(reference(mode) / 2, rel=1e-12)
    mode = "seq-mean-token-sum-norm"
    assert run(mode, loss_scale_factor=50) == pytest.approx(reference(mode, 50), rel=1e-12)


@pytest.mark.parametrize("mode", LOSS_AGG_MODES)
def test_nothing_masked_gives_zero_and_zero_gradient(mode):
    losses = torch.full((2, 3), float("nan"), requires_grad=True)  # what is not masked is not read
    loss = agg_loss(losses, torch.zeros(2, 3), mode)
    loss.backward()
    assert loss.item() == 0 and not losses.grad.any()
    assert agg_loss(torch.zeros(0, 3), torch.zeros(0, 3), mode, batch_num_tokens=7, global_batch_size=2).item() == 0


def test_unknown_mode():
    with pytest.raises(ValueError, match="loss_agg_mode='mean': take one of"):
        run("mean")
