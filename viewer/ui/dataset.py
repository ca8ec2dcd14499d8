"""Page Dataset: rows of a parquet file."""
from pathlib import Path
from typing import Any

import altair as alt
import streamlit as st

from viewer.dataset import PAGE, SORTS, RowFilter, as_json, messages_of
from viewer.detect import Kind
from viewer.ui import session
from viewer.ui.sources import Asker, dataset_of, stamp
from viewer.ui.text import label, show_text

_ROWS, _PAGE, _LINKED = "rows_shown", "page_number", "row_linked"


def show_dataset(path: Path, kind: Kind) -> None:
    """Draws the page."""
    when = stamp(path)
    asker = Asker(dataset_of(str(path), when), path, when)
    with st.sidebar:
        wanted, sort = _filters(asker)
    st.header(label(path.name))
    total = asker.count(wanted)
    st.markdown(f"**{total:,}** of {asker.rows():,} rows")
    if not total:
        st.info("No row passes the filters.")
        return
    number = _row(asker, wanted, sort, total)
    row = asker.row(number)
    if row:
        _show(number, row)
    _lengths(asker, wanted)


def _filters(asker: Asker) -> tuple[RowFilter, str]:
    text = session.widget(st.text_input, "q", "Search in prompts and ground truth")
    sort = session.choose(st.selectbox, "sort", "Sort by", list(SORTS), on_change=session.change,
                          kwargs={"row": None})  # yapf: disable
    counts = asker.sources()
    sources = ()
    if counts:
        sources = session.choose(st.multiselect, "source", "Source", list(counts),
                                 format_func=lambda name: f"{name} ({counts[name]:,})")  # yapf: disable
    length = session.between("length", "Characters", step=100)
    return RowFilter(sources, length, text.strip()), sort


def _row(asker: Asker, wanted: RowFilter, sort: str, total: int) -> int:
    """The number of the chosen row: of the link a visit began with, wherever it is, else one of the page."""
    pages = (total - 1) // PAGE + 1
    linked = _turn_to_link(asker, wanted, sort, pages)
    page = st.number_input("Page", 1, pages, key=_PAGE, on_change=lambda: st.session_state.pop(_LINKED, None))
    rows = asker.page(wanted, sort, page - 1)
    st.dataframe(rows, hide_index=True, height=min(250, 38 + 35 * len(rows)))
    numbers = [row["row"] for row in rows]
    if linked is not None and linked == session.view().row and linked not in numbers:
        numbers = [linked, *numbers]
    return _stepper(asker, wanted, sort, page, pages, numbers)


def _turn_to_link(asker: Asker, wanted: RowFilter, sort: str, pages: int) -> int | None:
    """The row that the visit began with, until other rows are asked for; the page is set to begin with."""
    at, before = (session.view().path, wanted, sort), st.session_state.get(_ROWS)
    if before != at:
        st.session_state[_ROWS], st.session_state[_PAGE] = at, 1
        st.session_state.pop(_LINKED, None)
        row = session.view().row
        if before is None and row is not None and 0 <= row < asker.rows():
            st.session_state[_LINKED] = row
            if wanted.is_open and sort == "file order":
                st.session_state[_PAGE] = row // PAGE + 1
    st.session_state[_PAGE] = min(pages, st.session_state.get(_PAGE, 1))
    return st.session_state.get(_LINKED)


def _stepper(asker: Asker, wanted: RowFilter, sort: str, page: int, pages: int, numbers: list[int]) -> int:
    back, chooser, on = st.columns([1, 6, 1], vertical_alignment="bottom")
    with chooser:
        number = session.choose(st.selectbox, "row", "Row", numbers)
    place = numbers.index(number)

    def go(to: int) -> None:
        if 0 <= to < len(numbers):
            session.change(row=numbers[to])
            return
        turn = -1 if to < 0 else 1
        there = asker.page(wanted, sort, page - 1 + turn)
        st.session_state[_PAGE] = page + turn
        session.change(row=there[-1 if to < 0 else 0]["row"])

    first, last = page == 1 and place == 0, page == pages and place == len(numbers) - 1
    back.button("Previous", key="previous_row", on_click=go, args=[place - 1], disabled=first, width="stretch")
    on.button("Next", key="next_row", on_click=go, args=[place + 1], disabled=last, width="stretch")
    return number


def _show(number: int, row: dict[str, Any]) -> None:
    raw = session.widget(st.toggle, "raw", "Raw text")
    st.markdown(" · ".join(filter(None, (f"row **{number:,}**", label(str(row.get("data_source") or ""))))))
    question, rest = st.columns(2)
    with question:
        for i, (role, content) in enumerate(messages_of(row["prompt"])):
            st.subheader(f"Prompt: {label(role)}" if role else "Prompt")
            show_text(content, f"message_{i}", raw)
    with rest:
        st.subheader("Ground truth")
        show_text(row["truth_text"], "truth", True)
        st.subheader("Row")
        hidden = ("prompt", "prompt_text", "truth_text")
        show_text(as_json({name: value for name, value in row.items() if name not in hidden}), "row", True)


def _lengths(asker: Asker, wanted: RowFilter) -> None:
    with st.expander("Lengths of prompts", expanded=True):
        whole = st.toggle("Count every row", help="of a large file only rows spread over it are counted at first")
        bins, counted = asker.histogram(wanted, whole)
        st.caption(f"Characters of {counted:,} rows")
        values = [{"from": low, "to": high, "rows": rows} for low, high, rows in bins]
        chart = alt.Chart(alt.Data(values=values)).mark_bar().encode(
            x=alt.X("from:Q", bin="binned", title="characters"),
            x2="to:Q",
            y="rows:Q",
            tooltip=["from:Q", "to:Q", "rows:Q"],
        )
        st.altair_chart(chart.properties(height=220), width="stretch")
