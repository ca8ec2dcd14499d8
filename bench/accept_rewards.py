"""Rewards against the worst answers, then for long, then for speed. Writes bench/rewards.json after each part.

Exit code 1 if an answer gets another status than it should or is late, if anything is left behind, or if a benchmark
misses its goal.
"""
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from bench.rewards import speed
from bench.stamp import stamp
from reward_score.pool import RewardPool, RewardRequest

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "rewards.json"
HOSTILE = str(ROOT / "tests" / "reward_score" / "hostile.py")
DEADLINE = 10.0  # seconds; more than the sandbox gives to one answer
STDIO = json.dumps({"inputs": ["1\n"], "outputs": ["2\n"]})
WARM_UP = RewardRequest("openai/gsm8k", "#### 1", "1")


def boxed(answer: str) -> RewardRequest:
    """Against the truth 42."""
    return RewardRequest("math__dapo", rf"\boxed{{{answer}}}", "42")


def program(code: str) -> RewardRequest:
    """Code that should read 1 and print 2."""
    return RewardRequest("codegen__taco", f"```python\n{code}\n```", STDIO)


WORST = {
    "tower of powers": boxed("9^{9^{9^9}}"),
    "large power of a sum": boxed("(1+x)^{100000}"),
    "reply of 10 MB, math": boxed("9+" * 5_000_000 + "9"),
    "reply of 10 MB, no answer": RewardRequest("math__dapo", "\\boxed{" * 1_400_000, "42"),
    "fork bomb": program("import os\nwhile True:\n    os.fork()"),
    "while True": program("while True: pass"),
    "10 GB": program("x = bytearray(10 * 2**30)\nprint(2)"),
    "10 GB, a bit at a time": program("x = []\nwhile True: x.append(bytearray(10**7))"),
    "1 GB of output": program("import sys\nfor _ in range(1024): sys.stdout.write('x' * 2**20)"),
    "reply of 10 MB, code": program("x = '" + "y" * 10_000_000 + "'\nprint(3)"),
    "grandchild in its own session": program("import subprocess\n"
                                             "subprocess.Popen(['sleep', '600'], start_new_session=True)\nprint(3)"),
}  # yapf: disable


def worst_answers() -> dict[str, Any]:
    """Each alone on a pool: its status, seconds and whether the pool is well afterwards."""
    found = {}
    with RewardPool(2, DEADLINE, data_sources=["math__dapo", "codegen__taco"]) as pool:
        pool.score([boxed("x"), program("print(2)")] * 4)
        for name, request in WORST.items():
            start = time.monotonic()
            result = pool.score([request])[0]
            seconds = time.monotonic() - start
            healthy = [r.score for r in pool.score([boxed("42"), program("print(int(input()) + 1)")] * 4)] == [1.0] * 8
            found[name] = {"score": result.score, "status": result.status, "seconds": round(seconds, 3),
                           "detail": str(result.error or result.extra)[:120],
                           "passed": result.score == 0 and seconds < DEADLINE + 1 and healthy}  # yapf: disable
    return found


def endurance(kills: int = 300, tasks: int = 10_000) -> dict[str, Any]:
    """Kills, then a mixture with 1 % hostile answers at 0.2 s; what is left then, and after the pool is closed."""
    before = _held()
    start = time.monotonic()
    with RewardPool(2, 0.2, memory_limit_mb=300, custom=(HOSTILE, "compute_score", {})) as pool:
        pool.score([RewardRequest("hostile", "right", "")] * 8)
        opened = _held(pool)
        killed = Counter(r.status for r in pool.score([RewardRequest("hostile", "loop", "")] * kills))
        rng = random.Random(0)
        wanted = {"right": "ok", "loop": "timeout", "loop_in_c": "timeout", "exit 1": "crash", "segfault": "crash",
                  "fail": "error"}  # yapf: disable
        commands = [rng.choice(list(wanted)[1:]) if rng.random() < 0.01 else "right" for _ in range(tasks)]
        results = pool.score([RewardRequest("hostile", command, "") for command in commands])
        wrong = sum(wanted[command] != result.status for command, result in zip(commands, results, strict=True))
        pool.score([RewardRequest("hostile", "right", "")] * 8)
        left = _held(pool)
    after = _held()
    return {
        "kills": dict(killed),
        "tasks": dict(Counter(result.status for result in results)),
        "tasks with another status than theirs": wrong,
        "processes, descriptors with an open pool before and after": [opened, left],
        "processes, descriptors without a pool before and after": [before, after],
        "seconds": round(time.monotonic() - start, 1),
        "passed": killed == {
            "timeout": kills
        } and wrong == 0 and left == opened and after == before,
    }


def _held(pool: RewardPool | None = None) -> tuple[int, int]:
    """Processes below this one, and descriptors of this one and of the pool's supervisor."""
    supervisor = pool._process.pid if pool else None
    descriptors = sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in (os.getpid(), supervisor) if pid)
    return len(psutil.Process().children(recursive=True)), descriptors


def main() -> int:
    """Runs all parts; -> the exit code."""
    report: dict[str, Any] = {"command": "bash scripts/accept.sh rewards", **stamp()}  # yapf: disable
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "worst answers": worst_answers,
        "endurance": endurance,
        "speed": speed
    }
    for name, part in parts.items():
        report[name] = part()
        print(json.dumps({name: report[name]}, indent=2), flush=True)
        RESULTS.write_text(json.dumps(report, indent=2) + "\n")
    passed = all(case["passed"] for case in report["worst answers"].values())
    return 0 if passed and report["endurance"]["passed"] and report["speed"]["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
