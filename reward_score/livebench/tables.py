"""Reads a table written as JSON, JSON lines, CSV, TSV, Markdown or HTML, and compares two, without pandas."""

import csv
import html
import re
from collections.abc import Callable, Iterable
from itertools import zip_longest

from reward_score.literals import MAX_LENGTH, parse_enclosed

Row = dict[str, object]

TOLERANCE = 1e-6  # between decimals, LiveBench's; integers must be equal
MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "<na>"})  # how pandas and models write no value

_INTEGER = re.compile(r"[-+]?[0-9]{1,400}")
_DECIMAL = re.compile(r"[-+]?(?:[0-9]{1,400}(?:\.[0-9]{0,400})?|\.[0-9]{1,400})(?:[eE][-+]?[0-9]{1,3})?")
_PIPE = re.compile(r"(?<!\\)\|")
_RULE = re.compile(r":?-+:?")
_TR = re.compile(r"<tr\b[^<>]*+>", re.IGNORECASE)
_TR_END = re.compile(r"</t(?:r|able)\b", re.IGNORECASE)
_CELL = re.compile(r"<t[dh]\b[^<>]*+>", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*+>")


def read_table(kind: str, text: str, columns: list[str] | None = None) -> list[Row] | None:
    """Rows of the table in `text`; None where there is none.

    Args:
        kind: `json`, `jsonl`, `csv`, `tsv`, `markdown` or `html`.
        columns: names by which the header of a table with words around it is found (CSV and TSV).
    """
    if len(text) > MAX_LENGTH:
        return None
    rows = _READERS[kind](text.strip(" \r\n"), columns)
    return None if rows is None else [_clean(row) for row in rows]


def same_table(a: list[Row], b: list[Row]) -> bool:
    """Equal rows in the same order; columns in any. What a row of JSON leaves out is a missing value."""
    if len(a) != len(b) or set().union(*a) != set().union(*b):
        return False
    pairs = zip(a, b, strict=True)
    return all(_same(row.get(key), other.get(key)) for row, other in pairs for key in row.keys() | other.keys())


def _clean(row: Row) -> Row:
    """Column names stripped, without the column of row numbers that pandas writes."""
    named = {str(name).strip(): value for name, value in row.items()}
    return {name: value for name, value in named.items() if name not in ("index", "")}


def _same(a: object, b: object) -> bool:
    a, b = " ".join(str(a).split()), " ".join(str(b).split())
    if a == b or (a.lower() in MISSING and b.lower() in MISSING):
        return True
    if {a.lower(), b.lower()} <= {"true"} or {a.lower(), b.lower()} <= {"false"}:
        return True
    if _INTEGER.fullmatch(a) and _INTEGER.fullmatch(b):
        return int(a) == int(b)
    return bool(_DECIMAL.fullmatch(a) and _DECIMAL.fullmatch(b)) and abs(float(a) - float(b)) < TOLERANCE


def _json(text: str, columns: list[str] | None) -> list[Row] | None:
    """Records, rows by their label, or pandas' `table` layout (`schema` and `data`)."""
    is_list = "[" in text and (text.find("[") < text.find("{") or "{" not in text)
    value = parse_enclosed(text, "[]" if is_list else "{}")
    if isinstance(value, dict):
        value = value["data"] if isinstance(value.get("data"), list) else list(value.values())
    if value is None:
        return _jsonl(text, columns)
    return value if value and isinstance(value, list) and all(isinstance(row, dict) for row in value) else None


def _jsonl(text: str, columns: list[str] | None) -> list[Row] | None:
    lines = [line.strip() for line in text.splitlines()]
    rows = [parse_enclosed(line, "{}") for line in lines if line.startswith("{")]
    return rows if rows and all(isinstance(row, dict) for row in rows) else None


def _separated(delimiter: str) -> Callable[[str, list[str] | None], list[Row] | None]:

    def read(text: str, columns: list[str] | None) -> list[Row] | None:
        try:
            cells = list(csv.reader(text.splitlines(), delimiter=delimiter, skipinitialspace=True))
        except csv.Error:
            return None
        return _from_cells(_from_header(cells, columns))

    return read


def _from_header(cells: list[list[str]], columns: list[str] | None) -> list[list[str]]:
    """From the line that has the wanted names to the first blank one; all lines where none has them."""
    for start, line in enumerate(cells if columns else ()):
        if set(columns) <= {name.strip() for name in line}:
            end = next((i for i in range(start, len(cells)) if not cells[i]), len(cells))
            return cells[start:end]
    return cells


def _markdown(text: str, columns: list[str] | None) -> list[Row] | None:
    lines = [line.strip() for line in text.splitlines()]
    cells = [_PIPE.split(line.removeprefix("|").removesuffix("|")) for line in lines if line.startswith("|")]
    cells = [[cell.strip().replace("\\|", "|") for cell in line] for line in cells]
    return _from_cells(line for line in cells if not all(_RULE.fullmatch(cell) for cell in line))


def _html(text: str, columns: list[str] | None) -> list[Row] | None:
    """The cells of every `<tr>`. Not html.parser: hostile markup keeps it busy for minutes."""
    lines = [_CELL.split(_TR_END.split(line, maxsplit=1)[0])[1:] for line in _TR.split(text)[1:]]
    return _from_cells([html.unescape(_TAG.sub("", cell)).strip() for cell in line] for line in lines)


def _from_cells(cells: Iterable[list[str]]) -> list[Row] | None:
    """Rows from a header and its lines; short ones are filled up. None if one is longer, or a column comes twice."""
    lines = [line for line in cells if line]
    if len(lines) < 2 or len(lines) * len(lines[0]) > MAX_LENGTH:  # filling up takes memory
        return None
    if len(set(lines[0])) < len(lines[0]) or any(len(line) > len(lines[0]) for line in lines):
        return None
    return [dict(zip_longest(lines[0], line, fillvalue="")) for line in lines[1:]]


_READERS: dict[str, Callable[[str, list[str] | None], list[Row] | None]] = {
    "json": _json,
    "jsonl": _jsonl,
    "csv": _separated(","),
    "tsv": _separated("\t"),
    "markdown": _markdown,
    "html": _html,
}
