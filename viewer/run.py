"""A run directory: what the trainer wrote to trainer.default_local_dir."""
from functools import cached_property
from pathlib import Path

import yaml

from viewer.detect import Kind, SourceError, detect
from viewer.metrics import Curve, read_metrics
from viewer.samples import Samples, open_samples, step_files

SETS = {"train": ("rollouts", "rollout_data_dir"), "validation": ("validation", "validation_data_dir")}


class Run:
    """Metrics, configuration and samples of a run.

    Raises:
        SourceError: the folder is no run.
    """

    def __init__(self, folder: Path):
        if detect(folder) != Kind.RUN:
            raise SourceError(f"{folder} is no run directory")
        self.folder = folder
        self.name = folder.name or str(folder)

    @property
    def curves(self) -> dict[str, Curve]:
        """Read anew: the run may be going on."""
        return read_metrics(self.folder / "metrics.jsonl")

    @cached_property
    def config(self) -> str:
        """The YAML of the configuration; "" if there is none."""
        path = self.folder / "config.yaml"
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""

    @property
    def sets(self) -> list[str]:
        """Which of `SETS` the run has samples of."""
        return [name for name in SETS if self.sample_dir(name).is_dir() and step_files(self.sample_dir(name))]

    def sample_dir(self, name: str) -> Path:
        """Folder of a set: the one below the run, else the one that its configuration names."""
        below, key = SETS[name]
        folder = self.folder / below
        if folder.is_dir():
            return folder
        try:
            named = yaml.safe_load(self.config)["trainer"][key]
        except (yaml.YAMLError, KeyError, TypeError):
            return folder
        return Path(named) if isinstance(named, str) and named else folder

    def steps(self, name: str) -> list[int]:
        """The steps of a set."""
        return sorted(int(file.stem.removeprefix("step_")) for file in step_files(self.sample_dir(name)))

    def samples(self, name: str) -> Samples:
        """The samples of a set."""
        return open_samples(self.sample_dir(name))
