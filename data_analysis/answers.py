"""Answers to one split, resumed by request: what an earlier process wrote stays and is not asked again."""

from collections.abc import Callable, Sequence
from typing import Protocol

from data_analysis.batch import Task, read_tasks
from data_analysis.journal import Journal, read_journal
from data_analysis.layout import RunFolder

Write = Callable[[dict], None]


class Engine(Protocol):
    """What answers tasks: a server over HTTP, or a model in this process."""

    def answer(self, tasks: Sequence[Task], write: Write) -> None:
        """Hands the line of each answer to `write`, in whatever order. Raises RuntimeError if it cannot go on."""


class UnansweredError(RuntimeError):
    """A split has requests left; run again, it goes on from there."""


def answer_split(run: RunFolder, i: int, n: int, engine: Callable[[], Engine], wait: float = 0.0) -> int:
    """`n` answers to each request of split `i`; -> how many were missing. `engine` is called if any are.

    Raises:
        JournalBusyError: another process is at work on this split, for more than `wait` seconds.
        UnansweredError: some requests have no answer yet.
    """
    if run.is_done(i, n):
        return 0
    tasks = read_tasks(run.data.split(i), n)
    with Journal(run.answers(i), wait) as journal:
        done = {(line["custom_id"], line["sample"]) for line in read_journal(journal.path)}
        missing = {task.key: task for task in tasks if task.key not in done}
        count = len(missing)

        def write(line: dict) -> None:
            if missing.pop((line["custom_id"], line["sample"]), None):  # else it is answered already
                journal.append(line)

        if missing:
            engine().answer(list(missing.values()), write)
        if missing:
            raise UnansweredError(f"split {i}: {len(missing)} of {len(tasks)} requests have no answer, such as "
                                  f"{next(iter(missing.values())).custom_id}; run it again")
        run.mark_done(i, n, len(tasks))
    return count
