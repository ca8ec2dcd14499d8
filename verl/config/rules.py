"""The grammar of states.py: what one row of its table says."""
import dataclasses
import enum
import functools
import re
from collections.abc import Container, Sequence
from typing import Any


class State(enum.StrEnum):
    """What becomes of a verl key here."""
    WORKS = "works"
    RENAMED = "renamed"
    ALWAYS = "always so"
    NOT_ON_DEVICE = "not on this device"
    REFUSED = "refused"


class _Anything:

    def __contains__(self, _: Any) -> bool:
        return True

    def __str__(self) -> str:
        return "any value"


ANY = _Anything()


@dataclasses.dataclass(frozen=True)
class Rule:
    """One row: what happens to the keys that match `key`.

    Attributes:
        key: dotted; `{a,b}` stands for either, `*` for one name, `**` for one or more.
        why: the reason; ends the sentence "KEY=VALUE: …" and says what to do where the value is refused.
        fine: values that say what happens anyway.
        idle: values that are accepted with a warning that they do nothing. All others are refused.
    """
    key: str
    state: State
    why: str
    fine: Container = ()
    idle: Container = ()

    def matches(self, name: str) -> bool:
        return _pattern(self.key).fullmatch(name) is not None


@functools.cache
def _pattern(key: str) -> re.Pattern:
    pattern = re.escape(key).replace(r"\{", "(?:").replace(r"\}", ")").replace(",", "|")
    return re.compile(pattern.replace(r"\*\*", ".+").replace(r"\*", "[^.]+"))


def works(key: str, why: str, fine: Container) -> Rule:
    """A key with a field, of which only `fine` values work."""
    return Rule(key, State.WORKS, why, fine)


def always(key: str, why: str, *fine: Any, idle: Container = ()) -> Rule:
    """What the key would choose is fixed; without `fine` and `idle`, any value may be written."""
    return Rule(key, State.ALWAYS, why, fine or ANY, idle)


def idle(key: str, why: str, *fine: Any) -> Rule:
    """Does nothing here; warns unless the value is `fine`."""
    return Rule(key, State.ALWAYS, why, fine, ANY)


def refused(key: str, why: str, *off: Any) -> Rule:
    """The feature is not there; `off` values (None by default) leave it off."""
    return Rule(key, State.REFUSED, why, off or (None,))


def under(prefix: str, rows: Sequence[Rule]) -> list[Rule]:
    """The rows with `prefix` before their keys."""
    return [dataclasses.replace(row, key=f"{prefix}.{row.key}") for row in rows]
