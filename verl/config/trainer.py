"""The run: devices, duration, validation, checkpoints, logs (`trainer` and `ray_kwargs`)."""
from dataclasses import dataclass

from verl.config.fields import group, key

LOGGERS = ("console", "tensorboard", "wandb")
RESUME_MODES = ("auto", "disable", "resume_path")


@dataclass(frozen=True)
class TrainerConfig:
    """Everything about the run that is not about learning."""
    device: str = key("auto", "auto: cuda where there is one, else cpu", choices=("auto", "cuda", "cpu"))
    nnodes: int = key(1, "machines", at_least=1)
    n_gpus_per_node: int = key(1, "devices per machine; on CPU: training workers", at_least=1)
    total_epochs: int = key(1, "passes over the training data", at_least=1)
    total_training_steps: int | None = key(None, "stop after so many steps; null: total_epochs decides", at_least=1)
    project_name: str = key("reasoning360", "project in the loggers and in default_local_dir")
    experiment_name: str = key("run", "run in the loggers and in default_local_dir")
    logger: list[str] = key(["console"], "where metrics go besides metrics.jsonl", choices=LOGGERS)
    val_before_train: bool = key(True, "validate before the first step")
    val_only: bool = key(False, "validate and stop")
    test_freq: int = key(-1, "validate every so many steps; -1: never", at_least=-1)
    save_freq: int = key(-1, "save every so many steps; -1: never", at_least=-1)
    resume_mode: str = key("auto", "auto: from the last checkpoint in default_local_dir", choices=RESUME_MODES)
    resume_from_path: str | None = key(None, "checkpoint folder (…/global_step_N) for resume_mode=resume_path")
    default_local_dir: str = key("checkpoints/${trainer.project_name}/${trainer.experiment_name}",
                                 "folder of checkpoints and outputs")  # yapf: disable
    max_actor_ckpt_to_keep: int | None = key(None, "newest checkpoints to keep; null: all", at_least=1)
    rollout_data_dir: str | None = key(None, "folder of each step's rollouts; null: default_local_dir/rollouts")
    validation_data_dir: str | None = key(None, "the same for validation; null: default_local_dir/validation")
    log_val_generations: int = key(0,
                                   "validation answers to write to val_generations.table.json, and to wandb",
                                   at_least=0)
    balance_batch: bool = key(True, "even out the work (operations) per device")
    critic_warmup: int = key(0, "first steps, which train only the critic", at_least=0)
    seed: int = key(1, "seed of new weights and of every sample's own seed")
    worker_memory_limit_gb: float | None = key(
        None, "most private host memory of a training worker or hf replica, in GiB; null: no limit", above=0)
    call_timeout: float = key(1800.0, "seconds for one call to the training workers", above=0)


@dataclass(frozen=True)
class RayInitConfig:
    """Arguments of ray.init."""
    num_cpus: int | None = key(None, "CPUs that Ray may use; null: all", at_least=1)
    address: str | None = key(None, "cluster to join; null: RAY_ADDRESS, else a cluster of its own")


@dataclass(frozen=True)
class RayKwargsConfig:
    """Ray."""
    ray_init: RayInitConfig = group(RayInitConfig)
