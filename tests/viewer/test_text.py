import pytest

from tests.support.timing import computes_within
from tests.support.viewer_data import FENCES, HUGE, LINKS, MATH, SCRIPT
from viewer.text import MAX_MATH, MAX_PIECES, WORD_JOINER, Look, clean, clip, escape, pieces


def looks(text):
    return [(piece.look.value, piece.text) for piece in pieces(text)]


def test_plain_text_stays_as_it_stands():
    text = f"a < b, *no* _markup_\n\n# no heading\n{SCRIPT}"
    assert looks(text) == [("text", text)]


def test_math_is_typeset_and_what_is_around_it_is_escaped():
    first, display, last = pieces(MATH)
    assert (first.look, display.look, last.look) == (Look.INLINE, Look.MATH, Look.INLINE)
    assert first.text == f"First $x^2${WORD_JOINER} costs \\$5 and \\$6\\."
    assert display.text == r"\frac{1}{2}"
    assert last.text.startswith(f"Then $y = 3${WORD_JOINER}\\, \\\\\\(\\\\href\\{{javascript\\:")


@pytest.mark.parametrize("formula", [
    r"\href{javascript:x}{y}", r"\htmlClass{a}{b}", r"\includegraphics{x}", r"\rule{999em}{999em}", r"\def\x{\x\x}\x",
    r"\newcommand{\x}{y}", "{" * 50 + "}" * 50, "{", "}{", "x" * (MAX_MATH + 1), "a % b", "a `b` c", "", "x\\"
])  # yapf: disable
def test_math_beyond_the_limits_is_text(formula):
    assert all(piece.look is Look.TEXT for piece in pieces(f"\\[{formula}\\]"))


@pytest.mark.parametrize("formula", [r"\left(\frac{a}{b}\right)", r"a \longrightarrow b", r"\text{if } x > 0", r"50\%",
                                     r"\begin{aligned}a &= b\\ c &= d\end{aligned}"])  # yapf: disable
def test_usual_math_is_typeset(formula):
    assert looks(f"\\[{formula}\\]") == [("math", formula)]


@pytest.mark.parametrize("text", ["$5 and $6", "$ x $", "a $x", "\\(a\nb\\)", "\\(a \\[b\\] c\\)x\\)", "cost: 5$"])
def test_what_is_no_math_stays_text(text):
    assert not any("$" in piece.text.replace("\\$", "") and piece.look is Look.INLINE for piece in pieces(text))


def test_fences():
    assert looks("a\n```py\nx\n```\nb") == [("text", "a"), ("code", "x"), ("text", "b")]
    assert looks("```\na ``` b\n\\(x\\)") == [("code", "a ``` b\n\\(x\\)")]  # never closed
    assert looks("~~~\n```\n~~~\nz") == [("code", "```"), ("text", "z")]
    assert looks("````\n```\n````") == [("code", "```")]
    assert [look for look, _ in looks(FENCES)] == ["code", "code"]
    assert pieces("```python\nx\n```")[0].language == "python"
    assert pieces("```<script>\nx\n```")[0].language is None


@pytest.mark.parametrize(
    "text", [LINKS, SCRIPT, "# h\n- l\n1. n\n> q\n| t |", ":material/home: :smile: :red[x]", "a\n    code"])
def test_escaped_text_has_no_markup(text):
    """Every character that Markdown gives a meaning to is escaped, and no line is indented."""
    escaped = escape(text)
    plain = escaped.replace("\\\\", "").split("\\")
    assert not any(set(part[1:]) & set("<>[]()*_`#!:|&") for part in plain[1:])
    assert not any(line.startswith(("    ", "\t")) for line in escaped.split("\n"))
    assert "https://" not in escaped and ":smile:" not in escaped.replace("\\", "")


@pytest.mark.parametrize("text", ["\\(" * 25_000, "$" * 50_000, "$$\n" * 17_000, "```\n" * 12_000, "$a$" * 16_000,
                                  "\\[x\\]" * 10_000, "{" * 50_000, "`" * 50_000])  # yapf: disable
def test_hostile_text_takes_no_time(text):
    with computes_within(2):
        found = pieces(text)
    assert len(found) <= MAX_PIECES


def test_clip_says_how_much_is_left_out():
    shown, rest = clip(HUGE, 1000)
    assert (len(shown), rest) == (1000, len(HUGE) - 1000)
    assert clip("abc") == ("abc", 0)


def test_lone_surrogates_can_be_encoded():
    assert clean("a\ud800b\u2028") == "a?b\u2028"
