"""A worker's step from batch to metrics, in this process: one rank, no Ray."""
import math
import pickle
import shutil
import socket
import threading
from concurrent.futures import wait

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch.distributed.checkpoint import CheckpointException, FileSystemWriter
from transformers import AutoModelForCausalLM, AutoModelForTokenClassification

from tests.support.batches import make_batch
from tests.support.models import save_model
from verl.config.critic import CriticConfig
from verl.config.engine import CHECKPOINT_PARTS, ActorConfig, FSDPConfig, OptimConfig
from verl.config.model import ModelConfig
from verl.protocol import DataProto
from verl.utils.ragged import Ragged
from verl.workers.engine.base import MicroBatchBounds
from verl.workers.engine.fsdp import FSDPEngine
from verl.workers.mini_batches import average_updates
from verl.workers.train_worker import TrainWorker

ONE_BY_ONE, PACKED = MicroBatchBounds(None, 1), MicroBatchBounds(60, None)
TEMPERATURE, LONGEST, SEED = 0.9, 12, 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_model("qwen3", tmp_path_factory.mktemp("qwen3"))


@pytest.fixture
def make_worker(monkeypatch, folder):
    """A worker that has joined its group and loaded an actor of the given learning rate."""
    for name, value in {"RANK": 0, "WORLD_SIZE": 1, "LOCAL_RANK": 0, "LOCAL_WORLD_SIZE": 1}.items():
        monkeypatch.setenv(name, str(value))

    def make(lr: float, fsdp: FSDPConfig | None = None, **optim) -> TrainWorker:
        worker = TrainWorker("cpu")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        worker.join(("127.0.0.1", port), 30)
        count = worker.load_actor(ModelConfig(path=str(folder)), fsdp or FSDPConfig(), OptimConfig(lr=lr, **optim), 1.0)
        assert count == sum(p.numel() for p in AutoModelForCausalLM.from_pretrained(folder).parameters())
        return worker

    yield make
    dist.destroy_process_group()


def rollouts(rows: int = 10, seed: int = 0) -> DataProto:
    """What the driver sends: shared arrays that nobody may write to."""
    batch = make_batch(rows, seed=seed).select(["prompts", "responses", "response_mask", "advantages"])
    responses = batch.batch["responses"]
    log_probs = np.random.default_rng(seed).normal(-4, 1, len(responses.values)).astype(np.float32)
    batch.batch["rollout_log_probs"] = Ragged(log_probs, responses.offsets)
    batch.batch["position"] = np.arange(rows)
    batch.batch["rewards"] = np.random.default_rng(seed).normal(size=rows)
    for column in batch.batch.values():
        for array in (column.values, column.offsets) if isinstance(column, Ragged) else (column,):
            array.flags.writeable = False
    return batch


def update(worker, bounds, mini_batches, **config):
    return worker.update_actor(ActorConfig(**config), bounds, TEMPERATURE, mini_batches, LONGEST, SEED)


@pytest.mark.parametrize("first, then", [(ONE_BY_ONE, PACKED), (PACKED, ONE_BY_ONE)], ids=["one by one", "packed"])
def test_at_learning_rate_zero_nothing_is_clipped(make_worker, first, then):
    """However the two passes are cut into micro-batches, and over two mini-batches and epochs."""
    worker = make_worker(lr=0.0)
    worker.load_batch(rollouts())
    worker.old_log_prob(first, TEMPERATURE)
    metrics = update(worker, then, mini_batches=2, ppo_epochs=2)
    assert abs(metrics["actor/ppo_kl"]) < 1e-6
    assert metrics["actor/pg_clipfrac"] == metrics["actor/pg_clipfrac_lower"] == 0
    assert metrics["actor/lr"] == 0 and metrics["actor/grad_norm"] > 0


def test_prompts_may_come_once_for_all_their_samples(make_worker):
    worker, batch = make_worker(lr=0.0), rollouts()
    prompts = batch.batch["prompts"][:3]
    answered = np.arange(10) % 3
    worker.load_batch(batch.select([name for name in batch.batch if name != "prompts"]).union(
        DataProto.from_dict({"prompt": answered})), prompts)  # yapf: disable
    metrics = update(worker, PACKED, mini_batches=1)
    worker.load_batch(DataProto.from_dict(batch.batch | {"prompts": prompts[answered]}))
    assert update(worker, PACKED, mini_batches=1) == metrics


