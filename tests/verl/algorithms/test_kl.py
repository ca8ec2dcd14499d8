import numpy as np
import pytest
import torch

from verl.algorithms.kl import kl_penalty

RNG = np.random.default_rng(0)
LOGPROB, REF = -RNG.exponential(2, (4, 6)), -RNG.exponential(2, (4, 6))
D = LOGPROB - REF
VALUES = {
    "kl": D,
    "k1": D,
    "abs": np.abs(D),
    "mse": D**2 / 2,
    "k2": D**2 / 2,
    "low_var_kl": np.minimum(np.exp(-D) - 1 + D, 10),
    "k3": np.minimum(np.exp(-D) - 1 + D, 10),
}
GRADIENTS = {"k1": np.ones_like(D), "abs": np.sign(D), "k2": D, "k3": 1 - np.exp(-D)}


def value_and_gradient(name):
    logprob = torch.tensor(LOGPROB, requires_grad=True)
    value = kl_penalty(logprob, torch.tensor(REF), name)
    value.sum().backward()
    return value.detach().numpy(), logprob.grad.numpy()


@pytest.mark.parametrize("name", VALUES)
def test_values(name):
    np.testing.assert_allclose(value_and_gradient(name)[0], VALUES[name], rtol=1e-12)


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients(name):
    value, gradient = value_and_gradient(name)
    inside = value < 10 if name == "k3" else np.ones_like(value, bool)
    np.testing.assert_allclose(gradient[inside], GRADIENTS[name][inside], rtol=1e-12)


@pytest.mark.parametrize("name", ["k1+", "kl+", "abs+", "k2+", "k3+", "low_var_kl+"])
def test_plus_keeps_the_value_and_takes_the_gradient_of_k2(name):
    value, gradient = value_and_gradient(name)
    np.testing.assert_allclose(value, VALUES[name[:-1]], rtol=1e-12)
    np.testing.assert_allclose(gradient, D, rtol=1e-12)


def test_k3_is_bounded():
    d = torch.tensor([-50.0, -3.0, 0.0, 5.0, 50.0])
    assert kl_penalty(d, torch.zeros(5), "k3").tolist() == pytest.approx([10, 10, 0, 4 + np.exp(-5), 10])


def test_k1_and_k3_estimate_the_kl_of_two_distributions():
    p, q = torch.tensor([0.2, 0.5, 0.3]).double(), torch.tensor([0.4, 0.4, 0.2]).double()
    kl = (p * (p / q).log()).sum()
    for name in ("k1", "k3"):
        torch.testing.assert_close((p * kl_penalty(p.log(), q.log(), name)).sum(), kl)


def test_unknown_names():
    with pytest.raises(NotImplementedError, match="use k3"):
        kl_penalty(torch.zeros(1), torch.zeros(1), "full")
    with pytest.raises(ValueError, match="kl_loss_type='k4': take one of kl, k1"):
        kl_penalty(torch.zeros(1), torch.zeros(1), "k4")
