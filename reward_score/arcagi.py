"""ARC-AGI 1 and 2 (Chollet 2019, arXiv:1911.01547) and BARC's synthetic puzzles (arXiv:2411.02272): draw the grid."""

from reward_score.extraction import after_thinking, last_tag
from reward_score.literals import parse_enclosed
from reward_score.registry import register_reward

Grid = list[list[int]]


def reference_answer(ground_truth: object, extra_info: dict) -> str:
    return _written(_truth("arcagi", ground_truth))


def near_misses(ground_truth: object, extra_info: dict) -> list[str]:
    """A wrong corner, a row too many, one column twice, all zeros, no list at all, the right grid taken back."""
    grid = _truth("arcagi", ground_truth)
    corner = [[*row] for row in grid]
    corner[-1][-1] = (corner[-1][-1] + 1) % 10
    wrong = [corner, [*grid, grid[-1]], [[*row, row[-1]] for row in grid], [[0]]]
    texts = [_written(candidate) for candidate in wrong if candidate != grid]
    return [*texts, "<answer> ... </answer>", _written(grid) + _written(corner)]


@register_reward("simulation__arcagi*",
                 "simulation__barc*",
                 "logic__arcagi*",
                 "logic__barc*",
                 answer_format="The last <answer>...</answer> holds one 2-D list of integers: [[0, 1], [2, 3]].",
                 reference_answer=reference_answer,
                 near_misses=near_misses)
def compute_score(data_source: str,
                  solution_str: str,
                  ground_truth: object,
                  extra_info: dict | None = None,
                  **kwargs: object) -> dict[str, object]:
    """1.0 if the grid of the last `<answer>` is the reference, cell by cell; else 0.0.

    Extra keys: `pred`; `shape_ok`, whether the sizes agree; `cell_acc`, equal cells by all cells of both.

    Args:
        ground_truth: rows of integers, as lists, NumPy arrays or JSON text.

    Raises:
        ValueError: `ground_truth` is no grid.
    """
    truth = _truth(data_source, ground_truth)
    text = last_tag(after_thinking(solution_str) or "")
    grid = _grid(parse_enclosed(text, "[]"))
    score = float(grid == truth)
    shape_ok = grid is not None and (len(grid), len(grid[0])) == (len(truth), len(truth[0]))
    return {
        "score": score,
        "acc": score,
        "pred": (text or "")[:200],
        "shape_ok": shape_ok,
        "cell_acc": _cell_accuracy(grid, truth) if grid else 0.0
    }


def _truth(data_source: str, value: object) -> Grid:
    grid = _grid(parse_enclosed(value, "[]") if isinstance(value, str) else value)
    if grid is None:
        raise ValueError(f"ground_truth of {data_source!r} must be a 2-D list of integers, got {str(value)[:100]!r}")
    return grid


def _grid(value: object) -> Grid | None:
    """Rows of equal length with plain integers in them, or None."""
    value = _plain(value)
    rows = [_plain(row) for row in value] if isinstance(value, list) else []
    if not rows or not rows[0] or any(not isinstance(row, list) or len(row) != len(rows[0]) for row in rows):
        return None
    rows = [[_plain(cell) for cell in row] for row in rows]
    return rows if all(type(cell) is int for row in rows for cell in row) else None  # True is no cell


def _plain(value: object) -> object:
    """Lists for NumPy arrays (parquet: an array of arrays), integers for its integers."""
    return value.tolist() if hasattr(value, "tolist") else value


def _cell_accuracy(grid: Grid, truth: Grid) -> float:
    equal = sum(a == b for row, other in zip(grid, truth, strict=False) for a, b in zip(row, other, strict=False))
    return equal / (max(len(grid), len(truth)) * max(len(grid[0]), len(truth[0])))


def _written(grid: Grid) -> str:
    return f"<answer>{grid}</answer>"