def test_an_update_without_old_log_prob_is_exactly_on_policy(make_worker):
    worker = make_worker(lr=0.1)
    worker.load_batch(rollouts())
    metrics = update(worker, PACKED, mini_batches=1)
    assert metrics["actor/ppo_kl"] == metrics["actor/pg_clipfrac"] == 0
    assert worker.old_log_prob(PACKED, TEMPERATURE).keys() == {n for n in metrics if n.startswith("training/")}


def test_a_real_step_moves_the_policy(make_worker):
    worker = make_worker(lr=0.01)
    worker.load_batch(rollouts())
    worker.old_log_prob(PACKED, TEMPERATURE)
    metrics = update(worker, PACKED, mini_batches=2, ppo_epochs=3)
    assert abs(metrics["actor/ppo_kl"]) > 1e-3 and metrics["actor/pg_clipfrac"] > 0
    assert metrics["actor/skipped_updates"] == 0


def test_the_rollouts_log_probs_are_compared_with_the_trainers(make_worker):
    worker, batch = make_worker(lr=0.0), rollouts()
    exact = worker.compute_log_prob(batch, TEMPERATURE).batch["log_probs"]
    mask = batch.batch["response_mask"].values.astype(bool)
    shifted = exact.values + np.where(mask, 0.25, 99).astype(np.float32)
    worker.load_batch(DataProto.from_dict(batch.batch | {"rollout_log_probs": Ragged(shifted, exact.offsets)}))
    by_itself = worker.old_log_prob(PACKED, TEMPERATURE)
    assert by_itself["training/rollout_log_probs_diff_max"] == pytest.approx(0.25, abs=1e-5)
    assert by_itself["training/rollout_log_probs_diff_mean"] == pytest.approx(0.25, abs=1e-5)
    np.testing.assert_allclose(worker.batch.batch["old_log_probs"].values, exact.values, atol=1e-5)
    del worker.batch.batch["old_log_probs"]
    in_the_update = update(worker, PACKED, mini_batches=1)
    assert {name: in_the_update[name] for name in by_itself} == pytest.approx(by_itself, abs=1e-6)


def test_the_reference_is_the_actor_that_was_loaded(make_worker, folder):
    worker = make_worker(lr=0.01)
    worker.load_ref(ModelConfig(path=str(folder)), FSDPConfig())
    worker.load_batch(rollouts())
    worker.ref_log_prob(ONE_BY_ONE, TEMPERATURE)
    reference = worker.batch.batch["ref_log_prob"].values.copy()
    metrics = [update(worker, PACKED, 1, use_kl_loss=True, kl_loss_type="k2") for _ in range(3)]
    assert 0 <= metrics[0]["actor/kl_loss"] < 1e-9 < 1e-6 < metrics[2]["actor/kl_loss"]
    worker.ref_log_prob(ONE_BY_ONE, TEMPERATURE)
    assert np.array_equal(worker.batch.batch["ref_log_prob"].values, reference)


@pytest.fixture
def make_ppo(make_worker, folder):
    """A worker with a critic and a reference that holds rollouts with all that GAE needs."""

    def make(lr: float = 0.01) -> TrainWorker:
        worker = make_worker(lr=lr)
        worker.load_critic(ModelConfig(path=str(folder)), FSDPConfig(), OptimConfig(lr=lr), 1.0)
        worker.load_ref(ModelConfig(path=str(folder)), FSDPConfig())
        worker.load_batch(rollouts())
        worker.old_log_prob(PACKED, TEMPERATURE)
        worker.ref_log_prob(PACKED, TEMPERATURE)
        worker.values(PACKED)
        return worker

    return make


def update_critic(worker, bounds=PACKED, mini_batches=1, **config):
    config = CriticConfig(**{"ppo_epochs": 1, "shuffle": False, "loss_agg_mode": "token-mean"} | config)
    return worker.update_critic(config, bounds, mini_batches, LONGEST, SEED)


