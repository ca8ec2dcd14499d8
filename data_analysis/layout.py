"""Where things lie.

    DATA/manifest.json              what the splits are made of
    DATA/split_<i>.jsonl            OpenAI-batch requests
    DATA/rows.parquet               rows in the training schema, where the dataset was none such
    DATA/<model>/run.json           what is asked of which model
    DATA/<model>/split_<i>.jsonl    answers, append-only; split_<i>.done when there are all
    DATA/<model>/logs/              output of jobs and servers
    DATA/<model>/scores.jsonl, pass_rates.json
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from verl.utils.fs import atomic_write_text


@dataclass(frozen=True)
class Manifest:
    """`requests` per split; `fingerprint` of all requests in order; `rows`: training-schema files, if there are."""
    dataset: list[str]
    splits: int
    requests: list[int]
    fingerprint: str
    rows: list[str]
    malformed: int = 0


class DataFolder:
    """What transform_dataset.py writes."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def split(self, i: int) -> Path:
        return self.path / f"split_{i}.jsonl"

    def write_manifest(self, manifest: Manifest) -> None:
        """Comes last: a folder with a manifest is whole."""
        atomic_write_text(self.path / "manifest.json", json.dumps(asdict(manifest), indent=2) + "\n")

    def manifest(self) -> Manifest:
        """Raises ValueError if there is none."""
        file = self.path / "manifest.json"
        if not file.is_file():
            raise ValueError(f"{self.path} holds no split dataset; make it: python transform_dataset.py --dataset ... "
                             f"--output {self.path} --splits 64, or name another with --data (DATA=)")
        return Manifest(**json.loads(file.read_text()))

    def runs(self) -> list["RunFolder"]:
        """Models that were asked so far."""
        return [RunFolder(self, file.parent) for file in sorted(self.path.glob("*/run.json"))]

    def run(self, model: str) -> "RunFolder":
        """The answers of `model`; names of folders are the last part of theirs."""
        return RunFolder(self, self.path / Path(model.rstrip("/")).name)

    def find_run(self, model: str | None) -> "RunFolder":
        """The answers of `model`, or of the one model that there is."""
        runs = self.runs() if model is None else [run for run in self.runs() if run.path == self.run(model).path]
        if len(runs) != 1:
            there = ", ".join(run.path.name for run in self.runs()) or "none"
            raise ValueError(f"{self.path}: say with --model whose answers; there are those of: {there}")
        return runs[0]


class RunFolder:
    """One model's answers to the requests of a data folder."""

    def __init__(self, data: DataFolder, path: Path) -> None:
        self.data, self.path = data, path
        self.scores, self.pass_rates = path / "scores.jsonl", path / "pass_rates.json"

    def answers(self, i: int) -> Path:
        return self.path / f"split_{i}.jsonl"

    def log(self, name: str) -> Path:
        return self.path / "logs" / name

    def settings(self) -> dict:
        """model, seed and fingerprint."""
        return json.loads((self.path / "run.json").read_text())

    def open(self, model: str, seed: int) -> None:
        """Writes run.json, or checks it: answers of different models or requests never mix in one folder.

        Raises:
            ValueError: they would.
        """
        asked = {"model": model, "seed": seed, "fingerprint": self.data.manifest().fingerprint}
        if not (self.path / "run.json").exists():
            atomic_write_text(self.path / "run.json", json.dumps(asked, indent=2) + "\n")
        found = self.settings()
        different = [f"{key} {found.get(key)!r}, not {value!r}" for key, value in asked.items() if found[key] != value]
        if different:
            raise ValueError(
                f"{self.path} holds answers of {'; '.join(different)}: split into another --output folder, "
                "or move these answers away")

    def is_done(self, i: int, n: int) -> bool:
        """Whether every request of the split has `n` answers."""
        try:
            return json.loads(self.answers(i).with_suffix(".done").read_text())["n"] >= n
        except FileNotFoundError:
            return False

    def mark_done(self, i: int, n: int, answers: int) -> None:
        atomic_write_text(self.answers(i).with_suffix(".done"), json.dumps({"n": n, "answers": answers}) + "\n")
