"""A dataset in parquet: pages of rows, one row, filters and lengths, without loading it whole."""
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from viewer.database import Database, contains, parquet, pattern
from viewer.detect import SourceError
from viewer.text import clean

PAGE = 50
PREVIEW = 200  # characters of a prompt in the list
SAMPLE_ROWS = 100_000  # for the histogram of a large file
BINS = 40
KEPT = 4  # answers to filters: 8 bytes a row
SORTS = {"file order": "", "shortest": "order by length, row", "longest": "order by length desc, row"}


@dataclass(frozen=True)
class RowFilter:
    """What rows to show; an empty field asks for nothing. Lengths in characters, ends included."""
    sources: tuple[str, ...] = ()
    length: tuple[float | None, float | None] = (None, None)
    text: str = ""  # in prompt or ground truth

    @property
    def is_open(self) -> bool:
        """Whether every row is wanted."""
        return self == RowFilter()


class Dataset:
    """Rows are known by their number in the file, from 0.

    Raises:
        SourceError: no parquet file, or one without prompts.
    """

    def __init__(self, path: Path):
        try:
            metadata = pq.read_metadata(path)
            schema = metadata.schema.to_arrow_schema()
        except (ValueError, OSError) as error:
            raise SourceError(f"{path} is no whole parquet file ({error})") from error
        if "prompt" not in schema.names:
            raise SourceError(f"{path} has no column `prompt`, only {', '.join(schema.names[:20])}")
        self.rows, self.columns = metadata.num_rows, schema.names
        self._numbers: dict[tuple[RowFilter, str], np.ndarray] = {}
        self._database, self._table = Database(), parquet([path])
        self._prompt = _prompt_text(schema.field("prompt").type)
        self._truth = _truth(schema)
        self._source = '"data_source"::varchar' if "data_source" in schema.names else "null::varchar"

    @cached_property
    def sources(self) -> dict[str, int]:
        """Rows of each data_source."""
        sql = f"select {self._source} as source, count(*) as rows from {self._table} group by 1 order by 1"
        return {row["source"]: row["rows"] for row in self._database.query(sql) if row["source"] is not None}

    def count(self, wanted: RowFilter) -> int:
        """Rows that are wanted."""
        return self.rows if wanted.is_open else len(self._found(wanted, "file order"))

    def _found(self, wanted: RowFilter, sort: str) -> np.ndarray:
        """Numbers of the rows that are wanted, in order: one scan answers count and all pages."""
        key = (wanted, sort)
        if key not in self._numbers:
            if len(self._numbers) >= KEPT:
                self._numbers.pop(next(iter(self._numbers)))
            condition, values = self._condition(wanted)
            keys = "file_row_number as row" + (f", length({self._prompt}) as length" if SORTS[sort] else "")
            self._numbers[key] = self._database.column(
                f"select row from (select {keys} from {self._table} where {condition}) {SORTS[sort]}", values)
        return self._numbers[key]

    def page(self, wanted: RowFilter, sort: str = "file order", page: int = 0) -> list[dict[str, Any]]:
        """Number, data_source, length in characters, beginning of prompt and ground truth of up to PAGE rows."""
        shown = (f"file_row_number as row, {self._source} as data_source, length({self._prompt}) as length, "
                 f"left({self._prompt}, {PREVIEW}) as prompt, left({self._truth}, {PREVIEW}) as ground_truth")
        if wanted.is_open and not SORTS[sort]:  # the reader skips row groups by number
            first = page * PAGE
            return self._database.query(f"select {shown} from {self._table} where file_row_number >= {first} "
                                        f"and file_row_number < {first + PAGE} order by row")
        numbers = self._found(wanted, sort)[page * PAGE:(page + 1) * PAGE].tolist()
        found = {row["row"]: row for row in self._at(shown, numbers)}
        return [found[number] for number in numbers]

    def _at(self, shown: str, numbers: Sequence[int]) -> list[dict[str, Any]]:
        wanted = ", ".join(map(str, numbers)) or "-1"
        return self._database.query(f"select {shown} from {self._table} where file_row_number in ({wanted})")

    def row(self, number: int) -> dict[str, Any] | None:
        """All columns of a row as Python values, and `prompt_text`, `truth_text`."""
        columns = ", ".join(f'"{name}"' for name in self.columns)
        found = self._at(f"{columns}, {self._prompt} as prompt_text, {self._truth} as truth_text", [number])
        return found[0] if found else None

    def histogram(self, wanted: RowFilter, everything: bool = False) -> tuple[list[tuple[int, int, int]], int]:
        """Bins (from, to, rows) of the prompt's characters, and the number of rows they count: of a large file rows
        spread evenly over it, unless `everything` is asked for."""
        condition, values = self._condition(wanted)
        if not everything and self.rows > SAMPLE_ROWS:
            condition += f" and {self._spread()}"
        lengths = f"select length({self._prompt}) as length from {self._table} where {condition}"
        sql = (f"with lengths as ({lengths}), size as (select greatest(1, ceil((max(length) + 1) / {BINS}))::bigint "
               "as w from lengths) select length // w as bin, any_value(w) as w, count(*) as rows from lengths, size "
               "where length is not null group by 1 order by 1")  # yapf: disable
        bins = [(row["bin"] * row["w"], (row["bin"] + 1) * row["w"], row["rows"])
                for row in self._database.query(sql, values)]  # yapf: disable
        return bins, sum(rows for _, _, rows in bins)

    def _spread(self) -> str:
        """Twenty ranges of rows."""
        ranges, size = 20, SAMPLE_ROWS // 20
        starts = (i * (self.rows - size) // (ranges - 1) for i in range(ranges))
        return "(" + " or ".join(f"file_row_number between {start} and {start + size - 1}" for start in starts) + ")"

    def _condition(self, wanted: RowFilter) -> tuple[str, list[Any]]:
        parts, values = ["true"], []
        if wanted.sources:
            parts.append(f"{self._source} in ({', '.join('?' * len(wanted.sources))})")
            values += wanted.sources
        for sign, bound in zip((">=", "<="), wanted.length, strict=True):
            if bound is not None:
                parts.append(f"length({self._prompt}) {sign} ?")
                values.append(bound)
        if wanted.text:
            parts.append(f"({contains(self._prompt)} or {contains(self._truth)})")
            values += [pattern(wanted.text)] * 2
        return " and ".join(parts), values


def messages_of(prompt: Any) -> list[tuple[str, str]]:  # noqa: ANN401 - a column of somebody's file
    """(role, content) of a prompt column: messages, or a text."""
    if isinstance(prompt, list) and all(isinstance(m, dict) for m in prompt):
        return [(clean(str(m.get("role") or "")), _as_text(m.get("content"))) for m in prompt]
    return [("", _as_text(prompt))]


def as_json(value: Any) -> str:  # noqa: ANN401
    """For people: indented, with text for what JSON has no form for."""
    return clean(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def _as_text(value: Any) -> str:  # noqa: ANN401
    return clean(value) if isinstance(value, str) else as_json(value)


def _prompt_text(kind: pa.DataType) -> str:
    """SQL for the text of a prompt: contents of its messages, a line each."""
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    if is_list and pa.types.is_struct(kind.value_type) and "content" in [f.name for f in kind.value_type.fields]:
        return "array_to_string(list_transform(prompt, lambda m: m.content), chr(10))"
    return "prompt::varchar"


def _truth(schema: pa.Schema) -> str:
    if "reward_model" in schema.names:
        kind = schema.field("reward_model").type
        if pa.types.is_struct(kind) and "ground_truth" in [f.name for f in kind.fields]:
            return "reward_model.ground_truth::varchar"
    found = next((name for name in ("ground_truth", "answer") if name in schema.names), None)
    return f'"{found}"::varchar' if found else "null::varchar"
