r"""Numbers as answers spell them (`1,234.5`, `\frac{3}{4}`, `1\frac{1}{2}`, `3 \times 10^{5}`), read exactly.

A decimal stands for an irrational or a fraction if it is that value cut or rounded after six or more significant
digits: `0.333333` is 1/3, `0.33` is not. An integer is equal to itself alone; no tolerance is relative.
"""

import re
from fractions import Fraction
from typing import NamedTuple

from reward_score.extraction import parse_number

MIN_SIGNIFICANT = 6

_SLASH = re.compile(r"([-+]?)\s*(?:([0-9]+)\s+)?(-?[0-9.,]+)\s*/\s*(-?[0-9.,]+)")
_FRACTION = re.compile(r"([-+]?)\s*(?:([0-9]+)\s*)?\\frac\{\s*(-?[0-9.,]+)\s*\}\{\s*(-?[0-9.,]+)\s*\}")
_SCIENTIFIC = re.compile(
    r"(?:([-+]?[0-9.,]+)\s*(?:\\times|\\cdot|\*)\s*|([-+]?))10\s*\^\s*(?:\{\s*([-+]?[0-9]{1,3})\s*\}"
    r"|([0-9]))")
_REPEATING = re.compile(r"([-+]?)([0-9]*)\.([0-9]*)\\overline\{([0-9]+)\}")


class Number(NamedTuple):
    """An exact value; of a decimal also the weight of its last digit and the count of its significant digits."""

    value: Fraction
    step: Fraction | None = None
    significant: int = 0


def read_number(text: str) -> Number | None:
    """The number that `text` is; None if it is anything more or else."""
    return _decimal(text) or _ratio(text) or _scientific(text) or _repeating(text)


def agree(a: Number, b: Number) -> bool:
    """Whether two numbers are the same, or one the other's decimal to enough digits."""
    if a.value == b.value:
        return True
    if a.value.denominator == 1 or b.value.denominator == 1:
        return False
    return any(
        n.step is not None and n.significant >= MIN_SIGNIFICANT and abs(a.value - b.value) < n.step for n in (a, b))


def _decimal(text: str) -> Number | None:
    value = parse_number(text)
    if value is None:
        return None
    digits = re.sub("[^0-9.]", "", text).removesuffix(".")
    if "." not in digits:
        return Number(value)
    places = len(digits.partition(".")[2])
    return Number(value, Fraction(1, 10**places), len(digits.replace(".", "").lstrip("0")))


def _ratio(text: str) -> Number | None:
    match = _FRACTION.fullmatch(text) or _SLASH.fullmatch(text)
    if not match:
        return None
    sign, whole, above, below = match.groups()
    numerator, denominator = parse_number(above), parse_number(below)
    if numerator is None or not denominator or (whole and (numerator < 0 or denominator < 0)):
        return None
    value = Fraction(whole or 0) + numerator / denominator
    return Number(-value if sign == "-" else value)


def _scientific(text: str) -> Number | None:
    match = _SCIENTIFIC.fullmatch(text)
    if not match:
        return None
    factor = _decimal(match[1] if match[1] else f"{match[2]}1")
    if factor is None:
        return None
    scale = Fraction(10)**int(match[3] or match[4])
    return Number(factor.value * scale, factor.step and factor.step * scale, factor.significant)


def _repeating(text: str) -> Number | None:
    match = _REPEATING.fullmatch(text)
    if not match:
        return None
    sign, whole, fixed, period = match.groups()
    tail = Fraction(int(period), 10**len(period) - 1)
    value = Fraction(int(whole + fixed or 0) + tail) / 10**len(fixed)
    return Number(-value if sign == "-" else value)
