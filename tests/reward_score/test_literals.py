import ast
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_score.literals import MAX_DEPTH, MAX_LENGTH, parse_enclosed, parse_literal
from tests.support.timing import computes_within

SCALARS = st.none() | st.booleans() | st.integers(-10**30, 10**30) | st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]))
VALUES = st.recursive(SCALARS | TEXT,
                      lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
                      max_leaves=20)


@given(VALUES)
def test_reads_what_json_writes(value):
    assert parse_literal(json.dumps(value)) == value
    assert parse_literal(json.dumps(value, indent=2, ensure_ascii=False)) == value


@given(VALUES.filter(lambda value: "\\U" not in repr(value)))
def test_reads_what_python_writes(value):
    assert parse_literal(repr(value)) == ast.literal_eval(repr(value)) == value


@given(st.text("[]{},:'\"\\ 0.1eE-+tTrueNone_x", max_size=40))
def test_anything_else_is_a_value_error(text):
    try:
        parse_literal(text)
    except ValueError:
        return
    assert text.strip()


@pytest.mark.parametrize("text", [
    "", "[", "]", "[1", "[1 2]", "[1,,2]", "{1}", "{'a': 1, 'a': 2}", "{[1]: 2}", "'a", "'a' 'b'", "1 + 1", "9**9",
    "f()", "__import__('os')", "[x for x in y]", "1_000", "0x10", "(1, 2)", "b'a'", "f'a'", "Truex", "--1", "nul",
    "1.2.3", "9" * 401
])
def test_refused(text):
    with pytest.raises(ValueError, match="."):
        parse_literal(text)


@pytest.mark.parametrize(("text", "value"), [
    ("[1, 2,]", [1, 2]),
    ("{'a': True, \"b\": null,}", {
        "a": True,
        "b": None
    }),
    (r"'it\'s'", "it's"),
    (r'"\u00e9\n\/"', "\u00e9\n/"),
    (r'"\ud83d\ude00 \ud800 \x41"', "\U0001f600 ? A"),
    ("-1.5e3", -1500.0),
    ("007", 7),
])
def test_read(text, value):
    assert parse_literal(text) == value


@pytest.mark.parametrize(("text", "value"), [
    ("grid: [[1]] done", [[1]]),
    ("```json\n[1,\n2]\n```", [1, 2]),
    ("[1] or [2]", None),
    ("see [1]: ['a']", None),
    ("nothing", None),
    ("]1[", None),
    (None, None),
])
def test_enclosed(text, value):
    assert parse_enclosed(text, "[]") == value


def test_limits():
    assert parse_literal("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    with pytest.raises(ValueError, match="deep"):
        parse_literal("[" * 100_000)
    with pytest.raises(ValueError, match="characters"):
        parse_literal("[" + "1," * MAX_LENGTH + "]")


@pytest.mark.parametrize("fragment", ["[", "{", "'", "\\", "'\\", "1", "1,", "[],", "'a':", " ", "-", "1e", "."])
def test_hostile_text_ends_soon(fragment):
    with computes_within(2.0):
        for opening in ("", "[", "{", "'"):
            parse_enclosed(opening + fragment * (MAX_LENGTH // 2) + "]}", "[]")
            parse_enclosed(opening + fragment * (MAX_LENGTH // 2) + "]}", "{}")
