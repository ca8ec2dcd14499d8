"""What a person at the terminal sees: one line per step, and a bar while a step runs."""
import sys
from collections.abc import Mapping
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


def step_line(metrics: Mapping[str, float], epoch: int, total_epochs: int, step: int, total_steps: int,
              seconds_left: float | None) -> str:
    """One readable line; what `metrics` lacks is left out.

    Args:
        metrics: of the step, under verl's names.
        epoch, step: counted from 1.
        seconds_left: until the last step, None while unknown.
    """
    parts = [f"epoch {epoch}/{total_epochs}", f"step {step}/{total_steps}"]
    if "critic/score/mean" in metrics:
        parts.append(f"reward {metrics['critic/score/mean']:.3f}")
    if "response_length/mean" in metrics:
        parts.append(
            f"response {metrics['response_length/mean']:.0f} tokens, max {metrics.get('response_length/max', 0):.0f}")
    if metrics.get("timing_s/step"):
        if "perf/total_num_tokens" in metrics:
            parts.append(f"{metrics['perf/total_num_tokens'] / metrics['timing_s/step']:,.0f} tokens/s")
        parts.append(f"{metrics['timing_s/step']:.1f} s")
    if seconds_left is not None:
        parts.append(f"{duration(seconds_left)} left")
    return " · ".join(parts)


def duration(seconds: float) -> str:
    """12 s, 3:05 min, 4:10 h, 2 d 4 h."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02} min"
    if whole < 86400:
        return f"{whole // 3600}:{whole % 3600 // 60:02} h"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


class StepProgress:
    """A bar over the phases of one step, gone when the step ends. Silent where stdout is no terminal.

    Example:
        with StepProgress("step 3/30") as progress:
            progress.phase("generate", total=512)
            progress.advance()
            progress.phase("update_actor")
    """

    def __init__(self, title: str) -> None:
        self._title = title
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        console = Console()  # looks at stdout now; the shared one of rich did so at its first use
        self._progress = Progress(*columns, console=console, transient=True, disable=not sys.stdout.isatty())
        self._task: TaskID | None = None

    def __enter__(self) -> "StepProgress":
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._progress.stop()

    def phase(self, name: str, total: int | None = None) -> None:
        """What the step does now; without `total` the bar only shows that something runs."""
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(f"{self._title} · {name}", total=total)
        self._progress.refresh()

    def advance(self, amount: int = 1) -> None:
        """So much more of the phase's total is done."""
        assert self._task is not None, "advance() belongs to a phase()"
        self._progress.advance(self._task, amount)
