"""Puzzles by number: puzzle i of a seed is the same however many are made, in whatever process."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from random import Random

MOST_DRAWS = 100  # for one new puzzle

Puzzle = dict[str, object]  # JSON types only; "instruction", a blank line and "input" are what is asked


def puzzle_id(name: str, *content: object) -> str:
    """`name` and 16 digits which say what the puzzle asks: equal puzzles have equal ids, whatever their seeds."""
    text = json.dumps(content, ensure_ascii=False)
    return f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def generate_unique(make: Callable[[Random, int], Puzzle], name: str, count: int, seed: int, values: Sequence[int],
                    first: int) -> Iterator[Puzzle]:
    """Puzzles `first` to `first + count - 1` of a seed, the values taken in turn, none twice.

    A puzzle that came before is drawn anew. Hence a run may be cut into parts (by `first`) that are made in parallel:
    they are the puzzles of one run unless a part holds a duplicate of another, which only the whole can tell.

    Raises:
        ValueError: there are not enough different puzzles of this size, or no sizes.
    """
    if not values:
        raise ValueError(f"{name} puzzles: no sizes to choose from")
    seen: set[object] = set()
    for index in range(first, first + count):
        value = values[index % len(values)]
        puzzle = next((drawn for attempt in range(MOST_DRAWS)
                       if (drawn := make(Random(f"{name}/{seed}/{index}/{attempt}"), value))["id"] not in seen), None)
        if puzzle is None:
            raise ValueError(
                f"no new {name} puzzle of size {value} after {len(seen)}: ask for fewer, or for other sizes")
        seen.add(puzzle["id"])
        yield puzzle
