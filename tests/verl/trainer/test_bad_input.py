"""What a user can get wrong: a cause in words with the fix, exit code 2, and nothing started where it can be known."""
import importlib.util
import os
import subprocess
import sys

import pytest
import torch

from tests.support.runs import make_tokenizer, ppo_argv, rl_row, save_lm, sft_argv, sft_row, write_rows
from verl.config import load_ppo_config
from verl.trainer import main_ppo, main_sft
from verl.trainer.ppo.plan import resolve


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_lm(tmp_path_factory.mktemp("models") / "model")


@pytest.fixture
def run(tmp_path, model):
    """A folder with all that `ppo_argv` and `sft_argv` name."""
    (tmp_path / "model").symlink_to(model)
    write_rows(tmp_path / "train.parquet", [rl_row(i) for i in range(8)])
    write_rows(tmp_path / "sft.parquet", [sft_row(i) for i in range(8)])
    return tmp_path


@pytest.fixture
def complaint(monkeypatch, capsys):
    """What a main says on stderr before anything starts; it must end with code 2."""
    monkeypatch.setattr("verl.trainer.cluster.start_ray", lambda config: pytest.fail("Ray was started"))

    def run_main(main, argv):
        capsys.readouterr()
        assert main(argv) == 2
        said = capsys.readouterr().err
        assert said.startswith("error: ") and "Traceback" not in said
        return said.removeprefix("error: ").rstrip("\n")

    return run_main


def rows_of(run, change):
    """Eight rows, each changed by `change`, in place of the training file."""
    rows = [rl_row(i) for i in range(8)]
    for row in rows:
        change(row)
    write_rows(run / "train.parquet", rows)


def without_chat_template(run):
    tokenizer = make_tokenizer()
    tokenizer.chat_template = None
    tokenizer.save_pretrained(run / "plain")
    return {"actor_rollout_ref.model.tokenizer_path": run / "plain"}


def write(path, text):
    path.write_text(text)
    return path


