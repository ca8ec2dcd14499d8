"""Rollouts: samples by step and prompt, filtered, searched, sorted and paged by DuckDB."""
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from verl.utils.rollout_dump import SCHEMA
from viewer.database import Database, contains, parquet, pattern, quote
from viewer.detect import SourceError
from viewer.json_samples import ALIASES, read_json

PAGE = 50  # prompts
SORTS = {  # of prompts, within a step
    "prompt": "try_cast(uid as bigint), uid",
    "lowest score": "score nulls last, try_cast(uid as bigint), uid",
    "highest score": "score desc nulls last, try_cast(uid as bigint), uid",
    "shortest": "length nulls last, try_cast(uid as bigint), uid",
    "longest": "length desc nulls last, try_cast(uid as bigint), uid",
    "widest spread": "spread desc nulls last, try_cast(uid as bigint), uid",
}
_SHORT = [name for name in SCHEMA.names if name not in ("prompt", "response", "ground_truth", "extra")]
_LENGTH = "coalesce(response_length, length(response))"  # tokens; characters where nobody counted tokens
_TRUNCATED = "avg(case when finish_reason is not null then (finish_reason = 'length')::int end)"


@dataclass(frozen=True)
class SampleFilter:
    """What samples to show; an empty field asks for nothing. Ranges include their ends, None is open."""
    sources: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    score: tuple[float | None, float | None] = (None, None)
    length: tuple[float | None, float | None] = (None, None)
    finish: str = ""  # a finish_reason
    text: str = ""  # in prompt, response or ground truth

    def condition(self) -> tuple[str, list[Any]]:
        """As SQL, and the values of its question marks."""
        parts, values = ["true"], []
        for column, wanted in (("data_source", self.sources), ("status", self.statuses)):
            if wanted:
                parts.append(f"{column} in ({', '.join('?' * len(wanted))})")
                values += wanted
        for column, (low, high) in (("score", self.score), (_LENGTH, self.length)):
            for sign, bound in ((">=", low), ("<=", high)):
                if bound is not None:
                    parts.append(f"{column} {sign} ?")
                    values.append(bound)
        if self.finish:
            parts.append("finish_reason = ?")
            values.append(self.finish)
        if self.text:
            parts.append("(" + " or ".join(map(contains, ("prompt", "response", "ground_truth"))) + ")")
            values += [pattern(self.text)] * 3
        return " and ".join(parts), values


