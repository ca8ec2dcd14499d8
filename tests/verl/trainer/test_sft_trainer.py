"""main_sft as a process of its own, and what its runs leave behind; Ray starts twice in this file."""
import json
import math
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.distributed as dist
import yaml
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM

from tests.support.batches import make_batch
from tests.support.runs import make_tokenizer, save_lm, sft_argv, sft_row, write_rows
from verl.config import FSDPConfig, ModelConfig, OptimConfig, load_sft_config
from verl.trainer import main_sft
from verl.trainer.checkpoint import LATEST
from verl.trainer.sft_trainer import SFTTrainer, to_batch
from verl.utils.ragged import Ragged
from verl.utils.tokenizer import load_tokenizer
from verl.workers.engine.base import MicroBatchBounds
from verl.workers.engine.fsdp import FSDPEngine
from verl.workers.losses import sft_loss

STEPS = 6
RUN = {
    "trainer__total_training_steps": STEPS,
    "trainer__save_freq": 2,
    "trainer__test_freq": 4,
    "optim__lr_warmup_steps": 3,
    "optim__lr_scheduler_type": "cosine",
    "checkpoint__save_contents": "[model,optimizer,extra,hf_model]",
}


class Samples:
    """What to_batch reads of an SFTDataset."""

    def __init__(self, ids, mask):
        self.input_ids, self.loss_mask = Ragged.from_rows(ids, np.int32), Ragged.from_rows(mask, bool)


ROWS = st.lists(st.tuples(st.integers(0, 99), st.booleans()), min_size=1, max_size=8)


@given(st.lists(ROWS.filter(lambda row: any(target for _, target in row)), min_size=1, max_size=6))
def test_to_batch_splits_before_the_first_target(rows):
    ids, mask = [[token for token, _ in row] for row in rows], [[target for _, target in row] for row in rows]
    batch = to_batch(Samples(ids, mask)).batch
    for i, row in enumerate(rows):
        targets = [k for k, (_, target) in enumerate(row) if target]
        split = max(1, targets[0])
        assert batch["prompts"][i].tolist() == ids[i][:split]
        assert batch["responses"][i].tolist() == ids[i][split:]
        assert batch["response_mask"][i].tolist() == mask[i][split:]


def metrics_of(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def without_times(entries):
    vary = ("timing_s/", "perf/throughput", "memory/")
    return [{k: v for k, v in entry.items() if not k.startswith(vary)} for entry in entries]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A folder in which `python -m verl.trainer.main_sft` has run from start to end."""
    folder = tmp_path_factory.mktemp("sft")
    save_lm(folder / "model")
    write_rows(folder / "sft.parquet", [sft_row(i) for i in range(10)])
    write_rows(folder / "val.parquet", [sft_row(i) for i in range(20, 25)])
    (folder / "noted.py").write_text(f"import os\nopen(f'{folder}/imported_by_{{os.getpid()}}', 'w').close()\n")
    env = os.environ | {
        "VERL_USE_EXTERNAL_MODULES": "noted",
        "PYTHONPATH": os.pathsep.join([str(folder), *sys.path]),
    }
    done = subprocess.run([sys.executable, "-m", "verl.trainer.main_sft", *arguments(folder)],
                          env=env, capture_output=True, text=True, timeout=200)  # yapf: disable
    assert done.returncode == 0, done.stderr
    (folder / "stdout").write_text(done.stdout)
    return folder


def arguments(folder, **overrides):
    return sft_argv(folder, data__val_files=folder / "val.parquet", **RUN | overrides)


def test_the_loss_falls_and_validation_sees_it(run):
    entries = metrics_of(run / "out")
    assert [entry["step"] for entry in entries] == [0, 1, 2, 3, 4, 5, 6]
    train = [entry["train/loss"] for entry in entries[1:]]
    val = {entry["step"]: entry["val/loss"] for entry in entries if "val/loss" in entry}
    assert train[-1] < train[0] - 0.3
    assert list(val) == [0, 4, 6] and val[6] < val[4] < val[0]
    assert [entry["training/epoch"] for entry in entries[1:]] == [0, 0, 1, 1, 2, 2]  # 2 batches of 4 among 10 rows
    assert [round(entry["train/lr"], 6) for entry in entries[1:4]] == [0.003333, 0.006667, 0.01]
    assert {entry["train/skipped_updates"] for entry in entries[1:]} == {0}


def test_what_a_run_leaves(run):
    assert sorted(os.listdir(
        run / "out")) == ["config.yaml", "global_step_2", "global_step_4", "global_step_6", LATEST, "metrics.jsonl"]
    assert yaml.safe_load((run / "out" / "config.yaml").read_text())["optim"]["lr"] == 0.01
    lines = (run / "stdout").read_text().splitlines()
    assert lines[0].startswith("validation at step 0: val/loss ")
    assert sum(line.startswith("epoch ") for line in lines) == STEPS


def test_driver_and_worker_import_external_modules(run):
    """The worker has the driver's environment."""
    assert len(list(run.glob("imported_by_*"))) == 2


def test_the_export_is_the_trained_model(run):
    """Plain transformers computes the validation loss of the last step with it."""
    folder = run / "out" / f"global_step_{STEPS}" / "huggingface"
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), load_tokenizer(str(folder))
    losses = []
    for row in (sft_row(i) for i in range(20, 25)):
        prompt = tokenizer.apply_chat_template([{"role": "user", "content": row["prompt"]}], tokenize=False,
                                               add_generation_prompt=True)  # yapf: disable
        head, rest = (
            tokenizer(text, add_special_tokens=False)["input_ids"] for text in (prompt, row["response"] + "<end>"))
        logits = model(torch.tensor([head + rest])).logits[0, len(head) - 1:-1]
        losses += torch.nn.functional.cross_entropy(logits, torch.tensor(rest), reduction="none").tolist()
    assert math.fsum(losses) / len(losses) == pytest.approx(metrics_of(run / "out")[-1]["val/loss"], rel=1e-5)
    assert tokenizer.get_vocab() == make_tokenizer().get_vocab()


