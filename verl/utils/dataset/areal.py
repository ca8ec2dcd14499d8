"""AReaL's and RLinf's files as rows of verl's schema. Each line is an object, in one of two layouts:

    {"prompt", "query_id"[, "scores"]}              solutions are in id2info.json: {query_id: {"solutions": [text]}}
    {"prompt", "task", "query_id", "solutions"}     AReaL-boba; instead of solutions, code has "input_output": a JSON
                                                    text {"inputs": [...], "outputs": [...][, "fn_name"]}

id2info.json lies beside the file, or where REAL_MATH_METADATA_PATH says. `prompt` is the text that the model reads, the
chat template applied already but for the BOS token, which AReaL and RLinf let the tokenizer add; or a list of messages.
A malformed line is left out and named in a warning.
"""
import json
import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from reward_score.equivalence.answers import references
from verl.utils.dataset.rows import Row, RowFile, parse_lines

METADATA_VARIABLE = "REAL_MATH_METADATA_PATH"
_EXPLAINED = 20  # malformed lines whose fault a warning tells; of more it gives the numbers
_EMPTY_BOX = re.compile(r"\s*\\boxed\s*\{\s*\}\s*")

logger = logging.getLogger(__name__)


class _MalformedError(ValueError):
    """A row that cannot be used; the text says what is wrong, and how to correct it, but not where it is."""


@dataclass(frozen=True)
class Line:
    """A line of a file: its number from 1 and its row of verl's schema; or what is wrong with it, and no row."""
    number: int
    row: Row | None
    problem: str = ""


def read_areal(file: Path) -> RowFile | None:
    """The rows of `file`; None if it has another layout.

    Raises ValueError if no row can be used, or if id2info.json cannot be read.
    """
    if not is_areal(file):
        return None
    lines = list(read_lines(file))
    kept = [position for position, line in enumerate(lines) if line.row is not None]
    if not kept:
        raise ValueError(f"{file}: all {len(lines)} rows are malformed; line {lines[0].number} {lines[0].problem}")
    return RowFile(str(file), [lines[position].row for position in kept], np.array(kept))


def is_areal(file: Path) -> bool:
    """Whether the first row that tells has AReaL's fields, not verl's."""
    for _, row in parse_lines(file):
        if isinstance(row, dict) and row.keys() & {"reward_model", "data_source"}:
            return False
        if isinstance(row, dict) and row.keys() & {"query_id", "solutions"}:
            return True
    return False


def read_lines(file: Path) -> Iterator[Line]:
    """Each line of `file` that is not blank; after the last, a warning names the malformed among good ones.

    Raises ValueError if id2info.json is needed and cannot be read.
    """
    metadata, malformed, total = _Metadata(file), {}, 0
    for number, row in parse_lines(file):
        try:
            if isinstance(row, str):
                raise _MalformedError(row)
            line = Line(number, _verl_row(row, total, metadata))
        except _MalformedError as error:
            line = Line(number, None, str(error))
            malformed[number] = line.problem
        total += 1
        yield line
    if 0 < len(malformed) < total:
        logger.warning("%s: dropped %d of %d rows: %s", file, len(malformed), total, _told(malformed))


class _Metadata:
    """The solutions in id2info.json; read when the first row asks for one."""

    def __init__(self, file: Path) -> None:
        named = os.environ.get(METADATA_VARIABLE)
        self._path = Path(named).expanduser() if named else file.with_name("id2info.json")
        self._is_named = bool(named)

    def solutions(self, query_id: str) -> Any:  # noqa: ANN401 - whatever the file holds
        """Raises _MalformedError if there are none for this row, ValueError if there are none for any."""
        if self._content is None:
            raise _MalformedError(f"has no `solutions`, and there is no {self._path} to find them in: download it "
                                  f"beside the rows, or set {METADATA_VARIABLE} to its path")
        if query_id not in self._content:
            raise _MalformedError(f"has a `query_id` unknown to {self._path}: add it there, or give `solutions`")
        info = self._content[query_id]
        return info.get("solutions") if isinstance(info, dict) else None

    @cached_property
    def _content(self) -> dict[str, Any] | None:
        if not self._path.is_file():
            if self._is_named:
                raise ValueError(f"{METADATA_VARIABLE}: no file {self._path}: set it to id2info.json, or unset it to "
                                 "use the one beside the rows")
            return None
        try:
            content = json.loads(self._path.read_bytes())
        except ValueError as error:
            raise ValueError(f"{self._path} is not JSON ({error}): download it again") from error
        if not isinstance(content, dict):
            raise ValueError(f"{self._path} is not an object: it must be {{query_id: {{\"solutions\": [text]}}}}")
        return content


