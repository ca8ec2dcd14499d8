"""A visitor's view, kept in step with the widgets and with the URL."""
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any

import streamlit as st

from viewer.state import View, from_query

RANGES = ("score", "length")
_VIEW, _LAST = "view", "query"


def start() -> None:
    """Takes the view from the URL, once per visit; from then on it follows the widgets."""
    if _VIEW not in st.session_state:
        st.session_state[_VIEW] = from_query({name: st.query_params.get_all(name) for name in st.query_params})
    changed = {}
    for name in (f.name for f in fields(View)):
        if name in st.session_state:
            value = st.session_state[name]
            changed[name] = tuple(value) if isinstance(value, list) else value
    for name in RANGES:
        if f"{name}_from" in st.session_state and f"{name}_to" in st.session_state:
            changed[name] = (st.session_state[f"{name}_from"], st.session_state[f"{name}_to"])
    st.session_state[_VIEW] = replace(view(), **changed)


def view() -> View:
    """The view as it is."""
    return st.session_state[_VIEW]


def change(**values: Any) -> None:  # noqa: ANN401 - fields of View
    """Changes the view; widgets that show these fields follow. For callbacks, and before the widgets are made."""
    st.session_state[_VIEW] = replace(view(), **values)
    for name, value in values.items():
        if name in RANGES:
            st.session_state[f"{name}_from"], st.session_state[f"{name}_to"] = value
        else:
            st.session_state[name] = value


def widget(make: Callable[..., Any], name: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
    """A widget that shows and sets a field of the view."""
    value = getattr(view(), name)
    if name not in st.session_state:
        st.session_state[name] = list(value) if isinstance(value, tuple) else value
    chosen = make(*args, key=name, **kwargs)
    chosen = tuple(chosen) if isinstance(value, tuple) else chosen
    st.session_state[_VIEW] = replace(view(), **{name: chosen})
    return chosen


def choose(make: Callable[..., Any], name: str, label: str, options: Sequence[Any],
           **kwargs: Any) -> Any:  # noqa: ANN401
    """A widget with options. What the view asks for and is not among them yields to the first, or to none of many."""
    value = getattr(view(), name)
    if isinstance(value, tuple):
        fitting = tuple(item for item in value if item in options)
    else:
        fitting = value if value in options else options[0]
    change(**{name: fitting
             })  # also where it is the same: its label may be another now, and the browser keeps the old one
    return widget(make, name, label, options, **kwargs)


def between(name: str, label: str, **kwargs: Any) -> tuple[float | None, float | None]:  # noqa: ANN401
    """Two number fields, each may be empty."""
    ends = []
    for column, end, old in zip(st.columns(2), ("from", "to"), getattr(view(), name), strict=True):
        key = f"{name}_{end}"
        if key not in st.session_state:
            st.session_state[key] = old
        ends.append(column.number_input(f"{label} {end}", value=None, key=key, **kwargs))
    st.session_state[_VIEW] = replace(view(), **{name: tuple(ends)})
    return ends[0], ends[1]


def finish() -> None:
    """Writes the view into the URL."""
    query = view().to_query()
    if st.session_state.get(_LAST) != query:
        st.query_params.from_dict(query)
        st.session_state[_LAST] = query
