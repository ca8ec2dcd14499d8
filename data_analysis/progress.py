"""How far the splits are: answers counted as they are written, and a table of it."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_BLOCK = 1 << 20


def warn(text: str) -> None:
    """A line on stderr."""
    print(text, file=sys.stderr, flush=True)


class LineCounter:
    """Counts whole lines of a growing file; each look reads only what is new."""

    def __init__(self, path: Path) -> None:
        self._path, self._offset, self._lines = path, 0, 0

    def count(self) -> int:
        """Lines so far."""
        try:
            with self._path.open("rb") as file:
                file.seek(0, 2)
                if file.tell() < self._offset:  # a torn end was cut off, or someone began anew
                    self._offset = self._lines = 0
                file.seek(self._offset)
                while block := file.read(_BLOCK):
                    self._lines += block.count(b"\n")
                    self._offset += len(block)
        except FileNotFoundError:
            self._offset = self._lines = 0
        return self._lines


@dataclass(frozen=True)
class SplitState:
    """One line of the table. state: done, running, pending, waiting, failed."""
    split: int
    state: str
    job: str
    answers: int
    wanted: int
    tries: int
    note: str = ""


def summary(states: Sequence[SplitState], started: float, before: int) -> str:
    """One line: splits by state, answers, answers per second since `started`, when there were `before`."""
    by_state = {name: sum(state.state == name for state in states)
                for name in ("done", "running", "pending", "waiting", "failed")}  # yapf: disable
    answers, wanted = sum(state.answers for state in states), sum(state.wanted for state in states)
    rate = (answers - before) / max(time.monotonic() - started, 1e-3)
    left = f", {_span((wanted - answers) / rate)} left" if rate > 0 and answers < wanted else ""
    splits = ", ".join(f"{count} {name}" for name, count in by_state.items() if count)
    return (f"{time.strftime('%H:%M:%S')} splits: {splits}; answers: {answers:,} of {wanted:,} "
            f"({100 * answers / max(wanted, 1):.1f} %), {rate:.1f}/s{left}")


def table(states: Sequence[SplitState]) -> str:
    """A line per split."""
    head = f"{'split':>5}  {'state':<8} {'job':>10}  {'answers':>19}  {'jobs':>4}  note"
    return "\n".join([head] + [
        f"{s.split:>5}  {s.state:<8} {s.job or '-':>10}  {f'{s.answers:,} of {s.wanted:,}':>19}  {s.tries:>4}  {s.note}"
        .rstrip() for s in states
    ])


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
