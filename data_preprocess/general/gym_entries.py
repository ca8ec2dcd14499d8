"""Entries of a reasoning_gym task, from a process of its own.

Some tasks walk through sets of texts, whose order Python draws anew in every process unless PYTHONHASHSEED is set;
with it, one seed makes the same entries everywhere.
"""

import contextlib
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator

BLOCK = 500  # entries of one dataset object: the library's default, since some tasks prepare all of them at once


def entries(task: str, config: str, start: int) -> Iterator[dict]:
    """Entries (question, answer, metadata) without end; entry i is made from the seed start + i.

    Raises:
        ValueError: there is no such task, or it does not take the configuration.
    """
    command = [sys.executable, "-P", __file__, task, config, str(start)]  # -P: not this folder's reasoning_gym.py
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8", env=environment) as process:
        try:
            for line in process.stdout:
                entry = json.loads(line)
                if "error" in entry:
                    raise ValueError(f"--task {task} --config {config!r}: {entry['error']}")
                yield entry
            raise ValueError(f"--task {task} --config {config!r}: the generator ended with {process.wait()}")
        finally:
            process.kill()


def _write(task: str, config: str, start: int) -> None:
    """A line of JSON for each entry. What the library prints goes to stderr."""
    with open(os.dup(sys.stdout.fileno()), "w", encoding="utf-8") as lines, contextlib.redirect_stdout(sys.stderr):
        try:
            for seed in itertools.count(start, BLOCK):
                for entry in _block(task, config, seed):
                    print(json.dumps(entry, ensure_ascii=False, default=_plain), file=lines, flush=True)
        except (ValueError, TypeError, AssertionError) as error:
            print(json.dumps({"error": str(error)}), file=lines)


def _block(task: str, config: str, seed: int) -> Iterator[dict]:
    import reasoning_gym

    block = reasoning_gym.create_dataset(task, seed=seed, size=BLOCK, **json.loads(config))
    return (block[number] for number in range(BLOCK))


def _plain(value: object) -> object:
    return value.tolist() if hasattr(value, "tolist") else str(value)


if __name__ == "__main__":
    _write(sys.argv[1], sys.argv[2], int(sys.argv[3]))
