"""Zebra puzzles, made here or read from `zebra_puzzles.json` in `--input-dir`; `--levels`: how hard."""

import sys
from collections.abc import Callable, Iterator, Mapping

from data_preprocess.core import Dataset, Generated, main
from data_preprocess.logic.puzzle_rows import parse_sizes, puzzle_row
from data_preprocess.logic.seeding import Puzzle
from data_preprocess.logic.zebrapuzzle_gen.puzzle_generator import generate_many


def make(count: int, seed: int, levels: str) -> Iterator[Puzzle]:
    """`count` different puzzles, levels in turn."""
    return generate_many(count, seed, parse_sizes(levels))


DATASET = Dataset(domain="logic",
                  name="zebra_puzzle",
                  train=Generated(make, count=1000, local="zebra_puzzles"),
                  test_share=0.2,
                  options={"levels": "1-20"},
                  licence="ours",
                  origin="generated",
                  size="any")


def make_map_fn(split: str, data_source: str, levels: str = "1-20") -> Callable[[Mapping[str, object], int], dict]:
    """-> process_fn(puzzle, index) -> row."""

    def process_fn(example: Mapping[str, object], index: int) -> dict:
        return puzzle_row(data_source, example, "grid_size")

    return process_fn


if __name__ == "__main__":
    sys.exit(main(__file__))
