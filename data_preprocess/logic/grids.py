"""Rows of grid puzzles (ARC-AGI, BARC): some pairs of grids, and one whose output is asked for."""

from collections.abc import Sequence

from data_preprocess.core import Drop, make_row

MOST_EXAMPLES = 6
COLOURS = frozenset(range(10))
PROMPT = """\
Each example below turns an input grid into an output grid by the same hidden rule. A grid is a list of rows, \
a cell is a colour from 0 to 9.

{examples}

Find the rule and apply it to this input:
{given}

Give the output grid as a list of rows of integers inside <answer> tags, such as <answer>[[1, 2], [3, 4]]</answer>."""
Grid = list[list[int]]


def grid_row(data_source: str, pairs: Sequence[tuple[object, object]], given: object, output: object,
             extra_info: dict[str, object]) -> dict:
    """Shows at most six of the pairs.

    Raises:
        Drop: no pairs, or something that is no grid.
    """
    if not pairs:
        raise Drop("no examples")
    examples = [
        f"Example {number}\nInput: {_grid(before)}\nOutput: {_grid(after)}"
        for number, (before, after) in enumerate(pairs[:MOST_EXAMPLES], start=1)
    ]
    prompt = PROMPT.format(examples="\n\n".join(examples), given=_grid(given))
    return make_row(data_source, prompt, _grid(output), "logic", extra_info)


def _grid(value: object) -> Grid:
    """Rows of equal length with colours in them; BARC's may be floats."""
    rows = value if isinstance(value, list) and all(isinstance(row, list) for row in value) else []
    if not rows or not rows[0] or any(len(row) != len(rows[0]) or not COLOURS.issuperset(row) for row in rows):
        raise Drop("no grid of colours")
    return [[int(cell) for cell in row] for row in rows]
