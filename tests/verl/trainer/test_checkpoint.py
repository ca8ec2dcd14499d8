import json
import os
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl.config.trainer import TrainerConfig
from verl.trainer import checkpoint
from verl.trainer.checkpoint import LATEST, CheckpointManager, load_model, save_model


class Killed(BaseException):
    """Stands for kill -9: nothing is expected to handle it."""


def manager(root, **config):
    return CheckpointManager(TrainerConfig(default_local_dir=str(root), **config))


def write(content):

    def write_model(folder):
        (folder / "actor").mkdir()
        (folder / "actor" / "weights").write_text(content)

    return write_model


def weights(folder):
    return (folder / "actor" / "weights").read_text()


def steps_in(root):
    return sorted(int(name.removeprefix("global_step_")) for name in os.listdir(root) if name.startswith("global_step"))


def test_what_was_saved_is_found(tmp_path):
    manager(tmp_path).save(7, {"prompts": {"epoch": 1}}, write("7"))
    folder = manager(tmp_path).find()
    assert folder == tmp_path / "global_step_7" and weights(folder) == "7"
    assert CheckpointManager.read_state(folder) == {"step": 7, "prompts": {"epoch": 1}}
    assert (tmp_path / LATEST).read_text() == "7"
    assert sorted(os.listdir(tmp_path)) == ["global_step_7", LATEST]


def test_a_fresh_run_finds_nothing(tmp_path):
    assert manager(tmp_path).find() is None
    assert manager(tmp_path / "nowhere").find() is None


def test_disable_finds_nothing_though_there_is_something(tmp_path):
    manager(tmp_path).save(1, {}, write("1"))
    assert manager(tmp_path, resume_mode="disable").find() is None


def test_a_path_is_taken_instead_of_the_latest(tmp_path, monkeypatch):
    for step in (1, 2):
        manager(tmp_path).save(step, {}, write(str(step)))
    named = manager(tmp_path / "other", resume_mode="resume_path", resume_from_path=str(tmp_path / "global_step_1"))
    assert weights(named.find()) == "1"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert weights(manager(tmp_path, resume_mode="resume_path", resume_from_path="~/global_step_1").find()) == "1"


def test_relative_folders_are_absolute_for_the_workers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    manager("out").save(1, {}, write("1"))
    assert manager("out").find() == tmp_path / "out" / "global_step_1"


def test_incomplete_checkpoints_are_refused_with_the_fix(tmp_path):
    (tmp_path / "global_step_3" / "actor").mkdir(parents=True)
    with pytest.raises(ValueError, match="global_step_3 is no complete checkpoint .it has no driver.json"):
        manager(tmp_path, resume_mode="resume_path", resume_from_path=str(tmp_path / "global_step_3")).find()
    for number in ("4", "3", ""):
        (tmp_path / LATEST).write_text(number)
        with pytest.raises(ValueError, match=f"{LATEST} names global_step_{number}, which is gone; .*resume_mode="):
            manager(tmp_path).find()


def test_an_exported_model_alone_cannot_be_resumed(tmp_path):
    manager(tmp_path).save(1, {}, lambda folder: (folder / "huggingface").mkdir())
    with pytest.raises(ValueError, match="global_step_1 has no training state to resume from"):
        manager(tmp_path).find()


@pytest.mark.parametrize("step", [1, 2], ids=["same step again", "next step"])
@pytest.mark.parametrize("instant", ["writing", "before driver.json", "first rename", "second rename", "after renames",
                                     "before latest", "forgetting"])  # yapf: disable
def test_a_kill_at_any_instant_leaves_a_complete_checkpoint(tmp_path, monkeypatch, step, instant):
    """A kill is a BaseException after which no cleaning up happens, neither by handlers nor by `finally`."""
    manager(tmp_path).save(1, {"n": 1}, write("old"))

    def die(*args, **kwargs):
        monkeypatch.setattr(shutil, "rmtree", lambda *args, **kwargs: None)
        raise Killed

    def die_at_rename(number, rename=os.rename):
        calls = []

        def counted(*args):
            calls.append(args)
            if len(calls) == number:
                die()
            rename(*args)

        monkeypatch.setattr(os, "rename", counted)

    write_model = write("new")
    if instant == "writing":
        write_model = lambda folder: (write("half")(folder), die())
    elif instant == "before driver.json":
        monkeypatch.setattr(json, "dumps", die)
    elif instant == "first rename":
        die_at_rename(1)
    elif instant == "second rename":
        die_at_rename(2)
    elif instant == "after renames":
        monkeypatch.setattr(shutil, "rmtree", die)
    elif instant == "before latest":
        write_text = checkpoint.atomic_write_text
        monkeypatch.setattr(checkpoint, "atomic_write_text", lambda path, text: die()
                            if path.name == LATEST else write_text(path, text))
    else:
        monkeypatch.setattr(CheckpointManager, "_forget", die)
    with pytest.raises(Killed):
        manager(tmp_path, max_actor_ckpt_to_keep=1).save(step, {"n": 2}, write_model)
    monkeypatch.undo()

    found = manager(tmp_path).find()
    assert (weights(found), CheckpointManager.read_state(found)["n"]) in {("old", 1), ("new", 2)}
    manager(tmp_path, max_actor_ckpt_to_keep=1).save(3, {"n": 3}, write("newest"))
    assert weights(manager(tmp_path).find()) == "newest"
    assert steps_in(tmp_path) == [3]
    assert sorted(os.listdir(tmp_path)) == ["global_step_3", LATEST]


