"""Generation through SLURM with jobs that die: is every request answered exactly once?

    python bench/data_analysis.py 64
"""
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from data_analysis.batch import read_tasks  # noqa: E402
from data_analysis.layout import DataFolder  # noqa: E402
from tests.support import fake_slurm_jobs  # noqa: E402

SERVER = ROOT / "tests" / "support" / "fake_slurm_jobs" / "server.py"


def generation_with_failures(splits: int, fail: float = 0.1, rows_per_split: int = 5, n: int = 3,
                             seed: int = 0, nodes: int = 8) -> dict[str, Any]:  # yapf: disable
    """transform_dataset.py and sgl_generate.sh on a fake SLURM, where a share `fail` of jobs is killed at work.

    -> jobs by how they ended, requests, and how many of these have not exactly one answer, or a wrong one.
    """
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [{"problem": f"what is {i} + {i}?", "answer": str(2 * i)} for i in range(splits * rows_per_split)]
        env = environment(folder, n, nodes, fail, seed)
        (folder / "raw.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        split = [sys.executable, str(ROOT / "transform_dataset.py"), "--dataset", "raw.jsonl", "--output", "requests"]
        subprocess.run([*split, "--splits", str(splits)], cwd=folder, env=env, check=True, stdout=subprocess.DEVNULL)
        generate = ["bash", str(ROOT / "data_analysis" / "sgl_generate.sh")]
        done = subprocess.run(generate, cwd=folder, env=env, check=False, capture_output=True, text=True)
        jobs = endings(folder / "slurm")
        found = check(DataFolder(folder / "requests"), splits, n) if done.returncode == 0 else {"output": done.stderr}
    return {"splits": splits, "exit code": done.returncode, "jobs": dict(jobs), **found,
            "seconds": round(time.perf_counter() - started, 1)}  # yapf: disable


def environment(folder: Path, n: int, nodes: int, fail: float, seed: int) -> dict[str, str]:
    """Settings of sgl_generate.sh beside those of the fake SLURM."""
    return fake_slurm_jobs.environment(folder / "slurm", nodes, fail, seed) | {
        "PYTHONPATH": str(ROOT), "PYTHON": sys.executable, "DATA": "requests", "MODEL": "org/model", "N": str(n),
        "GPUS_PER_NODE": "0", "POLL_SECONDS": "0.5", "MAX_RESUBMIT": "5",
        "SERVER_COMMAND": f'"$PYTHON" {SERVER} --port "$PORT" --delay 0.02'
    }  # yapf: disable


def endings(slurm: Path) -> Counter[str]:
    """Jobs by their last state; the last ones may still be stopping their servers."""
    deadline = time.monotonic() + 60
    while True:
        jobs = Counter(file.read_text() for file in slurm.glob("*/state"))
        if time.monotonic() > deadline or not jobs["RUNNING"] + jobs["PENDING"]:
            return jobs
        time.sleep(0.1)


def check(data: DataFolder, splits: int, n: int) -> dict[str, int]:
    """Looks at the lines themselves."""
    answers, wanted, wrong = Counter(), {}, 0
    for i in range(splits):
        wanted |= {task.key: task for task in read_tasks(data.split(i), n)}
        for line in map(json.loads, data.run("org/model").answers(i).read_text().splitlines()):
            key = line["custom_id"], line["sample"]
            answers[key] += 1
            text = line["response"]["body"]["choices"][0]["message"]["content"]
            wrong += key not in wanted or not text.startswith(wanted[key].body["messages"][0]["content"] + " / ")
    return {"requests": len(wanted), "answered once": sum(answers[key] == 1 for key in wanted),
            "not once": sum(answers[key] != 1 for key in wanted), "wrong": wrong}  # yapf: disable


if __name__ == "__main__":
    print(json.dumps(generation_with_failures(int(sys.argv[1]) if len(sys.argv) > 1 else 64), indent=2))
