"""`logic__zebra_puzzle*`, `zebra_puzzle_dataset*`: fill the grid of a zebra puzzle; scored by cells (ZebraLogic)."""

import json
from collections.abc import Mapping

from reward_score.extraction import after_thinking, last_tag
from reward_score.literals import parse_enclosed
from reward_score.registry import register_reward

POSITION = "position"  # the column that numbers the rows: given, hence not scored

Table = dict[str, dict[str, str]]  # position -> column -> value


def reference_answer(ground_truth: object, extra_info: dict) -> str:
    return _written(*_header_and_rows("zebra_puzzle", ground_truth))


def near_misses(ground_truth: object, extra_info: dict) -> list[str]:
    """A wrong cell, a row less, a row too many, another header, the header twice, the right grid taken back."""
    header, rows = _header_and_rows("zebra_puzzle", ground_truth)
    wrong_cell = [*rows[:-1], [*rows[-1][:-1], rows[-1][-1] + "?"]]
    return [
        _written(header, wrong_cell),
        _written(header, rows[:-1]),
        _written(header, [*rows, rows[-1]]),
        _written([*header[:-1], header[-1] + "?"], rows),
        _written([*header, *header], [[*row, *row] for row in rows]),
        _written(header, rows) + _written(header, wrong_cell)
    ]


@register_reward("logic__zebra_puzzle*",
                 "zebra_puzzle*",
                 answer_format='The last <answer>...</answer> holds {"header": ["Position", ...], "rows": [["1", ...], '
                 "...]} with the header asked for and one row per position.",
                 reference_answer=reference_answer,
                 near_misses=near_misses)
def compute_score(data_source: str,
                  solution_str: str,
                  ground_truth: object,
                  extra_info: dict | None = None,
                  **kwargs: object) -> dict[str, object]:
    """The share of right cells, not counting the Position column; `acc` is 1.0 only if all are right.

    Columns are matched by their name, rows by their position (by their order where the puzzle numbers none). An answer
    with another header or another number of rows scores 0. Letter case does not matter. Extra key: `pred`.

    Args:
        ground_truth: `{"header": [...], "rows": [[...], ...]}`, as lists, NumPy arrays or JSON text.

    Raises:
        ValueError: `ground_truth` is no such table.
    """
    truth = _table(*_header_and_rows(data_source, ground_truth))
    if truth is None:
        raise ValueError(f"ground_truth of {data_source!r} has repeated columns or positions, or ragged rows")
    text = last_tag(after_thinking(solution_str) or "")
    parts = _parts(parse_enclosed(text, "{}"))
    score = _share_of_right_cells(parts and _table(*parts), truth)
    return {"score": score, "acc": float(score == 1.0), "pred": (text or "")[:200]}


def _header_and_rows(data_source: str, value: object) -> tuple[list[str], list[list[str]]]:
    parts = _parts(parse_enclosed(value, "{}") if isinstance(value, str) else value)
    if parts is None or not parts[1] or all(name.lower() == POSITION for name in parts[0]):
        raise ValueError(f"ground_truth of {data_source!r} must be {{'header': [...], 'rows': [[...], ...]}}, "
                         f"got {str(value)[:100]!r}")
    return parts


def _parts(value: object) -> tuple[list[str], list[list[str]]] | None:
    """Header and rows as stripped strings; None if the value does not have them."""
    if not isinstance(value, Mapping):
        return None
    header, rows = _list(value.get("header")), _list(value.get("rows"))
    cells = [_list(row) for row in rows or []]
    if header is None or rows is None or None in cells:
        return None
    return [str(name).strip() for name in header], [[str(cell).strip() for cell in row] for row in cells]


def _list(value: object) -> list | None:
    value = value.tolist() if hasattr(value, "tolist") else value
    return value if isinstance(value, list) else None


def _table(header: list[str], rows: list[list[str]]) -> Table | None:
    """Cells by position and column, lower case; None if a column or a position comes twice, or a row is ragged."""
    names = [name.lower() for name in header]
    if len(set(names)) < len(names) or any(len(row) != len(names) for row in rows):
        return None
    table = {}
    for number, row in enumerate(rows, start=1):
        cells = dict(zip(names, (cell.lower() for cell in row), strict=True))
        table[cells.pop(POSITION, str(number))] = cells
    return table if len(table) == len(rows) else None


def _share_of_right_cells(table: Table | None, truth: Table) -> float:
    if table is None or table.keys() != truth.keys():
        return 0.0
    pairs = [(table[position], cells) for position, cells in truth.items()]
    if any(answer.keys() != cells.keys() for answer, cells in pairs):
        return 0.0
    right = [answer[name] == cell for answer, cells in pairs for name, cell in cells.items()]
    return sum(right) / len(right)


def _written(header: list[str], rows: list[list[str]]) -> str:
    return f"<answer>{json.dumps({'header': header, 'rows': rows})}</answer>"
