"""What is on the screen, as the query of its URL: every view can be linked, and a mistyped link shows what it can."""
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

Range = tuple[float | None, float | None]
OPEN: Range = (None, None)


@dataclass(frozen=True)
class View:
    """Everything that is chosen. Field names are the keys of the query; a field at its default is left out of it."""
    page: str = ""
    path: str = ""
    type: str = ""  # --source-type
    compare: tuple[str, ...] = ()  # other runs
    metric: tuple[str, ...] = ()
    smooth: float = 0.0
    set: str = ""  # train or validation
    step: int | None = None
    prompt: str = ""  # uid
    sample: int | None = None  # sample_index
    source: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    score: Range = OPEN
    length: Range = OPEN
    finish: str = ""
    q: str = ""
    sort: str = ""
    row: int | None = None  # of a dataset
    raw: bool = False

    def to_query(self) -> dict[str, str | list[str]]:
        """For st.query_params."""
        return {f.name: _write(value) for f in fields(self) if (value := getattr(self, f.name)) != f.default}


def from_query(query: Mapping[str, Sequence[str]]) -> View:
    """The view that a query (a list of values per key) asks for. Unknown keys and impossible values are left out."""
    known = {}
    for f in fields(View):
        values = query.get(f.name)
        if values:
            read = _READERS[f.type]
            value = read(values)
            if value is not None:
                known[f.name] = value
    return View(**known)


def _write(value: Any) -> str | list[str]:  # noqa: ANN401 - any field
    if isinstance(value, bool):
        return "1"
    if isinstance(value, tuple) and value and all(isinstance(item, str) for item in value):
        return list(value)
    if isinstance(value, tuple):
        return "..".join("" if bound is None else f"{bound:.12g}" for bound in value)
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _range(values: Sequence[str]) -> Range | None:
    low, dots, high = values[-1].partition("..")
    return (_number(low), _number(high if dots else low)) if values[-1] else None


def _integer(values: Sequence[str]) -> int | None:
    text = values[-1].removeprefix("-")
    return int(values[-1]) if text.isascii() and text.isdigit() and len(text) < 16 else None


def _smooth(values: Sequence[str]) -> float | None:
    value = _number(values[-1])
    return None if value is None else min(0.99, max(0.0, value))


_READERS: dict[Any, Callable[[Sequence[str]], Any]] = {
    str: lambda values: values[-1],
    tuple[str, ...]: tuple,
    float: _smooth,
    int | None: _integer,
    Range: _range,
    bool: lambda values: values[-1] in ("1", "true", "True"),
}
