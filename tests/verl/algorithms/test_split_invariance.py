"""Losses, gradients and metrics add up to the same whatever the micro-batches and the padding."""
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from verl.algorithms.aggregation import LOSS_AGG_MODES, agg_loss
from verl.algorithms.kl import kl_penalty
from verl.algorithms.policy_loss import compute_policy_loss_vanilla

LONGEST = 6


class Sequences:
    """Random sequences of differing length; some have no token that counts."""

    def __init__(self, lengths, seed):
        generator = torch.Generator().manual_seed(seed)
        draw = lambda length: torch.randn(length, generator=generator, dtype=torch.float64)
        self.log_prob = [draw(length).requires_grad_() for length in lengths]
        self.others = [(log_prob.detach() + draw(len(log_prob)) / 2, draw(len(log_prob)), draw(len(log_prob)) > -1)
                       for log_prob in self.log_prob]

    def counts(self):
        masks = [mask for _, _, mask in self.others]
        return {
            "batch_num_tokens": sum(int(mask.sum()) for mask in masks),
            "global_batch_size": sum(bool(mask.any()) for mask in masks),
            "loss_scale_factor": LONGEST,
        }

    def micro_batch(self, rows, extra):
        """old_log_prob, log_prob, advantages, mask of some rows, padded with rubbish to their longest + extra."""
        width = max(len(self.log_prob[row]) for row in rows) + extra

        def pad(tensors, value):
            return torch.stack([torch.nn.functional.pad(t, (0, width - len(t)), value=value) for t in tensors])

        old, advantages, mask = zip(*(self.others[row] for row in rows), strict=True)
        return pad(old, -7.0), pad([self.log_prob[row] for row in rows], -5.0), pad(advantages, 3.0), pad(mask, False)


def global_counts(old_log_prob, log_prob, advantages, mask, mode, counts):
    """A policy loss with a KL term, divided by the counts of the whole batch."""
    config = SimpleNamespace(clip_ratio=0.2,
                             clip_ratio_low=None,
                             clip_ratio_high=0.3,
                             clip_ratio_c=1.5,
                             global_batch_info=counts)
    loss, metrics = compute_policy_loss_vanilla(old_log_prob, log_prob, advantages, mask, mode, config)
    kl = agg_loss(kl_penalty(log_prob, old_log_prob, "k3+"), mask, mode, **counts)
    return loss + 0.1 * kl, metrics | {"actor/kl_loss": kl.detach()}


def local_counts(old_log_prob, log_prob, advantages, mask, mode, counts):
    """The fault: each micro-batch divides by its own counts."""
    return global_counts(old_log_prob, log_prob, advantages, mask, mode, {})


def totals(loss_fn, sequences, parts, extras, mode):
    """Loss, gradient per token and metrics, added up over micro-batches."""
    for log_prob in sequences.log_prob:
        log_prob.grad = None
    sums = {}
    for rows, extra in zip(parts, extras, strict=True):
        loss, metrics = loss_fn(*sequences.micro_batch(rows, extra), mode, sequences.counts())
        loss.backward()
        for name, value in {**metrics, "loss": loss.detach()}.items():
            sums[name] = sums.get(name, 0) + value
    return sums | {"gradient": torch.cat([log_prob.grad for log_prob in sequences.log_prob])}


def assert_split_invariant(loss_fn, sequences, parts, extras, mode):
    whole = totals(loss_fn, sequences, [list(range(len(sequences.log_prob)))], [0], mode)
    split = totals(loss_fn, sequences, parts, extras, mode)
    for name in whole:
        torch.testing.assert_close(split[name], whole[name], rtol=1e-12, atol=1e-12)


@st.composite
def splits(draw):
    """Lengths of 2 to 8 sequences, a partition of them in any order, extra padding per part."""
    lengths = draw(st.lists(st.integers(1, LONGEST), min_size=2, max_size=8))
    order = draw(st.permutations(range(len(lengths))))
    cuts = sorted(draw(st.sets(st.integers(1, len(lengths) - 1))))
    parts = [order[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(lengths)], strict=True)]
    return lengths, parts, draw(st.lists(st.integers(0, 3), min_size=len(parts), max_size=len(parts)))


@pytest.mark.parametrize("mode", LOSS_AGG_MODES)
@given(split=splits(), seed=st.integers(0, 99))
def test_any_split_and_padding_gives_the_same(mode, split, seed):
    lengths, parts, extras = split
    assert_split_invariant(global_counts, Sequences(lengths, seed), parts, extras, mode)


@pytest.mark.parametrize("mode", LOSS_AGG_MODES)
def test_local_denominators_are_caught(mode):
    sequences = Sequences([6, 1, 3, 2], 0)
    assert_split_invariant(global_counts, sequences, [[0, 1], [2, 3]], [0, 2], mode)
    with pytest.raises(AssertionError, match="not (close|equal)"):
        assert_split_invariant(local_counts, sequences, [[0, 1], [2, 3]], [0, 2], mode)