@dataclass
class Samples:
    """Samples of one kind (training or validation) of a run, or of a file.

    Attributes:
        tables: SQL that reads the samples of a step; under None where one file has all steps.
    """
    database: Database
    tables: Mapping[int | None, str]
    _facts: dict[Any, Any] = field(default_factory=dict, repr=False)

    @cached_property
    def steps(self) -> list[int | None]:
        """In order; None where samples have no step."""
        if None not in self.tables:
            return sorted(self.tables)
        sql = f"select distinct step from {self.tables[None]} order by step nulls last"
        return [row["step"] for row in self.database.query(sql)]

    def values(self, column: str, step: int | None) -> list[str]:
        """What a narrow column has in a step."""
        key = (column, step)
        if key not in self._facts:
            sql = f"select distinct {column} as value from {{table}} where {{step}} and {column} is not null order by 1"
            self._facts[key] = [row["value"] for row in self._rows(sql, step)]
        return self._facts[key]

    def summary(self, step: int | None, wanted: SampleFilter) -> dict[str, Any]:
        """samples, prompts, mean score and length, share cut off."""
        condition, values = wanted.condition()
        return self._rows(
            "select count(*) as samples, count(distinct uid) as prompts, avg(score) as score, "
            f"avg({_LENGTH}) as length, {_TRUNCATED} as truncated from {{table}} where {{step}} and {condition}", step,
            values)[0]

    def prompts(self,
                step: int | None,
                wanted: SampleFilter,
                sort: str = "prompt",
                page: int = 0) -> list[dict[str, Any]]:
        """A page of prompts that have a wanted sample: uid, data_source, and of the wanted samples their number, mean
        score and acc, range of scores, greatest length."""
        condition, values = wanted.condition()
        return self._rows(
            "select uid, any_value(data_source) as data_source, count(*) as samples, avg(score) as score, "
            f"avg(acc) as acc, max(score) - min(score) as spread, max({_LENGTH}) as length from {{table}} "
            f"where {{step}} and {condition} group by uid order by {SORTS[sort]} limit {PAGE} offset {page * PAGE}",
            step, values)

    def answers(self, step: int | None, uid: str, wanted: SampleFilter) -> list[dict[str, Any]]:
        """The wanted samples of a prompt, without their texts."""
        condition, values = wanted.condition()
        return self._rows(
            f"select {', '.join(_SHORT)}, {_LENGTH} as length, file_row_number from {{table}} "
            f"where {{step}} and uid = ? and {condition} order by sample_index, file_row_number", step, [uid, *values])

    def sample(self, step: int | None, uid: str, sample_index: int) -> dict[str, Any] | None:
        """A whole sample, found by its name."""
        rows = self._rows(
            f"select {', '.join(SCHEMA.names)}, {_LENGTH} as length from {{table}} "
            "where {step} and uid = ? and sample_index = ? limit 1", step, [uid, sample_index])
        return rows[0] if rows else None

    def page_of(self, step: int | None, uid: str, wanted: SampleFilter, sort: str) -> int:
        """The page that holds a prompt; 0 if none does."""
        condition, values = wanted.condition()
        rows = self._rows(
            "select place from (select uid, row_number() over (order by " + SORTS[sort] + ") - 1 as place from (select "
            f"uid, avg(score) as score, max(score) - min(score) as spread, max({_LENGTH}) as length from {{table}} "
            f"where {{step}} and {condition} group by uid)) where uid = ?", step, [*values, uid])
        return rows[0]["place"] // PAGE if rows else 0

    def history(self, uid: str) -> list[dict[str, Any]]:
        """step, samples, score, length of a prompt, for all steps. Reads narrow columns of every file."""
        found = []
        for step in self.steps:
            sql = (f"select step, count(*) as samples, avg(score) as score, avg({_LENGTH}) as length from {{table}} "
                   "where {step} and uid = ? group by step")
            found += self._rows(sql, step, [uid])
        return found

    def _rows(self, sql: str, step: int | None, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Runs a query whose {table} and {step} are those of a step."""
        if None in self.tables:
            table, where = self.tables[None], "step is null" if step is None else f"step = {int(step)}"
        elif step in self.tables:
            table, where = self.tables[step], "true"
        else:
            table, where = next(iter(self.tables.values())), "false"
        return self.database.query(sql.replace("{table}", table).replace("{step}", where), values)


def open_samples(path: Path, is_table: bool = False) -> Samples:
    """The samples of a wandb table, a parquet or JSON-lines file, or a folder of step_N files.

    Parquet is read in place; JSON is first read through once, into a temporary database.

    Raises:
        SourceError: a file cannot be read as samples.
    """
    database = Database()
    if path.is_dir():
        files = {int(file.stem.removeprefix("step_")): file for file in step_files(path)}
        return Samples(database, {step: _table(database, file, f"step_{step}") for step, file in sorted(files.items())})
    return Samples(database, {None: _table(database, path, "samples", is_table)})


def step_files(folder: Path) -> list[Path]:
    """step_N.parquet, or verl's N.jsonl."""
    found = [*folder.glob("*.parquet"), *folder.glob("*.jsonl")]
    return sorted(file for file in found if file.stem.removeprefix("step_").isdecimal())


def _table(database: Database, path: Path, name: str, is_table: bool = False) -> str:
    if path.suffix == ".parquet" or path.open("rb").read(4) == b"PAR1":
        return _view(path)
    database.create_table(name, SCHEMA, read_json(path, is_table))
    return name


def _view(path: Path) -> str:
    """A subquery with the columns of a rollout dump over a parquet file that may lack some."""
    try:
        present = set(pq.read_schema(path).names)
    except (ValueError, OSError) as error:
        raise SourceError(f"{path} is no whole parquet file ({error})") from error
    columns = []
    for schema_field in SCHEMA:
        name = schema_field.name
        found = next((alias for alias in ALIASES.get(name, (name,)) if alias in present), None)
        columns.append(f"{_column(found, name, present)} as {name}")
    return f"(select {', '.join(columns)}, file_row_number from {parquet([path])})"


def _column(found: str | None, name: str, present: set[str]) -> str:
    kind = {"int64": "bigint", "int32": "bigint", "double": "double"}.get(str(SCHEMA.field(name).type), "varchar")
    if found:
        return f'try_cast("{found}" as {kind})'
    prompt = next((alias for alias in ALIASES["prompt"] if alias in present), None)
    if name == "uid":
        return f'left(md5("{prompt}"::varchar), 12)' if prompt else quote("")
    return "file_row_number" if name == "sample_index" else f"null::{kind}"
