"""python -m verl.trainer.main_sft key=value …   (--show-args lists the keys)"""
import logging
import sys
from collections.abc import Sequence

from verl.config.load import load_sft_config
from verl.config.sft import SFTConfig
from verl.config.states import not_on_device
from verl.trainer.entry import inputs_are_checked, run_entry

logger = logging.getLogger(__name__)


def train(config: SFTConfig) -> None:
    """Reads and checks the data, then starts the workers and runs the steps."""
    from verl.trainer.cluster import resolve_device, start_ray
    from verl.trainer.memory import memory_keys_are_named
    from verl.trainer.sft_trainer import SFTTrainer
    from verl.utils.external import import_external_modules

    import_external_modules()
    trainer = SFTTrainer(config, resolve_device(config.trainer.device))
    for line in not_on_device(config, trainer.device):
        logger.warning("%s", line)
    start_ray(config.ray_kwargs)
    try:
        with memory_keys_are_named(config, trainer.device, trainer):
            trainer.start()
            with inputs_are_checked():
                trainer.fit()
    finally:
        trainer.close()


def main(argv: Sequence[str]) -> int:
    """-> the exit code: 0 done, 2 the input cannot work, 1 anything else."""
    return run_entry(load_sft_config, train, argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
