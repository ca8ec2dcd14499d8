"""The engine at full strength. Writes bench/engine.json after each part; exit code 1 if one has not passed.

`python -m bench.accept_engine PART …` runs only these parts and keeps what the file says of the others.
"""
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.engine_failures import replica_killed, trainer_killed
from bench.kills import kills
from bench.stamp import stamp
from bench.world_sizes import world_sizes

RESULTS = Path(__file__).parents[1] / "bench" / "engine.json"


def failures() -> dict[str, Any]:
    """A replica killed in mid-generation, and a training worker."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        report = {f"replica killed, {engine}": replica_killed(engine, folder / engine) for engine in ("hf", "vllm")}
        report["trainer killed"] = trainer_killed("hf", folder / "trainer")
    return report | {"passed": all(part["passed"] for part in report.values())}


PARTS: dict[str, Callable[[], dict[str, Any]]] = {"failures": failures, "world_sizes": world_sizes, "kills": kills}


def main(names: Sequence[str]) -> int:
    """Runs the parts named, else all; -> the exit code."""
    report: dict[str, Any] = json.loads(RESULTS.read_text()) if names and RESULTS.exists() else {}
    for name in names or PARTS:
        report[name] = {"command": f"bash scripts/accept.sh engine {name}", **stamp(), **PARTS[name]()}
        print(json.dumps({name: report[name]}, indent=2), flush=True)
        RESULTS.write_text(json.dumps(report, indent=2) + "\n")
    return 0 if all(report[name]["passed"] for name in names or PARTS) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
