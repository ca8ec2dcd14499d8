"""The sampler against formulas written in NumPy, token by token."""
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from verl.workers.rollout.base import Sampling
from verl.workers.rollout.sampler import choose, processed_log_probs, uniforms

# Integers over 8 are exact in float32 and far enough apart that rounding cannot reorder them.
logit_rows = st.integers(2, 12).flatmap(
    lambda vocab: arrays(np.int64, vocab, elements=st.integers(-40, 40), unique=True)).map(lambda row: row / 8)


def reference(logits, temperature=1.0, top_k=-1, top_p=1.0, banned=()):
    """log p of each token; what cannot be sampled is -inf."""
    weights = {token: math.exp(x / (temperature or 1.0)) for token, x in enumerate(logits) if token not in banned}
    likeliest_first = sorted(weights, key=weights.get, reverse=True)
    if top_k > 0:
        likeliest_first = likeliest_first[:top_k]
    total = sum(weights[t] for t in likeliest_first)
    kept, mass = [], 0.0
    for token in likeliest_first:
        if mass >= top_p:
            break
        kept.append(token)
        mass += weights[token] / total
    total = sum(weights[t] for t in kept)
    return np.array([math.log(weights[t] / total) if t in kept else -math.inf for t in range(len(logits))])


def processed(logits, new_tokens=0, **sampling):
    rows = torch.tensor(np.atleast_2d(logits), dtype=torch.float32)
    return processed_log_probs(rows, Sampling(max_new_tokens=4, **sampling), new_tokens).numpy()


def assert_same(ours, expected):
    assert (np.isfinite(ours) == np.isfinite(expected)).all()
    finite = np.isfinite(expected)
    np.testing.assert_allclose(ours[finite], expected[finite], atol=1e-5)


@given(logit_rows, st.sampled_from([0.3, 0.7, 1.0, 2.0]))
def test_temperature(logits, temperature):
    assert_same(processed(logits, temperature=temperature)[0], reference(logits, temperature))


@given(logit_rows, st.integers(-1, 14), st.sampled_from([0.5, 1.0]))
def test_top_k(logits, top_k, temperature):
    ours = processed(logits, temperature=temperature, top_k=top_k)[0]
    assert_same(ours, reference(logits, temperature, top_k))
    assert np.isfinite(ours).sum() == (min(top_k, len(logits)) if top_k > 0 else len(logits))


@given(logit_rows, st.floats(0.01, 0.99), st.sampled_from([0.5, 1.0]))
def test_top_p_keeps_the_fewest_likeliest_tokens_that_reach_it(logits, top_p, temperature):
    mass = np.cumsum(np.sort(np.exp(reference(logits, temperature)))[::-1])
    if np.abs(mass - top_p).min() < 1e-5:
        return  # float32 may fall on either side of the boundary
    ours = processed(logits, temperature=temperature, top_p=top_p)[0]
    assert_same(ours, reference(logits, temperature, top_p=top_p))
    assert mass[np.isfinite(ours).sum() - 1] >= top_p


@given(logit_rows, st.integers(1, 6), st.floats(0.05, 0.95))
def test_top_k_comes_before_top_p(logits, top_k, top_p):
    mass = np.cumsum(np.sort(np.exp(reference(logits, top_k=top_k)))[::-1])
    if np.abs(mass - top_p).min() < 1e-5:
        return
    assert_same(processed(logits, temperature=1.0, top_k=top_k, top_p=top_p)[0], reference(logits, 1.0, top_k, top_p))


def test_a_top_p_below_the_likeliest_token_is_greedy():
    assert_same(processed([0.0, 2.0, 1.0], temperature=1.0, top_p=0.01)[0], np.array([-math.inf, 0.0, -math.inf]))