# name: what is wrong (-> overrides of the small run), what is said: the cause, the fix
CASES = {
    "missing model path":
        (lambda run: {"actor_rollout_ref.model.path": run / "nowhere"},
         "actor_rollout_ref.model.path={run}/nowhere: there is no such folder"),
    "model folder without config":
        (lambda run: {"actor_rollout_ref.model.path": run},
         "actor_rollout_ref.model.path={run}: there is no config.json in that folder"),
    "model folder without tokenizer":
        (lambda run: (run / "bare").mkdir() or
         {"actor_rollout_ref.model.path": write(run / "bare" / "config.json", "{}").parent},
         "the folder '{run}/bare' has no tokenizer (no tokenizer.json): save one there, or set "
         "actor_rollout_ref.model.tokenizer_path"),
    "model of an unknown kind":
        (lambda run: save_lm(run / "odd") and write(run / "odd" / "config.json", '{"model_type": "nonesuch"}') and
         {"actor_rollout_ref.model.path": run / "odd"},
         "actor_rollout_ref.model.path={run}/odd"),
    "no such file":
        (lambda run: {"data.train_files": run / "gone.parquet"},
         "data.train_files: there is no file {run}/gone.parquet"),
    "not a parquet file":
        (lambda run: {"data.train_files": write(run / "text.parquet", "hello")},
         "{run}/text.parquet cannot be read as parquet"),
    "no prompt column":
        (lambda run: rows_of(run, lambda row: row.pop("prompt")),
         "{run}/train.parquet, row 0: `prompt` is missing, the file has data_source, reward_model, extra_info: name "
         "the right column in data.prompt_key, or fill it"),
    "no ground truth":
        (lambda run: rows_of(run, lambda row: row.pop("reward_model")),
         "{run}/train.parquet, row 0: `reward_model.ground_truth` is missing"),
    "prompt too long":
        (lambda run: {"data.max_prompt_length": 5},
         "{run}/train.parquet, row 0: 7 tokens are more than data.max_prompt_length=5 (8 of 8 rows, the longest 7): "
         "raise it, or set data.filter_overlong_prompts=True or data.truncation=left|right|middle"),
    "source that nobody scores":
        (lambda run: rows_of(run, lambda row: row.update(data_source="gsm9k")),
         "data.train_files: 8 of 8 rows cannot be scored: no reward scores data_source 'gsm9k'; the nearest known "
         "pattern is "),
    "no chat template": (without_chat_template, "has no `chat_template`, which a prompt of messages needs: put a"),
    "no usable rows":
        (lambda run: {"data.max_prompt_length": 5, "data.filter_overlong_prompts": True},
         "data.train_files: none of 8 rows in {run}/train.parquet is usable: name files with rows, or raise "
         "data.max_prompt_length=5"),
    "empty file":
        (lambda run: {"data.train_files": write(run / "empty.jsonl", "")},
         "data.train_files: none of 0 rows in {run}/empty.jsonl is usable"),
    "batch larger than the data":
        (lambda run: {"data.train_batch_size": 16},
         "data.train_batch_size=16 does not fit 8 usable prompts: choose 1 to 8"),
    "cuda without a device":
        (lambda run: {"trainer.device": "cuda"},
         "trainer.device=cuda, but torch sees no CUDA device here; set trainer.device=cpu or auto"),
    "path without a complete checkpoint":
        (lambda run: (run / "global_step_3").mkdir() or
         {"trainer.resume_mode": "resume_path", "trainer.resume_from_path": run / "global_step_3"},
         "trainer.resume_from_path={run}/global_step_3 is no complete checkpoint (it has no driver.json)"),
    "latest checkpoint is gone":
        (lambda run: (run / "out").mkdir() or write(run / "out" / "latest_checkpointed_iteration.txt", "12") and {},
         "{run}/out/latest_checkpointed_iteration.txt names global_step_12, which is gone; write the number of an "
         "existing checkpoint into it, or set trainer.resume_mode=disable"),
    "reward file without the function":
        (lambda run: {"custom_reward_function.path": write(run / "mine.py", "def other(): pass\n")},
         "custom_reward_function.name='compute_score' is not a function of {run}/mine.py; it has other"),
    "reward file with an error":
        (lambda run: {"custom_reward_function.path": write(run / "mine.py", "1 / 0\n")},
         "custom_reward_function.path='{run}/mine.py' cannot be imported: ZeroDivisionError: division by zero"),
    "tokenizer of another model":
        (lambda run: {"actor_rollout_ref.model.path": save_lm(run / "small", vocab=20)},
         "has vocab_size=20; use the tokenizer it was trained with"),
    "wandb is not installed":
        (lambda run: {"trainer.logger": "[console,wandb]"},
         "trainer.logger has wandb, which is not installed: pip install wandb, or take it out"),
    "vllm is not installed":
        (lambda run: {"actor_rollout_ref.rollout.name": "vllm"},
         "actor_rollout_ref.rollout.name=vllm, but vllm is not installed: pip install"),
    "rollouts cannot be written":
        (lambda run: {"trainer.rollout_data_dir": run / "train.parquet" / "rollouts"},
         "trainer.rollout_data_dir={run}/train.parquet/rollouts: nothing can be written there (Not a directory); "
         "choose another folder"),
    "unknown key":
        (lambda run: {"data.train_batchsize": 4},
         "unknown key data.train_batchsize (did you mean data.train_batch_size?)"),
    "external module that is not there":
        (lambda run: os.environ.update(VERL_USE_EXTERNAL_MODULES="no_such_module") or {},
         "VERL_USE_EXTERNAL_MODULES=no_such_module: no_such_module cannot be imported (No module named"),
}  # yapf: disable


@pytest.mark.parametrize("name", CASES)
def test_main_ppo_names_cause_and_fix(run, complaint, monkeypatch, name):
    prepare, said = CASES[name]
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *args: None
                        if name in ("vllm", "wandb") else find_spec(name, *args))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("VERL_USE_EXTERNAL_MODULES", "")
    overrides = {name.replace(".", "__"): value for name, value in (prepare(run) or {}).items()}
    message = complaint(main_ppo.main, ppo_argv(run, **overrides))
    assert said.format(run=run) in message
    assert "\n" not in message


def test_all_that_the_config_alone_tells_comes_at_once(run, complaint):
    argv = ppo_argv(run,
                    data__train_batchsize=4,
                    trainer__nnodes="many",
                    actor_rollout_ref__model__path=run / "nowhere")
    assert len(complaint(main_ppo.main, argv).splitlines()) == 3