def _verl_row(row: Row, index: int, metadata: _Metadata) -> Row:
    query_id, task = _query_id(row), _task(row)
    if task == "code":
        source, truth = "codegen__boba", _tests(row)
    else:
        source = "areal_math" if row.get("task") is None else f"boba_{task}"
        truth = _solutions(row["solutions"] if row.get("solutions") is not None else metadata.solutions(query_id))
    return _prompt(row) | {
        "data_source": source,
        "ability": task,
        "reward_model": {
            "style": "rule",
            "ground_truth": truth
        },
        "extra_info": {
            "index": index,
            "id": query_id,
            "task": task
        } | _scores(row)
    }


def _query_id(row: Row) -> str:
    query_id = row.get("query_id")
    if query_id is None or query_id == "":
        raise _MalformedError("has no `query_id`: give the row one of its own")
    if not isinstance(query_id, str | int) or isinstance(query_id, bool):
        raise _MalformedError(f"has a `query_id` of type {type(query_id).__name__}: make it text or a whole number")
    return str(query_id)


def _task(row: Row) -> str:
    task = "math" if row.get("task") is None else row["task"]
    if not isinstance(task, str) or not task.strip():
        raise _MalformedError("has a `task` that is no text: write math, stem or code")
    return task.strip()


def _prompt(row: Row) -> Row:
    prompt = row.get("prompt")
    if isinstance(prompt, str) and prompt.strip():
        return {
            "prompt": [{
                "role": "user",
                "content": prompt
            }],
            "raw_prompt": prompt,
            "apply_chat_template": False,
            "add_bos": True
        }
    if isinstance(prompt, list) and prompt and all(map(_is_message, prompt)):
        return {"prompt": prompt, "apply_chat_template": True}
    raise _MalformedError("has no `prompt`: write a text, or a list of {role, content}")


def _is_message(message: Any) -> bool:  # noqa: ANN401
    return isinstance(message, dict) and all(isinstance(message.get(name), str) for name in ("role", "content"))


def _solutions(value: Any) -> list[str]:  # noqa: ANN401
    solutions = [value] if isinstance(value, str) else value
    if not isinstance(solutions, list) or not all(isinstance(solution, str) for solution in solutions):
        raise _MalformedError('has `solutions` that are no list of texts: write ["\\\\boxed{…}"]')
    try:
        references(solutions, "this row")  # what the reward will take
    except ValueError:
        solutions = []
    if not solutions or any(map(_EMPTY_BOX.fullmatch, solutions)):
        raise _MalformedError("has no `solutions`, or an empty one: write what is right into each")
    return solutions


def _tests(row: Row) -> str:
    """The ground truth of a code task, as its reward takes it."""
    tests = row.get("input_output")
    try:
        content = json.loads(tests) if isinstance(tests, str) else tests
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise _MalformedError("is a code task without `input_output`: write a JSON text with inputs and outputs")
    inputs, outputs = content.get("inputs"), content.get("outputs")
    if not isinstance(inputs, list) or not isinstance(outputs, list) or not inputs or len(inputs) != len(outputs):
        raise _MalformedError("has an `input_output` without inputs and as many outputs: write two lists of one length")
    return tests if isinstance(tests, str) else json.dumps(content)


def _scores(row: Row) -> Row:
    """How often a model solved the problem, where AReaL measured it."""
    scores = row.get("scores")
    if scores is None:
        return {}
    if not isinstance(scores, list) or not all(type(score) in (int, float) for score in scores):
        raise _MalformedError("has `scores` that are no list of numbers: correct them, or leave them out")
    return {"scores": [float(score) for score in scores]}


def _told(malformed: dict[int, str]) -> str:
    numbers = list(malformed)
    told = "; ".join(f"line {number} {malformed[number]}" for number in numbers[:_EXPLAINED])
    rest = _ranges(numbers[_EXPLAINED:])
    return f"{told}; and lines {rest}" if rest else told


def _ranges(numbers: list[int]) -> str:
    """`4, 7-9` for 4, 7, 8, 9."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ", ".join(f"{first}-{last}" if last > first else str(first) for first, last in ranges)
