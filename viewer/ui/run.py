"""Page Run: metric curves of one or several runs, and where the time goes."""
from pathlib import Path

import altair as alt
import streamlit as st

from viewer.detect import Kind, SourceError, detect
from viewer.metrics import Curve, first_shown, phase_table, phases, table, thin
from viewer.run import Run
from viewer.ui import session
from viewer.ui.sources import curves_of, stamp
from viewer.ui.text import label

Curves = list[tuple[str, dict[str, Curve]]]  # by the name of the run
HEIGHT = 220


def show_run(path: Path, kind: Kind) -> None:
    """Draws the page."""
    with st.sidebar:
        runs = _runs(path)
        names = sorted({name for _, curves in runs for name in curves})
        if not session.view().metric and "metric" not in st.session_state:
            session.change(metric=tuple(first_shown(names)))
        chosen = session.choose(st.multiselect, "metric", "Metrics", names)
        weight = session.widget(st.slider, "smooth", "Smoothing", 0.0, 0.99)
    st.header(label(runs[0][0]))
    if not names:
        st.info("No metrics yet.")
    _jump(Run(path))
    _charts(runs, chosen, weight)
    _phases(runs)
    config = Run(path).config
    if config:
        with st.expander("Configuration"):
            st.code(config, language="yaml")


def _runs(path: Path) -> Curves:
    """The run and those to compare it with, which the sidebar asks for; names made unlike."""
    st.button("Read again", help="for a run that is going on")  # a press reruns the page, which looks at the files
    lines = st.text_area("Compare with (run directories, one a line)", "\n".join(session.view().compare)).split("\n")
    others = tuple(line.strip() for line in lines if line.strip())
    session.change(compare=others)
    runs: dict[str, dict[str, Curve]] = {}
    for folder in [path, *map(Path, others)]:
        try:
            if detect(folder) != Kind.RUN:
                raise SourceError(f"{folder} is no run directory")
        except SourceError as error:
            if folder == path and not runs:
                raise
            st.error(label(str(error)))
            continue
        name = str(folder) if folder.name in runs or not folder.name else folder.name
        runs[name] = curves_of(str(folder), stamp(folder))
    return list(runs.items())


def _jump(run: Run) -> None:
    """From a step of the curves to its samples."""
    columns = st.columns(4)
    for column, name in zip(columns, run.sets, strict=False):
        steps = run.steps(name)
        step = column.selectbox(f"Step ({name})", steps[::-1], key=f"jump_{name}")
        there = {"page": "Rollouts", "set": name, "step": step, "prompt": "", "sample": None}
        column.button(f"Show {name} samples", key=f"show_{name}", on_click=session.change, kwargs=there)


def _charts(runs: Curves, chosen: tuple[str, ...], weight: float) -> None:
    columns = st.columns(2)
    for i, name in enumerate(chosen):
        rows = table(runs, name, weight)
        with columns[i % 2]:
            st.markdown(f"**{label(name)}**")
            st.altair_chart(_lines(rows, weight > 0, several=len(runs) > 1), width="stretch")


def _lines(rows: list[dict], smoothed: bool, several: bool) -> alt.LayerChart:
    legend = alt.Legend(title=None, orient="bottom") if several else None
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("step:Q", title=None, axis=alt.Axis(tickMinStep=1)),
        color=alt.Color("run:N", legend=legend),
        tooltip=["run:N", "step:Q", "value:Q", "smoothed:Q"],
    )
    raw = base.mark_line(opacity=0.25 if smoothed else 1, point=len(rows) < 60).encode(y=_scale("value"))
    layers = [raw, base.mark_line().encode(y=_scale("smoothed"))] if smoothed else [raw]
    return alt.layer(*layers).properties(height=HEIGHT)


def _scale(name: str) -> alt.Y:
    return alt.Y(f"{name}:Q", title=None, scale=alt.Scale(zero=False))


def _phases(runs: Curves) -> None:
    for name, curves in runs:
        rows = phase_table(curves)
        if not rows:
            continue
        st.subheader(f"Time per phase: {label(name)}")
        bars, shares = st.columns([3, 2])
        bars.altair_chart(_bars(curves), width="stretch")
        formats = {"seconds per step": "%.2f", "share": "percent"}
        config = {name: st.column_config.NumberColumn(format=form) for name, form in formats.items()}
        shares.dataframe(rows, hide_index=True, width="stretch", column_config=config)


def _bars(curves: dict[str, Curve]) -> alt.Chart:
    seconds = [{"phase": phase, "step": step, "seconds": value}
               for phase, curve in phases(curves).items() for step, value in thin(curve, 200)]  # yapf: disable
    return alt.Chart(alt.Data(values=seconds)).mark_bar().encode(
        x=alt.X("step:O", axis=alt.Axis(labelOverlap=True, labelAngle=0)),
        y="seconds:Q",
        color="phase:N",
        tooltip=["phase:N", "step:O", "seconds:Q"],
    ).properties(height=HEIGHT)
