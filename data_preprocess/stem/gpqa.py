"""GPQA, the main set: four choices that experts wrote (Rein et al. 2023, arXiv:2311.12022). Gated on the hub."""

import sys
from collections.abc import Callable, Mapping

from data_preprocess.core import Dataset, Source, load, main
from data_preprocess.stem.choices import LINE_INSTRUCTION, make_gpqa_map_fn

DATASET = Dataset(domain="stem",
                  name="gpqa",
                  test=Source("Idavidrein/gpqa", config="gpqa_main", local="gpqa_main"),
                  licence="CC-BY-4.0",
                  origin="Idavidrein/gpqa (gpqa_main)",
                  size="448")


def get_datasets(cache_dir: str | None = None) -> tuple[object, object]:
    """(None, test) from the hub."""
    return load(DATASET, cache_dir)


def make_map_fn(split: str, data_source: str) -> Callable[[Mapping[str, object], int], dict]:
    """-> process_fn(example, index) -> row."""
    return make_gpqa_map_fn(data_source, LINE_INSTRUCTION)


if __name__ == "__main__":
    sys.exit(main(__file__))
