"""Checkpoints of a run: complete or absent, the newest N kept.

    <default_local_dir>/global_step_<i>/actor/       the training engine's state (DCP)
                                        critic/      the critic's, where there is one
                                        huggingface/ the model for inference, when save_contents has hf_model
                                        driver.json  step, data order, KL coefficient
    <default_local_dir>/latest_checkpointed_iteration.txt

A folder gets its name when it is complete, then the text file names it, then older ones go. So a kill at any instant
leaves a complete checkpoint that the text file names. This may happen in the background (checkpoint.async_save): the
workers write copies of their state, a thread of the driver gives the name, and at most one save is on its way.
"""
import json
import logging
import re
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from concurrent import futures
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from verl.config.engine import CheckpointConfig
from verl.config.trainer import TrainerConfig
from verl.single_controller import WorkerGroup
from verl.utils.fs import atomic_directory, atomic_write_text, put_back
from verl.workers.engine.checkpoint import hf_folder

logger = logging.getLogger(__name__)
LATEST = "latest_checkpointed_iteration.txt"
CLOSE_TIMEOUT = 30.0  # s
POLL = 0.5  # s between looks at a save in the background
_STEP = re.compile(r"global_step_(\d+)")


def save_model(workers: WorkerGroup,
               tokenizer: PreTrainedTokenizerBase,
               config: CheckpointConfig,
               folder: Path,
               role: str = "actor") -> None:
    """Writes the parts that `config` names into `folder`; with `async_save` this only begins (see `TrainWorker.saved`).
    """
    if config.save_contents:
        workers.save_checkpoint(str(folder), list(config.save_contents), role, config.async_save)
    if "hf_model" in config.save_contents:
        tokenizer.save_pretrained(folder / hf_folder(role))


def load_model(workers: WorkerGroup, contents: Sequence[str], folder: Path, role: str = "actor") -> None:
    """Reads the parts of `contents` (checkpoint.load_contents) from the checkpoint `folder`. ValueError where it lacks
    one, or is of another model.
    """
    key = "actor_rollout_ref.actor" if role == "actor" else role
    if contents and not (folder / role).is_dir():
        raise ValueError(f"{folder} has no state of the {role}: its run had none, or did not save it; set "
                         f"trainer.resume_mode=disable, or {key}.checkpoint.load_contents=[]")
    if contents:
        workers.load_checkpoint(str(folder), list(contents), role)


class CheckpointManager:
    """Names, writes, finds and forgets the checkpoint folders of one run."""

    def __init__(self, config: TrainerConfig):
        self.config, self.root = config, Path(config.default_local_dir).absolute()
        self._pending: futures.Future[None] | None = None

    def save(self,
             step: int,
             state: dict[str, Any],
             write_model: Callable[[Path], None],
             written: Callable[[], bool] | None = None) -> None:
        """`write_model(folder)` fills the folder; then the driver's `state` joins it and the folder gets its name.

        With `written`, `write_model` only begins, and this returns when it does: a thread asks `written()` until it
        says that the folder is filled. What that thread meets is raised by the next `check`, `wait` or `save`.
        """
        self.wait()
        text = json.dumps({"step": step, **state})
        with ExitStack() as stack:
            folder = stack.enter_context(atomic_directory(self.root / f"global_step_{step}"))
            write_model(folder)
            finish = partial(self._finish, step, text, folder, written, stack.pop_all())
        if written is None:
            finish()
        else:
            self._pending = _in_thread(finish)

    def _finish(self, step: int, text: str, folder: Path, written: Callable[[], bool] | None,
                naming: ExitStack) -> None:
        with naming:
            while written and not written():
                time.sleep(POLL)
            atomic_write_text(folder / "driver.json", text)
        atomic_write_text(self.root / LATEST, str(step))
        self._forget(step)

    def check(self) -> None:
        """Raises what a save in the background has failed with."""
        if self._pending and self._pending.done():
            self.wait()

    def wait(self) -> None:
        """Until no save is on its way; raises as `check`. TimeoutError after trainer.call_timeout."""
        pending, limit = self._pending, self.config.call_timeout
        if pending is None:
            return
        if not futures.wait([pending], limit).done:
            raise TimeoutError(f"the checkpoint before was not written within {limit:g} s; raise trainer.call_timeout, "
                               "or save less often")
        self._pending = None
        pending.result()

    def close(self) -> None:
        """Gives a save on its way some time: it is worth having, whatever has ended the run."""
        if self._pending is None:
            return
        if not futures.wait([self._pending], CLOSE_TIMEOUT).done:
            logger.warning("the checkpoint on its way was not finished within %.0f s", CLOSE_TIMEOUT)
        elif error := self._pending.exception():
            logger.warning("the checkpoint on its way was not written: %s", error)

    def find(self) -> Path | None:
        """The folder to resume from, or None for a fresh run."""
        mode, latest = self.config.resume_mode, self.root / LATEST
        if mode == "disable" or mode == "auto" and not latest.is_file():
            return None
        if mode == "resume_path":
            folder = Path(self.config.resume_from_path).expanduser().absolute()
            if not (folder / "driver.json").is_file():
                raise ValueError(f"trainer.resume_from_path={folder} is no complete checkpoint (it has no driver.json)")
        else:
            folder = self.root / f"global_step_{latest.read_text().strip()}"
            put_back(folder)
            if not (folder / "driver.json").is_file():
                raise ValueError(
                    f"{latest} names {folder.name}, which is gone; write the number of an existing checkpoint into "
                    "it, or set trainer.resume_mode=disable")
        if not (folder / "actor").is_dir():
            raise ValueError(f"{folder} has no training state to resume from (its save_contents had no model); set "
                             "trainer.resume_mode=disable, and the model's path to its huggingface folder")
        return folder

    @staticmethod
    def read_state(folder: Path) -> dict[str, Any]:
        """What `save` got as `state`, and `step`."""
        return json.loads((folder / "driver.json").read_text())

    def _forget(self, current: int) -> None:
        """Removes all but the newest checkpoints up to step `current` (later ones are of an earlier run, which went
        further), and what killed runs left half written.
        """
        self._clean_up()
        keep = self.config.max_actor_ckpt_to_keep
        steps = {int(m[1]): path for path in self.root.iterdir() if (m := _STEP.fullmatch(path.name))}
        if keep is not None:
            for step in sorted(step for step in steps if step <= current)[:-keep]:
                steps[step].rename(self.root / f".{steps[step].name}.tmp")  # half removed, it must not look complete
        self._clean_up()

    def _clean_up(self) -> None:
        for leftover in self.root.glob(".global_step_*"):
            shutil.rmtree(leftover)
        for leftover in self.root.glob(f".{LATEST}.*"):
            leftover.unlink()


def _in_thread(work: Callable[[], None]) -> futures.Future[None]:
    """Runs `work` in a thread that keeps no process from ending."""
    future: futures.Future[None] = futures.Future()

    def run() -> None:
        try:
            work()
            future.set_result(None)
        except BaseException as error:  # noqa: BLE001 - raised again where the result is asked for
            future.set_exception(error)

    threading.Thread(target=run, name="checkpoint", daemon=True).start()
    return future