def test_a_new_critic_expects_nothing_and_learns_the_returns(make_ppo):
    worker = make_ppo()
    assert not worker.batch.batch["values"].values.any()
    metrics = worker.value_advantages("gae", 1.0, 1.0, 0.0)
    counted = worker.batch.batch["response_mask"].values
    returns = worker.batch.batch["returns"].values[counted]
    assert metrics["critic/returns/mean"] == pytest.approx(returns.mean(), rel=1e-5)
    assert metrics["critic/returns/max"] == returns.max() and metrics["critic/returns/min"] == returns.min()
    assert metrics["critic/values/max"] == metrics["critic/values/min"] == 0
    assert metrics["critic/advantages/mean"] == pytest.approx(0, abs=1e-6)
    losses = [update_critic(worker, cliprange_value=100.0)["critic/vf_loss"] for _ in range(30)]
    assert losses[0] == pytest.approx((returns**2).mean() / 2, rel=1e-5) and losses[-1] < 0.3 * losses[0]
    worker.values(ONE_BY_ONE)
    later = worker.value_advantages("gae", 1.0, 1.0, 0.0)
    assert later["critic/vf_explained_var"] > 0.5 > 0.1 > abs(metrics["critic/vf_explained_var"])
    own, others = worker.batch.batch["values"].values[counted], worker.batch.batch["returns"].values[counted]
    expected = 1 - (others - own).var(dtype=np.float64) / (others.var(dtype=np.float64) + 1e-5)
    assert later["critic/vf_explained_var"] == pytest.approx(expected, rel=1e-4)


def test_kl_in_the_reward_is_taken_from_every_token(make_ppo):
    """Reward at the last token that counts, less the KL at each; a row without one has neither."""
    worker = make_ppo()
    for _ in range(3):
        update(worker, PACKED, 1)
    worker.old_log_prob(PACKED, TEMPERATURE)
    mask, batch = worker.batch.batch["response_mask"], worker.batch.batch
    sums = worker.reward_kl("k1")
    kl = np.where(mask.values, batch["old_log_probs"].values - batch["ref_log_prob"].values, 0)
    assert np.abs(kl).max() > 1e-3
    worker.value_advantages("gae", 1.0, 1.0, 0.5)
    for row in range(len(mask)):
        own = kl[mask.offsets[row]:mask.offsets[row + 1]][mask[row]]
        assert sums[row] == pytest.approx(own.sum(), abs=1e-5)
        expected = batch["rewards"][row] - 0.5 * own[::-1].cumsum()[::-1]
        np.testing.assert_allclose(batch["returns"][row][mask[row]], expected, atol=1e-5)


def test_both_models_train_on_shuffled_mini_batches(make_ppo):
    worker = make_ppo()
    worker.value_advantages("gae", 1.0, 0.9, 0.0)
    ours = update_critic(worker, mini_batches=5, ppo_epochs=2, shuffle=True)
    metrics = update(worker, PACKED, mini_batches=2, ppo_epochs=2, shuffle=True)
    assert ours["critic/grad_norm"] > 0 and ours["critic/skipped_updates"] == 0
    assert ours["critic/lr"] == pytest.approx(0.01)
    assert ours.keys() >= {"critic/vf_loss", "critic/vf_clipfrac", "critic/vpred_mean"}
    assert abs(metrics["actor/ppo_kl"]) > 1e-4


def test_an_unknown_sample_changes_nothing(make_ppo, make_worker):
    """Its mask is empty: advantages, losses and updates are those of the batch without it."""
    results = []
    for spoil in (False, True):
        worker = make_ppo()
        batch = worker.batch.batch
        mask = batch["response_mask"]
        counted = mask.values.copy()
        counted[mask.offsets[3]:mask.offsets[4]] = False
        batch["response_mask"] = Ragged(counted, mask.offsets)
        batch["rewards"] = np.where(np.arange(10) == 3, 1e6 if spoil else 0.0, batch["rewards"])
        metrics = worker.value_advantages("gae", 1.0, 0.9, 0.0)
        results.append(metrics | update_critic(worker) | update(worker, PACKED, 1))
        assert not batch["advantages"][3].any()
        dist.destroy_process_group()
    assert results[0] == results[1]
    make_worker(lr=0.0)  # the fixture ends a group


