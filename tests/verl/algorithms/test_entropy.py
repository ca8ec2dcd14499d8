import numpy as np
import torch

from verl.algorithms.entropy import compute_entropy_loss


def test_matches_the_definition():
    logits = np.random.default_rng(0).normal(size=(2, 3, 7))
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    entropy = -(p * np.log(p)).sum(-1)
    mask = np.array([[1, 1, 0], [1, 0, 0]], bool)
    for mode, expected in (("token-mean", entropy[mask].mean()), ("seq-mean-token-sum",
                                                                  (entropy * mask).sum(-1).mean())):
        result = compute_entropy_loss(torch.tensor(logits), torch.tensor(mask), mode)
        np.testing.assert_allclose(result.item(), expected, rtol=1e-12)
