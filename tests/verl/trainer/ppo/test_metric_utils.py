import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl.protocol import DataProto, Ragged
from verl.trainer.ppo.metric_utils import (
    compute_data_metrics,
    compute_mfu_metrics,
    compute_reward_metrics,
    compute_throughput_metrics,
    compute_timing_metrics,
    process_validation_metrics,
)
from verl.utils.flops_counter import ModelCost


def batch_of(**columns):
    """Four samples: response lengths 2, 4, 0, 1; the second token of the last-but-two does not count."""
    responses = Ragged.from_lengths(np.arange(7, dtype=np.int32), [2, 4, 0, 1])
    mask = np.array([1, 1, 1, 0, 1, 1, 1], bool)
    return DataProto.from_single_dict({
        "prompts": Ragged.from_lengths(np.zeros(10, np.int32), [1, 2, 3, 4]),
        "responses": responses,
        "response_mask": Ragged(mask, responses.offsets),
        "scores": np.array([1, 0.5, 0, 0], np.float32),
        "advantages": np.array([1, -2, 9, 0.5]),
        "data_source": ["math", "math", "code", "code"],
        **columns,
    })


def test_data_metrics():
    metrics = compute_data_metrics(batch_of(), max_response_length=4, max_prompt_length=4)
    expected = {
        "critic/score/mean": 0.5,
        "critic/score/max": 1,
        "critic/score/min": 0,
        "critic/rewards/mean": 0.5,
        "critic/rewards/max": 1,
        "critic/rewards/min": 0,
        "critic/advantages/mean": (2 * 1 + 3 * -2 + 0.5) / 6,
        "critic/advantages/max": 1,
        "critic/advantages/min": -2,
        "response_length/mean": 7 / 4,
        "response_length/max": 4,
        "response_length/min": 0,
        "response_length/clip_ratio": 1 / 4,
        "response_length_non_aborted/mean": 7 / 3,
        "response_length_non_aborted/max": 4,
        "response_length_non_aborted/min": 1,
        "response_length_non_aborted/clip_ratio": 1 / 3,
        "response/aborted_ratio": 1 / 4,
        "prompt_length/mean": 2.5,
        "prompt_length/max": 4,
        "prompt_length/min": 1,
        "prompt_length/clip_ratio": 1 / 4,
        "response_length/math/mean": 3,
        "response_length/math/max": 4,
        "response_length/math/min": 2,
        "response_length/math/clip_ratio": 0.5,
        "response_length/code/mean": 0.5,
        "response_length/code/max": 1,
        "response_length/code/min": 0,
        "response_length/code/clip_ratio": 0,
        "critic/scores/math/mean": 0.75,
        "critic/scores/math/max": 1,
        "critic/scores/math/min": 0.5,
        "critic/scores/math/std": 0.25,
        "critic/scores/code/mean": 0,
        "critic/scores/code/max": 0,
        "critic/scores/code/min": 0,
        "critic/scores/code/std": 0,
    }
    assert metrics == pytest.approx(expected)
    assert all(type(value) is float for value in metrics.values())


def test_ragged_columns_per_token():
    batch = batch_of()
    batch.pop(["scores", "advantages"])
    offsets = batch.batch["responses"].offsets
    batch.batch["token_level_scores"] = Ragged(np.array([0, 1, 0, 0, 0, 2, 4.0]), offsets)
    batch.batch["token_level_rewards"] = Ragged(np.array([0, 1, 0, 0, 0, 2, 1.0]), offsets)
    batch.batch["returns"] = Ragged(np.arange(7.0), offsets)
    metrics = compute_data_metrics(batch, 4, 4)
    assert metrics["critic/score/mean"] == pytest.approx(7 / 3)
    assert metrics["critic/rewards/max"] == 2
    assert metrics["critic/returns/mean"] == 3 and "critic/advantages/mean" not in metrics  # token 3 does not count


def test_a_step_without_answers_gives_nan_not_zero():
    metrics = compute_data_metrics(batch_of()[[2]], 4, 4)
    assert metrics["response/aborted_ratio"] == 1 and metrics["response_length/mean"] == 0
    assert math.isnan(metrics["critic/score/mean"]) and math.isnan(metrics["response_length_non_aborted/clip_ratio"])


def test_timing_and_throughput():
    timing = {"step": 4.0, "gen": 0.7, "update_actor": 1.7, "save_checkpoint": 1.0}
    assert compute_timing_metrics(batch_of(), timing) == pytest.approx({
        "timing_s/step": 4.0,
        "timing_s/gen": 0.7,
        "timing_s/update_actor": 1.7,
        "timing_s/save_checkpoint": 1.0,
        "timing_per_token_ms/gen": 100,
        "timing_per_token_ms/update_actor": 100,
    })
    metrics = compute_throughput_metrics(batch_of(), timing, n_devices=2)
    assert metrics.pop("perf/cpu_memory_used_gb") > 0
    assert metrics == {"perf/total_num_tokens": 17, "perf/time_per_step": 4.0, "perf/throughput": 17 / 8}


