"""How a key is declared: its type, default, meaning and limits stand in one place, on the dataclass field.

`schema` reads the declarations back as a flat table; checks, `--show-args` and the loader all work from that table.
"""
import copy
import dataclasses
import functools
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any


class ConfigError(ValueError):
    """What is wrong with a config, all of it: one line per cause, each naming the key and the fix."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(list(problems))
        self.problems = list(problems)

    def __str__(self) -> str:
        return "\n".join(self.problems)


def key(default: Any,
        meaning: str,
        *,
        choices: Sequence[str] | None = None,
        external: bool = False,
        at_least: float | None = None,
        above: float | None = None,
        at_most: float | None = None,
        user: bool = True) -> Any:
    """A dataclass field with its meaning.

    Args:
        default: lists and dicts are copied for each instance.
        meaning: one line, with the unit; shown by `--show-args`.
        choices: the allowed values (of each element, for a list).
        external: other names than `choices` are fine where VERL_USE_EXTERNAL_MODULES registers them.
        at_least, above, at_most: bounds of a number, `above` without the bound itself.
        user: False for a field that the program fills in and users never set.
    """
    limits = {"choices": choices, "external": external, "at_least": at_least, "above": above, "at_most": at_most}
    metadata = {"meaning": meaning, "user": user, "limits": limits}
    if isinstance(default, list | dict):
        return dataclasses.field(default_factory=functools.partial(copy.deepcopy, default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def group(kind: type, **defaults: Any) -> Any:
    """A nested dataclass; `defaults` replace its own."""
    return dataclasses.field(default_factory=functools.partial(kind, **defaults))


@dataclasses.dataclass(frozen=True)
class Key:
    """One row of the schema."""
    name: str  # dotted, from the root
    kind: Any  # its type annotation
    default: Any
    meaning: str
    choices: Sequence[str] | None
    external: bool
    at_least: float | None
    above: float | None
    at_most: float | None

    @property
    def is_open(self) -> bool:
        """Whether any sub-key may be set below it."""
        return (typing.get_origin(self.kind) or self.kind) is dict

    @property
    def takes_text(self) -> bool:
        return self.kind in (str, str | None)

    @property
    def nullable(self) -> bool:
        return isinstance(self.kind, types.UnionType) and types.NoneType in self.kind.__args__


@functools.cache
def schema(root: type) -> dict[str, Key]:
    """Dotted name -> row, of all keys that users may set, in the order of declaration."""
    return {row.name: row for row in _rows(root(), "")}


def _rows(instance: Any, prefix: str) -> Iterator[Key]:
    for field in dataclasses.fields(instance):
        name, value = prefix + field.name, getattr(instance, field.name)
        if dataclasses.is_dataclass(value):
            yield from _rows(value, name + ".")
        elif field.metadata["user"]:
            yield Key(name, field.type, value, field.metadata["meaning"], **field.metadata["limits"])


def groups(root: type) -> set[str]:
    """Dotted names of everything that has keys below it."""
    return {name[:i] for name in schema(root) for i, letter in enumerate(name) if letter == "."}


def select(config: Any, name: str) -> Any:
    """The value at a dotted name."""
    return functools.reduce(getattr, name.split("."), config)


def to_dict(config: Any) -> dict[str, Any]:
    """Plain nested dict of the keys that users may set; tuples become lists. `from_dict` reads it back."""
    plain = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            plain[field.name] = to_dict(value)
        elif field.metadata["user"]:
            plain[field.name] = list(value) if isinstance(value, tuple) else copy.deepcopy(value)
    return plain


def from_dict(root: type, values: Mapping[str, Any]) -> Any:
    """A `root` config with `values` (nested) over its defaults. ConfigError names every unknown key and wrong type."""
    problems: list[str] = []
    config = fill(root(), values, problems)
    if problems:
        raise ConfigError(problems)
    return config


def fill(config: Any, values: Mapping[str, Any], problems: list[str], prefix: str = "") -> Any:
    """`config` with `values` put in; what does not fit is left out and reported in `problems`."""
    fields, changes = {field.name: field for field in dataclasses.fields(config)}, {}
    for name, value in values.items():
        field, full_name = fields.get(name), f"{prefix}{name}"
        if field is None:
            problems.append(f"unknown key {full_name}")
        elif dataclasses.is_dataclass(current := getattr(config, name)):
            if isinstance(value, Mapping):
                changes[name] = fill(current, value, problems, full_name + ".")
            else:
                problems.append(
                    f"{full_name}={value}: it is a group of keys; set {full_name}.{next(iter(to_dict(current)))} …")
        else:
            try:
                changes[name] = coerce(field.type, value)
            except ValueError:
                problems.append(f"{full_name}={value}: expects {describe(field.type)}, got {type(value).__name__}")
    return dataclasses.replace(config, **changes)


def coerce(kind: Any, value: Any) -> Any:
    """`value` as the annotated type `kind`, converted only where nothing is lost. ValueError if it does not fit."""
    if isinstance(kind, types.UnionType):
        if value is None or value == "":
            return None
        kind = next(option for option in kind.__args__ if option is not types.NoneType)
    return _CONVERTERS[typing.get_origin(kind) or kind](value, typing.get_args(kind))


def _to_bool(value: Any, _: tuple) -> bool:
    if isinstance(value, str) and value.lower() in ("true", "false"):  # environment variables are text
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise ValueError(value)
    return value


def _to_number(number: type) -> Callable[[Any, tuple], Any]:

    def convert(value: Any, _: tuple) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError(value)
        converted = number(value)
        if not isinstance(value, str) and converted != value:  # 1e3 is an integer, 1.5 is not
            raise ValueError(value)
        return converted

    return convert


def _to_str(value: Any, _: tuple) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(value)
    return str(value)


def _to_list(value: Any, element: tuple) -> list:
    if value is None:
        return []
    return [coerce(element[0], item) for item in (value if isinstance(value, list | tuple) else [value])]


def _to_tuple(value: Any, elements: tuple) -> tuple:
    if not isinstance(value, list | tuple) or len(value) != len(elements):
        raise ValueError(value)
    return tuple(coerce(kind, item) for kind, item in zip(elements, value, strict=True))


def _to_dict(value: Any, _: tuple) -> dict:
    if not isinstance(value, Mapping):
        raise ValueError(value)
    return dict(value)


_CONVERTERS = {
    bool: _to_bool, int: _to_number(int), float: _to_number(float), str: _to_str, list: _to_list, tuple: _to_tuple,
    dict: _to_dict
}  # yapf: disable
_NAMES = {bool: "true or false", int: "an integer", float: "a number", str: "text", dict: "a dict {key: value}"}


def describe(kind: Any) -> str:
    """A type in words, for messages."""
    if isinstance(kind, types.UnionType):
        return " or ".join("null" if option is types.NoneType else describe(option) for option in kind.__args__)
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) is list:
        return f"a list, each {describe(arguments[0])}"
    if typing.get_origin(kind) is tuple:
        return f"a list of {len(arguments)}, each {describe(arguments[0])}"
    return _NAMES[typing.get_origin(kind) or kind]
