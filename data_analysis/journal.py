"""Append-only JSON lines that survive a kill at any instant: a torn last line is dropped, whole lines stay."""

import fcntl
import json
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

logger = logging.getLogger(__name__)
_BLOCK = 1 << 16


class JournalBusyError(RuntimeError):
    """Another process is writing the file."""


class Journal:
    """The one writer of a file, while it is open as a context manager.

    Args:
        wait: seconds to wait for another writer to end.

    Raises:
        JournalBusyError: on entry, if the other writer does not.
    """

    def __init__(self, path: Path, wait: float = 0.0) -> None:
        self.path, self._wait = path, wait

    def __enter__(self) -> "Journal":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("a+b", buffering=0)
        try:
            self._lock()
        except JournalBusyError:
            self._file.close()
            raise
        self._file.truncate(_end_of_last_line(self._file))
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()  # and with it the lock

    def append(self, record: dict) -> None:
        """One line, in one write."""
        line = (json.dumps(record, ensure_ascii=False) + "\n").encode("utf-8", "replace")
        while line:  # a full disk or a signal may cut a write short
            line = line[self._file.write(line):]

    def _lock(self) -> None:
        end = time.monotonic() + self._wait
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise JournalBusyError(f"{self.path}: another process is writing it") from None
                time.sleep(min(1.0, self._wait / 10))


def read_journal(path: Path) -> Iterator[dict]:
    """The records of `path`, none if there is no file. What is no JSON object is left out with a warning."""
    if not path.exists():
        return
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                return  # torn, or being written
            try:
                record = json.loads(line)
            except ValueError:
                record = None
            if isinstance(record, dict):
                yield record
            else:
                logger.warning("%s, line %d is no JSON object; it is left out and its request will be done again", path,
                               number)


def _end_of_last_line(file: BinaryIO) -> int:
    end = file.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - _BLOCK)
        file.seek(start)
        newline = file.read(end - start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0
