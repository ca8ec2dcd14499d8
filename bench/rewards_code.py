"""Code answers in a reward pool against a plain loop that starts one Python per test, as upstream's default does.

    python bench/rewards_code.py [COUNT]

The loop has no isolation. It stops at an answer's first failing test, as the pool does. Both get the same deadline.
"""
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from reward_score.extraction import last_code_block
from reward_score.pool import RewardPool, RewardRequest

DEADLINE = 1.0  # seconds per test in the loop, per answer in the pool
WORKERS = 2
ROUNDS = 3
TESTS = "\n".join(f"assert digits({n}) == {sum(map(int, str(n)))}" for n in (0, 7, 19, 123456, 10**30 - 1))
PAIRS = {"inputs": [f"{n}\n{' '.join(map(str, range(n)))}\n" for n in (1, 5, 50, 200)],
         "outputs": [f"{n * (n - 1) // 2}\n" for n in (1, 5, 50, 200)]}  # yapf: disable
FUNCTIONS = ["def digits(n):\n    return sum(map(int, str(n)))",
             "def digits(n):\n    total = 0\n    while n:\n        total += n % 10\n        n //= 10\n    return total",
             "def digits(n):\n    return n % 9"]  # yapf: disable
PROGRAMS = ["n = int(input())\nprint(sum(map(int, input().split())))",
            "import sys\nprint(sum(map(int, sys.stdin.read().split()[1:])))",
            "n = int(input())\nprint(len(input().split()))"]  # yapf: disable
HANGING = "while True:\n    pass"


def answers(count: int, hanging: int = 0) -> list[RewardRequest]:
    """`count` answers, functions and programs in turn, a third wrong; every `hanging`-th never ends (0: none)."""
    requests = []
    for i in range(count):
        source, codes, truth = (("codegen__mbpp", FUNCTIONS, {"functional": TESTS}), ("taco", PROGRAMS, PAIRS))[i % 2]
        code = HANGING if hanging and i % hanging == hanging - 1 else codes[i // 2 % 3]
        requests.append(RewardRequest(source, f"```python\n# {i}\n{code}\n```", json.dumps(truth)))
    return requests


def plain(requests: list[RewardRequest]) -> list[float]:
    """The loop."""
    return [
        float(_passes(last_code_block(request.solution_str), json.loads(request.ground_truth))) for request in requests
    ]


def _passes(code: str, truth: dict[str, Any]) -> bool:
    if "functional" in truth:
        return _run(f"{code}\n{truth['functional']}", "") is not None
    return all((_run(code, stdin) or "").strip() == stdout.strip()
               for stdin, stdout in zip(truth["inputs"], truth["outputs"], strict=True))  # yapf: disable


def _run(code: str, stdin: str) -> str | None:
    try:
        done = subprocess.run([sys.executable, "-c", code], input=stdin, capture_output=True, text=True,
                              timeout=DEADLINE, check=False)  # yapf: disable
    except subprocess.TimeoutExpired:
        return None
    return done.stdout if done.returncode == 0 else None


def pooled(pool: RewardPool) -> Callable[[list[RewardRequest]], list[float]]:
    """The pool, warm."""
    return lambda requests: [result.score for result in pool.score(requests)]


def compare(count: int) -> dict[str, Any]:
    """Both on the same answers, alternating; medians of `ROUNDS`, in seconds, and how many times faster the pool is."""
    report: dict[str, Any] = {"answers": count, "workers": WORKERS, "deadline": DEADLINE}
    with RewardPool(num_workers=WORKERS, timeout=DEADLINE, data_sources=["codegen__mbpp", "taco"]) as pool:
        pool.score(answers(8))
        for name, hanging in (("no_hostile_input", 0), ("one_percent_hanging", 100)):
            requests = answers(count, hanging)
            times: dict[str, list[float]] = {"pool": [], "loop": []}
            scores = {}
            for _ in range(ROUNDS):
                for side, score in (("pool", pooled(pool)), ("loop", plain)):
                    start = time.perf_counter()
                    scores[side] = score(requests)
                    times[side].append(time.perf_counter() - start)
            assert scores["pool"] == scores["loop"], "the two do not agree"
            medians = {side: statistics.median(seconds) for side, seconds in times.items()}
            report[name] = {**{f"{side}_seconds": round(value, 3) for side, value in medians.items()},
                            "ms_per_answer": round(medians["pool"] / count * 1000, 2),
                            "times_faster": round(medians["loop"] / medians["pool"], 2)}  # yapf: disable
    return report


if __name__ == "__main__":
    print(json.dumps(compare(int(sys.argv[1]) if len(sys.argv) > 1 else 500), indent=2))
