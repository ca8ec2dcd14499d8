"""kill -9 at random instants of a run, and each time the same command again: the result against an untouched run's.

Compared are the metrics of every step but seconds, speed and memory (`tests.support.spelling.learned`), to the last
digit, and the last checkpoint, bit by bit.
"""
import json
import os
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import torch
from torch.distributed.checkpoint.format_utils import dcp_to_torch_save

from tests.support.processes import still_running
from tests.support.spelling import learned, make_inputs, ppo_command, run, start
from verl.trainer.checkpoint import LATEST

STEPS = 6
DEADLINE, END_LIMIT = 300.0, 90.0  # s, of a run; for its processes to end (Ray's own agents take up to a minute)
COMMON = (
    f"trainer.total_training_steps={STEPS}", "data.train_max_samples=20", "trainer.test_freq=3",
    "data.val_max_samples=8", "actor_rollout_ref.actor.optim.lr_scheduler_type=cosine",
    "actor_rollout_ref.actor.optim.lr_warmup_steps=3", "trainer.max_actor_ckpt_to_keep=2",
)  # yapf: disable
SAVE_FREQ = {"grpo": 1, "ppo": 2}
KINDS = {
    "grpo": (*COMMON, f"trainer.save_freq={SAVE_FREQ['grpo']}", "actor_rollout_ref.actor.use_kl_loss=True",
             "actor_rollout_ref.actor.kl_loss_coef=0.1"),
    "ppo": (*COMMON, f"trainer.save_freq={SAVE_FREQ['ppo']}", "algorithm.adv_estimator=gae", "algorithm.lam=0.95",
            "algorithm.use_kl_in_reward=True", "algorithm.kl_ctrl.type=adaptive", "algorithm.kl_ctrl.target_kl=1e-4",
            "algorithm.kl_ctrl.horizon=100", "actor_rollout_ref.actor.ppo_epochs=2",
            "actor_rollout_ref.actor.shuffle=True", "critic.ppo_mini_batch_size=2", "critic.optim.lr=1e-3",
            "trainer.critic_warmup=2"),
}  # yapf: disable
SAVES = {
    "sync": (),
    "async": ("actor_rollout_ref.actor.checkpoint.async_save=True", "critic.checkpoint.async_save=True"),
}
SAVE_SECONDS = 0.1  # about what one takes at this size
INSTANTS = ("step", "save", "start", "save", "any")  # step: within one after a save


