"""Drops rows that their own reference solution does not solve."""

from collections.abc import Sequence

from reward_score import default_compute_score, resolve

Row = dict[str, object]


class ReferenceFilter:
    """Keeps rows whose reference answer, as the reward's `reference_answer` writes it, scores full.

    For code this runs the reference solution against its tests, in the sandbox. A row without a reference is kept.
    """

    reason = "reference solution fails its own tests"

    def check(self, rows: Sequence[Row]) -> list[bool]:
        return [_passes(row) for row in rows]


def _passes(row: Row) -> bool:
    source, truth, info = row["data_source"], row["reward_model"]["ground_truth"], row["extra_info"]
    write = resolve(source).reference_answer
    try:
        answer = write(truth, info) if write else None
        return answer is None or default_compute_score(source, answer, truth, info)["acc"] >= 1
    except ValueError:  # how a reward calls a row bad, for example for tests that test nothing
        return False
