"""Page Rollouts: step, prompt, its answers."""
from pathlib import Path
from typing import Any

import streamlit as st

from viewer.detect import Kind
from viewer.run import Run
from viewer.samples import PAGE, SORTS, SampleFilter
from viewer.ui import session
from viewer.ui.sources import Asker, samples_of, stamp
from viewer.ui.text import label, show_text

Row = dict[str, Any]
_NO_STEP, _NOTHING = "without a step", "–"


def show_rollouts(path: Path, kind: Kind) -> None:
    """Draws the page."""
    with st.sidebar:
        folder = _folder(path, kind)
        if folder is None:
            st.info("This run has no samples yet.")
            return
        when = stamp(folder)
        asker = Asker(samples_of(str(folder), kind == Kind.WANDB_TABLE, when), folder, when)
        if not asker.steps():
            st.info("There are no samples.")
            return
        step = _step(asker)
        wanted, sort = _filters(asker, step)
    summary = asker.summary(step, wanted)
    _headline(step, summary)
    if not summary["prompts"]:
        st.info("No sample passes the filters.")
        return
    uid = _prompt(asker, step, wanted, sort, summary["prompts"])
    answers = asker.answers(step, uid, wanted)
    sample = asker.sample(step, uid, _answer(answers))
    _history(asker, uid)
    if sample:
        _show(sample)


def _folder(path: Path, kind: Kind) -> Path | None:
    if kind != Kind.RUN:
        return path
    run = Run(path)
    if not run.sets:
        return None
    return run.sample_dir(session.choose(st.radio, "set", "Samples of", run.sets, horizontal=True))


def _step(asker: Asker) -> int | None:
    steps = asker.steps()
    if session.view().step is None and None not in steps:
        session.change(step=steps[-1])
    return session.choose(st.selectbox, "step", "Step", steps,
                          format_func=lambda step: _NO_STEP if step is None else str(step))  # yapf: disable


def _filters(asker: Asker, step: int | None) -> tuple[SampleFilter, str]:
    text = session.widget(st.text_input, "q", "Search in prompts, answers, ground truth")
    sort = session.choose(st.selectbox, "sort", "Sort prompts by", list(SORTS), on_change=session.change,
                          kwargs={"prompt": "", "sample": None})  # yapf: disable
    sources = _some(asker, "data_source", "source", "Source", step)
    statuses = _some(asker, "status", "status", "Status", step)
    score = session.between("score", "Score")
    length = session.between("length", "Length", step=100)
    ends = ["", *asker.values("finish_reason", step)]
    finish = session.choose(st.selectbox, "finish", "Ended by", ends, format_func=lambda end: _ENDS.get(end, end))
    return SampleFilter(sources, statuses, score, length, finish, text.strip()), sort


_ENDS = {"": "anything", "length": "length (truncated)", "stop": "stop (complete)"}


def _some(asker: Asker, column: str, name: str, title: str, step: int | None) -> tuple[str, ...]:
    options = asker.values(column, step)
    return session.choose(st.multiselect, name, title, options) if options else ()


def _headline(step: int | None, summary: Row) -> None:
    st.header("Rollouts" if step is None else f"Step {step}")
    figures = {
        "Prompts": f"{summary['prompts']:,}",
        "Answers": f"{summary['samples']:,}",
        "Mean score": _figure(summary["score"]),
        "Mean length": _figure(summary["length"], ",.0f"),
        "Truncated": _figure(summary["truncated"], ".1%"),
    }
    for column, (name, value) in zip(st.columns(len(figures)), figures.items(), strict=True):
        column.metric(name, value)


