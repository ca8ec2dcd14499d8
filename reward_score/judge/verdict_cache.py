"""Verdicts on disk: one small file each, so that any number of processes, on NFS too, may read and write.

Only verdicts are kept; that a judge was down or babbled never is.
"""

import json
import logging
import os
import threading
from pathlib import Path

_MAX_BYTES = 1000
_log = logging.getLogger(__name__)


def read_cached(cache: Path, key: str) -> bool | None:
    """The verdict of `key` (hex); None if there is none or its file is damaged."""
    try:
        with open(_path(cache, key), encoding="utf-8") as file:
            entry = json.loads(file.read(_MAX_BYTES))
    except (OSError, ValueError):
        return None
    known = isinstance(entry, dict) and entry.get("key") == key and isinstance(entry.get("verdict"), bool)
    return entry["verdict"] if known else None


def write_cached(cache: Path, key: str, verdict: bool) -> None:
    """Keeps a verdict; readers see the old file or the new one. A cache that cannot be written is only a warning."""
    path = _path(cache, key)
    partial = cache / f".partial-{os.getpid()}-{threading.get_ident()}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps({"key": key, "verdict": verdict}), encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        _log.warning("judge verdicts are not kept in %s (REWARD_JUDGE_CACHE): %s", cache, error)


def _path(cache: Path, key: str) -> Path:
    return cache / key[:2] / f"{key}.json"
