"""Datasets at full size: every script twice, a thousand puzzles of each kind, rows per second.

Writes bench/datasets.json and bench/preprocess.json. Exit code 1 if a figure misses its goal.
"""
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import preprocess
from bench.stamp import stamp
from data_preprocess.logic import puzzle_gen
from data_preprocess.logic.graph_dataset_gen import logic as graph_gen
from data_preprocess.logic.zebrapuzzle_gen import puzzle_generator as zebra_gen

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "datasets.json"
FIXTURES = ROOT / "tests" / "data_preprocess" / "fixtures"
GOALS = {
    "all scripts, seconds": 120,
    "3,000 puzzles, seconds": 60,
    "rows, times datasets.map": 2,
    "rows, peak GiB": 1.5
}


def all_scripts() -> dict[str, Any]:
    """Runs every script on its fixture twice: seconds of the first, whether both wrote the same bytes."""
    seconds, written = [], []
    with tempfile.TemporaryDirectory() as folder:
        for run in ("a", "b"):
            start = time.perf_counter()
            target = Path(folder) / run
            subprocess.run([sys.executable, "-m", "data_preprocess", "run", "--all", "--input-dir", str(FIXTURES),
                            "--data-dir", str(target), "--sample-size", "100"],
                           cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # yapf: disable
            seconds.append(time.perf_counter() - start)
            written.append({path.relative_to(target): path.read_bytes() for path in target.rglob("*.parquet")})
    return {"seconds": round(seconds[0], 1), "files": len(written[0]), "byte-identical": written[0] == written[1]}


def puzzles(count: int = 1000) -> dict[str, float]:
    """Processor seconds on one core for so many puzzles of each kind; the generators prove each unique."""
    seconds = {}
    for name, generator in (("zebra", zebra_gen), ("ordering", puzzle_gen), ("graph", graph_gen)):
        start = time.process_time()
        assert len({puzzle["id"] for puzzle in generator.generate_many(count, 1)}) == count
        seconds[name] = round(time.process_time() - start, 2)
    return seconds


def main() -> int:
    """Runs all parts; -> the exit code."""
    report: dict[str, Any] = {"command": "bash scripts/accept.sh datasets", **stamp(), "goals": GOALS,
                              "all scripts": all_scripts(), "puzzles": puzzles()}  # yapf: disable
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2), flush=True)
    rows = preprocess.compare(200_000)
    preprocess.RESULTS.write_text(json.dumps(rows, indent=2) + "\n")
    print(json.dumps(rows, indent=2))
    good = [
        report["all scripts"]["byte-identical"], report["all scripts"]["seconds"] < GOALS["all scripts, seconds"],
        sum(report["puzzles"].values()) < GOALS["3,000 puzzles, seconds"], rows["ours is faster by"]["datasets.map"]
        >= GOALS["rows, times datasets.map"], rows["peak memory GiB"]["ours"] < GOALS["rows, peak GiB"]
    ]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
