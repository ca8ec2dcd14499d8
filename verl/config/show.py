"""Printing a config: the table of `--show-args`, and the resolved YAML beside a run's output."""
import os
import re
import types
import typing
from collections.abc import Container, Sequence
from typing import Any

import yaml

from verl.config import aliases
from verl.config.fields import Key, schema, to_dict
from verl.config.ppo import PPOConfig
from verl.config.rules import Rule, State
from verl.config.states import DEVICE_KEYS, RULES, find_rule
from verl.utils.fs import atomic_write_text

_WIDTHS = (66, 20, 24)  # at most; a longer cell pushes its own row only


def usage(root: type) -> str:
    """The text of `--help`."""
    entry = "main_ppo" if root is PPOConfig else "main_sft"
    return (f"python -m verl.trainer.{entry} [--config-path=DIR --config-name=NAME] key=value …\n"
            "  key=value                 sets a key; +key=value and ++key=value mean the same\n"
            "  --config-path, --config-name  a YAML file of your own\n"
            "  --show-args               lists every key with its type, default and meaning\n")


def show_args(root: type) -> str:
    """Every key with type, default and meaning, then what becomes of verl's other keys."""
    keys = [("key", "type", "default", "meaning")]
    keys += [(row.name, type_name(row.kind), _default(row), _meaning(root, row)) for row in schema(root).values()]
    renamed = [(old, new, "") for old, new in aliases.KEYS[root].items()]
    renamed += [(old, new, "divided by the number of devices") for old, new in aliases.GLOBAL_COUNTS[root].items()]
    renamed += [(f"{name}={old}", f"{name}={_plain(new)}", why)
                for name, values in aliases.VALUES.items()
                for old, (new, why) in values.items()
                if name in schema(root)]
    others = [(rule.state, f"{rule.key}: {rule.why} ({_values(rule)})") for rule in RULES[root]]
    return (_table(keys) + "\nRenamed keys and values: old and new\n" + _table(renamed) +
            "\nOther keys of verl and what becomes of them (* is one name, ** one or more)\n" + _table(others))


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    widths = [*map(min, widths, _WIDTHS)][:len(widths) - 1] + [0]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines) + "\n"


def type_name(kind: Any) -> str:
    """`int | None` -> "int | null"."""
    if isinstance(kind, types.UnionType):
        return " | ".join(map(type_name, kind.__args__))
    if kind is types.NoneType:
        return "null"
    return "dict" if typing.get_origin(kind) is dict else str(kind) if typing.get_origin(kind) else kind.__name__


def _default(row: Key) -> str:
    return _plain(row.default) or "-"


def _meaning(root: type, row: Key) -> str:
    text = row.meaning
    if row.choices:
        text += f" [{', '.join(row.choices)}]"
    rule = find_rule(root, row.name)
    if rule:
        text += f" ({rule.why})" if rule.state is State.WORKS else f" ({rule.state}: {rule.why})"
    return text + (f" (not on cpu: {DEVICE_KEYS[row.name]})" if row.name in DEVICE_KEYS else "")


def _values(rule: Rule) -> str:
    fine, idle = (_listed(values) for values in (rule.fine, rule.idle))
    return "; ".join(part for part in (fine and f"fine: {fine}", idle and f"no effect: {idle}") if part)


def _listed(values: Container) -> str:
    return ", ".join(map(_plain, values)) if isinstance(values, tuple) else str(values)


def _plain(value: Any) -> str:
    return "null" if value is None else str(value)


def dump(config: Any, path: str | os.PathLike) -> None:
    """Writes every key as YAML, whole or not at all. `--config-path` and `--config-name` load it back."""
    text = yaml.safe_dump(_escaped(to_dict(config)), sort_keys=False, allow_unicode=True, width=120)
    atomic_write_text(path, text)


def _escaped(value: Any) -> Any:
    """What is resolved must not be interpolated again on reading."""
    if isinstance(value, dict):
        return {name: _escaped(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", value) if isinstance(value, str) else value
