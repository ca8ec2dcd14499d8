"""Prompts to a scored batch: columns, seeds, and what happens when a reward or a worker fails."""
import asyncio
import gc
import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import ray
from ray.exceptions import RayActorError

from reward_score.pool import RewardResult
from reward_score.shaping import Shaping
from tests.support.runs import make_tokenizer
from verl.config.algorithm import AlgoConfig
from verl.single_controller import ResourcePool, Worker, WorkerFailure, WorkerGroup
from verl.trainer.ppo import rollouts as rollouts_module
from verl.trainer.ppo.advantages import outcome_advantages
from verl.trainer.ppo.metric_utils import compute_data_metrics
from verl.trainer.ppo.rollouts import Rollouts, Sample, check_failures, to_batch
from verl.utils.dataset.rl_dataset import PromptRow
from verl.utils.errors import RunFailure
from verl.workers.reward.reward_worker import RewardWorker
from verl.workers.rollout.base import Completion, Sampling, sample_seed

CUSTOM = str(Path(__file__).parents[3] / "support" / "custom_reward.py")
SAMPLING = Sampling(1.0, 16)


def encode(text):
    return np.array(make_tokenizer()(text, add_special_tokens=False)["input_ids"], np.int32)


def row(index, prompt="ab", ground_truth="right"):
    return PromptRow(index, encode(prompt), prompt, f"source {index % 2}", ground_truth, {}, {"index": index})


def sample(index=0, status="ok", score=1.0, answer="right"):
    ids = encode(answer)
    completion = Completion(f"{index}", ids, -np.arange(len(ids), dtype=np.float32), "stop", ((0, len(ids)),))
    error = "" if status == "ok" else f"why {index}"
    return Sample(row(index), completion, answer, RewardResult(score, score, status, error=error))


class EchoRouter:
    """Answers request "step/row/k" with the k-th of the row's `answers`, last request first; then `pause` s of silence.
    """

    def __init__(self, answers, pause=0.0):
        self.answers, self.pause = answers, pause
        self.units = []
        self.restoring = set()

    async def generate(self, units):
        self.units = units
        for unit in reversed(units):
            completions = []
            for request in reversed(unit):
                _, index, k = map(int, request.request_id.split("/"))
                ids = encode(self.answers[index][k])
                completions.append(
                    Completion(request.request_id, ids, np.zeros(len(ids), np.float32), "stop", ((0, len(ids)),)))
            yield completions
        await asyncio.sleep(self.pause)


# ---- without processes ----


def test_sample_seeds_are_what_they_have_always_been():
    assert sample_seed(1, 2, "3", 4) == 6152771116767582224
    assert sample_seed(1, -1, "0", 0) == 4596830567756223304


def test_sample_seeds_are_distinct_and_fit_63_bits():
    keys = [(run, step, uid, k)
            for run in (0, 1, 11)
            for step in (-1, 1, 11)
            for uid in ("1", "11", "1/1")
            for k in range(12)]
    seeds = [sample_seed(*key) for key in keys]
    assert len(set(seeds)) == len(keys)
    assert min(seeds) >= 0 and max(seeds) < 2**63 and max(seeds) > 2**61


@pytest.mark.parametrize("failed, rate, passes", [
    (0, 0.0, True),
    (1, 0.0, False),
    (5, 0.5, True),
    (6, 0.5, False),
    (10, 1.0, True),
])
def test_a_run_stops_when_more_rewards_fail_than_the_config_allows(failed, rate, passes):
    statuses = ["timeout"] * failed + ["ok"] * (10 - failed)
    samples = {str(i): sample(i, status) for i, status in enumerate(statuses)}
    if passes:
        check_failures(samples, rate)
        return
    with pytest.raises(RunFailure, match=f"^{failed} of 10 rewards failed, more than reward_model.max_failure_rate"):
        check_failures(samples, rate)


def test_the_message_counts_by_source_and_kind_and_gives_three_examples():
    statuses = ["timeout", "crash", "timeout", "error", "ok"]
    with pytest.raises(RunFailure) as error:
        check_failures({str(i): sample(i, status) for i, status in enumerate(statuses)}, 0.1)
    text = str(error.value)
    assert "max_failure_rate=0.1" in text
    assert "('source 0', 'timeout'): 2" in text and "('source 1', 'crash'): 1" in text
    assert "source 0 (timeout): why 0; source 1 (crash): why 1; source 0 (timeout): why 2" in text
    assert "why 3" not in text