def test_a_failed_write_keeps_the_last_checkpoint(tmp_path):
    manager(tmp_path).save(1, {}, write("1"))

    def fail(folder):
        write("half")(folder)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        manager(tmp_path).save(2, {}, fail)
    assert weights(manager(tmp_path).find()) == "1" and steps_in(tmp_path) == [1]


def test_the_newest_are_kept_across_a_resume(tmp_path):
    for step in (1, 2, 3):
        manager(tmp_path, max_actor_ckpt_to_keep=2).save(step, {}, write(str(step)))
    assert steps_in(tmp_path) == [2, 3]
    manager(tmp_path, max_actor_ckpt_to_keep=2).save(10, {}, write("10"))  # the number counts, not the name
    assert steps_in(tmp_path) == [3, 10]
    manager(tmp_path).save(11, {}, write("11"))
    assert steps_in(tmp_path) == [3, 10, 11]


def test_a_run_that_starts_over_keeps_what_it_has_just_saved(tmp_path):
    """Later steps are there from a run that went further; they are no reason to forget this one's."""
    for step in (20, 30):
        manager(tmp_path).save(step, {}, write("old"))
    for step in (5, 10):
        manager(tmp_path, max_actor_ckpt_to_keep=1, resume_mode="disable").save(step, {}, write("new"))
    assert steps_in(tmp_path) == [10, 20, 30]
    assert manager(tmp_path).find().name == "global_step_10"
    manager(tmp_path, max_actor_ckpt_to_keep=1).save(20, {}, write("new"))
    assert steps_in(tmp_path) == [20, 30] and weights(manager(tmp_path).find()) == "new"


@given(st.lists(st.integers(1, 40), min_size=1, max_size=12, unique=True).map(sorted), st.integers(1, 4))
def test_keep_n_keeps_the_last_n(tmp_path_factory, steps, keep):
    root = tmp_path_factory.mktemp("checkpoints")
    for step in steps:
        manager(root, max_actor_ckpt_to_keep=keep).save(step, {}, write(str(step)))
    assert steps_in(root) == steps[-keep:]


class Recorder:
    """Stands for the workers and the tokenizer: writes down who is asked for what."""

    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        return lambda *args: self.calls.append((name, *args))


@pytest.mark.parametrize("contents, calls", [
    (["model", "optimizer", "extra"], [("save_checkpoint", "actor", ["model", "optimizer", "extra"], "actor")]),
    (["model"], [("save_checkpoint", "actor", ["model"], "actor")]),
    (["hf_model"], [("export_hf", "huggingface", "actor"), ("save_pretrained", "huggingface")]),
    (["hf_model", "model"], [("save_checkpoint", "actor", ["model"], "actor"), ("export_hf", "huggingface", "actor"),
                             ("save_pretrained", "huggingface")]),
    ([], []),
])  # yapf: disable
def test_save_contents_says_what_is_written(tmp_path, contents, calls):
    recorder = Recorder()
    save_model(recorder, recorder, contents, tmp_path)
    assert [(name, os.path.relpath(path, tmp_path), *rest) for name, path, *rest in recorder.calls] == calls


def test_load_contents_says_what_is_read(tmp_path):
    recorder = Recorder()
    (tmp_path / "actor").mkdir()
    load_model(recorder, ("model",), tmp_path)
    load_model(recorder, (), tmp_path)
    assert recorder.calls == [("load_checkpoint", str(tmp_path / "actor"), ["model"], "actor")]


def test_the_critic_has_folders_of_its_own(tmp_path):
    recorder = Recorder()
    save_model(recorder, recorder, ["model", "hf_model"], tmp_path, "critic")
    written = [(name, os.path.relpath(path, tmp_path), *rest) for name, path, *rest in recorder.calls]
    assert written == [("save_checkpoint", "critic", ["model"], "critic"),
                       ("export_hf", "critic_huggingface", "critic"), ("save_pretrained", "critic_huggingface")]
    with pytest.raises(ValueError, match="has no state of the critic: .* critic.checkpoint.load_contents"):
        load_model(recorder, ["model"], tmp_path, "critic")