def _prompt(asker: Asker, step: int | None, wanted: SampleFilter, sort: str, total: int) -> str:
    """The chosen prompt: the one in the view, else the first. Previous and next go on to other pages."""
    page, rows = _page_with(asker, step, wanted, sort, session.view().prompt)
    uids = [row["uid"] for row in rows]
    places = {row["uid"]: page * PAGE + i for i, row in enumerate(rows)}
    names = {row["uid"]: _prompt_name(places[row["uid"]], row) for row in rows}
    back, chooser, on = st.columns([1, 6, 1], vertical_alignment="bottom")
    with chooser:
        uid = session.choose(st.selectbox,
                             "prompt",
                             f"Prompt, of {total:,}",
                             uids,
                             format_func=lambda u: names.get(u, u))
    place = places[uid]

    def go(to: int) -> None:
        there = asker.prompts(step, wanted, sort, to // PAGE)
        session.change(prompt=there[to % PAGE]["uid"], sample=None)

    back.button("Previous", key="previous_prompt", on_click=go, args=[place - 1], disabled=place == 0, width="stretch")
    on.button("Next", key="next_prompt", on_click=go, args=[place + 1], disabled=place + 1 == total, width="stretch")
    with st.expander(f"Prompts {page * PAGE + 1:,} to {page * PAGE + len(rows):,}"):
        if total > PAGE:
            st.number_input("Page", 1, (total - 1) // PAGE + 1, page + 1, key=f"page_of_{page}",
                            on_change=lambda: go((st.session_state[f"page_of_{page}"] - 1) * PAGE))  # yapf: disable
        st.dataframe(rows, hide_index=True)
    return uid


def _page_with(asker: Asker, step: int | None, wanted: SampleFilter, sort: str, uid: str) -> tuple[int, list[Row]]:
    page = asker.page_of(step, uid, wanted, sort) if uid else 0
    return page, asker.prompts(step, wanted, sort, page)


def _prompt_name(place: int, row: Row) -> str:
    parts = [f"Example {place + 1} - ({_figure(row['score'])})", f"prompt {row['uid']}", row["data_source"],
             f"{row['samples']} answers" if row["samples"] > 1 else None]  # yapf: disable
    return " · ".join(part for part in parts if part)


def _answer(answers: list[Row]) -> int:
    """The number of the chosen answer."""
    numbers = [row["sample_index"] for row in answers]
    rows = dict(zip(numbers, answers, strict=True))
    if session.view().sample not in numbers:
        session.change(sample=numbers[0])
    back, chooser, on = st.columns([1, 6, 1], vertical_alignment="bottom")
    with chooser:
        number = session.choose(st.selectbox, "sample", f"Answer, of {len(numbers)}", numbers,
                                format_func=lambda n: _answer_name(numbers.index(n), rows[n]))  # yapf: disable
    place = numbers.index(number)

    def go(to: int) -> None:
        session.change(sample=numbers[to])

    last = len(numbers) - 1
    back.button("Previous", key="previous_answer", on_click=go, args=[place - 1], disabled=place == 0, width="stretch")
    on.button("Next", key="next_answer", on_click=go, args=[place + 1], disabled=place == last, width="stretch")
    if len(numbers) > 1:
        with st.expander("All answers to this prompt"):
            st.dataframe([{k: v for k, v in row.items() if k not in ("uid", "step", "file_row_number")}
                          for row in answers], hide_index=True)  # yapf: disable
    return number


def _answer_name(place: int, row: Row) -> str:
    cut = "truncated" if row["finish_reason"] == "length" else None
    parts = [f"Answer {place + 1} - ({_figure(row['score'])})", row["status"], f"{row['length'] or 0:,} long", cut]
    return " · ".join(part for part in parts if part)


def _show(sample: Row) -> None:
    """One sample; which texts are typeset is one switch."""
    figures = {
        "score": _figure(sample["score"]),
        "acc": _figure(sample["acc"]),
        "status": sample["status"],
        "length": f"{sample['length'] or 0:,}",
        "ended by": sample["finish_reason"],
        "source": sample["data_source"],
    }
    st.markdown(" · ".join(
        f"{name} **{label(value)}**" for name, value in figures.items() if value not in (None, _NOTHING)))
    raw = session.widget(st.toggle, "raw", "Raw text")
    question, answer = st.columns(2)
    with question:
        st.subheader("Input")
        show_text(sample["prompt"], "input", raw)
        if sample["ground_truth"] is not None:  # a wandb table has none
            st.subheader("Ground truth")
            show_text(sample["ground_truth"], "truth", True)
        if sample["extra"] and sample["extra"] != "{}":
            st.subheader("Reward says")
            show_text(sample["extra"], "extra", True)
    with answer:
        st.subheader("Output")
        show_text(sample["response"], "output", raw)


def _history(asker: Asker, uid: str) -> None:
    """The same prompt in other steps, when asked for: it reads every file."""
    if len(asker.steps()) > 1 and st.toggle("This prompt in all steps"):
        st.dataframe(asker.history(uid), hide_index=True)


def _figure(value: float | None, form: str = ".3g") -> str:
    return _NOTHING if value is None else format(value, form)
