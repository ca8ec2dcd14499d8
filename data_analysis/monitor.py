"""Submits one job per split, watches them, submits failed ones again.

What is true is read anew at each look: squeue says what is alive, a split's .done file that it is complete. A job
counts for a split by its name, whoever submitted it; a job of another name whose id is in sgl_job_ids.txt is waited
for too. So the monitor may be stopped and started at any time.
"""

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from data_analysis.job_script import JobSettings, job_name, job_script
from data_analysis.layout import RunFolder
from data_analysis.progress import LineCounter, SplitState, summary, table, warn
from data_analysis.slurm import LiveJob, Slurm, SlurmError
from verl.utils.fs import atomic_write_text

LOOKS_BEFORE_FAILED = 2  # without a job and not complete: squeue and shared file systems may lag by one
SILENT_LOOKS = 20  # in a row that SLURM may fail


class Monitor:
    """The jobs of one run.

    Args:
        retries: how often a split whose job failed is submitted again.
        poll: seconds between looks.
        scripts: folder of job scripts; ids_file: ids of jobs, one a line, also added by hand.
    """

    def __init__(self, run: RunFolder, settings: JobSettings, retries: int = 3, poll: float = 30.0,
                 scripts: Path = Path("temp_job_scripts"), ids_file: Path = Path("sgl_job_ids.txt"),
                 slurm: Slurm | None = None, say: Callable[[str], None] = print) -> None:  # yapf: disable
        self._run, self._settings, self._retries, self._poll = run, settings, retries, poll
        self._scripts, self._ids_file, self._slurm, self._say = scripts, ids_file, slurm or Slurm(), say
        self._requests = run.data.manifest().requests
        self._names = {job_name(run, i): i for i in range(len(self._requests))}
        self._counters = [LineCounter(run.answers(i)) for i in range(len(self._requests))]
        self._submitted: Counter[int] = Counter()  # by this monitor
        self._absent: Counter[int] = Counter()  # looks in a row without a job
        self._last: dict[int, str] = {}  # split -> its latest job
        self._notes: dict[int, str] = {}
        self._shown: list[tuple[str, str]] = []

    def run(self) -> int:
        """Watches until every split is complete (-> 0), or no job is left that could complete one (-> 1)."""
        self._prepare()
        started, before, silent = time.monotonic(), sum(c.count() for c in self._counters), 0
        while True:
            try:
                states, alive = self._look()
                silent = 0
            except SlurmError as error:
                silent += 1
                if silent >= SILENT_LOOKS:
                    raise
                warn(f"{error}; looking again")
                time.sleep(self._poll)
                continue
            self._show(states, started, before)
            if all(state.state == "done" for state in states):
                return 0
            if not alive and all(state.state in ("done", "failed") for state in states):
                self._say(self._advice(states))
                return 1
            time.sleep(self._poll)

    def commands(self) -> list[str]:
        """What `run` would submit now."""
        return [f"sbatch --parsable {self.script(i)}" for i in range(len(self._requests)) if not self._is_done(i)]

    def _prepare(self) -> None:
        self._run.log("").mkdir(parents=True, exist_ok=True)
        for i in range(len(self._requests)):
            atomic_write_text(self.script(i), job_script(self._run, i, self._settings))
            self.script(i).chmod(0o755)

    def _look(self) -> tuple[list[SplitState], bool]:
        """-> the splits, and whether any job of theirs, or of the ids file, is alive. Submits what needs it."""
        live = self._slurm.live()
        by_split: dict[int, LiveJob] = {}
        for job in live.values():
            if job.name in self._names:
                by_split[self._names[job.name]] = job
                self._remember(job.id)
        named = set(self._read_ids()) & live.keys()
        strangers = any(live[job].name not in self._names for job in named)
        states = [self._look_at(i, by_split.get(i)) for i in range(len(self._requests))]
        return states, strangers or any(state.state in ("running", "pending", "waiting") for state in states)

    def _look_at(self, i: int, job: LiveJob | None) -> SplitState:
        state = self._state(i, job)
        wanted = self._requests[i] * self._settings.n
        if self._is_done(i):
            answers = wanted
        else:
            answers = min(self._counters[i].count(), wanted)
        return SplitState(i, state, self._last.get(i, ""), answers, wanted, self._submitted[i], self._notes.get(i, ""))

    def _state(self, i: int, job: LiveJob | None) -> str:
        if self._is_done(i):
            return "done"
        if job is not None:
            self._last[i], self._absent[i] = job.id, 0
            return "pending" if job.state in ("PENDING", "CONFIGURING", "REQUEUED") else "running"
        self._absent[i] += 1
        if i in self._last and self._absent[i] < LOOKS_BEFORE_FAILED:
            return "waiting"
        if i in self._last and self._absent[i] == LOOKS_BEFORE_FAILED:
            self._notes[i] = f"job {self._last[i]}: {self._slurm.ending(self._last[i])}"
        if self._submitted[i] > self._retries:
            return "failed"
        return self._submit(i)

    def _submit(self, i: int) -> str:
        """A refusal by sbatch (a limit on jobs, say) is tried again at the next look, and counts as no try."""
        try:
            self._last[i] = self._slurm.submit(self.script(i), [])
        except SlurmError as error:
            self._notes[i] = str(error).splitlines()[-1][:120]
            return "waiting"
        self._remember(self._last[i])
        self._submitted[i] += 1
        self._absent[i] = 0
        return "pending"

    def _is_done(self, i: int) -> bool:
        return not self._requests[i] or self._run.is_done(i, self._settings.n)

    def script(self, i: int) -> Path:
        return self._scripts / f"node_{i}_job.sh"

    def _read_ids(self) -> list[str]:
        try:
            return [word for line in self._ids_file.read_text().splitlines() if (word := line.split("#")[0].strip())]
        except FileNotFoundError:
            return []

    def _remember(self, job: str) -> None:
        """Adds an id to the file, in one write."""
        if job not in self._read_ids():
            text = self._ids_file.read_text() if self._ids_file.exists() else ""
            with self._ids_file.open("a") as file:
                file.write(f"{job}\n" if text.endswith("\n") or not text else f"\n{job}\n")

    def _show(self, states: list[SplitState], started: float, before: int) -> None:
        """The table when a split's state or job changed, else the summary."""
        shown = [(state.state, state.job) for state in states]
        if shown != self._shown:
            self._say(table(states))
            self._shown = shown
        self._say(summary(states, started, before))

    def _advice(self, states: list[SplitState]) -> str:
        failed = [state for state in states if state.state == "failed"]
        lines = [f"{len(failed)} splits failed {self._retries + 1} times:"]
        lines += [f"  split {s.split}: {s.note}; log {self._run.log(f'split_{s.split}-{s.job}.out')}" for s in failed]
        first = self.script(failed[0].split)
        return "\n".join([*lines, "mend the cause, then run this again; or submit one by hand and add its id to "
                          f"{self._ids_file}: sbatch {first}"])  # yapf: disable
