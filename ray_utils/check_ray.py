"""Waits until the Ray cluster has enough nodes, GPUs or CPUs; run by check_ray.sh, which says how.

Exit code 0: there is enough; 1: time is up, or there is no cluster; 2: the call is wrong.
"""
import os
import sys
import time
from typing import Any

import ray

INTERVAL = 1.0  # s
UNITS = {"gpus": "GPU", "cpus": "CPU", "nodes": ""}


def count(nodes: list[dict[str, Any]], unit: str) -> int:
    """How many of `unit` the nodes (as `ray.nodes()`) have."""
    return int(sum(n["Resources"].get(UNITS[unit], 0) for n in nodes)) if UNITS[unit] else len(nodes)


def missing(nodes: list[dict[str, Any]], expected: list[str]) -> list[str]:
    """Names of `expected` that no node has; domains do not count."""
    here = {str(node["NodeManagerHostname"]).split(".")[0] for node in nodes}
    return [name for name in expected if name.split(".")[0] not in here]


def _names(nodes: list[dict[str, Any]]) -> str:
    return f"there are {', '.join(node['NodeManagerHostname'] for node in nodes)}"


def wait_for(wanted: int, unit: str, limit: float, expected: list[str]) -> bool:
    """Whether there are `wanted` within `limit` seconds; shows progress, and in the end what is missing."""
    deadline, shown = time.monotonic() + limit, None
    while True:
        nodes = [node for node in ray.nodes() if node["Alive"]]
        found = count(nodes, unit)
        if found != shown:
            print(f"check_ray: {found} of {wanted} {unit}", file=sys.stderr, flush=True)
            shown = found
        if found >= wanted:
            return True
        if time.monotonic() > deadline:
            hint = f"missing: {', '.join(missing(nodes, expected))}" if missing(nodes, expected) else _names(nodes)
            print(f"check_ray: {found} of {wanted} {unit} within {limit:g} s; {hint}", file=sys.stderr)
            return False
        time.sleep(INTERVAL)


def main(wanted: int, unit: str) -> int:
    """-> the exit code."""
    try:
        ray.init(os.environ.get("RAY_ADDRESS") or "auto", log_to_driver=False, logging_level="ERROR")
    except ConnectionError as error:
        print(f"check_ray: no Ray cluster is running here: {error}", file=sys.stderr)
        return 1
    limit = float(os.environ.get("RAY_START_TIMEOUT", "360"))
    return 0 if wait_for(wanted, unit, limit, os.environ.get("RAY_EXPECTED_NODES", "").split()) else 1


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[2] not in UNITS:
        print("usage: check_ray.sh N [gpus|cpus|nodes]", file=sys.stderr)
        sys.exit(2)
    sys.exit(main(int(sys.argv[1]), sys.argv[2]))
