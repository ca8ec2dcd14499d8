"""The quick start after installation: inputs, warm start, reinforcement learning, report. Run by scripts/quickstart.sh.
"""
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from report import write_report
from task import make_data, make_model

OUT = Path("outputs/quickstart")
DATA, MODEL, SFT, RL = OUT / "data", OUT / "model", OUT / "sft", OUT / "rl"
SFT_STEPS, RL_STEPS = 400, 30
WARM_MODEL = SFT / f"global_step_{SFT_STEPS}" / "huggingface"


def sft_arguments(seed: int) -> list[str]:
    """A few seconds of imitation; 60 % of the answers it imitates lack their last letter."""
    return [
        f"model.path={MODEL}", f"data.train_files={DATA}/sft.parquet", "data.train_batch_size=128",
        "data.max_length=64", f"data.seed={seed}", "optim.lr=2e-3", "optim.lr_warmup_steps=30",
        "optim.lr_scheduler_type=cosine", "model.enable_gradient_checkpointing=False",
        f"trainer.total_training_steps={SFT_STEPS}", f"trainer.save_freq={SFT_STEPS}",
        f"trainer.default_local_dir={SFT}", "checkpoint.save_contents=[hf_model]", "trainer.resume_mode=disable"
    ]


def rl_arguments(seed: int) -> list[str]:
    """GRPO: 32 prompts x 16 answers a step, two mini-batches."""
    return [
        f"actor_rollout_ref.model.path={WARM_MODEL}", f"data.train_files={DATA}/train.parquet",
        f"data.val_files={DATA}/held_out.parquet", "data.train_batch_size=32", "data.max_prompt_length=40",
        "data.max_response_length=7", f"data.seed={seed}", f"trainer.seed={seed}", "algorithm.adv_estimator=grpo",
        "actor_rollout_ref.rollout.name=hf", "actor_rollout_ref.rollout.n=16",
        "actor_rollout_ref.rollout.batch_size=512", "actor_rollout_ref.actor.ppo_mini_batch_size=16",
        "actor_rollout_ref.actor.use_dynamic_bsz=True", "actor_rollout_ref.actor.optim.lr=2e-4",
        "actor_rollout_ref.actor.optim.lr_warmup_steps=5",
        "actor_rollout_ref.model.enable_gradient_checkpointing=False",
        "actor_rollout_ref.actor.checkpoint.save_contents=[model,optimizer,extra,hf_model]",
        f"trainer.total_training_steps={RL_STEPS}", "trainer.test_freq=10", "trainer.save_freq=10",
        "trainer.max_actor_ckpt_to_keep=1", "trainer.project_name=quickstart", f"trainer.default_local_dir={RL}"
    ]


def seed_of(overrides: list[str]) -> int:
    """trainer.seed of the command line, else 1; it seeds data and model too."""
    seeds = [o.split("=", 1)[1] for o in overrides if o.lstrip("+").startswith("trainer.seed=")]
    return int(seeds[-1]) if seeds else 1


def train(title: str, module: str, arguments: list[str]) -> None:
    """Runs a trainer with its output shown; ends the quick start with its exit code if it fails."""
    print(f"\n== {title}\n$ python -m {module} {' '.join(arguments)}", flush=True)
    code = subprocess.run([sys.executable, "-m", module, *arguments], check=False).returncode
    if code:
        sys.exit(code)


def stage(folder: Path, made_with: object, make: Callable[[], None]) -> float:
    """Seconds that `make` took, now or in an earlier call. A note beside `folder` says with which settings it was made.

    Other settings: made anew. The same, but unfinished: `make` goes on with what is there.
    """
    note = folder.with_suffix(".json")
    known = json.loads(note.read_text()) if note.is_file() else {}
    if known.get("made_with") != made_with:
        shutil.rmtree(folder, ignore_errors=True)
        known = {"made_with": made_with}
        note.write_text(json.dumps(known))
    if "seconds" not in known:
        folder.mkdir(exist_ok=True)
        start = time.monotonic()
        make()
        known["seconds"] = time.monotonic() - start
        note.write_text(json.dumps(known))
    return known["seconds"]


def main(overrides: list[str]) -> None:
    """`overrides` go to main_ppo after the recipe's own arguments."""
    seed = seed_of(overrides)
    sft, rl = sft_arguments(seed), [*rl_arguments(seed), *overrides]
    OUT.mkdir(parents=True, exist_ok=True)
    stage(DATA, seed, lambda: make_data(DATA, seed))
    stage(MODEL, seed, lambda: make_model(MODEL, seed))
    sft_title = "Warm start by imitation; most answers it imitates stop one letter short"
    rl_title = "Reinforcement learning (GRPO) on the verifiable reward"
    seconds = {
        "seconds_install": float(os.environ.get("QUICKSTART_SECONDS_INSTALL", 0)),
        "seconds_sft": stage(SFT, sft, lambda: train(sft_title, "verl.trainer.main_sft", sft)),
        "seconds_rl": stage(RL, rl, lambda: train(rl_title, "verl.trainer.main_ppo", rl)),
    }
    write_report(OUT, RL, seconds)


if __name__ == "__main__":
    main(sys.argv[1:])
