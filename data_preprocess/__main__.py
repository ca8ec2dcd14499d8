"""`python -m data_preprocess list | run NAME... | run --all`: all datasets from one command."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from data_preprocess.core.cli import add_flags, add_options, run_script
from data_preprocess.core.scripts import all_scripts, find_script, load_script
from reward_score import resolve


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status: 1 if a dataset failed, 2 for a name or flag that is not known."""
    parser = argparse.ArgumentParser(prog="python -m data_preprocess", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    shown = commands.add_parser("list", help="every dataset with its size, reward and licence")
    shown.add_argument("--markdown", action="store_true", help="as the table of README.md")
    run = commands.add_parser("run", help="make datasets; with --input-dir each reads from its <domain>/<name> there")
    run.add_argument("names", nargs="*", metavar="NAME", help="domain/script, as `list` shows them")
    run.add_argument("--all", action="store_true", help="every dataset")
    add_flags(run)
    flags, _ = parser.parse_known_args(argv)
    if flags.command == "list":
        return _list(flags.markdown)
    try:
        scripts = list(all_scripts().values()) if flags.all else [find_script(name) for name in flags.names]
    except ValueError as error:
        parser.error(str(error))
    if not scripts:
        parser.error("name a dataset, or say --all")
    for script in scripts:
        add_options(run, load_script(script).DATASET)
    return _run(scripts, parser.parse_args(argv))


def _list(markdown: bool) -> int:
    rows = [("dataset", "raw rows", "data_source", "reward", "licence", "origin"),
            *map(_describe,
                 all_scripts().items())]
    if markdown:
        rows.insert(1, ("---",) * len(rows[0]))
        print("\n".join(f"| {' | '.join(row)} |" for row in rows))
        return 0
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(field.ljust(width) for field, width in zip(row, widths, strict=True)).rstrip())
    return 0


def _describe(item: tuple[str, Path]) -> tuple[str, ...]:
    name, file = item
    dataset = load_script(file).DATASET
    source = dataset.data_source or f"{dataset.domain}__{dataset.name}"
    reward = resolve(source).function.__module__.split(".")[1]
    return name, dataset.size or "?", source, reward, dataset.licence, dataset.origin or "generated here"


def _run(scripts: list[Path], flags: argparse.Namespace) -> int:
    """Makes one after the other; a failed one does not keep the rest from being made."""
    failed = {}
    inputs = flags.input_dir
    for file in scripts:
        name = f"{file.parent.name}/{file.stem}"
        print(f"== {name}", flush=True)
        flags.input_dir = inputs / name if inputs and (inputs / name).is_dir() else inputs
        try:
            run_script(file, flags)
        except Exception as error:  # noqa: BLE001 -- the recovery seam between datasets; all are told at the end
            failed[name] = f"{type(error).__name__}: {error}"
            print(failed[name], file=sys.stderr, flush=True)
    print(f"{len(scripts) - len(failed)} of {len(scripts)} datasets made")
    for name, reason in failed.items():
        print(f"failed: {name}: {reason}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
