"""The quick start as a new user meets it: an empty clone, three seeds with hf, once with vLLM, once with two workers.

Writes bench/spine.json after each run. Exit code 1 if a run is too slow (12 minutes, install included) or does not
learn (from at most 0.5 to at least 0.9 on held-out problems).
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.stamp import stamp

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "spine.json"
RUNS = {
    "hf, seed 1, install included": ["trainer.seed=1"],
    "hf, seed 2": ["trainer.seed=2"],
    "hf, seed 3": ["trainer.seed=3"],
    "two training workers": ["trainer.n_gpus_per_node=2"],
    "vllm": ["actor_rollout_ref.rollout.name=vllm"],
}
LIMIT_SECONDS, BEFORE, AFTER = 720.0, 0.5, 0.9


def quickstart(clone: Path, overrides: list[str]) -> dict[str, Any]:
    """One run in `clone`, whose .venv is kept and whose outputs are not."""
    shutil.rmtree(clone / "outputs", ignore_errors=True)
    command = ["bash", "scripts/quickstart.sh", *overrides]
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    start = time.monotonic()
    subprocess.run(command, cwd=clone, env=environment, check=True)
    seconds = time.monotonic() - start
    result = json.loads((clone / "outputs/quickstart/result.json").read_text())
    learned = result["accuracy_before"] <= BEFORE and result["accuracy_after"] >= AFTER
    return {
        "command": " ".join(command),
        "seconds": round(seconds, 1),
        **result, "passed": learned and seconds <= LIMIT_SECONDS
    }


def main() -> int:
    """Runs all of RUNS; -> the exit code."""
    report = {**stamp(), "runs": {}}
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        for name, overrides in RUNS.items():
            report["runs"][name] = quickstart(clone, overrides)
            RESULTS.write_text(json.dumps(report, indent=2) + "\n")
    for name, run in report["runs"].items():
        print(f"{name:32} {run['accuracy_before']:.3f} -> {run['accuracy_after']:.3f}  {run['seconds']:.0f} s  "
              f"{'passed' if run['passed'] else 'FAILED'}")
    return 0 if all(run["passed"] for run in report["runs"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
