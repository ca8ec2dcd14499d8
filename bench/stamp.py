"""What every acceptance report says of its run: the commit and the machine."""

import os
import platform
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]


def stamp() -> dict[str, str]:
    """`commit`, the one that is checked out, and `machine`, such as "2 cores, x86_64"."""
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return {"commit": head.strip(), "machine": f"{os.cpu_count()} cores, {platform.machine()}"}
