"""Validation answers as the JSON of a wandb table, which the viewer and wandb read alike."""
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from verl.utils.fs import atomic_write_text

Generation = tuple[str, str, float | None]  # prompt, answer, score


class GenerationsTable:
    """A row per validation: step, input_1, output_1, score_1, input_2, …; verl's and Reasoning360's columns.

    Args:
        path: of the file. The one that is there is read when the first row is added.
        start_step: the step that the run resumes from; rows of later steps are dropped. 0: the table starts empty.
    """

    def __init__(self, path: str | os.PathLike, start_step: int = 0) -> None:
        self._path, self._start_step = Path(path), start_step
        self._rows: list[list[Any]] | None = None

    @property
    def columns(self) -> list[str]:
        """As many as the longest row."""
        count = max((len(row) - 1) // 3 for row in self._rows or [[None]])
        return ["step"] + [f"{name}_{i}" for i in range(1, count + 1) for name in ("input", "output", "score")]

    @property
    def rows(self) -> list[list[Any]]:
        """Shorter rows end in None."""
        width = len(self.columns)
        return [row + [None] * (width - len(row)) for row in self._rows or []]

    def add(self, samples: Sequence[Generation], step: int) -> None:
        """Adds the row of a step, in place of an older one, and writes the file anew: whole or not at all."""
        if self._rows is None:
            self._rows = self._read()
        row = [step, *(value for prompt, answer, score in samples for value in (prompt, answer, _finite(score)))]
        self._rows = [*(old for old in self._rows if old[0] != step), row]
        atomic_write_text(self._path, json.dumps({"columns": self.columns, "data": self.rows}))

    def _read(self) -> list[list[Any]]:
        if self._start_step == 0 or not self._path.exists():
            return []
        try:
            rows = json.loads(self._path.read_text(encoding="utf-8"))["data"]
            return [row for row in rows if row[0] <= self._start_step]
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise ValueError(f"{self._path} is no table of generations ({error!r}): move it away") from error


def _finite(score: float | None) -> float | None:
    """NaN is no JSON."""
    return None if score is None or not math.isfinite(score) else float(score)
