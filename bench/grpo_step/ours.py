"""This project's side: the loop of verl.trainer.main_ppo, one step for each line on standard input."""
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from verl.config.load import load_ppo_config
from verl.config.ppo import PPOConfig
from verl.trainer.cluster import start_ray
from verl.trainer.ppo.inputs import RunInputs
from verl.trainer.ppo.plan import make_plan, resolve
from verl.trainer.ppo.ray_trainer import RayPPOTrainer

PHASES = ("gen", "update_actor", "update_weights")


def config_of(settings: dict[str, Any]) -> PPOConfig:
    """The keys that a user would set for this work."""
    folder, rollout = settings["folder"], "actor_rollout_ref.rollout"
    engine = "actor_rollout_ref.actor.fsdp_config"
    return load_ppo_config([
        f"actor_rollout_ref.model.path={folder}/model", f"data.train_files={folder}/prompts.parquet",
        f"data.train_batch_size={settings['prompts']}", f"data.max_prompt_length={settings['prompt_tokens']}",
        f"data.max_response_length={settings['max_tokens']}", "algorithm.adv_estimator=grpo",
        f"{rollout}.name={settings['engine']}", f"{rollout}.n={settings['n']}",
        f"{rollout}.enforce_eager=False",  # compiled, as TRL's is
        f"{rollout}.batch_size={settings['prompts'] * settings['n']}", f"{rollout}.dtype={settings['dtype']}",
        f"actor_rollout_ref.actor.ppo_mini_batch_size={settings['prompts']}",
        "actor_rollout_ref.actor.use_dynamic_bsz=True", "actor_rollout_ref.actor.ppo_max_token_len_per_gpu=4096",
        f"actor_rollout_ref.actor.optim.lr={settings['lr']}",
        f"{engine}.mixed_precision.param_dtype={settings['dtype']}",
        "actor_rollout_ref.model.enable_gradient_checkpointing=False", "trainer.total_training_steps=10000",
        "trainer.total_epochs=10000", "trainer.val_before_train=False", "trainer.logger=[]",
        f"custom_reward_function.path={Path(__file__).with_name('score.py')}", "reward_model.num_workers=1",
        f"trainer.default_local_dir={folder}/ours_{settings['engine']}", "trainer.resume_mode=disable"
    ])  # yapf: disable


def main() -> None:
    """Trains until standard input ends."""
    settings = json.loads(sys.argv[1])
    answers, sys.stdout = sys.stdout, sys.stderr
    config = resolve(config_of(settings))
    inputs = RunInputs(config)
    plan = make_plan(config, inputs.prompt_source().steps_per_epoch, inputs.stop_ids())
    start_ray(config.ray_kwargs)
    trainer = RayPPOTrainer(config, inputs, plan)
    try:
        trainer.start()
        steps, cost = trainer.steps(), trainer.cost
        while sys.stdin.readline():
            began = time.perf_counter()
            metrics = next(steps)
            seconds = time.perf_counter() - began
            lengths = pd.read_parquet(inputs.rollout_dir / f"step_{trainer.step}.parquet")["response_length"].to_numpy()
            prompts = np.full(len(lengths), settings["prompt_tokens"])
            copies = prompts[settings["prompts"]:]  # of each prompt all but one: they need no work
            needed = cost.training(prompts, lengths).sum() - cost.training(copies, np.zeros_like(copies)).sum()
            step = {"seconds": seconds, "tokens": int(lengths.sum()), "longest": int(lengths.max()),
                    "update_flops": float(needed),
                    **{name: metrics[f"timing_s/{name}"] for name in PHASES}}  # yapf: disable
            print(json.dumps(step), file=answers, flush=True)
    finally:
        trainer.close()


if __name__ == "__main__":
    main()
