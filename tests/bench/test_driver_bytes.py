"""A small instance of the comparison, and that it counts what Ray stores."""
import numpy as np
import pytest
import ray
from ray.experimental import get_object_locations

from bench.driver_bytes import compare, counted, make_samples, wire_bytes
from reward_score.shaping import Shaping
from verl.trainer.ppo.rollouts import to_batch


def test_the_comparison():
    report = compare(32, 16)
    assert report["passed"] and report["ours_share_of_padded_bytes"]["padded_one_pass"] < 0.2
    tokens = report["rows"] * report["answer_tokens"]["mean"]
    # ids, log-probs and the mask of an answer; a few numbers for each sample
    assert 8.125 * tokens - 100 < report["all_rows"]["ours"]["bytes"] < 8.125 * tokens + 40_000


def test_what_is_counted_is_what_ray_stores(ray_cluster):
    batch = to_batch(make_samples(16), Shaping()).select(["responses", "response_mask"], [])
    with counted() as sizes:
        reference = ray.put(batch)
        again = ray.get([reference, reference])
    assert sizes == pytest.approx([wire_bytes(batch)] * 2, rel=1e-3), "put once and got once"
    assert get_object_locations([reference])[reference]["object_size"] == pytest.approx(sizes[0], rel=0.01)
    assert again[0].batch["responses"].equals(batch.batch["responses"])
    assert np.array_equal(again[0].batch["response_mask"].values, batch.batch["response_mask"].values)