SFT_CASES = {
    "missing model path":
        (lambda run: {"model__path": run / "nowhere"}, "model.path={run}/nowhere: there is no such folder"),
    "no response column":
        (lambda run: write_rows(run / "sft.parquet", [{"prompt": "1"}]) and {},
         "{run}/sft.parquet, row 0: there is neither `messages` nor `response`, only prompt: name the right columns"),
    "row too long":
        (lambda run: {"data__max_length": 4}, "more than data.max_length=4 (8 of 8 rows"),
    "batch larger than the data":
        (lambda run: {"data__train_batch_size": 16}, "data.train_batch_size=16 does not fit 8 usable prompts"),
    "tokenizer of another model":
        (lambda run: {"model__path": save_lm(run / "small", vocab=20)}, "has vocab_size=20; use the tokenizer"),
    "fewer validation rows than workers":
        (lambda run: {"data__val_files": write_rows(run / "val.parquet", [sft_row(0)]), "trainer__n_gpus_per_node": 2},
         "data.val_files: 1 rows are fewer than the 2 workers"),
    "outputs cannot be written":
        (lambda run: {"trainer__default_local_dir": run / "sft.parquet"},
         "trainer.default_local_dir={run}/sft.parquet: nothing can be written there (File exists)"),
    "latest checkpoint is gone":
        (lambda run: (run / "out").mkdir() or write(run / "out" / "latest_checkpointed_iteration.txt", "12") and {},
         "names global_step_12, which is gone"),
    "unknown part of a checkpoint":
        (lambda run: {"checkpoint__load_contents": "[model,hf_model]"},
         "checkpoint.load_contents=hf_model: choose from model, optimizer, extra"),
}  # yapf: disable


@pytest.mark.parametrize("name", SFT_CASES)
def test_main_sft_names_cause_and_fix(run, complaint, name):
    prepare, said = SFT_CASES[name]
    message = complaint(main_sft.main, sft_argv(run, **prepare(run)))
    assert said.format(run=run) in message
    assert "\n" not in message


def test_external_modules_register_losses(run, monkeypatch):
    """A loss that a module of the user's registers passes the config and is found by name."""
    write(
        run / "toy_losses.py", "from verl.algorithms.policy_loss import register_policy_loss\n\n"
        "@register_policy_loss('toy')\ndef toy(*args):\n    pass\n")
    monkeypatch.syspath_prepend(run)
    argv = ppo_argv(run, actor_rollout_ref__actor__policy_loss__loss_mode="toy")
    with pytest.raises(ValueError, match="loss_mode=toy: choose from vanilla"):
        load_ppo_config(argv)
    monkeypatch.setenv("VERL_USE_EXTERNAL_MODULES", "json, toy_losses,")
    config = load_ppo_config(argv)
    with pytest.raises(ValueError, match="'toy' is unknown"):
        resolve(config)
    seen = []
    monkeypatch.setattr("verl.trainer.ppo.inputs.RunInputs.__init__",
                        lambda self, config: sys.exit(seen.append(config)))
    try:
        with pytest.raises(SystemExit):
            main_ppo.train(config)
        assert seen[0].actor_rollout_ref.actor.policy_loss.loss_mode == "toy"
    finally:
        sys.modules.pop("toy_losses")
        importlib.import_module("verl.algorithms.policy_loss").POLICY_LOSS_REGISTRY.pop("toy")


def python(module, *argv):
    return subprocess.run([sys.executable, "-m", module, *argv], capture_output=True, text=True, timeout=120)


def test_main_ppo_without_arguments():
    done = python("verl.trainer.main_ppo")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ") and "Traceback" not in done.stderr
    assert {"data.train_files is not set",
            "actor_rollout_ref.model.path is not set"} <= {line.split(":")[0] for line in done.stderr.splitlines()}


def test_fewer_devices_than_asked_for(run):
    """A whole process: it starts Ray, which knows the devices, and no worker."""
    done = python("verl.trainer.main_ppo", *ppo_argv(run, trainer__n_gpus_per_node=64, data__train_batch_size=8,
                  actor_rollout_ref__rollout__n=8, actor_rollout_ref__actor__ppo_mini_batch_size=8,
                  ray_kwargs__ray_init__num_cpus=2))  # yapf: disable
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1] == (
        "error: trainer.n_gpus_per_node=64 and trainer.nnodes=1 ask for more CPUs than there are: the nodes of this "
        "cluster have [2] CPUs; lower the two keys; ray_kwargs.ray_init.num_cpus=N lets Ray place more workers than "
        "there are cores")
    assert "Traceback" not in done.stderr
