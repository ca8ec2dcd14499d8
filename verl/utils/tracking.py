"""Where metrics go: always a JSON-lines file, and the services named in `trainer.logger`."""
import importlib
import json
import logging
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from verl.utils.fs import atomic_write_text
from verl.utils.generations_table import Generation, GenerationsTable

logger = logging.getLogger(__name__)
GENERATIONS = "val_generations.table.json"
BACKENDS = ("console", "tensorboard", "wandb")


class _Backend(Protocol):

    def log(self, data: Mapping[str, Any], step: int) -> None:
        ...

    def close(self) -> None:
        ...


class Tracking:
    """Writes the metrics of each step.

    Args:
        backends: of `BACKENDS`; `console` asks for nothing here, the trainer prints its own line.
        directory: gets metrics.jsonl, and the folders of the services.
        config: the resolved config as plain values, shown by services that show it.
        start_step: the step that the run resumes from; lines of later steps are dropped, since the run makes them
            again. 0: a fresh run, the file starts empty.
    """

    def __init__(self,
                 project_name: str,
                 experiment_name: str,
                 backends: Sequence[str],
                 directory: str | os.PathLike,
                 config: Mapping[str, Any],
                 start_step: int = 0) -> None:
        unknown = sorted(set(backends) - set(BACKENDS))
        if unknown:
            raise ValueError(
                f"trainer.logger has {unknown[0]!r}: choose from {', '.join(BACKENDS)}; JSON lines are always written")
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        self._generations = GenerationsTable(directory / GENERATIONS, start_step)
        self._backends: list[_Backend] = [_JsonLines(directory / "metrics.jsonl", start_step)]
        if "tensorboard" in backends:
            self._backends.append(_TensorBoard(directory / "tensorboard", start_step))
        if "wandb" in backends:
            self._backends.append(_Wandb(project_name, experiment_name, directory, config))

    def log(self, data: Mapping[str, Any], step: int) -> None:
        """Records `data` (numbers; JSON also takes other JSON values) under `step`."""
        plain = {name: _plain(value) for name, value in data.items()}
        for backend in self._backends:
            backend.log(plain, step)

    def log_generations(self, samples: Sequence[Generation], step: int) -> None:
        """Adds the samples of a validation to `GENERATIONS` in the directory, and to the table val/generations of
        Weights & Biases."""
        self._generations.add(samples, step)
        for backend in self._backends:
            if isinstance(backend, _Wandb):
                backend.log_table("val/generations", self._generations, step)

    def close(self) -> None:
        for backend in self._backends:
            backend.close()


class _JsonLines:
    """One object per line, `step` first. What is not finite is written as null: NaN is no JSON."""

    def __init__(self, path: Path, start_step: int) -> None:
        atomic_write_text(path, "".join(_lines_until(path, start_step)))
        self._file = path.open("a", encoding="utf-8")

    def log(self, data: Mapping[str, Any], step: int) -> None:
        finite = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in data.items()}
        self._file.write(json.dumps({"step": step, **finite}, ensure_ascii=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class _TensorBoard:

    def __init__(self, directory: Path, start_step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter  # here, so that others need no torch

        self._writer = SummaryWriter(str(directory), purge_step=start_step + 1 if start_step else None)

    def log(self, data: Mapping[str, Any], step: int) -> None:
        for name, value in data.items():
            if isinstance(value, (int, float)):
                self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class _Wandb:
    """Weights & Biases; WANDB_MODE=offline keeps the run on disk, in `directory`/wandb."""

    def __init__(self, project_name: str, experiment_name: str, directory: Path, config: Mapping[str, Any]) -> None:
        try:
            self._wandb = wandb = importlib.import_module("wandb")
        except ImportError as error:
            raise ValueError(
                "trainer.logger has wandb, which is not installed: pip install wandb, or take it out") from error
        try:
            self._run = wandb.init(project=project_name, name=experiment_name, dir=str(directory), config=dict(config))
        except wandb.errors.Error as error:
            raise ValueError(
                f"wandb does not start ({error}): run `wandb login`, set WANDB_MODE=offline, or take wandb "
                "out of trainer.logger") from error

    def log(self, data: Mapping[str, Any], step: int) -> None:
        self._run.log(dict(data), step=step)

    def log_table(self, name: str, table: GenerationsTable, step: int) -> None:
        shown = self._wandb.Table(columns=table.columns, data=table.rows)  # a new one: a logged table is not sent again
        self._run.log({name: shown}, step=step)

    def close(self) -> None:
        self._run.finish()


def _plain(value: Any) -> Any:  # noqa: ANN401 - a metric as its maker left it
    """Numpy and torch scalars as Python numbers."""
    return value.item() if hasattr(value, "item") else value


def _lines_until(path: Path, step: int) -> list[str]:
    """The lines of steps up to `step`; none for step 0. A line torn by a kill is left out."""
    if step == 0 or not path.exists():
        return []
    kept = []
    for line in filter(None, path.read_text(encoding="utf-8", errors="replace").split("\n")):
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except (json.JSONDecodeError, KeyError, TypeError):
            logger.warning("%s: left out a broken line (%d characters)", path, len(line))
    return kept
