"""Ordering puzzles, made here or read from `puzzles_dataset.json` in `--input-dir`; `--sizes`: how many things."""

import sys
from collections.abc import Callable, Iterator, Mapping

from data_preprocess.core import Dataset, Generated, main
from data_preprocess.logic.puzzle_gen import generate_many
from data_preprocess.logic.puzzle_rows import parse_sizes, puzzle_row
from data_preprocess.logic.seeding import Puzzle


def make(count: int, seed: int, sizes: str) -> Iterator[Puzzle]:
    """`count` different puzzles, sizes in turn."""
    return generate_many(count, seed, parse_sizes(sizes))


DATASET = Dataset(domain="logic",
                  name="ordering_puzzle",
                  train=Generated(make, count=1000, local="puzzles_dataset"),
                  test_share=0.2,
                  options={"sizes": "3-10"},
                  licence="ours",
                  origin="generated",
                  size="any")


def make_map_fn(split: str, data_source: str, sizes: str = "3-10") -> Callable[[Mapping[str, object], int], dict]:
    """-> process_fn(puzzle, index) -> row."""

    def process_fn(example: Mapping[str, object], index: int) -> dict:
        return puzzle_row(data_source, example, "num_objects")

    return process_fn


if __name__ == "__main__":
    sys.exit(main(__file__))
