"""Which function checks which instruction id, and the arguments it takes from a dataset row."""

import difflib
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from reward_score.instructions.language import LanguageCode, read_language

Relation = Literal["less than", "at least", "at most", "more than", "exactly"]
Checker = Callable[..., bool]

_COMPARE = {
    "less than": int.__lt__,
    "at least": int.__ge__,
    "at most": int.__le__,
    "more than": int.__gt__,
    "exactly": int.__eq__,
}


@dataclass(frozen=True)
class Instruction:
    """A checker `(text, **arguments) -> bool`; `arguments` holds the type of each keyword it needs."""

    check: Checker
    arguments: dict[str, object]


_INSTRUCTIONS: dict[str, Instruction] = {}


def instruction(*ids: str) -> Callable[[Checker], Checker]:
    """Registers the decorated checker; its keyword-only parameters are the arguments that a row must hold.

    Their annotations say how a row's value is read: `int`, `str`, `list[str]`, `Relation` or
    `LanguageCode`.
    """

    def decorate(check: Checker) -> Checker:
        parameters = inspect.signature(check).parameters.values()
        arguments = {p.name: p.annotation for p in parameters if p.kind is p.KEYWORD_ONLY}
        for name in ids:
            assert name not in _INSTRUCTIONS, name
            _INSTRUCTIONS[name] = Instruction(check, arguments)
        return check

    return decorate


def known_instructions() -> list[str]:
    """Every registered id, sorted."""
    return sorted(_INSTRUCTIONS)


def find(instruction_id: str) -> Instruction:
    """The checker of an id.

    Raises:
        ValueError: there is none; the message names the nearest.
    """
    if instruction_id in _INSTRUCTIONS:
        return _INSTRUCTIONS[instruction_id]
    nearest = difflib.get_close_matches(str(instruction_id), _INSTRUCTIONS, n=1, cutoff=0.0)
    raise ValueError(f"unknown instruction id {instruction_id!r}; the nearest known is {nearest[0]!r}. Correct the "
                     "row, or add a checker to reward_score/instructions/")


def read_arguments(instruction_id: str, row: dict) -> dict[str, object]:
    """The arguments of an id out of a row's kwargs, as Python's own types; keys it does not take are left out.

    Parquet merges the kwargs of all instructions into one struct: unset keys are None (or NaN), integers may have
    become floats, lists NumPy arrays.

    Raises:
        ValueError: an unknown id, a missing key or a value of the wrong kind; the message names id and key.
    """
    arguments = {}
    for key, kind in find(instruction_id).arguments.items():
        value = _plain(row.get(key))
        if value is None or isinstance(value, float) and math.isnan(value):
            raise ValueError(f"instruction {instruction_id!r} needs {key!r} in its kwargs, which hold "
                             f"{sorted(name for name, item in row.items() if item is not None)}; complete the row")
        try:
            arguments[key] = _READ[kind](value)
        except (TypeError, ValueError) as error:
            raise ValueError(f"instruction {instruction_id!r}: {key} = {value!r} {error}; correct the row") from None
    return arguments


def holds(instruction_id: str, text: str, arguments: dict) -> bool:
    """True if `text` follows the instruction; `arguments` come from `read_arguments`. An empty text never does."""
    return bool(text.strip()) and find(instruction_id).check(text.strip(), **arguments)


def compare(count: int, relation: Relation, threshold: int) -> bool:
    """`compare(3, "at least", 2)` is True."""
    return _COMPARE[relation](count, threshold)


def _plain(value: object) -> object:
    return value.tolist() if hasattr(value, "tolist") else value


def _integer(value: object) -> int:
    if isinstance(value, bool) or int(value) != float(value) or int(value) < 0:
        raise ValueError("is not a non-negative integer")
    return int(value)


def _string(value: object) -> str:
    """A non-empty string; a list stands for its first element, as some published rows have it."""
    value = value[0] if isinstance(value, list) and value else value
    if not isinstance(value, str) or not value.strip():
        raise ValueError("is not a non-empty string")
    return value


def _strings(value: object) -> list[str]:
    strings = [_string(item) for item in ([value] if isinstance(value, str) else value)]
    if not strings:
        raise ValueError("is empty")
    return strings


def _relation(value: object) -> str:
    if value not in _COMPARE:
        raise ValueError(f"is none of {sorted(_COMPARE)}")
    return str(value)


_READ = {int: _integer, str: _string, list[str]: _strings, Relation: _relation, LanguageCode: read_language}
