"""What the entry points share: logging, outputs that can be written, and failures as one readable cause with an exit
code.
"""
import importlib.util
import logging
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verl.config.trainer import TrainerConfig
from verl.single_controller.worker_group import WorkerFailure
from verl.utils.errors import RunFailure

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerBase


def run_entry(load: Callable[[Sequence[str]], Any], run: Callable[[Any], None], argv: Sequence[str]) -> int:
    """Loads the config of `argv` and runs it. 0: done; 2: something the user gave cannot work (ValueError); 1: the run
    failed. Any other exception is a bug and leaves with its traceback.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", datefmt="%H:%M:%S")
    try:
        run(load(argv))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (RunFailure, WorkerFailure, TimeoutError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


@contextmanager
def inputs_are_checked() -> Iterator[None]:
    """From here on a ValueError is no user's mistake but a bug, which `run_entry` must not shorten to one line."""
    try:
        yield
    except ValueError as error:
        raise AssertionError(f"a step raised {type(error).__name__}: {error}") from error


def due(step: int, frequency: int, last: int) -> bool:
    """Every `frequency` steps and at the last one; never when it is not positive."""
    return frequency > 0 and (step % frequency == 0 or step == last)


def check_outputs(trainer: TrainerConfig) -> None:
    """ValueError for a folder that cannot be written, or a logger that is not installed."""
    for name in ("default_local_dir", "rollout_data_dir", "validation_data_dir"):
        folder = getattr(trainer, name)
        try:
            if folder is not None:
                Path(folder).mkdir(parents=True, exist_ok=True)
                tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            raise ValueError(f"trainer.{name}={folder}: nothing can be written there ({error.strerror}); choose "
                             "another folder") from error
    for name in ("tensorboard", "wandb"):
        if name in trainer.logger and importlib.util.find_spec(name) is None:
            raise ValueError(f"trainer.logger has {name}, which is not installed: pip install {name}, or take it out")


def check_vocabulary(tokenizer: "PreTrainedTokenizerBase", model: "PretrainedConfig", path: str) -> None:
    """ValueError for a tokenizer with ids that the model at `path` has no embedding for."""
    largest, vocab = len(tokenizer) - 1, model.get_text_config().vocab_size
    if largest >= vocab:
        raise ValueError(
            f"the tokenizer of {tokenizer.name_or_path} makes ids up to {largest}, but the model {path} has "
            f"vocab_size={vocab}; use the tokenizer it was trained with")
