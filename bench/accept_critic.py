"""PPO with a critic on the quick start's task: at least 0.15 more accuracy on held-out problems than the warm start.

Writes bench/critic.json. Exit code 1 if it does not learn.
"""
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.stamp import stamp

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "bench" / "critic.json"
OVERRIDES = ["algorithm.adv_estimator=gae", "critic.optim.lr=5e-4", "algorithm.lam=1.0", "trainer.critic_warmup=2"]
GAIN = 0.15


def main() -> int:
    """Runs it; -> the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(ROOT / "scripts" / "quickstart" / "run.py"), *OVERRIDES]
        subprocess.run(command, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)
        result = json.loads((Path(folder) / "outputs/quickstart/result.json").read_text())
    passed = result["accuracy_after"] >= result["accuracy_before"] + GAIN
    shown = " ".join(["python", "scripts/quickstart/run.py", *OVERRIDES])
    RESULT.write_text(json.dumps({**stamp(), "command": shown, **result, "passed": passed}, indent=2) + "\n")
    print(f"{result['accuracy_before']:.3f} -> {result['accuracy_after']:.3f}  {'passed' if passed else 'FAILED'}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
