"""Graph search puzzles, made here or read from `graph_search.json` in `--input-dir`; `--lookaheads`: how far."""

import sys
from collections.abc import Callable, Iterator, Mapping

from data_preprocess.core import Dataset, Generated, main
from data_preprocess.logic.graph_dataset_gen.logic import generate_many
from data_preprocess.logic.puzzle_rows import parse_sizes, puzzle_row
from data_preprocess.logic.seeding import Puzzle


def make(count: int, seed: int, lookaheads: str) -> Iterator[Puzzle]:
    """`count` different puzzles, lookaheads in turn."""
    return generate_many(count, seed, parse_sizes(lookaheads))


DATASET = Dataset(domain="logic",
                  name="graph_logical",
                  train=Generated(make, count=1000, local="graph_search"),
                  test_share=0.2,
                  options={"lookaheads": "2-10"},
                  licence="ours",
                  origin="generated",
                  size="any")


def make_map_fn(split: str, data_source: str, lookaheads: str = "2-10") -> Callable[[Mapping[str, object], int], dict]:
    """-> process_fn(puzzle, index) -> row."""

    def process_fn(example: Mapping[str, object], index: int) -> dict:
        return puzzle_row(data_source, example, "lookahead")

    return process_fn


if __name__ == "__main__":
    sys.exit(main(__file__))