def kills(count: int = 10, seed: int = 0) -> dict[str, Any]:
    """A GRPO run, saved before each next step, and a PPO run, saved in the background: each is killed `count` / 2 times
    (or only the PPO run, once), the driver alone and all its processes in turn, and goes on each time.
    """
    rng, report = random.Random(seed), {}
    with tempfile.TemporaryDirectory() as folder:
        inputs = make_inputs(Path(folder))
        for name in ("grpo", "ppo") if count > 1 else ("ppo",):
            report[name] = _kill_again_and_again(inputs, name, max(1, count // 2), rng)
            print(json.dumps(report[name], indent=2), flush=True)
    return report | {"passed": all(run["passed"] for run in report.values())}


def _kill_again_and_again(inputs: Path, name: str, count: int, rng: random.Random) -> dict[str, Any]:
    whole, times = _untouched(inputs, name)
    killed, killings, tree = inputs / f"killed_{name}", [], []
    save = "async" if name == "ppo" else "sync"
    command = _command(inputs, killed, (*KINDS[name], *SAVES[save]))
    for i in range(count):
        killings.append({
            "kind": name,
            "instant": INSTANTS[i % len(INSTANTS)],
            "who": ("driver", "all processes")[i % 2]
        })
        tree += _run_and_kill(command, killed, times, killings[-1], rng)
        print(json.dumps(killings[-1]), flush=True)
    resumed = "resumed from" in run(command, inputs / "log", DEADLINE)
    differs, left = _differences(killed, whole), still_running(tree, END_LIMIT)
    passed = resumed and not differs and not left and not any(kill["run had ended"] for kill in killings)
    return {"save": save, "kills": killings, "resumed": resumed, "differs": differs, "processes left": len(left),
            "passed": passed}  # yapf: disable


def _command(inputs: Path, out: Path, overrides: tuple[str, ...]) -> list[str]:
    return ppo_command(inputs, out, f"data.val_files={inputs}/held_out.parquet", *overrides)


def _untouched(inputs: Path, name: str) -> tuple[Path, list[float]]:
    """The run that nobody kills: its folder, and the seconds to each of its lines of metrics."""
    out, began, times = inputs / f"untouched_{name}", time.monotonic(), []
    job = start(_command(inputs, out, KINDS[name]), inputs / "log")
    while job.poll() is None:
        times += [time.monotonic() - began] * (len(_lines(out)) - len(times))
        time.sleep(0.01)
    assert job.returncode == 0, (inputs / "log").read_text()
    return out, times


def _run_and_kill(command: list[str], out: Path, times: list[float], case: dict[str, Any],
                  rng: random.Random) -> list[int]:
    """Kills a run at the instant that `case` names; adds to it what the run had done; -> the run's processes (pids)."""
    step_seconds = (times[-1] - times[0]) / (len(times) - 1)
    saved, leftovers = _saved(out), _half_written(out)
    interval = SAVE_FREQ[case["kind"]]
    skipped = interval * rng.randrange(2) if saved + 2 * interval < STEPS else 0  # so that kills meet later steps, too
    delays = {"start": times[0], "step": step_seconds, "save": SAVE_SECONDS, "any": times[0] + step_seconds}
    reached: dict[str, Callable[[], bool]] = {
        "step": lambda: _saved(out) > saved + skipped,
        "save": lambda: _saved(out) >= saved + skipped and bool(_half_written(out) - leftovers),
    }
    log, began, delay = out.with_suffix(".log"), time.monotonic(), rng.uniform(0, delays[case["instant"]])
    job = start(command, log)
    while not reached.get(case["instant"], lambda: True)() and job.poll() is None:
        assert time.monotonic() < began + DEADLINE, log.read_text()
        time.sleep(0.001)
    time.sleep(delay)
    tree = _kill(job, case["who"])
    case |= {"after seconds": round(time.monotonic() - began, 2), "saved before": saved, "saved": _saved(out),
             "files": sorted(path.name for path in out.glob("*global_step*")),
             "run had ended": job.wait() != -signal.SIGKILL}  # yapf: disable
    return tree


def _saved(out: Path) -> int:
    latest = out / LATEST
    return int(latest.read_text()) if latest.exists() else 0


def _half_written(out: Path) -> set[int]:
    """Inodes of the folders that have no name yet."""
    return {entry.inode() for entry in os.scandir(out) if entry.name.endswith(".tmp")} if out.exists() else set()


def _kill(job: subprocess.Popen, who: str) -> list[int]:
    tree = [] if job.poll() is not None else psutil.Process(job.pid).children(recursive=True)
    job.send_signal(signal.SIGKILL)
    for process in tree if who == "all processes" else ():
        with suppress(psutil.NoSuchProcess):  # they end without their driver, too
            process.kill()
    return [process.pid for process in tree]


def _lines(out: Path) -> list[str]:
    """Of metrics.jsonl, the complete ones."""
    path = out / "metrics.jsonl"
    return path.read_text().split("\n")[:-1] if path.exists() else []


def _differences(ours: Path, theirs: Path) -> list[str]:
    """What is not as in the whole run."""
    found = []
    lines = [[json.loads(line) for line in _lines(out)] for out in (ours, theirs)]
    if learned(lines[0]) != learned(lines[1]):
        found.append("metrics.jsonl")
    if len({tuple(sorted(path.name for path in out.glob("*global_step*"))) for out in (ours, theirs)}) > 1:
        found.append("checkpoints")
    last = [out / f"global_step_{STEPS}" for out in (ours, theirs)]
    if len({(folder / "driver.json").read_text() for folder in last}) > 1:
        found.append("driver.json")
    roles = {path.parent.name for path in last[1].glob("*/.metadata")}
    found += [role for role in roles if _tensors(last[0] / role) != _tensors(last[1] / role)]
    return found


def _tensors(folder: Path) -> dict[str, bytes]:
    """All that a DCP folder holds, by name."""
    with tempfile.NamedTemporaryFile() as file:
        dcp_to_torch_save(folder, file.name)
        return dict(_leaves("", torch.load(file.name, weights_only=False)))


def _leaves(name: str, value: Any) -> list[tuple[str, bytes]]:
    if isinstance(value, dict):
        return [leaf for key, item in value.items() for leaf in _leaves(f"{name}.{key}", item)]
    return [(name, value.numpy().tobytes() if isinstance(value, torch.Tensor) else repr(value).encode())]
