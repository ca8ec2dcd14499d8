"""All or nothing: the score of a response to a list of instructions. Shared by `ood__ifeval` and `ood__ifbench`."""

from collections.abc import Sequence

from reward_score.extraction import after_thinking
from reward_score.instructions.registry import holds, read_arguments

MAX_CHARACTERS = 1_000_000  # some 250,000 tokens; a longer answer is not read and follows nothing

Demand = tuple[str, dict[str, object]]  # an instruction id and its arguments


def read_demands(data_source: str, ids: object, kwargs: object) -> list[Demand]:
    """Pairs each instruction id of a row with its arguments.

    Args:
        ids: list or array of instruction ids.
        kwargs: list or array, as long, of dicts or None.

    Raises:
        ValueError: anything else, an unknown id, a missing argument; the message names `data_source` and the fix.
    """
    ids, kwargs = _as_list(ids), _as_list(kwargs)
    if not ids or kwargs is None or len(ids) != len(kwargs):
        raise ValueError(f"a row of {data_source!r} needs as many instruction ids as kwargs, and at least one; got "
                         f"{ids!r} and {kwargs!r}; correct the row")
    if not all(item is None or isinstance(item, dict) for item in kwargs):
        raise ValueError(f"kwargs of {data_source!r} must be dicts or None, got {kwargs!r}; correct the row")
    try:
        return [(name, read_arguments(name, row or {})) for name, row in zip(ids, kwargs, strict=True)]
    except ValueError as error:
        raise ValueError(f"row of {data_source!r}: {error}") from error


def score_demands(solution_str: str, demands: Sequence[Demand]) -> dict[str, object]:
    """1.0 if what follows the thinking holds to every instruction, else 0.0.

    Returns:
        `score`, `acc`, `followed` (a bool for each instruction), `instructions` (their ids) and `total`, their number.
    """
    answer = after_thinking(solution_str) or ""  # None: cut while thinking
    readable = len(answer) <= MAX_CHARACTERS
    followed = [readable and holds(name, answer, arguments) for name, arguments in demands]
    score = float(all(followed))
    return {
        "score": score,
        "acc": score,
        "followed": followed,
        "instructions": [name for name, _ in demands],
        "total": len(demands)
    }


def _as_list(value: object) -> list | None:
    value = value.tolist() if hasattr(value, "tolist") else value
    return list(value) if isinstance(value, list | tuple) else None
