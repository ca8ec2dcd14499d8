"""Rows of generated puzzles, and the flag that says which sizes are made."""

import re
from collections.abc import Mapping

from data_preprocess.core import make_row

_SIZES = re.compile(r"([0-9]+)(?:-([0-9]+))?")


def puzzle_row(data_source: str, puzzle: Mapping[str, object], *extra: str) -> dict:
    """Asks `instruction` and `input`; `extra_info` takes the puzzle's `id` and the fields named, as texts."""
    prompt = f"{puzzle['instruction']}\n\n{puzzle['input']}"
    fields = {"raw_instruction": puzzle["instruction"], "raw_input": puzzle["input"]}
    fields |= {name: str(puzzle.get(name, "")) for name in extra}
    if puzzle.get("id"):
        fields["id"] = str(puzzle["id"])
    return make_row(data_source, prompt, puzzle["ground_truth"], "logic", fields)


def parse_sizes(text: str) -> list[int]:
    """`2-5,9` is 2, 3, 4, 5 and 9.

    Raises:
        ValueError: it has another form.
    """
    sizes = []
    for part in text.split(","):
        match = _SIZES.fullmatch(part.strip())
        if not match:
            raise ValueError(f"{text!r}: sizes are written as 3, 3-10 or 2-5,9")
        sizes += range(int(match[1]), int(match[2] or match[1]) + 1)
    return sizes
