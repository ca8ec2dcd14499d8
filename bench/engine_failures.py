"""Processes of real main_ppo runs are killed in mid-generation: what the run then does, against an undisturbed one."""
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq

from tests.support.spelling import learned, make_inputs, read_metrics, start

STEPS = 3
GENERATING = 0.5  # s of CPU time since the step began, by which a replica must be in the midst of its work
START_LIMIT, RUN_LIMIT, END_LIMIT = 600.0, 1200.0, 30.0  # s
# vLLM rounds as its batch is composed, so that some samples of the resent units differ after a few tokens.
CLOSE = 0.05
REWARD = """
def compute_score(data_source, solution_str, ground_truth, extra_info=None, **kwargs):
    return sum(map(ord, solution_str)) % 101 / 100
"""


def replica_killed(engine: str, folder: Path, *overrides: str) -> dict[str, Any]:
    """A run whose only replica is killed with SIGKILL while it generates for the second step."""
    whole = _run(engine, folder / "whole", *overrides)
    with _Run(engine, folder / "killed", *overrides) as run:
        victim = _busy(run, "RolloutReplica")
        orphans = victim.children(recursive=True)
        victim.kill()
        code = run.wait(RUN_LIMIT)
        output = run.output()
    killed = learned(read_metrics(folder / "killed"))
    differences = [
        abs(ours[name] - theirs[name]) / max(1.0, abs(theirs[name]))
        for ours, theirs in zip(killed, whole, strict=False)
        for name in theirs
    ]
    same = [a == b for a, b in zip(_answers(folder / "killed"), _answers(folder / "whole"), strict=True)]
    result = {
        "exit_code": code,
        "restarts": output.count("is restarted ("),
        "steps": len(killed),
        "metrics_equal": killed == whole,
        "largest_relative_difference": max(differences, default=float("inf")),
        "same_answers": sum(same) / len(same),
        "processes_left": len(psutil.wait_procs(orphans, timeout=END_LIMIT)[1]),
    }  # yapf: disable
    agree = result["metrics_equal"] if engine == "hf" else result["same_answers"] > 1 - CLOSE
    done = (code, result["restarts"], result["steps"], result["processes_left"]) == (0, 1, STEPS, 0)
    return result | {"passed": bool(done and agree and "failed in" in output)}


def trainer_killed(engine: str, folder: Path) -> dict[str, Any]:
    """A run with two training workers, one of which is killed while the replica generates for the second step."""
    with _Run(engine, folder, "trainer.n_gpus_per_node=2") as run:
        _busy(run, "RolloutReplica")
        victim = run.find("TrainWorker")[1]
        everything = run.processes()
        victim.kill()
        killed = time.monotonic()
        code = run.wait(RUN_LIMIT)
        seconds = time.monotonic() - killed
        named = re.search(rf"error: train worker \d+ \(node [^,]+, pid {victim.pid}\) died", run.output()) is not None
        left = psutil.wait_procs(everything, timeout=END_LIMIT)[1]
    result = {"exit_code": code, "seconds": round(seconds, 1), "named": named, "processes_left": len(left)}
    return result | {"passed": code == 1 and seconds < END_LIMIT and named and not left}


class _Run:
    """main_ppo as a subprocess: `STEPS` steps of 8 prompts x 4 answers of exactly 200 tokens."""

    def __init__(self, engine: str, folder: Path, *overrides: str):
        folder.mkdir(parents=True)
        self.log, self.folder = folder / "log", folder
        inputs = _inputs(folder.parent)
        command = [
            sys.executable, "-m", "verl.trainer.main_ppo", f"actor_rollout_ref.model.path={inputs}/model",
            f"data.train_files={inputs}/train.parquet", "data.train_batch_size=8", "data.max_prompt_length=40",
            "data.max_response_length=200", "actor_rollout_ref.rollout.n=4",
            f"actor_rollout_ref.rollout.name={engine}", "actor_rollout_ref.rollout.ignore_eos=True",
            "actor_rollout_ref.rollout.batch_size=8", "actor_rollout_ref.actor.ppo_mini_batch_size=4",
            "actor_rollout_ref.actor.use_dynamic_bsz=True", "actor_rollout_ref.actor.optim.lr=1e-3",
            f"custom_reward_function.path={inputs}/reward.py", f"trainer.default_local_dir={folder}",
            f"trainer.total_training_steps={STEPS}", "trainer.val_before_train=False", "reward_model.num_workers=1",
            *overrides
        ]  # yapf: disable
        self.process = start(command, self.log)

    def __enter__(self) -> "_Run":
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def wait(self, timeout: float) -> int:
        return self.process.wait(timeout)

    def output(self) -> str:
        return self.log.read_text()

    def processes(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def find(self, name: str) -> list[psutil.Process]:
        return [process for process in self.processes() if name in _command(process)]

    def until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + START_LIMIT
        while not condition():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{what}: the run ended or hangs\n{self.output()}")
            time.sleep(0.02)


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # it has just ended
        return ""


def _busy(run: _Run, name: str) -> psutil.Process:
    """The process, once it and its children have computed for a while since the first step was logged."""
    metrics = run.folder / "metrics.jsonl"
    run.until(lambda: metrics.exists() and "actor/pg_loss" in metrics.read_text(), "waiting for the first step")
    process = run.find(name)[0]
    tree = [process, *process.children(recursive=True)]
    used = lambda: sum(sum(one.cpu_times()[:2]) for one in tree)
    before = used()
    run.until(lambda: used() > before + GENERATING, "waiting for the second step's generation")
    return process


def _run(engine: str, folder: Path, *overrides: str) -> list[dict[str, float]]:
    with _Run(engine, folder, *overrides) as run:
        if run.wait(RUN_LIMIT):
            raise RuntimeError(run.output())
    return learned(read_metrics(folder))


def _answers(folder: Path) -> list[str]:
    """Of the step that was disturbed: later ones follow from it."""
    return pq.read_table(folder / "rollouts" / "step_2.parquet", columns=["response"])["response"].to_pylist()


def _inputs(folder: Path) -> Path:
    inputs = folder / "inputs"
    if not inputs.exists():
        inputs.mkdir()
        make_inputs(inputs)
        (inputs / "reward.py").write_text(REWARD)
    return inputs
