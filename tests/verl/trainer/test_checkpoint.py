import itertools
import os
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from verl.config.engine import CheckpointConfig
from verl.config.trainer import TrainerConfig
from verl.trainer.checkpoint import LATEST, CheckpointManager, load_model, save_model

CHANGES = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir"}  # audit events of what changes a file system


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


def until_killed(action, operations):
    """Runs `action` in a child that dies, as by kill -9, before its operation number `operations` on the file system;
    -> whether it came to its end.

    What a file holds that is open then is lost, as buffers are.
    """
    child = os.fork()
    if child == 0:
        left = iter(range(operations))

        def before(event, args):
            if event in CHANGES and (event != "open" or args[2] & os.O_WRONLY) and next(left, None) is None:
                os._exit(9)

        sys.addaudithook(before)
        try:
            action()
            os._exit(0)
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 9)
    return code == 0


def content_of(root):
    """What the checkpoint to resume from holds; None where there is none. Whatever has a name is complete."""
    found, contents = manager(root).find(), {}
    for folder in root.glob("global_step_*"):
        state = CheckpointManager.read_state(folder)
        assert folder.name == f"global_step_{state['step']}" and weights(folder) == state["content"]
        contents[folder] = state["step"], state["content"]
    return contents[found] if found else None


def save(root, step, content, keep=None, background=False):
    saving = manager(root, max_actor_ckpt_to_keep=keep)
    saving.save(step, {"content": content}, write(content), (lambda: True) if background else None)
    saving.wait()


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("step", [1, 2, 3], ids=["an earlier step again", "the same step again", "the next step"])
def test_a_kill_before_any_operation_leaves_a_complete_checkpoint(tmp_path, step, background):
    for operations in itertools.count():
        root = tmp_path / str(operations)
        for earlier in (1, 2):
            save(root, earlier, "old", keep=2)
        ended = until_killed(lambda root=root: save(root, step, "new", 1, background), operations)
        assert content_of(root) in {(2, "old"), (step, "new")}
        if ended:
            break
        save(root, 4, "newest", keep=1)
        assert content_of(root) == (4, "newest")
        assert sorted(os.listdir(root)) == ["global_step_4", LATEST]
    assert content_of(root) == (step, "new")
    assert operations > 10, "the kills are before renames, removals and the opening of files"


class KilledAtAnyTime(RuleBasedStateMachine):
    """Runs that save, go back, die while saving or looking for a checkpoint, and keep as many as they please."""

    @initialize()
    def start(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root, self.step, self.count, self.found = Path(self.folder.name), 0, 0, None

    def teardown(self):
        self.folder.cleanup()

    @rule(steps=st.integers(1, 3), keep=st.sampled_from([1, 2, None]), operations=st.integers(0, 40))
    def save(self, steps, keep, operations):
        """Ends well where there are fewer operations."""
        self.step, self.count = self.step + steps, self.count + 1
        new = (self.step, str(self.count))
        ended = until_killed(lambda: save(self.root, *new, keep, background=self.count % 2), operations)
        found = content_of(self.root)
        assert found in ({new} if ended else {self.found, new})
        self.found = found
        if ended:
            steps = steps_in(self.root)
            assert not list(self.root.glob(".*"))
            assert keep is None or len([step for step in steps if step <= self.step]) <= keep

    @rule(operations=st.integers(0, 3))
    def look(self, operations):
        until_killed(lambda: manager(self.root).find(), operations)
        assert content_of(self.root) == self.found

    @rule()
    def resume(self):
        self.step = self.found[0] if self.found else 0

    @rule()
    def start_over(self):
        self.step = 0


KilledAtAnyTime.TestCase.settings = settings(max_examples=25, stateful_step_count=12)
test_kills_one_after_the_other = KilledAtAnyTime.TestCase


class Background:
    """A write in the background that is done, or fails, when the test says so."""

    def __init__(self):
        self.asked, self.done, self.error = threading.Event(), False, None

    def written(self):
        self.asked.set()
        if self.error:
            raise self.error
        return self.done


def test_in_the_background_a_checkpoint_gets_its_name_when_it_is_written(tmp_path):
    saving, behind = manager(tmp_path), Background()
    save(tmp_path, 1, "old")
    state = {"n": 2}
    saving.save(2, state, write("new"), behind.written)
    state["n"] = 3  # the run goes on
    assert behind.asked.wait(60)
    saving.check()
    assert steps_in(tmp_path) == [1] and content_of(tmp_path) == (1, "old")
    behind.done = True
    saving.wait()
    assert weights(manager(tmp_path).find()) == "new" and CheckpointManager.read_state(saving.find())["n"] == 2


def test_one_save_at_a_time_is_on_its_way(tmp_path):
    saving, behind, order = manager(tmp_path), Background(), []
    saving.save(1, {}, write("1"), behind.written)
    threading.Timer(0.3, lambda: (order.append("written"), setattr(behind, "done", True))).start()
    saving.save(2, {}, lambda folder: (order.append("next"), write("2")(folder)), behind.written)
    assert order == ["written", "next"] and steps_in(tmp_path)[0] == 1
    saving.close()
    assert steps_in(tmp_path) == [1, 2]


def test_a_failed_write_in_the_background_is_raised_and_keeps_the_last(tmp_path):
    save(tmp_path, 1, "old")
    behind = Background()
    behind.error = OSError("disk full")
    for then in ("check", "wait", "save"):
        saving = manager(tmp_path)
        saving.save(2, {}, write("half"), behind.written)
        saving.close()
        with pytest.raises(OSError, match="disk full"):
            getattr(saving, then)(*(() if then != "save" else (3, {}, write("3"))))
        assert sorted(os.listdir(tmp_path)) == ["global_step_1", LATEST] and content_of(tmp_path) == (1, "old")


def test_a_write_that_takes_too_long_ends_the_run_by_name(tmp_path):
    saving = manager(tmp_path, call_timeout=0.1)
    saving.save(1, {}, write("1"), lambda: False)
    with pytest.raises(TimeoutError, match="not written within 0.1 s; raise trainer.call_timeout"):
        saving.wait()


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
    (["model", "optimizer", "extra"], [("save_checkpoint", ".", ["model", "optimizer", "extra"], "actor", True)]),
    (["hf_model"], [("save_checkpoint", ".", ["hf_model"], "actor", True), ("save_pretrained", "huggingface")]),
    ([], []),
])  # yapf: disable
def test_save_contents_says_what_is_written(tmp_path, contents, calls):
    recorder = Recorder()
    save_model(recorder, recorder, CheckpointConfig(save_contents=contents, async_save=True), tmp_path)
    assert [(name, os.path.relpath(path, tmp_path), *rest) for name, path, *rest in recorder.calls] == calls


def test_load_contents_says_what_is_read(tmp_path):
    recorder = Recorder()
    (tmp_path / "actor").mkdir()
    load_model(recorder, ("model",), tmp_path)
    load_model(recorder, (), tmp_path)
    assert recorder.calls == [("load_checkpoint", str(tmp_path), ["model"], "actor")]


def test_the_critic_has_folders_of_its_own(tmp_path):
    recorder = Recorder()
    save_model(recorder, recorder, CheckpointConfig(save_contents=["model", "hf_model"]), tmp_path, "critic")
    assert recorder.calls == [("save_checkpoint", str(tmp_path), ["model", "hf_model"], "critic", False),
                              ("save_pretrained", tmp_path / "critic_huggingface")]
    with pytest.raises(ValueError, match="has no state of the critic: .* critic.checkpoint.load_contents"):
        load_model(recorder, ["model"], tmp_path, "critic")
