"""Every shell script is sound, and every template asks for a run that our config accepts."""
import logging
import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.fake_slurm.job import ON_CPUS, SMALL
from tests.support.runs import rl_row, save_lm, write_rows
from tests.support.spelling import ROOT
from verl.config import load_ppo_config

SCRIPTS = sorted(str(path.relative_to(ROOT)) for folder in ("scripts", "ray_utils", "data_analysis")
                 for path in (ROOT / folder).rglob("*.sh"))  # yapf: disable
TEMPLATES = {  # name -> nodes
    "docker-fsdp-qwen7b-4nodes-grpo": 4,
    "docker-fsdp-qwen32b-16nodes-grpo": 16,
    "docker-megatron-dsr1_qwen_32b-16nodes-ppo": 16,
    "conda-fsdp-qwen2.5_math_3b-1node-ppo": 1,
    "conda-fsdp-qwen7b-4nodes-grpo": 4,
    "conda-fsdp-qwen32b-16nodes-grpo": 16,
    "conda-fsdp-qwen2.5_0.5b-1node-grpo": 1,
    "cpu-fsdp-tiny-grpo": 1,
}
PPO = [name for name in TEMPLATES if name.endswith("-ppo")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model, and data under the names of the templates' patterns."""
    folder = tmp_path_factory.mktemp("templates")
    save_lm(folder / "model")
    for split in ("train", "test"):
        (folder / split).mkdir()
        for name in ("math__gsm8k_2", "math__math_lighteval_2"):
            write_rows(folder / split / f"{name}.parquet", [rl_row(0), rl_row(1)])
    for name in ("train", "held_out"):
        write_rows(folder / f"{name}.parquet", [rl_row(0)])
    return folder


def dry_run(name: str, folder: Path, *arguments: str, **env: str) -> tuple[list[list[str]], str]:
    """(the commands that a template would run, what it says)."""
    inputs = {"BASE_MODEL": f"{folder}/model", "DATA_DIR": str(folder), "DRY_RUN": "1"}
    done = subprocess.run(["bash", ROOT / f"scripts/templates/{name}.sh", *arguments], capture_output=True, text=True,
                          check=True, cwd=folder, env=os.environ | inputs | env)  # yapf: disable
    return [shlex.split(line) for line in done.stdout.splitlines()], done.stderr


def trainer_arguments(commands: list[list[str]]) -> list[str]:
    """Those of the one command that runs the trainer."""
    (command,) = [c for c in commands if "verl.trainer.main_ppo" in c]
    return command[command.index("verl.trainer.main_ppo") + 1:]


@pytest.mark.parametrize("script", SCRIPTS)
def test_bash_can_read_it(script):
    subprocess.run(["bash", "-n", script], check=True, cwd=ROOT)


@pytest.mark.skipif(shutil.which("shellcheck") is None,
                    reason="shellcheck is not installed (apt-get install shellcheck)")
@pytest.mark.parametrize("script", SCRIPTS)
def test_shellcheck_finds_nothing(script):
    done = subprocess.run(["shellcheck", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_templates_are_those_of_the_readme_and_two_small_ones():
    assert {path.stem for path in (ROOT / "scripts/templates").iterdir()} == TEMPLATES.keys()
    assert all(os.access(path, os.X_OK) for path in (ROOT / "scripts/templates").iterdir())


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_config_accepts_its_arguments(name, folder, caplog):
    commands, _ = dry_run(name, folder)
    with caplog.at_level(logging.WARNING):
        config = load_ppo_config(trainer_arguments(commands))
    assert config.trainer.nnodes == TEMPLATES[name]
    assert config.data.train_files == sorted(set(config.data.train_files)), "no file twice"
    assert "compares the answers of one prompt" not in caplog.text


@pytest.mark.parametrize("name", TEMPLATES)
def test_arguments_and_environment_override(name, folder):
    commands, _ = dry_run(name, folder, "trainer.total_epochs=2", "data.seed=7", EXPERIMENT="mine", NNODES="2")
    config = load_ppo_config(trainer_arguments(commands))
    assert (config.trainer.total_epochs, config.data.seed, config.trainer.experiment_name) == (2, 7, "mine")


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_acceptance_run_fits_two_cpu_nodes(name, folder):
    """What bench/templates.py adds; there each of them trains."""
    config = load_ppo_config(trainer_arguments(dry_run(name, folder, *SMALL, *ON_CPUS, GPUS_PER_NODE="0")[0]))
    assert (config.trainer.nnodes, config.trainer.n_gpus_per_node, config.trainer.device) == (2, 1, "cpu")
    assert config.actor_rollout_ref.rollout.name == "hf" and config.data.train_batch_size == 8


@pytest.mark.parametrize("name", PPO)
def test_ppo_has_a_critic_and_one_answer_a_prompt(name, folder):
    config = load_ppo_config(trainer_arguments(dry_run(name, folder)[0]))
    assert (config.algorithm.adv_estimator, config.actor_rollout_ref.rollout.n) == ("gae", 1)
    assert config.critic.model.path == config.actor_rollout_ref.model.path


def test_the_megatron_template_says_what_runs(folder):
    _, said = dry_run("docker-megatron-dsr1_qwen_32b-16nodes-ppo", folder)
    assert "there is no Megatron engine yet: this runs FSDP2 over all 16 x 8 GPUs" in said


def test_one_step_for_each_node(folder):
    commands, _ = dry_run("conda-fsdp-qwen7b-4nodes-grpo", folder, PYTHON="/opt/conda/bin/python")
    steps = [c for c in commands if c[0] == "env"]
    nodes = [next(word for word in step if word.startswith("--nodelist=")).split("=")[1] for step in steps]
    assert nodes == ["node4", "node3", "node2", "node1"], "the head comes last and stays in front"
    assert [step[1] for step in steps] == ["RANK=3", "RANK=2", "RANK=1", "RANK=0"]
    assert all(step[-1].endswith("ray_utils/start_ray.sh") for step in steps[:-1])
    assert any(word.endswith("scripts/ray/head_node.sh") for word in steps[-1])
    checks = [c for c in commands if c[-2].endswith("check_gpu.sh")]
    assert len(checks) == 4 and {c[-1] for c in checks} == {"8"}


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_conda_path_may_end_in_a_slash(folder, slash):
    commands, _ = dry_run("conda-fsdp-qwen2.5_math_3b-1node-ppo", folder, CONDA_BIN_PATH=f"/opt/conda/bin{slash}")
    assert commands[-1][0] == "/opt/conda/bin/python"


@pytest.mark.parametrize("runtime, expected", [
    ("pyxis", ["--container-image=im.age", "--container-mounts={root}:{root},{model}:{model},{data}:{data},/x:/x",
               "--container-workdir={root}"]),
    ("docker", ["docker", "run", "--network=host", "--gpus=all", "--volume={root}:{root}", "--volume={model}:{model}",
                "--volume=/x:/x", "--env=WANDB_MODE", "--env=RAY_HEAD_FILE", "--env=RANK", "im.age"]),
    ("apptainer", ["apptainer", "exec", "--nv", "--bind={root},{model},{data},/x", "im.age"]),
])  # yapf: disable
@pytest.mark.parametrize("name", ["docker-fsdp-qwen7b-4nodes-grpo", "conda-fsdp-qwen7b-4nodes-grpo"])
def test_containers(name, folder, runtime, expected):
    commands, _ = dry_run(name, folder, CONTAINER=runtime, CONTAINER_IMAGE="im.age", CONTAINER_MOUNTS="/x",
                          WANDB_MODE="offline")  # yapf: disable
    for step in (c for c in commands if c[0] == "env"):
        words = [word.format(root=ROOT, model=folder / "model", data=folder) for word in expected]
        assert [word for word in words if word not in step] == []
    arguments = trainer_arguments(commands)
    assert load_ppo_config(arguments).trainer.nnodes == 4


def test_what_is_missing_is_named(folder, tmp_path):

    def run(name: str, **env: str) -> subprocess.CompletedProcess:
        env = os.environ | {"DATA_DIR": str(folder)} | env
        return subprocess.run(["bash", ROOT / f"scripts/templates/{name}.sh"],
                              env=env,
                              capture_output=True,
                              text=True,
                              check=False)

    cases = {
        "there is no file": run("cpu-fsdp-tiny-grpo", DATA_DIR=str(tmp_path)),
        "CONDA_BIN_PATH": run("cpu-fsdp-tiny-grpo", CONDA_BIN_PATH="/no/such"),
        "submit it with sbatch": run("conda-fsdp-qwen7b-4nodes-grpo"),
        "needs CONTAINER_IMAGE": run("conda-fsdp-qwen7b-4nodes-grpo", CONTAINER="docker"),
        "choose none, pyxis": run("conda-fsdp-qwen7b-4nodes-grpo", CONTAINER="podman"),
    }
    for text, done in cases.items():
        assert done.returncode == 2 and text in done.stderr, (text, done.stderr)
