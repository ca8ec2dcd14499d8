"""What users touch, at full size: 64 splits with jobs that die, a dataset of 4 GB in the viewer, every template.

    bash scripts/accept.sh surfaces [splits|viewer|templates ...]

Writes bench/surfaces.json and bench/viewer.json. Exit code 1 if a figure misses its goal. Templates need root.
"""
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import templates, viewer
from bench.data_analysis import generation_with_failures
from bench.stamp import stamp

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "surfaces.json"
SPLITS, FAIL = 64, 0.1
GOALS = {
    "splits": f"{SPLITS} splits, {FAIL:.0%} of the jobs killed: every request answered exactly once",
    "viewer": f"{viewer.ROWS:,} rows: first page < {viewer.FIRST_PAGE:.0f} s, peak memory < {viewer.PEAK} MB",
    "templates": f"{templates.STEPS} steps on two nodes; a lost node ends the job within {templates.GOAL} s; resumed",
}


def splits() -> dict[str, Any]:
    """Generation through a fake SLURM."""
    found = generation_with_failures(SPLITS, FAIL)
    whole = found.get("requests", 0) == found.get("answered once") and found.get("wrong") == 0
    return {**found, "passed": whole and found["jobs"].get("NODE_FAIL", 0) > 0}


def large_file() -> dict[str, Any]:
    """The viewer on the dataset of full size, in a process of its own."""
    viewer.RESULTS.unlink(missing_ok=True)
    done = subprocess.run([sys.executable, "-m", "bench.viewer"], cwd=ROOT, check=False)
    if not viewer.RESULTS.exists():
        return {"exit code": done.returncode, "passed": False}
    result = json.loads(viewer.RESULTS.read_text())
    return {"first page, seconds": result["views"]["first page"]["seconds"],
            "peak MB": max(view["peak_mb"] for view in result["views"].values()),
            "gigabytes": result["gigabytes"], "passed": result["passed"]}  # yapf: disable


def all_templates() -> dict[str, Any]:
    """Each of them."""
    found = templates.try_all(templates.TEMPLATES)
    return {**found, "passed": all(map(templates.passed, found.values()))}


PARTS: dict[str, Callable[[], dict[str, Any]]] = {"splits": splits, "viewer": large_file, "templates": all_templates}


def main(names: list[str]) -> int:
    """Runs the named parts, or all; -> the exit code. The file keeps what an earlier call found of other parts."""
    report = json.loads(RESULTS.read_text()) if names and RESULTS.exists() else {}
    for name in names or PARTS:
        about = {"command": f"bash scripts/accept.sh surfaces {name}", **stamp(), "goal": GOALS[name]}
        report[name] = about | PARTS[name]()
        RESULTS.write_text(json.dumps(report, indent=2) + "\n")
        print(f"{name}: {'passed' if report[name]['passed'] else 'FAILED'}", flush=True)
    return 0 if all(report[name]["passed"] for name in names or PARTS) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
