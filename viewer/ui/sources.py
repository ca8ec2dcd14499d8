"""Opened sources, kept between reruns and shared by visitors; opened anew when their files change."""
from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from viewer.dataset import Dataset
from viewer.detect import Kind, detect
from viewer.metrics import Curve
from viewer.run import Run
from viewer.samples import Samples, open_samples

OPENED = 8
ANSWERS = 256
Stamp = tuple[tuple[str, int, int], ...]


def stamp(path: Path) -> Stamp:
    """Changes when a file does."""
    files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
    return tuple((file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in files)


@st.cache_data(max_entries=64, show_spinner=False)
def kind_of(path: str, when: Stamp) -> Kind:
    """See viewer.detect."""
    return detect(path)


@st.cache_resource(max_entries=OPENED, show_spinner="Opening the file")
def samples_of(path: str, is_table: bool, when: Stamp) -> Samples:
    """See viewer.samples."""
    return open_samples(Path(path), is_table)


@st.cache_resource(max_entries=OPENED, show_spinner="Opening the file")
def dataset_of(path: str, when: Stamp) -> Dataset:
    """See viewer.dataset."""
    return Dataset(Path(path))


@st.cache_data(max_entries=32, show_spinner="Reading the metrics")
def curves_of(path: str, when: Stamp) -> dict[str, Curve]:
    """See viewer.metrics."""
    return Run(Path(path)).curves


class Asker:
    """Asks a source; equal questions are answered once, as long as its files do not change."""

    def __init__(self, source: Samples | Dataset, path: Path, when: Stamp):
        self._source, self._key = source, (str(path), when)

    def __getattr__(self, method: str) -> Callable[..., Any]:
        return lambda *args: _answer(self._key, self._source, method, args)


@st.cache_data(max_entries=ANSWERS, show_spinner="Searching")
def _answer(key: tuple, _source: Any, method: str, args: tuple) -> Any:  # noqa: ANN401
    asked = getattr(_source, method)
    return asked(*args) if callable(asked) else asked