@pytest.mark.parametrize("temperature", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("new_tokens, banned", [(0, (1, 3)), (2, (1, 3)), (3, ())])
def test_min_new_tokens_forbids_stopping_before(temperature, new_tokens, banned):
    logits = np.array([0.5, 3.0, 1.0, 2.0, -1.0])
    ours = processed(logits, new_tokens, temperature=temperature, min_new_tokens=3, stop_ids=(1, 3))[0]
    assert_same(ours, reference(logits, temperature, banned=banned))


def test_min_new_tokens_comes_before_top_k():
    ours = processed([0.5, 3.0, 1.0], temperature=1.0, top_k=1, min_new_tokens=1, stop_ids=(1,))[0]
    assert_same(ours, np.array([-math.inf, -math.inf, 0.0]))


def test_greedy_log_probs_are_the_models_own_whatever_top_k_and_top_p_say():
    logits = [0.5, 3.0, 1.0]
    assert_same(processed(logits, temperature=0.0, top_k=1, top_p=0.5)[0], reference(logits))


@pytest.mark.parametrize("sampling", [
    Sampling(0.0, 4, min_new_tokens=1, stop_ids=(0,)),
    Sampling(0.5, 4, top_k=2, top_p=0.5, min_new_tokens=1, stop_ids=(0,)),
])
def test_the_logits_given_are_left_alone(sampling):
    logits = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    before = logits.clone()
    processed_log_probs(logits, sampling, 0)
    assert torch.equal(logits, before)


def test_rows_do_not_influence_each_other():
    rows = np.random.default_rng(0).normal(size=(5, 9))
    together = processed(rows, temperature=0.7, top_k=6, top_p=0.8)
    alone = np.concatenate([processed(row, temperature=0.7, top_k=6, top_p=0.8) for row in rows])
    assert (together == alone).all()


@given(logit_rows, st.one_of(st.just(0.0), st.just(float(np.nextafter(1.0, 0.0))), st.floats(0, 1, exclude_max=True)),
       st.sampled_from([1, 2, -1]))
def test_inverse_cdf_finds_the_token_whose_share_holds_the_point(logits, uniform, top_k):
    log_probs = torch.from_numpy(processed(logits, temperature=1.0, top_k=top_k))
    token = int(choose(log_probs, torch.tensor([uniform], dtype=torch.float64), greedy=False))
    shares = np.exp(log_probs[0].double().numpy())
    assert shares[token] > 0
    below = shares[:token].sum() / shares.sum()
    assert below - 1e-9 <= uniform <= below + shares[token] / shares.sum() + 1e-9


@pytest.mark.parametrize("uniform", [0.0, float(np.nextafter(1.0, 0.0))])
def test_the_ends_of_the_cdf_never_give_an_impossible_token(uniform):
    generator = torch.Generator().manual_seed(1)
    log_probs = torch.randn(4000, 50, generator=generator).log_softmax(-1)
    log_probs[:, :5] = log_probs[:, -5:] = -torch.inf
    tokens = choose(log_probs, torch.full((4000,), uniform, dtype=torch.float64), greedy=False)
    assert log_probs.gather(-1, tokens[:, None]).isfinite().all()


def test_sampled_frequencies_follow_the_distribution():
    draws = 40_000
    sampling = Sampling(0.8, 1, top_k=20, top_p=0.95)
    log_probs = processed_log_probs(torch.randn(1, 30, generator=torch.Generator().manual_seed(3)), sampling, 0)
    points = uniforms(list(range(draws // 8)), 8).flatten()
    tokens = choose(log_probs.expand(draws, -1), points, greedy=False)
    counts = torch.bincount(tokens, minlength=30).double()
    expected = log_probs[0].double().exp() * draws
    possible = expected > 0
    assert counts[~possible].sum() == 0
    degrees = int(possible.sum()) - 1
    chi_square = float(((counts - expected)[possible]**2 / expected[possible]).sum())
    assert degrees > 5 and chi_square < degrees + 4 * math.sqrt(2 * degrees)  # four standard deviations


def test_greedy_takes_the_likeliest_token():
    log_probs = torch.tensor([[-3.0, -0.1, -4.0], [-0.2, -2.0, -3.0]])
    assert choose(log_probs, torch.tensor([0.999, 0.999]), greedy=True).tolist() == [1, 0]


@given(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=6), st.integers(1, 9), st.integers(1, 9))
def test_a_seeds_numbers_depend_on_neither_its_companions_nor_the_length(seeds, length, longer):
    alone = torch.cat([uniforms([seed], length) for seed in seeds])
    assert torch.equal(uniforms(seeds, length), alone)
    assert torch.equal(uniforms(seeds[::-1], length).flip(0), alone)
    assert torch.equal(uniforms(seeds, length + longer)[:, :length], alone)


def test_numbers_of_a_seed_are_what_they_have_always_been():
    expected = torch.tensor([[0.8720734548204873, 0.29536538151378355]], dtype=torch.float64)
    assert torch.equal(uniforms([7], 2), expected)


def test_different_seeds_draw_different_numbers():
    points = uniforms(list(range(1000)), 3)
    assert points.unique().numel() == points.numel()
    assert points.dtype == torch.float64 and points.min() >= 0 and points.max() < 1
