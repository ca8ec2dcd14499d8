"""`python -m reward_score.doctor FILE...`: examines the rows of datasets before anything is trained on them.

Every row must route and have the `extra_info` its reward reads; its truth, written in the asked format, must score
full, the same every time; nonsense and near misses must not. Prints a table per data_source and exits with 1 and the
numbers of the rows if anything is wrong.
"""

import argparse
import statistics
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from reward_score.checkup import Checkup, SourceReport
from reward_score.pool import RewardPool
from reward_score.rows import read_rows


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status: 0 if all is well, 1 if a row is not, 2 if a file cannot be read."""
    options = _parser().parse_args(argv)
    console = Console(width=None if sys.stdout.isatty() else 140, soft_wrap=False)
    try:
        with RewardPool(options.workers, options.timeout, options.memory_limit_mb) as pool:
            checkup = Checkup(pool, options.probe_rows)
            for file in options.files:
                checkup.examine(read_rows(file))
    except ValueError as error:
        console.print(str(error), style="red", markup=False)
        return 2
    console.print(_table(checkup.reports))
    healthy = True
    for source, report in sorted(checkup.reports.items()):
        for kind, found in report.problems.items():
            healthy = False
            console.print(f"\n{source}: {kind} ({len(found)} times)", style="red", markup=False)
            for line in found[:options.show]:
                console.print(f"  {line}", markup=False)
    console.print("all is well" if healthy else "\nnot fit for training", markup=False)
    return 0 if healthy else 1


def _table(reports: dict[str, SourceReport]) -> Table:
    table = Table("data_source", *("rows", "references", "wrong answers", "problems", "p50 ms", "p99 ms"))
    for source, report in sorted(reports.items()):
        problems = sum(map(len, report.problems.values()))
        table.add_row(source, *(str(n) for n in (report.rows, report.references, report.probes, problems)),
                      *_latency(report.seconds))
    return table


def _latency(seconds: Sequence[float]) -> tuple[str, str]:
    if len(seconds) < 2:
        return tuple(f"{1000 * value:.1f}" for value in seconds * 2) or ("-", "-")
    return f"{1000 * statistics.median(seconds):.1f}", f"{1000 * statistics.quantiles(seconds, n=100)[98]:.1f}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m reward_score.doctor", description=__doc__)
    parser.add_argument("files", nargs="+", help="datasets: .parquet, .jsonl or .json")
    parser.add_argument("--workers", type=int, help="reward processes (default: one per core, at most 8)")
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds per answer (default: %(default)s)")
    parser.add_argument("--memory-limit-mb", type=int, default=4096, help="of a process (default: %(default)s)")
    parser.add_argument("--probe-rows",
                        type=int,
                        default=20,
                        help="rows of each data_source that wrong answers are tried on (default: %(default)s)")
    parser.add_argument("--show", type=int, default=10, help="rows shown of each problem (default: %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