def test_checkpoint_and_export_of_the_critic(make_ppo, tmp_path):
    worker = make_ppo()
    worker.value_advantages("gae", 1.0, 0.9, 0.0)
    update_critic(worker)
    worker.save_checkpoint(str(tmp_path), [*CHECKPOINT_PARTS, "hf_model"], "critic")
    worker.values(PACKED)
    expected, update_after = worker.batch.batch["values"].values.copy(), update_critic(worker)
    dist.destroy_process_group()
    other = make_ppo()
    other.load_checkpoint(str(tmp_path), role="critic")
    other.values(PACKED)
    assert np.array_equal(other.batch.batch["values"].values, expected)
    other.batch.batch["values"] = Ragged(np.zeros_like(expected), other.batch.batch["values"].offsets)
    other.value_advantages("gae", 1.0, 0.9, 0.0)
    assert update_critic(other) == update_after
    folder = tmp_path / "critic_huggingface"
    exported = AutoModelForTokenClassification.from_pretrained(folder)
    assert type(exported).__name__ == "Qwen3ForTokenClassification"
    again = FSDPEngine(ModelConfig(path=str(folder)), FSDPConfig(), torch.device("cpu"), value_head=True)
    ours = {name: p.full_tensor() for name, p in again.parameters.items()}
    assert ours["score.weight"].any() and all(torch.equal(p, ours[name]) for name, p in exported.named_parameters())
    row, prompts, responses = 0, other.batch.batch["prompts"], other.batch.batch["responses"]
    tokens = torch.tensor([[*prompts[row], *responses[row]]])
    values = exported.eval()(input_ids=tokens).logits[0, len(prompts[row]) - 1:-1, 0]
    np.testing.assert_allclose(values.detach().numpy(), expected[:len(values)], atol=1e-5)


def test_sft_lowers_the_loss_that_is_evaluated(make_worker):
    worker, batch = make_worker(lr=0.01), make_batch(10)
    worker.load_batch(batch)
    before = worker.evaluate_sft(ONE_BY_ONE)["val/loss"]
    log_probs = worker.compute_log_prob(batch).batch["log_probs"].values
    assert before == pytest.approx(-log_probs[batch.batch["response_mask"].values].mean(), rel=1e-5)
    losses = [worker.update_sft(PACKED)["train/loss"] for _ in range(5)]
    assert losses[0] == pytest.approx(before, rel=1e-5)
    assert worker.evaluate_sft(PACKED)["val/loss"] < losses[-1] < losses[0]


def test_weights_appear_whole_and_go(make_worker, folder, tmp_path):
    worker, directory = make_worker(lr=0.0), tmp_path / "version_3"
    written = tmp_path / "version_3_rank_0"
    assert worker.write_weights(str(directory), "fp32") == str(written)
    assert list(tmp_path.iterdir()) == [written]  # nothing partial is left
    assert {path.name for path in written.iterdir()} >= {"model.safetensors"}
    worker.remove_weights(str(directory))
    assert not list(tmp_path.iterdir())


def test_another_critics_checkpoint_is_refused(make_ppo, folder, tmp_path):
    worker = make_ppo()
    worker.save_checkpoint(str(tmp_path), ["model"], "critic")
    worker.save_checkpoint(str(tmp_path), ["model"])
    model = ModelConfig(path=str(folder), override_config={"rms_norm_eps": 1e-3})
    worker.load_critic(model, FSDPConfig(), OptimConfig(), 1.0)
    with pytest.raises(ValueError, match=r"/critic is a checkpoint of another model \(rms_norm_eps is 1e-06 there"):
        worker.load_checkpoint(str(tmp_path), ["model"], "critic")
    shutil.rmtree(tmp_path / "critic")
    (tmp_path / "actor").rename(tmp_path / "critic")
    with pytest.raises(ValueError, match=r"/critic is a checkpoint of another model \(lm_head.weight is \[61, 32\]"):
        worker.load_checkpoint(str(tmp_path), ["model"], "critic")


@pytest.mark.parametrize("background", [False, True])
def test_checkpoint_and_export(make_worker, tmp_path, background):
    """In the background what is written is the state at the call, though updates go on before it is written."""
    worker, batch, updated = make_worker(lr=0.01), rollouts(), threading.Event()
    worker.load_batch(batch)
    update(worker, PACKED, mini_batches=2)
    expected = worker.compute_log_prob(batch).batch["log_probs"].values
    if background:
        worker.writer.submit(updated.wait)
    worker.save_checkpoint(str(tmp_path), [*CHECKPOINT_PARTS, "hf_model"], background=background)
    assert worker.saved() != background and (tmp_path / "actor").is_dir() != background
    update_after = update(worker, PACKED, mini_batches=2)
    updated.set()
    wait([*worker.writes], 60)
    assert worker.saved()
    dist.destroy_process_group()
    other = make_worker(lr=0.01)
    assert not np.allclose(other.compute_log_prob(batch).batch["log_probs"].values, expected, atol=1e-3)
    other.load_checkpoint(str(tmp_path))
    assert np.array_equal(other.compute_log_prob(batch).batch["log_probs"].values, expected)
    exported = AutoModelForCausalLM.from_pretrained(tmp_path / "huggingface")
    ours = {name: p.full_tensor() for name, p in other.actor.parameters.items()}
    assert all(torch.equal(p, ours[name]) for name, p in exported.named_parameters())
    other.load_batch(batch)
    assert update(other, PACKED, mini_batches=2) == update_after


