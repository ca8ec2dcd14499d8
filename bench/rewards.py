"""Rewards per second, ours against a plain loop: mathematics (math-verify, serial) and code (a subprocess per test).

    python -m bench.rewards        prints the figures; scripts/accept.sh rewards writes them to bench/rewards.json
"""

import json
from typing import Any

from bench import rewards_code, rewards_math

GOAL, GOAL_HOSTILE = 1.7, 3.0  # times faster, on two cores


def speed() -> dict[str, Any]:
    """All comparisons, each alternating in one run, and whether they reach their goals."""
    report: dict[str, Any] = {
        "math": rewards_math.compare(10_000, 0.0),
        "math, 1 % hanging": rewards_math.compare(10_000, 0.01),
        "code": rewards_code.compare(500),
    }
    code = report["code"]
    fast = min(report["math"]["speedup"], code["no_hostile_input"]["times_faster"]) >= GOAL
    steady = min(report["math, 1 % hanging"]["speedup"], code["one_percent_hanging"]["times_faster"]) >= GOAL_HOSTILE
    return {"command": "python -m bench.rewards", **report, "passed": fast and steady}


if __name__ == "__main__":
    print(json.dumps(speed(), indent=2))
