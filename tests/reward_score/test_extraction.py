from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_score.extraction import (
    after_thinking,
    last_answer_line,
    last_boxed,
    last_code_block,
    last_hashes,
    last_letter,
    last_number,
    last_tag,
    parse_number,
)
from tests.support.timing import computes_within

FUNCTIONS = (after_thinking, last_boxed, last_tag, last_hashes, last_number, last_code_block, last_letter,
             last_answer_line, parse_number)


def balanced_text():
    """Texts with matched braces; no backslash, so that no brace is escaped."""
    plain = st.text(st.characters(exclude_characters="\\{}<>"), max_size=8)
    return st.recursive(
        plain,
        lambda inner: st.lists(st.one_of(inner, inner.map(lambda text: "{" + text + "}")), max_size=4).map("".join),
        max_leaves=8)


@given(before=st.text(), after=balanced_text())
def test_text_after_the_last_closed_thinking_is_the_answer(before, after):
    assert after_thinking(f"<think>{before}</think>{after}") == after


@given(text=st.text(), more=st.text().filter(lambda text: "</think>" not in text))
def test_unclosed_thinking_has_no_answer(text, more):
    assert after_thinking(f"{text}<think>{more}") is None


@given(text=st.text().filter(lambda text: "think>" not in text))
def test_without_thinking_all_is_answer(text):
    assert after_thinking(text) == text


@given(before=st.text(), content=balanced_text(), after=st.text().filter(lambda text: "\\" not in text))
def test_last_box_is_found_with_its_nested_braces(before, content, after):
    assert last_boxed(before + r" \boxed{" + content + "}" + after) == content.strip()


@pytest.mark.parametrize(("text", "expected"), [
    (r"\boxed{1} then \boxed{2}", "2"),
    (r"\boxed{\frac{1}{\sqrt{2}}}", r"\frac{1}{\sqrt{2}}"),
    (r"\boxed{\left\{ x \right.}", r"\left\{ x \right."),
    (r"\boxed{\boxed{3}}", "3"),
    ("\\boxed{\n 4 \n}", "4"),
    (r"\boxed {5}", "5"),
    (r"\fbox{6}", "6"),
    (r"\boxed{1} and \boxed{2", None),
    (r"\boxed{a\\}", r"a\\"),
    ("no box", None),
])
def test_boxes(text, expected):
    assert last_boxed(text) == expected


@pytest.mark.parametrize(("text", "expected"), [
    ("<answer>1</answer> no: <answer>\n2\n3\n</answer> done", "2\n3"),
    ("<answer></answer>", ""),
    ("<answer>1</answer> wait <answer>2", None),
    ("1</answer>", None),
    ("", None),
])
def test_tags(text, expected):
    assert last_tag(text) == expected


@given(st.text(), st.text().filter(lambda text: "answer>" not in text))
def test_last_tag_wins(before, content):
    assert last_tag(f"{before}<answer>{content}</answer>") == content.strip()


@pytest.mark.parametrize(("text", "expected"), [
    ("a #### 1\n#### 2 \nrest", "2"),
    ("####3", "3"),
    ("nothing", None),
])
def test_hashes(text, expected):
    assert last_hashes(text) == expected


@pytest.mark.parametrize(("text", "expected"), [
    ("first 1, then 2.", "2"),
    ("1,234.50 dollars", "1,234.50"),
    ("10-5", "5"),
    ("x=-5", "-5"),
    ("it costs -$7.", "-7"),
    ("(3)-4", "4"),
    ("1,2,3", "3"),
    ("the 3rd", None),
    ("version 1.2.3b", None),
    (".5", ".5"),
    ("none", None),
])
def test_numbers_in_text(text, expected):
    assert last_number(text) == expected


@given(st.integers(-10**12, 10**12),
       st.sampled_from(["{}", "${}", "{:,}", r"\${}", "{}.", "**{}**", " {} ", "{}.00", "${}$"]))
def test_every_spelling_of_a_number_is_read_exactly(number, spelling):
    assert parse_number(spelling.format(number)) == number


@given(st.integers(1, 10**9), st.sampled_from([",", "{,}", r"\,", r",\!"]))
def test_thousands_separators_of_latex(number, separator):
    assert parse_number(f"{number:,}".replace(",", separator)) == number


@given(st.decimals(-10**9, 10**9, places=4, allow_nan=False))
def test_decimals_are_exact(number):
    assert parse_number(f"{number:f}") == Fraction(number)