def test_a_write_that_fails_in_the_background_is_reported(make_worker, tmp_path, monkeypatch):
    worker = make_worker(lr=0.01)

    def fail(self, *args):
        raise OSError("disk full")

    monkeypatch.setattr(FileSystemWriter, "write_data", fail)
    worker.save_checkpoint(str(tmp_path), ["model"], background=True)
    wait([*worker.writes], 60)
    for _ in range(2):  # whoever asks
        with pytest.raises(CheckpointException) as caught:
            worker.saved()
        assert "disk full" in str(pickle.loads(pickle.dumps(caught.value))), "the driver is told as much"


def test_a_save_before_the_first_update_changes_nothing(make_worker, tmp_path):
    """As during critic_warmup: AdamW counts its steps, and looking at its state is none."""
    metrics = []
    for save in (False, True):
        worker = make_worker(lr=0.01)
        if save:
            worker.save_checkpoint(str(tmp_path))
        worker.load_batch(rollouts())
        metrics.append([update(worker, PACKED, mini_batches=1) for _ in range(3)])
        dist.destroy_process_group()
    worker = make_worker(lr=0.01)
    worker.load_checkpoint(str(tmp_path))
    worker.load_batch(rollouts())
    metrics.append([update(worker, PACKED, mini_batches=1) for _ in range(3)])
    assert metrics[0] == metrics[1] == metrics[2]


def test_averages_over_updates():
    averaged = average_updates([{"a": 1.0, "b_max": 3.0}, {"a": 2.0, "b_max": 1.0}])
    assert averaged == {"a": 1.5, "b_max": 3.0} and {type(value) for value in averaged.values()} == {float}
    assert math.isnan(average_updates([{"a": math.nan}, {"a": 2.0}])["a"])


def ppo_step(worker, directory) -> dict[str, tuple[bool, ...]]:
    """A step with reference and critic; -> after each phase, which of actor, reference and critic are on the device."""
    where, engines = {}, (worker.actor, worker.ref, worker.critic)

    def note(phase: str) -> None:
        where[phase] = tuple(
            any(p.to_local().untyped_storage().nbytes() for p in e.parameters.values()) for e in engines)

    note("load")
    worker.write_weights(str(directory / "version_1"), "float32")
    worker.load_batch(rollouts())
    worker.old_log_prob(PACKED, TEMPERATURE)
    note("old_log_prob")
    worker.ref_log_prob(PACKED, TEMPERATURE)
    note("ref")
    worker.values(PACKED)
    note("values")
    worker.value_advantages("gae", 1.0, 0.95, 0.0)
    worker.update_critic(CriticConfig(ppo_epochs=1, shuffle=False, loss_agg_mode="token-mean"), PACKED, 2, LONGEST,
                         SEED)
    note("update_critic")
    update(worker, PACKED, 2, ppo_epochs=1)
    note("update_actor")
    worker.write_weights(str(directory / "version_2"), "float32")
    note("update_weights")
    worker.save_checkpoint(str(directory / "saved"))
    note("save_checkpoint")
    return where


@pytest.mark.parametrize("offload", [False, True])
def test_offloaded_models_are_there_in_their_phases_only(make_worker, folder, tmp_path, monkeypatch, offload):
    """The order of a colocated step: the actor stays after its update until its weights are out."""
    monkeypatch.setattr("verl.workers.engine.fsdp.has_host_memory", lambda device: True)  # a CPU stands for a GPU
    fsdp, model = FSDPConfig(param_offload=offload, optimizer_offload=offload), ModelConfig(path=str(folder))
    worker = make_worker(0.01, fsdp=fsdp)
    worker.load_ref(model, fsdp)
    worker.load_critic(model, fsdp, OptimConfig(lr=0.01), 1.0)
    where = ppo_step(worker, tmp_path)
    there = {"update_actor": (True, False, False)} if offload else {}
    assert where == {phase: there.get(phase, (not offload,) * 3) for phase in where}
    peaks = worker.memory_metrics()
    assert set(peaks) == {f"memory/{phase}_peak_gb" for phase in where}
    assert all(0.1 < peak < 64 for peak in peaks.values())
