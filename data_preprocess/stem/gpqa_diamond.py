r"""GPQA Diamond: its most reliable questions (Rein et al. 2023, arXiv:2311.12022). Gated on the hub.

The prompt asks for a `\boxed{}`, whatever upstream's name of the data source says; the reward reads both formats.
"""

import sys
from collections.abc import Callable, Mapping

from data_preprocess.core import Dataset, Source, load, main
from data_preprocess.stem.choices import BOX_INSTRUCTION, make_gpqa_map_fn

DATASET = Dataset(domain="stem",
                  name="gpqa_diamond_no_box",
                  test=Source("Idavidrein/gpqa", config="gpqa_diamond", local="gpqa_diamond"),
                  licence="CC-BY-4.0",
                  origin="Idavidrein/gpqa (gpqa_diamond)",
                  size="198")


def get_datasets(cache_dir: str | None = None) -> tuple[object, object]:
    """(None, test) from the hub."""
    return load(DATASET, cache_dir)


def make_map_fn(split: str, data_source: str) -> Callable[[Mapping[str, object], int], dict]:
    """-> process_fn(example, index) -> row."""
    return make_gpqa_map_fn(data_source, BOX_INSTRUCTION)


if __name__ == "__main__":
    sys.exit(main(__file__))
