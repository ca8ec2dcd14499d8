"""The frame: which source, which page."""
import argparse
from pathlib import Path
from typing import NoReturn

import streamlit as st

from viewer.detect import Kind, SourceError
from viewer.ui import session
from viewer.ui.dataset import show_dataset
from viewer.ui.rollouts import show_rollouts
from viewer.ui.run import show_run
from viewer.ui.sources import kind_of, stamp
from viewer.ui.text import label

PAGES = {"Run": show_run, "Rollouts": show_rollouts, "Dataset": show_dataset}
PAGES_OF = {
    Kind.RUN: ["Run", "Rollouts"],
    Kind.ROLLOUTS: ["Rollouts"],
    Kind.WANDB_TABLE: ["Rollouts"],
    Kind.DATASET: ["Dataset"],
}
WELCOME = """Give the path of

- a **run directory** (`trainer.default_local_dir`: metrics, rollouts, validation),
- **rollouts**: a `step_N.parquet`, a folder of them, or JSON lines,
- a **dataset** in parquet, or
- a **wandb table** of validation generations (`trainer.log_val_generations`).
"""


class _Parser(argparse.ArgumentParser):

    def error(self, message: str) -> NoReturn:
        """On the page, not on the server's terminal."""
        raise SourceError(f"After `--`: {message}")


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = _Parser(prog="streamlit run data_viewer.py --", add_help=False)
    parser.add_argument("--source-type", choices=[kind.value for kind in Kind])  # told from the file when left out
    parser.add_argument("--file-path", default="")  # what to open first; a run directory too
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    """Draws the page."""
    st.set_page_config("Reasoning360", layout="wide")
    try:
        given = _arguments(argv)
    except SourceError as error:
        st.error(label(str(error)))
        return
    session.start()
    if not session.view().path and given.file_path:
        session.change(path=given.file_path, type=given.source_type or "")
    with st.sidebar:
        st.subheader("Reasoning360")
        path = session.widget(st.text_input, "path", "File or run directory", on_change=_reset).strip()
    if not path:
        st.markdown(WELCOME)
    else:
        _show(Path(path).expanduser())
    session.finish()


def _show(path: Path) -> None:
    try:
        if not path.exists():
            raise SourceError(f"{path} does not exist")
        asked = session.view().type
        kind = Kind(asked) if asked in set(Kind) else kind_of(str(path), stamp(path))
        page = session.choose(st.sidebar.radio, "page", "Page", PAGES_OF[kind], horizontal=True)
        PAGES[page](path, kind)
    except (SourceError, OSError) as error:
        st.error(label(str(error)))


def _reset() -> None:
    """Another file: what was chosen in the old one means nothing."""
    names = ("page", "type", "metric", "set", "step", "prompt", "sample", "source", "status", "score", "length",
             "finish", "q", "sort", "row")  # yapf: disable
    fresh = type(session.view())()
    session.change(**{name: getattr(fresh, name) for name in names})
