r"""Whether two written answers are the same: numbers, formulas, tuples, sets, intervals, matrices, equations, words.

What every task of mathematics shares; the first rule that applies decides:
- the same text, but for spelling (`\dfrac12`, `$1/2$`, spaces, `\text{}`, degree signs);
- units: two units must be the same, one alone is ignored; a percent sign is a unit (`42\%` is 42, never 0.42);
- numbers are compared exactly (see `numbers.agree` for rounded decimals), never up to a factor;
- a base may be left out (`1010` for `1010_2`), not added;
- words only as words: no algebra on `live` and `evil`;
- `(1,2)`, `[1,2]`, `(1,2]` differ and are ordered; `\{1,2\}` and a bare `1, 2` are not; `\pm` is two answers;
- an equation in place of a value counts only with a symbol on its left (`x=42`, not `0=42`);
- the rest is algebra (`algebra`), on text that `complexity` lets through.
"""

import re
from functools import lru_cache
from types import ModuleType
from typing import NamedTuple

from reward_score.equivalence.complexity import MAX_LENGTH, too_complex
from reward_score.equivalence.numbers import Number, agree, read_number
from reward_score.equivalence.text import Shape, canonical, shape, split_top, split_unit, squeezed, words

MAX_PARTS = 64
_GREEK = "alpha|beta|gamma|delta|theta|lambda|mu|(?:var)?phi|omega|rho|sigma|tau|Delta|ell|(?:var)?epsilon|eta|xi|psi"
_NAME = (rf"(?:[a-zA-Z]+'*|\\(?:{_GREEK})"
         r"|\\(?:text|overline|angle|mathbb|vec|hat|bar)\s*\{[^{}]{1,60}\}|\\angle\s*[A-Z]+|\|[A-Z]{2}\|)"
         r"(?:_\{?\w{1,10}\}?)?(?:\([a-zA-Z](?:,\s*[a-zA-Z])*\)|\s[a-zA-Z ]{1,40})?")
_SYMBOL = re.compile(rf"{_NAME}|\(\s*[a-zA-Z](?:\s*,\s*[a-zA-Z])+\s*\)")
_EQUALS = re.compile(r"(?<![<>!\\])=|\\in(?![a-z])|\\approx(?![a-z])")
_RELATION = re.compile(r"<|>|\\(?:leq|geq|neq)(?![a-z])")
_SET = re.compile(r"\\(?:cup|cap|setminus|emptyset|mathbb|infty)(?![a-z])")
_ONE_LETTER = re.compile(r"\\text\s*\{\s*([a-zA-Z])\s*\}")
_BASED = re.compile(r"([0-9A-Fa-f]+)(?:_\{?([0-9]{1,2})\}?)?")
_INTERVALS = ("()", "[]", "(]", "[)")


class Verdict(NamedTuple):
    """`equal`, and in `refused` why the answer was not evaluated (empty if it was)."""

    equal: bool
    refused: str = ""


def equivalent(truth: str, answer: str) -> Verdict:
    """Judges two answers as they stand in their boxes; linear in the length of what is too long for algebra."""
    if len(truth) > MAX_LENGTH or len(answer) > MAX_LENGTH:
        equal = "".join(truth.split()) == "".join(answer.split()) != ""
        return Verdict(equal, "" if equal else f"longer than {MAX_LENGTH} characters")
    return _judge(truth, answer)


@lru_cache(16384)
def _judge(truth: str, answer: str) -> Verdict:
    truth, answer = _exact(canonical(truth)), _exact(canonical(answer))
    if not answer or not truth:
        return Verdict(False)
    if squeezed(truth) == squeezed(answer):
        return Verdict(True)
    a, b = read_number(truth), read_number(answer)
    if a is not None and b is not None:
        return Verdict(agree(a, b))
    refused = too_complex(answer) or too_complex(truth)
    if refused:
        return Verdict(False, refused)
    return Verdict(_same(truth, answer))


def _exact(text: str) -> str:
    r"""`\sqrt{2} \approx 1.41` without its approximation; `x \approx 1.41` as it is."""
    head = text.partition("\\approx")[0].strip()
    return text if _SYMBOL.fullmatch(head) else head


def _same(truth: str, answer: str) -> bool:
    if squeezed(truth) == squeezed(answer):
        return True
    a, b = read_number(truth), read_number(answer)
    if a is not None and b is not None:
        return agree(a, b)
    if words(truth) is not None or words(answer) is not None:
        return words(truth) == words(answer)
    left, right = _shape(truth, a), _shape(answer, b)
    if left.kind == right.kind == "leaf":
        return _same_leaf(left.parts[0], right.parts[0])
    return _same_shape(left, right) or _same_across(truth, answer, left, right)


