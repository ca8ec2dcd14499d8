r"""What strings and plain numbers cannot settle: math-verify's LaTeX parser and SymPy, on text that may be hostile.

Text is parsed as LaTeX, never evaluated as Python; nothing here has a timeout, the deadline is the pool's. Importing
this module takes SymPy along and warms the parser up, so that a pool's workers are forked with both: the parser's
first expressions take 50 times as long as later ones.
"""

import logging
import re
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache, wraps

import math_verify
import sympy
from latex2sympy2_extended import NormalizationConfig, latex2sympy, normalize_latex
from latex2sympy2_extended.latex2sympy2 import ConversionConfig

from reward_score.equivalence.complexity import too_complex
from reward_score.equivalence.numbers import Number

DIGITS = 50
_I = sympy.Symbol("i", real=True)  # what the parser makes of i
_HAS_I = re.compile(r"(?<![a-zA-Z\\])i(?![a-zA-Z])")
_FACTOR = re.compile(  # the parser takes 3(4) and 3\binom{5}{2} for mixed numbers
    r"(?<![_^0-9a-zA-Z.])([0-9]+(?:\.[0-9]+)?)\s*(?=\(|\\[dt]?binom)")
_EPSILON = sympy.Float("1e-30")
_POINTS = tuple(  # fixed, so that a verdict is; of both signs, so that |x| is not x
    tuple(row.split()) for row in ("1.37 2.11 0.73 3.19 1.91 2.63", "-0.61 1.73 2.39 -1.13 0.47 -2.17",
                                   "-2.87 -0.29 -1.51 0.83 -3.41 1.29"))
_STYLE = NormalizationConfig(basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="none")
_CASE = ConversionConfig(lowercase_symbols=False)  # R^2-r^2 is not 0


def _false_where_it_fails(judge: Callable[..., bool]) -> Callable[..., bool]:

    @wraps(judge)
    def guarded(truth: object, answer: object) -> bool:
        try:
            return judge(truth, answer)
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001 -- SymPy raises any kind on formulas without a value; such an answer is wrong
            return False

    return guarded


@lru_cache(512)  # small: what is kept may be large
def parse(text: str) -> object | None:
    """What SymPy makes of a formula; None if it is none or could run away."""
    if too_complex(text):
        return None
    latex = normalize_latex(_FACTOR.sub(r"\1 \\cdot ", text), _STYLE)
    try:
        value = latex2sympy(latex, is_real=True, normalization_config=None, conversion_config=_CASE)
        return _exact(value.subs(_I, sympy.I) if _HAS_I.search(latex) else value)
    except Exception:  # noqa: BLE001 -- the parser and SymPy raise any kind for text that is no formula
        return None


def _exact(value: object) -> object:
    """Decimals as fractions: 0.1x is x/10."""
    if not isinstance(value, sympy.Basic):
        return value
    return value.xreplace({number: sympy.Rational(str(number)) for number in value.atoms(sympy.Float)})


def expression_number(text: str) -> Number | None:
    """The value of a formula without symbols (`2\\sqrt{3}`), exact if rational; None for any other."""
    value = _number(text)
    if value is None:
        return None
    return Number(Fraction(int(value.p), int(value.q)))


@lru_cache(512)
def _number(text: str) -> sympy.Rational | None:
    expression = parse(text)
    if not isinstance(expression, sympy.Expr) or expression.free_symbols:
        return None
    value = _evaluated(expression)
    if not value.is_Rational:
        value = value.evalf(DIGITS)
    return sympy.Rational(value) if value.is_Float or value.is_Rational else None


@_false_where_it_fails
def same_expression(truth: str, answer: str) -> bool:
    """Whether two formulas are equal for every value of their symbols: sampled at fixed points, then proven."""
    a, b = parse(truth), parse(answer)
    if not isinstance(a, sympy.Expr) or not isinstance(b, sympy.Expr):
        return False
    if a == b:
        return True
    return _vanishes(a - b, _scale(a))


@_false_where_it_fails
def same_equation(truth: tuple[str, str], answer: tuple[str, str]) -> bool:
    """Whether two equations say the same: one's difference of sides is a constant times the other's."""
    sides = [parse(side) for side in (*truth, *answer)]
    if not all(isinstance(side, sympy.Expr) for side in sides):
        return False
    a, b = sides[0] - sides[1], sides[2] - sides[3]
    symbols = sorted(a.free_symbols, key=str)
    if not symbols or a.free_symbols != b.free_symbols:
        return False
    if _is_value(*sides[:2]) and not _is_value(*sides[2:]):  # 3x+2 = 17 does not solve for x = 5
        return False
    at = _values(symbols, _POINTS[0])
    above, below = _evaluated(b.subs(at)), _evaluated(a.subs(at))
    if _is_zero(above) or _is_zero(below):
        return False
    return _vanishes(a * above - b * below, below)


