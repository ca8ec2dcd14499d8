"""A checkpoint of so many training workers goes on with as many, more or fewer: the losses of the next step."""
import shutil
import tempfile
from pathlib import Path
from typing import Any

from tests.support.spelling import make_inputs, ppo_command, read_metrics, run
from verl.trainer.checkpoint import LATEST

SAVED = 2  # the step that the others go on from
LIMIT = 1e-6
LOSSES = ("actor/pg_loss", "actor/kl_loss", "critic/vf_loss")
OVERRIDES = ("trainer.total_training_steps=3", f"trainer.save_freq={SAVED}", "trainer.val_before_train=False",
             "algorithm.adv_estimator=gae", "actor_rollout_ref.actor.use_kl_loss=True", "critic.optim.lr=1e-3",
             "actor_rollout_ref.rollout.num_replicas=1")  # yapf: disable


def world_sizes() -> dict[str, Any]:
    """Runs on one worker and on two, saved after step 2."""
    report = {}
    with tempfile.TemporaryDirectory() as folder:
        inputs = make_inputs(Path(folder))
        for saved_by in (2, 1):
            whole = inputs / f"by_{saved_by}"
            run(_command(inputs, whole, saved_by), inputs / "log")
            for workers in (2, 1):
                report[f"{saved_by} -> {workers} workers"] = _go_on(inputs, whole, workers)
    return report | {"passed": all(max(losses.values()) <= LIMIT for losses in report.values())}


def _command(inputs: Path, out: Path, workers: int) -> list[str]:
    return ppo_command(inputs, out, *OVERRIDES, f"trainer.n_gpus_per_node={workers}")


def _go_on(inputs: Path, whole: Path, workers: int) -> dict[str, float]:
    """Takes step 3 with so many workers; -> how far its losses are from theirs."""
    out = inputs / f"{whole.name}_with_{workers}"
    shutil.copytree(whole, out)
    shutil.rmtree(out / "global_step_3")
    (out / LATEST).write_text(str(SAVED))
    (out / "metrics.jsonl").unlink()  # its step 3 is not to be compared with itself
    assert f"resumed from {out}/global_step_{SAVED}" in run(_command(inputs, out, workers), inputs / "log")
    theirs, ours = read_metrics(whole)[-1], read_metrics(out)[-1]
    assert theirs["step"] == ours["step"] == SAVED + 1
    return {name: abs(ours[name] - theirs[name]) for name in LOSSES}
