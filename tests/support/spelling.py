"""The quick start's task as a test's input, and main_ppo as a subprocess on it."""
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
TIMES = re.compile(r"timing_|perf/|memory/|reward/.*/latency_")


def load_script(path: str) -> ModuleType:
    """A module of scripts/, which is no package."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_inputs(folder: Path) -> Path:
    """`folder` with model/, train.parquet and held_out.parquet; the model is untrained."""
    task = load_script("scripts/quickstart/task.py")
    task.make_data(folder, seed=1)
    task.make_model(folder / "model", seed=1)
    return folder


def ppo_command(inputs: Path, out: Path, *overrides: str) -> list[str]:
    """A small GRPO run: 8 prompts x 4 answers a step, two mini-batches."""
    return [
        sys.executable, "-m", "verl.trainer.main_ppo", f"actor_rollout_ref.model.path={inputs}/model",
        f"data.train_files={inputs}/train.parquet", "data.train_batch_size=8", "data.max_prompt_length=40",
        "data.max_response_length=7", "actor_rollout_ref.rollout.name=hf", "actor_rollout_ref.rollout.n=4",
        "actor_rollout_ref.actor.ppo_mini_batch_size=4", "actor_rollout_ref.actor.use_dynamic_bsz=True",
        "actor_rollout_ref.actor.optim.lr=1e-3", f"trainer.default_local_dir={out}", "reward_model.num_workers=1",
        *overrides
    ]


def start(command: list[str], log: Path, path: Path = ROOT) -> subprocess.Popen:
    """Starts `command` from the repository's root, output to `log`; modules of `path` can be imported too."""
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{path}", "PYTHONUNBUFFERED": "1"}
    with log.open("w") as sink:
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=sink, stderr=subprocess.STDOUT)


def run(command: list[str], log: Path, timeout: float = 240.0) -> str:
    """Runs `command` to its end; -> its output. AssertionError with the output if it fails."""
    process = start(command, log)
    try:
        code = process.wait(timeout)
    finally:
        process.kill()
    assert code == 0, log.read_text()
    return log.read_text()


def read_metrics(out: Path) -> list[dict[str, float]]:
    """Lines of the run's metrics.jsonl that belong to training steps."""
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if "actor/pg_loss" in line]


def learned(metrics: list[dict[str, float]]) -> list[dict[str, float]]:
    """What a step did, without seconds, speed and memory."""
    return [{name: value for name, value in line.items() if not TIMES.match(name)} for line in metrics]