@_false_where_it_fails
def same_union(parts: tuple[str, ...], other: str) -> bool:
    r"""Whether a set is the union of inequalities: `x<1, x>2` and `(-\infty,1) \cup (2,\infty)`."""
    relations, b = [parse(part) for part in parts], parse(other)
    if not isinstance(b, sympy.Set) or not all(relation.free_symbols for relation in relations):
        return False
    if not all(map(_is_solved, relations)):
        return False
    return _verify(b, sympy.Union(*(relation.as_set() for relation in relations)))


@_false_where_it_fails
def same_relation_or_set(truth: str, answer: str) -> bool:
    """Inequalities and sets (`1 < x \\leq 2`, `(-\\infty, 1) \\cup (2, 3]`), by math-verify."""
    a, b = parse(truth), parse(answer)
    if a is None or b is None:
        return False
    relations = [value for value in (a, b) if getattr(value, "is_Relational", False) or isinstance(value, sympy.And)]
    if any(not value.free_symbols for value in relations):  # 0 < 1 says nothing
        return False
    if sympy.S.EmptySet in (a, b):  # x^2 < 0 is the question, not its answer
        return a == b
    if _is_solved(a) and not _is_solved(b):
        return False
    if len(relations) == 2 and a.free_symbols != b.free_symbols:
        return False
    several = [value.args if isinstance(value, sympy.And) else (value,) for value in (a, b)]
    if len(relations) == 2 and len(several[0]) == len(several[1]) > 1:  # 1 < x < 2 and 2 > x > 1
        return all(any(_verify(one, other) for other in several[1]) for one in several[0])
    return _verify(a, b)


def _is_solved(value: object) -> bool:
    """False for an inequality that is still to be solved (`x^2 < 4`, `|x| < 2`)."""
    if isinstance(value, sympy.And):
        return all(map(_is_solved, value.args))
    return not getattr(value, "is_Relational", False) or _is_value(value.lhs, value.rhs)


def _is_value(left: sympy.Expr, right: sympy.Expr) -> bool:
    """Whether one side is a symbol and the other a value without symbols."""
    return left.is_Symbol and not right.free_symbols or right.is_Symbol and not left.free_symbols


def _verify(truth: object, answer: object) -> bool:
    return bool(math_verify.verify(truth, answer, timeout_seconds=None, allow_set_relation_comp=True))


def _vanishes(difference: sympy.Expr, scale: sympy.Expr) -> bool:
    symbols = sorted(difference.free_symbols, key=str)
    if not symbols:
        return _is_zero(_evaluated(difference), scale)
    seen = 0
    for point in _POINTS:
        value = _evaluated(difference.subs(_values(symbols, point))).evalf(DIGITS)
        if value.is_number and value.is_finite:  # not where it has no value
            seen += 1
            if not _is_zero(value):
                return False
    if not seen:
        return False
    return bool(sympy.expand(difference) == 0 or sympy.simplify(difference) == 0)


def _is_zero(value: sympy.Expr, scale: sympy.Expr = sympy.S.One) -> bool:
    if value.is_Rational:
        return value == 0
    size = abs(value.evalf(DIGITS))
    limit = max(abs(scale.evalf(DIGITS)), sympy.S.One) * _EPSILON if scale.is_number else _EPSILON
    return bool((size.is_Float or size.is_Rational) and size < limit)


def _scale(value: sympy.Expr) -> sympy.Expr:
    return sympy.S.One if value.free_symbols else _evaluated(value)


def _evaluated(value: sympy.Expr) -> sympy.Expr:
    try:
        return value.doit()
    except Exception:  # noqa: BLE001 -- SymPy raises any kind where a formula has no value
        return sympy.nan


def _values(symbols: list[sympy.Symbol], point: tuple[str, ...]) -> dict[sympy.Symbol, sympy.Rational]:
    """A value for each symbol; those of a seventh and later repeat, one higher."""
    return {
        symbol: sympy.Rational(point[index % len(point)]) + index // len(point) for index, symbol in enumerate(symbols)
    }


logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns that its timeouts are off
_WARM_UP = r"""\frac{1}{2}x^{2}-3\sqrt{2}y; (x+1)(y-2)^{3}; \sin(x)+\log_{2}(3); 2\pi r^{2}; (1,2]; 1 < x \leq 2;
e^{-2x}; x = 5; \sqrt[3]{5}+|x|; (-\infty,1)\cup(2,3); \frac{a+b}{c}; x_{1}y; x^{2}+7x+12;
x^2 + 7x + 12; \frac{n(n+1)}{2}; 3-2i; \frac{1}{2}\ln 3; \sqrt{x^{2}+1}; \cos(2x); -\frac{3}{4}x+2;
2^{n+1}-2; \frac{\pi}{6}+k\pi; \sqrt{5}3+7; \log_{3} 7; 5!"""
for _text in _WARM_UP.split(";"):
    parse(_text.strip())