def _shape(text: str, number: Number | None) -> Shape:
    return Shape("leaf", (text,)) if number is not None else shape(text)


def _same_shape(left: Shape, right: Shape) -> bool:
    kinds = {left.kind, right.kind}
    if len(left.parts) != len(right.parts) or len(left.parts) > MAX_PARTS:
        return False
    if kinds <= {"list", "{}"} or (kinds == {"{}", "leaf"} and len(left.parts) == 1):
        return _matched(left.parts, right.parts)
    if len(kinds) == 1 or kinds == {"()", "list"}:
        return all(_same(a, b) for a, b in zip(left.parts, right.parts, strict=True))
    return False


def _matched(left: tuple[str, ...], right: tuple[str, ...]) -> bool:
    """Whether the parts are the same in some order."""
    rest = list(right)
    for part in left:
        partner = next((i for i, other in enumerate(rest) if _same(part, other)), None)
        if partner is None:
            return False
        rest.pop(partner)
    return True


def _same_across(truth: str, answer: str, left: Shape, right: Shape) -> bool:
    """Different shapes: `x \\in (1,2)` or `(x,y) = (1,2)` for the value alone, and inequalities for intervals."""
    values = [_assigned(text) if kind.kind == "leaf" else None for text, kind in ((truth, left), (answer, right))]
    if values[0] is not None or values[1] is not None:
        return _same(values[0] or truth, values[1] or answer)
    for several, other in ((left, answer), (right, truth)):
        if several.kind == "list" and all(_RELATION.search(part) for part in several.parts):
            return _algebra().same_union(several.parts, other)
    if {left.kind, right.kind} & set(_INTERVALS) and (_is_relation_or_set(truth) or _is_relation_or_set(answer)):
        return _algebra().same_relation_or_set(truth, answer)
    return False


def _same_leaf(truth: str, answer: str) -> bool:
    a, b = _sides(truth), _sides(answer)
    if len(a) > 1 and len(b) > 1:
        return _same_equations(a, b)
    if len(a) > 1 or len(b) > 1:
        value = _assigned(truth if len(a) > 1 else answer)
        return value is not None and (_same(value, answer) if len(a) > 1 else _same(truth, value))
    if _is_relation_or_set(truth) or _is_relation_or_set(answer):
        return _algebra().same_relation_or_set(truth, answer)
    if ":" in truth + answer:  # times and ratios
        parts, others = truth.split(":"), answer.split(":")
        return len(parts) == len(others) and all(map(_same, parts, others))
    based = _BASED.fullmatch(truth), _BASED.fullmatch(answer)
    if "_" in truth + answer and all(based):
        return based[0][1] == based[1][1] and based[1][2] in (None, based[0][2])
    (truth, unit), (answer, other) = split_unit(truth), split_unit(answer)
    if unit and other and unit != other:
        return False
    return _same_value(truth, answer)


def _same_value(truth: str, answer: str) -> bool:
    truth, answer = _ONE_LETTER.sub(r" \1 ", truth), _ONE_LETTER.sub(r" \1 ", answer)
    if squeezed(truth) == squeezed(answer):
        return True
    if "\\text" in truth + answer:
        return False
    numbers = [read_number(text) for text in (truth, answer)]
    if any(numbers):
        numbers = [
            number or _algebra().expression_number(text) for number, text in zip(numbers, (truth, answer), strict=True)
        ]
        if all(numbers) and agree(*numbers):
            return True
    return _algebra().same_expression(truth, answer)


def _same_equations(truth: tuple[str, ...], answer: tuple[str, ...]) -> bool:
    if squeezed(truth[0]) == squeezed(answer[0]) and all(_same(truth[-1], side) for side in answer[1:]):
        return True
    if len(truth) != 2 or len(answer) != 2:
        return False
    return _algebra().same_equation(truth, answer)


def _assigned(text: str) -> str | None:
    """The value in `x = 2 + 3 = 5`, whose members must all agree; None where no symbol stands on the left."""
    sides = _sides(text)
    if len(sides) < 2 or not _SYMBOL.fullmatch(sides[0]):
        return None
    return sides[-1] if all(_same(sides[-1], side) for side in sides[1:-1]) else None


@lru_cache(8192)
def _sides(text: str) -> tuple[str, ...]:
    """The members of an equation; one if there is no equals sign outside brackets."""
    marked = _EQUALS.sub("\x00", text)
    sides = split_top(marked, "\x00")
    return sides if len(sides) == marked.count("\x00") + 1 and "\x00" not in "".join(sides) else (text,)


def _is_relation_or_set(text: str) -> bool:
    return bool(_RELATION.search(text) or _SET.search(text))


def _algebra() -> ModuleType:
    """SymPy and the LaTeX parser, on first need."""
    from reward_score.equivalence import algebra

    return algebra
