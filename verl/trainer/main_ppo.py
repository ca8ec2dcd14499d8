"""python -m verl.trainer.main_ppo key=value …   (--show-args lists the keys)"""
import logging
import sys
from collections.abc import Sequence

from verl.config.load import load_ppo_config
from verl.config.ppo import PPOConfig
from verl.config.states import not_on_device
from verl.trainer.entry import inputs_are_checked, run_entry

logger = logging.getLogger(__name__)


def train(config: PPOConfig) -> None:
    """Reads and checks all inputs, then starts the processes and runs the steps."""
    from verl.trainer.cluster import start_ray
    from verl.trainer.memory import memory_keys_are_named
    from verl.trainer.ppo.inputs import RunInputs
    from verl.trainer.ppo.plan import make_plan, resolve
    from verl.trainer.ppo.ray_trainer import RayPPOTrainer
    from verl.utils.external import import_external_modules

    import_external_modules()
    config = resolve(config)
    for line in not_on_device(config, config.trainer.device):
        logger.warning("%s", line)
    inputs = RunInputs(config)
    plan = make_plan(config, inputs.prompt_source().steps_per_epoch, inputs.stop_ids())
    start_ray(config.ray_kwargs)
    trainer = RayPPOTrainer(config, inputs, plan)
    try:
        with memory_keys_are_named(config, config.trainer.device, trainer):
            trainer.start()
            with inputs_are_checked():
                trainer.fit()
    finally:
        trainer.close()


def main(argv: Sequence[str]) -> int:
    """-> the exit code: 0 done, 2 the input cannot work, 1 anything else."""
    return run_entry(load_ppo_config, train, argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