def test_the_update_is_compared_with_what_the_devices_can_do():
    cost = ModelCost(per_token=10.0, per_label=1.0, per_pair=0.0, windows=(None,))
    needed = 3 * (14 * 10 + 7 * 1)  # forward and backward; 10 + 7 tokens, less the last of three answers
    timing = {"update_actor": 2.0}
    assert compute_mfu_metrics(batch_of(), timing, cost, 4, 4 * needed) == {"perf/mfu/actor": 0.5}
    assert compute_mfu_metrics(batch_of(), timing, cost, 4, None) == {}
    assert compute_mfu_metrics(batch_of(), {"update_critic": 1.0}, cost, 4, 1e12) == {}


def test_validation_sections_and_figures():
    sources = ["gsm8k"] * 8 + ["logic"] * 2
    uids = ["a"] * 4 + ["b"] * 4 + ["c", "d"]
    infos = {
        "reward": [1, 0, 0, 0, 1, 1, 1, 0, 0.5, 0.25],
        "acc": [True, False, False, False, True, True, True, False, None, None],
        "pred": ["4", "5", "5", None, "7", "7", "7", "8", None, None],
        "status": ["ok"] * 10,
    }
    metrics = process_validation_metrics(sources, uids, infos)
    assert {name: value for name, value in metrics.items() if name.startswith("val-core")} == pytest.approx({
        "val-core/gsm8k/acc/mean@4": 0.5,
        "val-core/gsm8k/acc/std@4": np.sqrt(3) / 4,
        "val-core/gsm8k/acc/best@4/mean": 1.0,
        "val-core/gsm8k/acc/maj@4/mean": 0.5,
        "val-core/logic/reward/mean@1": 0.375,
    })  # yapf: disable
    assert metrics["val-aux/gsm8k/acc/best@2/mean"] == pytest.approx((3 / 6 + 6 / 6) / 2)
    assert metrics["val-aux/gsm8k/reward/mean@4"] == 0.5
    assert not any("status" in name or "pred" in name for name in metrics)


def test_equal_votes_share_the_majority():
    metrics = process_validation_metrics(["s"] * 4, ["u"] * 4, {"acc": [1, 1, 0, 0], "pred": [4, "4", [5], [5]]})
    assert metrics["val-core/s/acc/maj@4/mean"] == 0.5


@given(st.lists(st.integers(-4, 4), min_size=2, max_size=8))
def test_best_of_n_is_the_mean_over_all_choices(values):
    total = len(values)
    metrics = process_validation_metrics(["s"] * total, ["u"] * total, {"score": values})
    sizes = {n for n in (2, 4, 8, total) if n <= total}
    best = {name.split("@")[1]: value for name, value in metrics.items() if "best@" in name}
    assert best == pytest.approx(
        {f"{n}/mean": np.mean([max(chosen) for chosen in itertools.combinations(values, n)]) for n in sizes})


def test_prompts_with_different_numbers_of_samples():
    metrics = process_validation_metrics(["s"] * 3, ["a", "b", "b"], {"acc": [1, 0, 1]})
    assert metrics["val-core/s/acc/mean@2"] == 0.5 and metrics["val-aux/s/acc/mean@1"] == 1


def test_infos_of_another_length_are_refused():
    with pytest.raises(ValueError, match="'acc' has 1 values for 2 samples"):
        process_validation_metrics(["s"] * 2, ["a", "b"], {"acc": [1]})


def test_reward_metrics_count_failures_and_time_per_source():
    sources = ["math"] * 4 + ["code"]
    statuses = ["ok", "timeout", "timeout", "crash", "unavailable"]
    metrics = compute_reward_metrics(sources, statuses, [0.0, 1.0, 2.0, 3.0, 7.0])
    assert metrics == {
        "reward/math/timeout_rate": 0.5,
        "reward/math/crash_rate": 0.25,
        "reward/math/error_rate": 0.0,
        "reward/math/unavailable_rate": 0.0,
        "reward/math/latency_p50": 1.5,
        "reward/math/latency_p99": pytest.approx(2.97),
        "reward/code/timeout_rate": 0.0,
        "reward/code/crash_rate": 0.0,
        "reward/code/error_rate": 0.0,
        "reward/code/unavailable_rate": 1.0,
        "reward/code/latency_p50": 7.0,
        "reward/code/latency_p99": 7.0,
    }
