"""Every case of every reward at once: they must hold wherever a reward is called."""

import importlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from reward_score import default_compute_score
from tests.support.reward_cases import Case

FOLDER = Path(__file__).parents[1] / "reward_score"


def all_cases() -> Iterator[tuple[str, Case]]:
    """(data_source, case) from the table `CASES` of each test file."""
    for file in sorted(FOLDER.glob("test_*.py")):
        if "\nCASES" in file.read_text():
            module = importlib.import_module(f"tests.reward_score.{file.stem}")
            for data_source, cases in module.CASES.items():
                yield from ((data_source, case) for case in cases)


def failures(threads: int) -> list[str]:
    """Scores all cases, interleaved, from so many threads; -> what came out wrong."""
    cases = list(all_cases())
    with ThreadPoolExecutor(threads) as pool:
        return [fault for fault in pool.map(_fault, cases) if fault]


def _fault(item: tuple[str, Case]) -> str:
    data_source, case = item
    score = default_compute_score(data_source, case.answer, case.truth, case.extra_info)["score"]
    return "" if abs(score - case.score) < 1e-9 else f"{data_source}, {case.name}: {score}, not {case.score}"
