import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from reward_score.pool import RewardResult
from reward_score.shaping import Shaping
from verl.trainer.ppo.rollouts import Sample, to_batch
from verl.trainer.ppo.validation import dump, generations, validation_metrics
from verl.utils.dataset.rl_dataset import PromptRow
from verl.workers.rollout.base import Completion


def sample(index, source, tokens, **reward):
    row = PromptRow(index, np.arange(3, dtype=np.int32), f"prompt {index}", source, {"answer": index}, {}, {})
    log_probs = -np.ones(len(tokens), np.float32)
    completion = Completion(f"1/{index}/0", np.array(tokens, np.int32), log_probs, "stop", ((0, len(tokens)),))
    fields = {"score": 0.0, "acc": 0.0, "status": "ok", "extra": {}, "error": ""} | reward
    return Sample(row, completion, f"text of {len(tokens)}", RewardResult(**fields))


@pytest.fixture
def batch():
    return to_batch([
        sample(0, "math", [5, 6], score=1.0, acc=1.0, extra={
            "pred": "4",
            "length_bonus": 0.5
        }),
        sample(0, "math", [5], score=0.0, extra={
            "pred": "5",
            "length_bonus": 0.1
        }),
        sample(3, "code", [], score=0.25, acc=1.0, extra={"passed": 3}),
        sample(4, "code", [7, 8, 9], status="timeout", error="took longer than 30 s"),
    ], Shaping())


def test_dump_keeps_every_sample_for_people(batch, tmp_path):
    dump(tmp_path / "deep" / "step_7.parquet", 7, batch)
    rows = pq.read_table(tmp_path / "deep" / "step_7.parquet").to_pylist()
    assert [(row["uid"], row["sample_index"]) for row in rows] == [("0", 0), ("0", 1), ("3", 0), ("4", 0)]
    assert {row["step"] for row in rows} == {7}
    first, last = rows[0], rows[-1]
    assert (first["prompt"], first["response"], first["data_source"]) == ("prompt 0", "text of 2", "math")
    assert (first["score"], first["acc"], first["status"], first["response_length"]) == (1.0, 1.0, "ok", 2)
    assert json.loads(first["ground_truth"]) == {"answer": 0}
    assert json.loads(first["extra"]) == {"pred": "4", "length_bonus": 0.5}
    assert (last["status"], json.loads(last["extra"])) == ("timeout", {"error": "took longer than 30 s"})
    assert rows[2]["response_length"] == 0


def test_generations_are_the_same_samples_every_time(batch):
    assert generations(batch, 9) == [("prompt 0", "text of 2", 1.0), ("prompt 0", "text of 1", 0.0),
                                     ("prompt 3", "text of 0", 0.25), ("prompt 4", "text of 3", 0.0)]  # yapf: disable
    assert len(generations(batch, 2)) == 2 and generations(batch, 2) == generations(batch, 2)


def test_metrics_take_every_numeric_key_of_the_rewards_that_have_it(batch):
    metrics = validation_metrics(batch)
    core = {name: value for name, value in metrics.items() if name.startswith("val-core/")}
    assert core == {
        "val-core/math/acc/mean@2": 0.5,
        "val-core/math/acc/std@2": 0.5,
        "val-core/math/acc/best@2/mean": 1.0,
        "val-core/math/acc/maj@2/mean": 0.5,
        "val-core/code/acc/mean@1": 0.5,
    }
    assert metrics["val-aux/code/reward/mean@1"] == 0.125  # the timeout counts as 0
    assert metrics["val-aux/math/length_bonus/mean@2"] == pytest.approx(0.3)
    assert metrics["val-aux/code/passed/mean@1"] == 3  # only one of the two rewards has it
    assert not any("code/length_bonus" in name or "pred" in name for name in metrics)


def test_a_sample_whose_judge_is_down_is_not_validated():
    batch = to_batch([sample(0, "stem_web", [1], score=1.0, acc=1.0),
                      sample(1, "stem_web", [1], status="unavailable")], Shaping())
    assert validation_metrics(batch)["val-core/stem_web/acc/mean@1"] == 1.0
    assert [score for _, _, score in generations(batch, 2)] == [1.0, None]