@pytest.fixture
def killed(run, tmp_path):
    """The state of the same run, killed in step 4 after the checkpoint of step 2."""
    for name in ("model", "sft.parquet", "val.parquet"):
        (tmp_path / name).symlink_to(run / name)
    shutil.copytree(run / "out" / "global_step_2", tmp_path / "out" / "global_step_2")
    (tmp_path / "out" / ".global_step_4.tmp" / "actor").mkdir(parents=True)
    (tmp_path / "out" / LATEST).write_text("2")
    lines = (run / "out" / "metrics.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "out" / "metrics.jsonl").write_text("".join(lines[:4]) + lines[4][:20])
    return tmp_path


def test_a_resumed_run_repeats_the_uninterrupted_one_to_the_last_digit(run, killed, ray_cluster):
    """Saved in the background, which changes no step."""
    trainer = SFTTrainer(load_sft_config(arguments(killed, checkpoint__async_save=True)), "cpu")
    try:
        trainer.start()
        assert trainer.step == 2
        trainer.fit()
    finally:
        trainer.close()
    assert without_times(metrics_of(killed / "out")) == without_times(metrics_of(run / "out"))
    assert sorted(os.listdir(killed / "out")) == sorted(os.listdir(run / "out"))


def test_a_checkpoint_of_another_model_is_refused(killed, ray_cluster, monkeypatch, capsys):
    save_lm(killed / "wider", hidden=48)
    monkeypatch.setattr("verl.trainer.cluster.start_ray", lambda config: None)  # it runs already
    assert main_sft.main(arguments(killed, model__path=killed / "wider")) == 2
    said = capsys.readouterr().err
    assert f"error: {killed}/out/global_step_2/actor is a checkpoint of another model (" in said
    assert ", 32] there, " in said or "[32] there" in said
    assert ", 48] here)" in said or "[48] here)" in said
    assert said.rstrip().endswith("set trainer.resume_mode=disable or another trainer.default_local_dir")
    assert "Traceback" not in said


def test_other_data_is_refused_before_ray_starts(killed, monkeypatch, capsys):
    monkeypatch.setattr("verl.trainer.cluster.start_ray", lambda config: pytest.fail("Ray was started"))
    (killed / "sft.parquet").unlink()
    write_rows(killed / "sft.parquet", [sft_row(i) for i in range(11)])
    assert main_sft.main(arguments(killed)) == 2
    assert "the checkpoint was made on other data" in capsys.readouterr().err


@pytest.fixture
def engine(run, tmp_path):
    """Makes engines on one rank, this process."""
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    optim = OptimConfig(lr=0.01, lr_warmup_steps=10, total_training_steps=100)
    yield lambda: FSDPEngine(ModelConfig(path=str(run / "model")), FSDPConfig(), torch.device("cpu"), optim)
    dist.destroy_process_group()


def step(engine, seed):
    engine.forward_backward(make_batch(4, vocab=40, seed=seed), sft_loss, MicroBatchBounds(None, 4), 1.0, False)
    return engine.optimizer_step()["lr"]


def values(engine):
    return {name: p.full_tensor().clone() for name, p in engine.parameters.items()}


def test_contents_of_a_checkpoint_are_saved_and_loaded_as_asked(engine, tmp_path):
    first = engine()
    for seed in range(3):
        step(first, seed)
    first.save(tmp_path / "whole")
    first.save(tmp_path / "weights", ["model"])
    after_three, lr = values(first), step(first, 3)
    after_four = values(first)

    whole = engine()
    whole.load(tmp_path / "whole")
    assert step(whole, 3) == lr == pytest.approx(0.004)
    assert all(torch.equal(p, after_four[name]) for name, p in values(whole).items())

    weights = engine()
    weights.load(tmp_path / "whole", ["model"])
    assert all(torch.equal(p, after_three[name]) for name, p in values(weights).items())
    assert not weights.optimizer.state
    assert step(weights, 3) == pytest.approx(0.001)  # the warm-up begins again

    with pytest.raises(ValueError, match=r"weights holds no extra .*set checkpoint.load_contents=\[model\]"):
        engine().load(tmp_path / "weights")
    with pytest.raises(ValueError, match="weights holds no optimizer"):
        engine().load(tmp_path / "weights", ["model", "optimizer"])
    engine().load(tmp_path / "weights", ["model"])