def test_no_samples_are_no_failure():
    check_failures({}, 0.0)


def test_the_batch_has_a_column_for_everything_later_steps_need():
    samples = [sample(0, answer="right"), sample(1, score=0.25, answer="no"), sample(2, answer="")]
    batch = to_batch(samples, Shaping(scaling=10, bias=0.5))
    columns, objects = batch.batch, batch.non_tensor_batch
    assert set(columns) == {"prompts", "responses", "response_mask", "rollout_log_probs", "scores", "rewards"}
    assert columns["prompts"].lengths.tolist() == [2, 2, 2] and columns["responses"].lengths.tolist() == [5, 2, 0]
    assert columns["responses"][1].tolist() == encode("no").tolist()
    assert columns["response_mask"].dtype == bool and columns["response_mask"].values.all()
    assert (columns["response_mask"].offsets == columns["responses"].offsets).all()
    assert columns["rollout_log_probs"][1].tolist() == [0.0, -1.0]
    assert columns["rollout_log_probs"].dtype == np.float32
    assert columns["scores"].tolist() == [1.0, 0.25, 1.0]
    assert columns["rewards"].tolist() == [5.0, -2.5, 5.0]
    assert objects["uid"].tolist() == ["0", "1", "2"] and objects["data_source"][1] == "source 1"
    assert objects["sample"][1] is samples[1]


def test_a_sample_whose_judge_is_down_counts_nowhere():
    scores = [("ok", 1.0), ("ok", 0.0), ("unavailable", 0.0), ("ok", 1.0)]
    samples = [sample(0, status, score) for status, score in scores]
    batch = to_batch(samples, Shaping())
    assert batch.batch["response_mask"].sum().tolist() == [5, 5, 0, 5]
    advantages = outcome_advantages(batch, AlgoConfig())
    without = to_batch([s for s in samples if s.known], Shaping())
    assert advantages[[0, 1, 3]].tolist() == outcome_advantages(without, AlgoConfig()).tolist()
    metrics = compute_data_metrics(batch, 8, 8)
    assert metrics["critic/score/mean"] == metrics["critic/scores/source 0/mean"] == 2 / 3


def test_a_step_of_which_nothing_is_known_stops_the_run():
    with pytest.raises(RunFailure, match="2 of 2 rewards failed"):
        check_failures({str(i): sample(i, "unavailable") for i in range(2)}, 1.0)


# ---- with the real reward actor ----


@pytest.fixture(scope="module")
def start_reward(ray_cluster, tmp_path_factory):
    """Starts a reward actor with the tests' reward function."""
    folder = tmp_path_factory.mktemp("tokenizer")
    make_tokenizer().save_pretrained(folder)

    def start():
        pool = {"num_workers": 2, "timeout": 1.0, "custom": (CUSTOM, "compute_score", {})}
        actor = ray.remote(RewardWorker).options(num_cpus=0, max_concurrency=1000).remote(str(folder), False, pool)
        ray.get(actor.ping.remote(), timeout=120)
        return actor

    return start


@pytest.fixture(scope="module")
def reward(start_reward):
    actor = start_reward()
    yield actor
    ray.get(actor.close.remote(), timeout=30)


@pytest.fixture
def quick_heartbeat(monkeypatch):
    monkeypatch.setattr(rollouts_module, "HEARTBEAT", 0.2)


IDLE = SimpleNamespace(identify=lambda timeout: None)


def collect(router, reward, trainer=IDLE, n=2, unit_size=None, max_failure_rate=0.5, progress=None):
    rollouts = Rollouts(router,
                        reward,
                        trainer,
                        unit_size,
                        seed=7,
                        max_failure_rate=max_failure_rate,
                        shaping=Shaping())
    rows = [row(index) for index in router.answers]
    return rollouts.collect(rows, SAMPLING, n, 3, (progress if progress is not None else []).append)


def test_samples_come_in_row_order_however_they_arrived(reward):
    router = EchoRouter({4: ["right", "a"], 1: ["b", "right"], 9: ["right", "right"]})
    progress = []
    batch = collect(router, reward, progress=progress)
    assert batch.non_tensor_batch["uid"].tolist() == ["4", "4", "1", "1", "9", "9"]
    assert batch.batch["scores"].tolist() == [1.0, 0.0, 0.0, 1.0, 1.0, 1.0]
    samples = batch.non_tensor_batch["sample"]
    assert [s.text for s in samples] == ["right", "a", "b", "right", "right", "right"]
    assert [s.reward.extra["place"] for s in samples] == [4, 4, 1, 1, 9, 9]
    assert progress == [2, 2, 2]


