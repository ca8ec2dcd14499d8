"""The command line of every script, and of `python -m data_preprocess`."""

import argparse
import dataclasses
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from data_preprocess.core.filters.duplicates import MODES
from data_preprocess.core.run import Settings, run_dataset
from data_preprocess.core.scripts import load_script
from data_preprocess.core.spec import Dataset


def main(file: str, argv: Sequence[str] | None = None) -> int:
    """Runs the script `file` with the flags of `argv`; returns the exit status. Scripts end with

    `if __name__ == "__main__": sys.exit(main(__file__))`.
    """
    folder = str(Path(file).resolve().parent)
    sys.path[:] = [entry for entry in sys.path if entry != folder]  # a script would hide the library of its name
    script = load_script(Path(file))
    parser = argparse.ArgumentParser(description=script.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_flags(parser)
    add_options(parser, script.DATASET)
    try:
        run_script(Path(file), parser.parse_args(argv))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def run_script(file: Path, flags: argparse.Namespace) -> None:
    """Makes the files of one script and prints their cards. Raises ValueError for what is wrong."""
    script = load_script(file)
    dataset: Dataset = script.DATASET
    renamed = {name: value for name, value in (("domain", flags.domain), ("name", flags.name)) if value}
    if renamed:
        dataset = _renamed(dataset, renamed)
    options = {name: getattr(flags, name) for name in dataset.options if getattr(flags, name, None) is not None}
    for card in run_dataset(file, dataset, _settings(flags, options)):
        print(card, flush=True)


def _renamed(dataset: Dataset, names: dict[str, str]) -> Dataset:
    """Another name renames the split that bears the dataset's own."""
    renamed = dataclasses.replace(dataset, **names)
    changes = {}
    for split in ("train", "test"):
        sources = {
            (renamed.name if name == dataset.name else name): source for name, source in dataset.sources(split).items()
        }
        changes[split] = sources or None
    return dataclasses.replace(renamed, **changes)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags that all scripts share."""
    add = parser.add_argument
    add("--data-dir", type=Path, default=Path("data"), help="where train/ and test/ go (default: %(default)s)")
    add("--domain", help="another domain in the file name and data_source")
    add("--name", help="another name in the file name and data_source")
    add("--train-sample-size", type=_positive, help="rows of the train split (default: all that are left)")
    add("--test-sample-size", type=_positive, help="rows of the test split")
    add("--sample-size", type=_positive, help="rows of either split")
    add("--seed", type=int, default=42, help="of sampling and of generated puzzles (default: %(default)s)")
    inputs = parser.add_mutually_exclusive_group()
    inputs.add_argument("--input-dir", type=Path, help="folder with the raw splits (train.jsonl, test.parquet, ...)")
    inputs.add_argument("--input-file", type=Path, help="the raw train split")
    add("--cache-dir", help="where the hub's files are kept")
    add("--tokenizer", default="", help="folder or hub id; prompts are then measured in its tokens")
    add("--max-prompt-tokens", type=_positive, help="drops longer prompts; needs --tokenizer")
    add("--dedupe", choices=MODES, default="exact", help="which prompts count as equal (default: %(default)s)")
    add("--against", nargs="+", default=[], metavar="FILE", help="test sets; rows that share 13 words with them go")
    add("--num-proc", type=_positive, default=len(os.sched_getaffinity(0)), help="processes (default: one per core)")


def add_options(parser: argparse.ArgumentParser, dataset: Dataset) -> None:
    """The flags of one dataset."""
    known = {action.dest for action in parser._actions}
    for name, default in dataset.options.items():
        if name not in known:
            kind = type(default) if isinstance(default, int | float) else str
            parser.add_argument("--" + name.replace("_", "-"), type=kind, help=f"(default: {default})")


def _settings(flags: argparse.Namespace, options: dict[str, object]) -> Settings:
    return Settings(data_dir=flags.data_dir,
                    inputs=_existing(flags.input_dir or flags.input_file),
                    cache_dir=flags.cache_dir,
                    train_sample_size=flags.train_sample_size or flags.sample_size,
                    test_sample_size=flags.test_sample_size or flags.sample_size,
                    seed=flags.seed,
                    tokenizer=flags.tokenizer,
                    max_prompt_tokens=flags.max_prompt_tokens,
                    dedupe=flags.dedupe,
                    against=tuple(flags.against),
                    num_proc=flags.num_proc,
                    options=options)


def _existing(path: Path | None) -> Path | None:
    if path is not None and not path.exists():
        raise ValueError(f"{path}: there is no such file or folder")
    return path


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not above 0")
    return value
