from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_score.equivalence.numbers import Number, agree, read_number


@pytest.mark.parametrize(("text", "value"), [
    ("3", Fraction(3)),
    ("-1,234.50", Fraction("-1234.5")),
    (r"\frac{3}{4}", Fraction(3, 4)),
    (r"-\frac{3}{4}", Fraction(-3, 4)),
    (r"2\frac{3}{4}", Fraction(11, 4)),
    (r"-2\frac{3}{4}", Fraction(-11, 4)),
    ("3/4", Fraction(3, 4)),
    ("2 3/4", Fraction(11, 4)),
    (r"3.5 \times 10^{-2}", Fraction("0.035")),
    (r"-10^3", Fraction(-1000)),
    (r"0.1\overline{6}", Fraction(1, 6)),
])
def test_numbers(text, value):
    assert read_number(text).value == value


@pytest.mark.parametrize(
    "text", ["", "x", "1/0", r"\frac{1}{0}", "1/2/3", r"2\frac{-3}{4}", "1 2", "10^{9999}", "2^3", "1e5", "1" * 5000])
def test_what_is_not_a_number(text):
    assert read_number(text) is None


@given(st.fractions(max_denominator=10**5).filter(lambda n: n.denominator > 1), st.integers(1, 9))
def test_a_rounded_decimal_agrees_only_with_enough_digits(number, places):
    decimal = read_number(f"{float(number):.{places}f}")
    if decimal.value != number and decimal.significant < 6:
        assert not agree(Number(number), decimal)
    if abs(number) > 1 and places > 6:
        assert agree(Number(number), decimal) == (decimal.value.denominator > 1)


@given(st.integers(-10**9, 10**9), st.integers(-10**9, 10**9))
def test_integers_agree_only_with_themselves(a, b):
    assert agree(Number(Fraction(a)), Number(Fraction(b))) == (a == b)
    assert not agree(Number(Fraction(a)), read_number(f"{a}.0000001"))