@pytest.mark.parametrize("unit_size, sizes", [(None, [2, 2, 2]), (4, [4, 2]), (100, [6])])
def test_units_are_a_prompts_samples_or_batches_of_a_fixed_size(reward, unit_size, sizes):
    router = EchoRouter({i: ["a", "b"] for i in range(3)})
    collect(router, reward, unit_size=unit_size)
    assert [len(unit) for unit in router.units] == sizes
    requests = [request for unit in router.units for request in unit]
    assert [r.request_id for r in requests] == ["3/0/0", "3/0/1", "3/1/0", "3/1/1", "3/2/0", "3/2/1"]
    assert requests[3].seed == sample_seed(7, 3, "1", 1) and requests[3].sampling == SAMPLING


def test_a_reward_that_hangs_costs_its_own_sample_only(reward):
    began = time.monotonic()
    batch = collect(EchoRouter({0: ["right", "sleep 100"], 1: ["right", "exit 1"], 2: ["right", "right"]}), reward)
    assert time.monotonic() - began < 20
    samples = batch.non_tensor_batch["sample"]
    assert [s.reward.status for s in samples] == ["ok", "timeout", "ok", "crash", "ok", "ok"]
    assert batch.batch["scores"].tolist() == [1.0, 0.0, 1.0, 0.0, 1.0, 1.0]
    assert "no score within 1 s" in samples[1].reward.error


def test_too_many_failed_rewards_stop_the_run(reward):
    with pytest.raises(RunFailure, match="2 of 2 rewards failed"):
        collect(EchoRouter({0: ["fail x", "fail y"]}), reward)


@pytest.mark.usefixtures("quick_heartbeat")
def test_a_reward_actor_that_dies_during_generation_ends_the_run_and_is_named(start_reward, caplog):
    actor = start_reward()

    class Killing(EchoRouter):

        async def generate(self, units):
            async for completions in super().generate(units):
                yield completions
                ray.kill(actor)

    began = time.monotonic()
    with pytest.raises(WorkerFailure, match="^the reward actor failed: "):
        collect(Killing({0: ["sleep 100"]}, pause=600.0), actor, n=1)
    assert time.monotonic() - began < 10
    gc.collect()
    assert "never retrieved" not in caplog.text  # the cause is told once


@pytest.mark.usefixtures("ray_cluster")
def test_a_reward_actor_that_fails_while_it_scores_is_named():

    async def die(answers, *tasks):
        raise RayActorError(error_msg="the actor died")

    with pytest.raises(WorkerFailure, match="^the reward actor failed: the actor died$"):
        collect(EchoRouter({0: ["right"]}), SimpleNamespace(score=SimpleNamespace(remote=die)), n=1)


@pytest.mark.usefixtures("quick_heartbeat", "ray_cluster")
def test_a_reward_actor_that_hangs_ends_the_run_and_is_named(monkeypatch):
    monkeypatch.setattr(rollouts_module, "HEARTBEAT_TIMEOUT", 0.5)

    async def never(*answers):
        await asyncio.sleep(600)

    hanging = SimpleNamespace(score=SimpleNamespace(remote=never), ping=SimpleNamespace(remote=never))
    with pytest.raises(WorkerFailure, match="the reward actor gave no sign of life for 0.5 s"):
        collect(EchoRouter({0: ["right"]}), hanging, n=1)


@pytest.mark.usefixtures("quick_heartbeat")
def test_a_training_worker_that_dies_during_generation_ends_the_run_and_is_named(reward):
    pool = ResourcePool(2, 1, "cpu")
    trainer = WorkerGroup("train", Worker, pool, call_timeout=60)
    pid = trainer.locations[1]["pid"]

    class Killing(EchoRouter):

        async def generate(self, units):
            os.kill(pid, signal.SIGKILL)
            async for completions in super().generate(units):
                yield completions

    began = time.monotonic()
    with pytest.raises(WorkerFailure, match=rf"^train worker 1 \(node .*, pid {pid}\) died in identify:"):
        collect(Killing({0: ["right"]}, pause=600.0), reward, trainer, n=1)
    assert time.monotonic() - began < 10
    pool.release()