@given(st.text(), st.text("`~abc \n", max_size=30))
def test_extraction_never_raises(text, fences):
    for function in FUNCTIONS:
        assert isinstance(function(text), str | Fraction | None)
        assert isinstance(function(fences), str | Fraction | None)


plain_lines = st.text(st.characters(exclude_characters="`~\r\n", exclude_categories=["Cs"]), max_size=20)


@given(st.lists(plain_lines), plain_lines, st.sampled_from(["python", "json", ""]),
       st.sampled_from(["```", "~~~", "````"]))
def test_last_code_block_is_found(code, after, language, fence):
    block = f"{fence}{language}\n" + "".join(f"{line}\n" for line in code) + f"{fence}\n"
    found = last_code_block(f"Text\n```py\nfirst\n```\n{block}{after}")
    assert found == "\n".join(code).strip("\n")
    assert last_code_block(block, ("cpp",)) is None
    assert last_code_block(block, (language,)) == found


def test_an_indented_block_loses_its_indent():
    assert last_code_block("1. So:\n   ```python\n   if x:\n       y\n\n   ```") == "if x:\n    y"


def test_a_bare_block_after_a_named_one_is_what_the_program_prints():
    program, output = "```python\nprint(3)\n```\n", "```\n3\n```\n"
    assert last_code_block(program + output, ("python", "")) == "print(3)"
    assert last_code_block(program + "```\n3", ("python", "")) == "print(3)"
    assert last_code_block(output + program, ("python", "")) == "print(3)"
    assert last_code_block(output + "```\n4\n```", ("python", "")) == "4"
    assert last_code_block(program + output) == "3"


@pytest.mark.parametrize("text", ["", "no block", "```python\n1", "```\n1\n```\n```\n2", "`1`", "x ```\n1\n```x"])
def test_without_a_complete_last_block(text):
    assert last_code_block(text) is None


@given(
    st.sampled_from("ABCDEFGHIJ"),
    st.sampled_from([
        "{}", "({})", "{}.", "{})", "({}) 42", "**{}**", r"\text{{{}}}", r"\textbf{{({})}}", "${}$", "Option {}",
        "answer: {}", "choice ({})", "{}: because", "`{}`", "{},", r"({})\ 42", r"\text{{({})}} 42"
    ]))
def test_letters(letter, spelling):
    assert last_letter(spelling.format(letter)) == letter
    assert last_letter(spelling.format(letter.lower())) == letter


@pytest.mark.parametrize("text", ["", "K", "A and B", "A, B", "AB", "Apple", "1", "(", r"\frac{A}{B}", "not A"])
def test_no_single_letter(text):
    assert last_letter(text) is None


@given(
    st.text(),
    st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"], exclude_characters="*:"),
            min_size=1).filter(lambda text: "answer" not in text.lower()),
    st.sampled_from([
        "Answer: {}", "**Answer:** {}", "Final answer: {}", "ANSWER :{}", "answer**: {}\nend", "Answer:\n{}",
        "**Answer:**\n\n{}"
    ]))
def test_last_answer_line_wins(before, content, spelling):
    assert last_answer_line(f"{before}\n{spelling.format(content)}") == content


@pytest.mark.parametrize("text",
                         ["", "The answer is 42", "Answer: 1\nAnswer:", "Answer: 1\nAnswer:   \n", "reanswer: 1"])
def test_no_answer_line(text):
    assert last_answer_line(text) is None


@pytest.mark.parametrize("text", [
    "", "1,2,3", "12,34", "1.234,56", "1/2", "42 apples", "1e9", "--1", "1.2.3", "nan", "inf", "0x10", "x", "4$2",
    "1" * 10**6, "\u0664\u0662"
])
def test_what_is_not_a_number(text):
    assert parse_number(text) is None


@pytest.mark.parametrize("text", [
    r"\boxed{" * 20_000, "1" * 200_000 + "x", "<answer>" * 50_000, r"\boxed{" + "{" * 100_000, "1," * 100_000,
    "111," * 100_000 + "x", "answer" + " " * 10**6 + "!", "answer" + "*" * 10**6, "```\n" * 10**5, "`" * 10**6 + "a`",
    "$" * 10**6, "\\text{" * 10**5
])
def test_long_text_takes_linear_time(text):
    with computes_within(2):
        for function in FUNCTIONS:
            function(text)
