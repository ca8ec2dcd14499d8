import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.support.models import FAMILIES, make_model
from verl.utils.flops_counter import ModelCost, causal_pairs, device_peak


@pytest.mark.parametrize("window", [None, 1, 4, 50])
def test_pairs_are_what_a_causal_mask_shows(window):
    lengths = np.array([0, 1, 3, 4, 5, 20, 60])
    distance = np.subtract.outer(np.arange(60), np.arange(60))
    mask = (distance >= 0) & (distance < (window or 60))
    assert causal_pairs(lengths, window).tolist() == [mask[:n, :n].sum() for n in lengths]


@pytest.mark.parametrize("family", FAMILIES)
def test_matrix_products_are_those_that_torch_counts(family):
    model, length = make_model(family), 24
    model.set_attn_implementation("eager")  # torch does not count the fused kernel of CPUs
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, length, dtype=torch.int64), use_cache=False)
    config, cost = model.config, ModelCost.of(model.config)
    layers, windowed = config.num_hidden_layers, config.sliding_window if family == "mistral" else None
    assert cost.windows == (windowed,) * layers
    pairs = causal_pairs(np.array(length), windowed)
    ours = cost.forward(np.array([1]), np.array([length]))[0]  # the last token is not read
    whole_square = ours + cost.per_pair * layers * (length**2 - pairs)  # torch counts what a mask hides
    assert whole_square == pytest.approx(counter.get_total_flops(), rel=1e-3)  # and the rotary angles


def test_the_head_sees_responses_only_and_training_is_three_forwards():
    cost = ModelCost.of(make_model("qwen3").config)
    prompts, responses = np.array([10, 5]), np.array([0, 6])
    forward = cost.forward(prompts, responses)
    assert forward[1] - forward[0] == 6 * 2 * 32 * 61
    assert (cost.training(prompts, responses) == 3 * forward).all()


@pytest.mark.parametrize("name, peak", [("NVIDIA H100 80GB HBM3", 989e12), ("NVIDIA H100 PCIe", 756e12),
                                        ("NVIDIA H200", 989e12), ("NVIDIA H20", 148e12),
                                        ("NVIDIA A100-SXM4-80GB", 312e12), ("NVIDIA GeForce GTX 1080", None)])
def test_peaks_of_known_gpus(name, peak):
    assert device_peak(name) == peak


@pytest.mark.gpu
def test_no_matrix_product_beats_the_peak():
    if (peak := device_peak(torch.cuda.get_device_name())) is None:
        pytest.skip(f"the peak of {torch.cuda.get_device_name()} is not known")
    a = torch.randn(8192, 8192, dtype=torch.bfloat16, device="cuda")
    for _ in range(3):
        a @ a
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(20):
        a @ a
    end.record()
    torch.cuda.synchronize()
    assert 0.3 * peak < 20 * 2 * 8192**3 / (start.elapsed_time(end) / 1000) < peak
