"""From a dataset to N files of OpenAI-batch requests. Every row is in exactly one; row i goes to file i mod N."""

import argparse
import array
import hashlib
import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from data_analysis.batch import make_request
from data_analysis.layout import DataFolder, Manifest
from data_analysis.progress import warn
from data_analysis.samples import SUFFIX, Malformed, RawFormat, Sample, is_training_row, read_samples, refuse
from data_preprocess.core.files import READERS
from verl.utils.fs import atomic_file


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of transform_dataset.py."""
    add = parser.add_argument
    add("--dataset",
        nargs="+",
        required=True,
        help="hub id, or local files or folders (parquet, arrow, json, jsonl, csv)")
    add("--output", type=Path, required=True, help="folder for split_<i>.jsonl")
    add("--splits", type=int, default=64, help="how many files (default: %(default)s)")
    add("--limit", type=int, help="only so many rows")
    add("--split", default="train", help="of a dataset on the hub (default: %(default)s)")
    add("--config", help="of a dataset on the hub")
    add("--skip-malformed", action="store_true", help="leave malformed rows out, naming them, instead of stopping")
    add("--model", default="default", help="`model` of the requests; generation puts in its own")
    add("--temperature", type=float, default=0.6)
    add("--top-p", type=float, default=1.0)
    add("--max-tokens", type=int, default=16384)
    raw = parser.add_argument_group("raw problems (files that data_preprocess made need none of these)")
    raw.add_argument("--prompt-key", help="column of the problem")
    raw.add_argument("--answer-key", help="column of the ground truth")
    raw.add_argument("--data-source", help="chooses the reward (default: math__<dataset>)")
    raw.add_argument("--suffix", default=SUFFIX, help="follows each problem (default: %(default)r)")


def transform(flags: argparse.Namespace) -> Manifest:
    """Writes the splits. Raises ValueError for what is wrong with flags, dataset or rows."""
    if flags.splits < 1:
        raise ValueError(f"--splits must be at least 1, got {flags.splits}")
    if flags.limit is not None and flags.limit < 1:
        raise ValueError(f"--limit must be at least 1, got {flags.limit}")
    options = {"model": flags.model, "temperature": flags.temperature, "top_p": flags.top_p,
               "max_tokens": flags.max_tokens}  # yapf: disable
    folder = DataFolder(flags.output)
    folder.path.mkdir(parents=True, exist_ok=True)
    malformed: list[Malformed] = []
    rows: list[Sample] | None = None if _trainer_reads(flags.dataset) else []
    with tempfile.TemporaryFile(dir=folder.path) as file:
        ends = array.array("q", [0])
        digest = hashlib.sha256(f"{flags.splits} splits\n".encode())
        for sample in _samples(flags, malformed):
            line = (json.dumps(make_request(sample, options), ensure_ascii=False) + "\n").encode("utf-8", "replace")
            digest.update(line)
            ends.append(ends[-1] + file.write(line))
            if rows is not None:
                rows.append(sample)
        if len(ends) == 1:
            refuse(malformed)
            raise ValueError(f"{', '.join(flags.dataset)}: there are no rows")
        manifest = _manifest(flags, ends, digest.hexdigest(), len(malformed), rows)
        _refuse_to_mix(folder, manifest)
        _write(folder, file, ends, manifest, rows)
    return manifest


def report(manifest: Manifest, output: Path) -> str:
    """A line for the user."""
    skipped = f", {manifest.malformed} malformed rows left out" if manifest.malformed else ""
    return f"{output}: {sum(manifest.requests)} requests in {manifest.splits} splits{skipped}"


def _samples(flags: argparse.Namespace, malformed: list[Malformed]) -> Iterator[Sample]:
    """Those that a request can be made of; the others are told, and refused unless they may be skipped."""
    raw = RawFormat(flags.data_source or f"math__{_word(flags.dataset[0])}", flags.prompt_key, flags.answer_key,
                    flags.suffix)  # yapf: disable
    kept = 0
    for sample in read_samples(flags.dataset, raw, flags.split, flags.config):
        if isinstance(sample, Malformed):
            malformed.append(sample)
            continue
        yield sample
        kept += 1
        if kept == flags.limit:
            break
    if not flags.skip_malformed:
        refuse(malformed)
    for row in malformed:
        warn(f"left out: {row}")


def _word(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", Path(name).stem.lower()).strip("_")


def _trainer_reads(names: Sequence[str]) -> bool:
    """Whether the dataset is parquet of the training schema."""
    import pyarrow.parquet as pq

    files = [file for name in names for file in _files(Path(name).expanduser())]
    return bool(files) and all(
        file.suffix == ".parquet" and is_training_row(dict.fromkeys(pq.read_schema(file).names)) for file in files)


def _files(path: Path) -> list[Path]:
    """What `read_examples` reads, in its order."""
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.suffix in READERS)
    return [path] if path.is_file() else [Path("hub")]


def _manifest(flags: argparse.Namespace, ends: Sequence[int], fingerprint: str, malformed: int,
              rows: list[Sample] | None) -> Manifest:
    count = len(ends) - 1
    requests = [len(range(i, count, flags.splits)) for i in range(flags.splits)]
    if rows is None:
        files = [str(file.resolve()) for name in flags.dataset for file in _files(Path(name).expanduser())]
    else:
        files = [str((flags.output / "rows.parquet").resolve())] if _have_truths(rows) else []
    return Manifest(flags.dataset, flags.splits, requests, fingerprint, files, malformed)


def _have_truths(rows: Sequence[Sample]) -> bool:
    return any((sample.row.get("reward_model") or {}).get("ground_truth") is not None for sample in rows)


def _refuse_to_mix(folder: DataFolder, manifest: Manifest) -> None:
    for run in folder.runs():
        if run.settings()["fingerprint"] != manifest.fingerprint:
            raise ValueError(
                f"{run.path} holds answers to other requests or splits: choose another --output, or remove "
                "that folder")


def _write(folder: DataFolder, file: BinaryIO, ends: Sequence[int], manifest: Manifest,
           rows: list[Sample] | None) -> None:
    (folder.path / "manifest.json").unlink(missing_ok=True)
    for i in range(manifest.splits):
        with atomic_file(folder.split(i)) as unfinished, unfinished.open("wb") as split:
            for number in range(i, len(ends) - 1, manifest.splits):
                file.seek(ends[number])
                split.write(file.read(ends[number + 1] - ends[number]))
    for stale in folder.path.glob("split_*.jsonl"):
        if int(stale.stem.removeprefix("split_")) >= manifest.splits:
            stale.unlink()
    if rows is not None and manifest.rows:
        _write_rows(Path(manifest.rows[0]), rows)
    folder.write_manifest(manifest)


def _write_rows(path: Path, samples: Sequence[Sample]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [{**s.row, "extra_info": {**(s.row.get("extra_info") or {}), "id": s.id}} for s in samples]
    try:
        table = pa.Table.from_pylist(rows)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise ValueError(
            f"the rows do not fit one table ({error}): make a parquet file of them first, with a script of "
            "data_preprocess/") from error
    with atomic_file(path) as unfinished:
        pq.write_table(table, unfinished, compression="zstd")
