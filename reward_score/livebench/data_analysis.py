"""LiveBench's data analysis tasks: name a column's class, join two tables, convert a table to another format."""

import re
from collections.abc import Sequence

from reward_score.extraction import last_boxed, last_code_block
from reward_score.literals import parse_enclosed
from reward_score.livebench.tables import read_table, same_table
from reward_score.livebench.task import Task, body, last_marked

_TARGET = re.compile(r"Target Format:[ \t]*(\w+)|Input Table from \w+ format to (\w+) format", re.IGNORECASE)


def _cta(answer: str, truth: str, extra_info: dict) -> tuple[float, str]:
    """The class and nothing else (or in tags, or in a box); letter case and punctuation do not matter."""
    has_mark = any(mark in answer for mark in ("<solution>", "\\boxed", "\\fbox"))
    pred = last_marked(answer) if has_mark else answer.strip()
    return float(_letters(pred[:len(truth) + 200]) == _letters(truth)), pred


def _letters(text: str) -> str:
    return re.sub(r"\W", "", text.lower())


def _tablejoin(answer: str, truth: str, extra_info: dict) -> tuple[float, str]:
    """F1 of the pairs of columns. LiveBench rounds it to two digits; here only a full match scores 1."""
    expected = parse_enclosed(truth, "{}")
    if not isinstance(expected, dict) or not expected:
        raise ValueError(f"ground_truth of livebench's tablejoin must be a dict of column names, got {truth[:100]!r}")
    text = _literal(answer)
    pairs = parse_enclosed(text, "{}")
    if not isinstance(pairs, dict) or not pairs:
        return 0.0, text
    right = sum(key in expected and expected[key] == value for key, value in pairs.items())
    return 2 * right / (len(pairs) + len(expected)), text


def _tableformat(answer: str, truth: str, extra_info: dict) -> tuple[float, str]:
    """1.0 if the table has the rows of the truth, in order, and its columns, in any."""
    kind = _target_format(extra_info.get("prompt"))
    expected = read_table(kind, truth)
    if not expected:
        raise ValueError(f"ground_truth of livebench's tableformat is no table in {kind}: {truth[:100]!r}")
    text = _literal(answer)
    table = read_table(kind, text, columns=list(expected[0]))
    return float(table is not None and same_table(table, expected)), text


def _literal(answer: str) -> str:
    """What is in the last tag, else code block or box, else the whole answer; "" if it was cut in one."""
    text = body(answer)
    if "```" in text:
        return last_code_block(text) or ""
    return (last_boxed(text) or "").replace("\\", "") if "\\boxed" in text else text


def _target_format(prompt: object) -> str:
    """The format that the prompt (its turns, or its text) asks for, lower case."""
    turns = prompt.tolist() if hasattr(prompt, "tolist") else prompt
    several = isinstance(turns, Sequence) and not isinstance(turns, str)
    match = _TARGET.search(" ".join(map(str, turns)) if several else str(turns))
    kind = (match.group(1) or match.group(2)).lower() if match else ""
    if kind not in ("json", "jsonl", "html", "csv", "tsv", "markdown"):
        raise ValueError("extra_info.prompt of livebench's tableformat must name the format to write (json, jsonl, "
                         f"html, csv, tsv, markdown); it is {str(turns)[:100]!r}")
    return kind


def _wrong_classes(truth: str, extra_info: dict) -> list[str]:
    return [truth + "s", f"not {truth}", f"{truth}, {truth}", rf"{truth}, or \boxed{{none}}"]


def _wrong_joins(truth: str, extra_info: dict) -> list[str]:
    pairs = parse_enclosed(truth, "{}") or {}
    first = next(iter(pairs), None)
    others = [{**pairs, first: "qqq"}, {**pairs, "qqq": "qqq"}, {key: pairs[key] for key in pairs if key != first}]
    return [*map(str, others), f"{pairs} {pairs}", f"```\n{others[0]}\n```"]


def _wrong_tables(truth: str, extra_info: dict) -> list[str]:
    """A column renamed, the second half missing, nothing at all."""
    columns = (read_table(_target_format(extra_info.get("prompt")), truth) or [{}])[0]
    renamed = [truth.replace(str(name), f"{name}qqq") for name in columns][:1]
    return [*renamed, truth[:len(truth.strip()) // 2], ""]


TASKS = {
    "cta": Task(_cta, str, _wrong_classes),
    "tablejoin": Task(_tablejoin, str, _wrong_joins),
    "tableformat": Task(_tableformat, str, _wrong_tables),
    "tablereformat": Task(_tableformat, str, _wrong_tables),  # its name in the data set
}
