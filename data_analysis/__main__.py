"""python -m data_analysis launch | generate | status | map | analyse | annotate | filter (-h shows each one's flags)"""

import argparse
import sys
from collections.abc import Sequence

from data_analysis import commands


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status: 1 if something is left undone, 2 for input that cannot work."""
    parser = argparse.ArgumentParser(prog="python -m data_analysis", description=__doc__)
    subparsers = parser.add_subparsers(dest="command", required=True)
    for name, (add, _, text) in commands.COMMANDS.items():
        add(subparsers.add_parser(name, help=text, description=text))
    flags = parser.parse_args(argv)
    _, run, _ = commands.COMMANDS[flags.command]
    try:
        return run(flags)
    except ValueError as error:
        print(f"data_analysis {flags.command}: {error}", file=sys.stderr)
        return 2
    except RuntimeError as error:
        print(f"data_analysis {flags.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; what runs, runs on. The same command goes on from here", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
