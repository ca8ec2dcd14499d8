"""Writing files and folders so that a reader sees them complete or not at all.

Each helper writes beside the target and renames: a process killed at any instant leaves the old state or the new one,
and at most a leftover whose name starts with a dot. Power failure is not covered (nothing is fsynced).
"""
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_file(path: str | os.PathLike) -> Iterator[Path]:
    """Yields a temporary path beside `path`; what is written there becomes `path` when the block ends without error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def atomic_write_text(path: str | os.PathLike, text: str) -> None:
    """Writes `text` as UTF-8; replaces an older file."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def put_back(path: str | os.PathLike) -> None:
    """Gives a folder its name again if a kill between the two renames of `atomic_directory` took it."""
    path = Path(path)
    previous = path.with_name(f".{path.name}.old")
    if previous.exists() and not path.exists():
        os.rename(previous, path)


@contextmanager
def atomic_directory(path: str | os.PathLike) -> Iterator[Path]:
    """Yields an empty folder beside `path` that becomes `path` when the block ends without error.

    One writer per `path`: the temporary name is fixed, so the leftover of a killed writer is removed by the next one.
    POSIX renames no folder over a full one: an older `path` is moved aside first. A kill between these two renames
    leaves it under the name `.<name>.old`; `put_back` and the next call undo that.
    """
    path = Path(path)
    temporary, previous = path.with_name(f".{path.name}.tmp"), path.with_name(f".{path.name}.old")
    put_back(path)
    for leftover in (temporary, previous):
        if leftover.exists():
            shutil.rmtree(leftover)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        if path.exists():
            os.rename(path, previous)
        os.rename(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    if previous.exists():
        shutil.rmtree(previous)
