"""Math answers: our pool against a plain serial math-verify loop, with and without answers that never end.

    python -m bench.rewards_math [COUNT]

Both get the same answers, eight to a problem, in alternating rounds; medians count. The plain loop reads box and truth
with math-verify's own parser and its own timeouts of one second; the pool has two workers and a deadline of one second.
"""

import json
import logging
import random
import statistics
import sys
import time
from typing import Any

from reward_score.pool import RewardPool, RewardRequest

ANSWERS_PER_PROBLEM = 8
WORKERS, DEADLINE, ROUNDS = 2, 1.0, 3
TEMPLATE = "<think>Let me see: {steps}</think>Therefore the answer is $\\boxed{{{answer}}}$."


def problems(count: int, seed: int = 1) -> list[tuple[str, list[str]]]:
    """`(truth, spellings and wrong answers)`, in about the proportions of DAPO and MATH rows."""
    rng = random.Random(seed)
    makers = [_integer] * 8 + [_fraction] * 4 + [_surd] * 3 + [_polynomial] * 3 + [_interval, _tuple]
    return [rng.choice(makers)(rng) for _ in range(count)]


def _integer(rng: random.Random) -> tuple[str, list[str]]:
    n = rng.randint(-20, 3000)
    return str(n), [str(n), f"{n:,}", f"{n}.0", f"x = {n}", str(n + 1), str(2 * n + 1), rf"\frac{{{n}}}{{7}}"]


def _fraction(rng: random.Random) -> tuple[str, list[str]]:
    a, b = rng.randint(1, 60), rng.choice([3, 7, 8, 9, 11, 13])
    truth = rf"\frac{{{a}}}{{{b}}}"
    return truth, [truth, rf"\dfrac{{{2 * a}}}{{{2 * b}}}", f"{a}/{b}", str(a), rf"\frac{{{b}}}{{{a}}}", f"{a / b:.3f}"]


def _surd(rng: random.Random) -> tuple[str, list[str]]:
    a, b, c = rng.randint(1, 20), rng.randint(2, 9), rng.choice([2, 3, 5, 7])
    truth = rf"{a}+{b}\sqrt{{{c}}}"
    return truth, [
        truth, rf"{b}\sqrt{{{c}}}+{a}", rf"{a}+\sqrt{{{b * b * c}}}", rf"{a}-{b}\sqrt{{{c}}}", rf"{b}+{a}\sqrt{{{c}}}"
    ]


def _polynomial(rng: random.Random) -> tuple[str, list[str]]:
    a, b = rng.randint(1, 9), rng.randint(1, 9)
    truth = f"x^{{2}}+{a + b}x+{a * b}"
    return truth, [truth, f"(x+{a})(x+{b})", f"x^2 + {a + b}x + {a * b}", f"(x+{a})(x-{b})", f"x^2+{a * b}x+{a + b}"]


def _interval(rng: random.Random) -> tuple[str, list[str]]:
    a, b = rng.randint(-9, 0), rng.randint(1, 9)
    truth = f"[{a}, {b})"
    return truth, [truth, rf"\left[{a},{b}\right)", f"({a}, {b})", f"[{a}, {b + 1})"]


def _tuple(rng: random.Random) -> tuple[str, list[str]]:
    a, b = rng.randint(-9, 9), rng.randint(1, 9)
    truth = rf"({a}, \frac{{{b}}}{{2}})"
    return truth, [truth, f"({a}, {b / 2})", rf"(\frac{{{b}}}{{2}}, {a})", f"({a}, {b})"]


def _slow_sum(rng: random.Random) -> str:
    return "+".join(rf"\tan({rng.randint(10, 99)}^{{99999}})" for _ in range(12))


def requests(count: int, hostile_share: float, seed: int = 1) -> list[RewardRequest]:
    """`count` answers to `count / 8` problems; a share of them would take for ever, whatever was asked.

    Half of those are towers of powers, which the workers refuse at sight; half are slow sums that nothing refuses.
    """
    rng = random.Random(seed)
    rows = []
    for truth, answers in problems(-(-count // ANSWERS_PER_PROBLEM), seed):
        for _ in range(ANSWERS_PER_PROBLEM):
            answer = rng.choice(answers)
            if rng.random() < hostile_share:
                answer = "9^{9^{9^{9}}}" if rng.random() < 0.5 else _slow_sum(rng)
            rows.append(RewardRequest("math", TEMPLATE.format(steps="1 + 1 = 2. " * 100, answer=answer), truth))
    return rows[:count]


def plain_loop(rows: list[RewardRequest]) -> list[bool]:
    """What a trainer without a pool does."""
    from math_verify import parse, verify

    logging.getLogger("math_verify").setLevel(logging.CRITICAL)
    verdicts = []
    for row in rows:
        truth = parse(rf"\boxed{{{row.ground_truth}}}", parsing_timeout=int(DEADLINE))
        answer = parse(row.solution_str.rpartition("</think>")[2], parsing_timeout=int(DEADLINE))
        verdicts.append(bool(verify(truth, answer, timeout_seconds=int(DEADLINE))))
    return verdicts


def compare(count: int = 10_000, hostile_share: float = 0.0, rounds: int = ROUNDS) -> dict[str, Any]:
    """Times both on the same answers, in turns; `count` new ones each round, so that no cache knows them.

    Returns:
        Median seconds `plain` and `pool`, their ratio `speedup`, `overhead_us` of the pool per answer that costs
        nothing to score, `agree` (the share of equal verdicts) and `statuses` of the pool.
    """
    warm_up = requests(200, 0.0, seed=0)
    plain_loop(warm_up)  # the parser's first steps are slow
    times: dict[str, list[float]] = {"plain": [], "pool": []}
    with RewardPool(WORKERS, DEADLINE, data_sources=["math"]) as pool:
        pool.score(warm_up)
        for turn in range(rounds):
            rows = requests(count, hostile_share, seed=turn + 1)
            for name in ("plain", "pool") if turn % 2 == 0 else ("pool", "plain"):
                start = time.perf_counter()
                if name == "plain":
                    verdicts = plain_loop(rows)
                else:
                    results = pool.score(rows)
                times[name].append(time.perf_counter() - start)
        overhead = _overhead(pool)
    plain, ours = statistics.median(times["plain"]), statistics.median(times["pool"])
    same = sum(verdict == (result.acc == 1) for verdict, result in zip(verdicts, results, strict=True))
    statuses = {status: sum(result.status == status for result in results) for status in {r.status for r in results}}
    return {
        "count": count,
        "hostile_share": hostile_share,
        "plain": round(plain, 3),
        "pool": round(ours, 3),
        "speedup": round(plain / ours, 2),
        "overhead_us": round(overhead * 1e6),
        "agree": round(same / count, 4),
        "statuses": statuses
    }


def _overhead(pool: RewardPool, count: int = 2000) -> float:
    """Seconds per answer of the pool alone: answers without a box are wrong at first sight."""
    rows = [RewardRequest("math", "no answer", "1")] * count
    start = time.perf_counter()
    pool.score(rows)
    return (time.perf_counter() - start) / count


if __name__ == "__main__":
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    for share in (0.0, 0.01):
        print(json.dumps(compare(size, share)), flush=True)
