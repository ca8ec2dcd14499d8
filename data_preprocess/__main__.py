"""`python -m data_preprocess list | run NAME... | run --all`: all datasets from one command."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from data_preprocess.core.cli import add_flags, add_options, run_script
from data_preprocess.core.scripts import all_scripts, find_script, load_script


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status: 1 if a dataset failed, 2 for a name or flag that is not known."""
    parser = argparse.ArgumentParser(prog="python -m data_preprocess", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="every dataset, its size and licence")
    run = commands.add_parser("run", help="make datasets; with --input-dir each reads from its <domain>/<name> there")
    run.add_argument("names", nargs="*", metavar="NAME", help="domain/script, as `list` shows them")
    run.add_argument("--all", action="store_true", help="every dataset")
    add_flags(run)
    flags, _ = parser.parse_known_args(argv)
    if flags.command == "list":
        return _list()
    try:
        scripts = list(all_scripts().values()) if flags.all else [find_script(name) for name in flags.names]
    except ValueError as error:
        parser.error(str(error))
    if not scripts:
        parser.error("name a dataset, or say --all")
    for script in scripts:
        add_options(run, load_script(script).DATASET)
    return _run(scripts, parser.parse_args(argv))


def _list() -> int:
    print(f"{'dataset':38} {'rows':>10}  {'licence':24} origin")
    for name, file in all_scripts().items():
        dataset = load_script(file).DATASET
        print(f"{name:38} {dataset.size:>10}  {dataset.licence:24} {dataset.origin}")
    return 0


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
