"""Model text for the page: split into what may be typeset and what is shown as it stands.

Nothing a model wrote becomes HTML, a link, an image or a directive of Streamlit's Markdown: code goes to a code block,
text to a plain block, and only math within limits reaches KaTeX, everything around it escaped.
"""
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

SHOWN_CHARS = 50_000  # of a text that is typeset; the rest is in the raw text
RAW_CHARS = 200_000  # of a page of raw text
MAX_PIECES = 200
MAX_MATH = 2_000  # characters of a formula
MAX_DEPTH = 40  # of its braces: KaTeX recurses
# Commands that load, link, define, or paint outside of their place.
_FORBIDDEN = re.compile(r"\\(?:html|include)|\\(?:href|url|[gex]?def|let|futurelet|global|long|newcommand|renewcommand|"
                        r"providecommand|require|rule|m?kern|[hm]skip|[hmv]space|raise|raisebox|lower|smash|"
                        r"math[lrc]lap|[lrc]lap|vcenter|cssId|class|style|begingroup|char|verb|catcode|input|loop|"
                        r"expandafter|csname)(?![a-zA-Z])")  # yapf: disable
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})[ \t]*([\w+#.-]{0,20})[^\n`]*$")
_DELIMITER = re.compile(r"\\[()\[\]]|\$\$|(?<!\\)\$")
_CLOSING = {"\\(": "\\)", "\\[": "\\]", "$$": "$$", "$": "$"}
_BLOCKS = ("\\[", "$$")
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
_LINKS = re.compile(r"(?<=[:@])(?=\S)|(?<=www)(?=\.)", re.IGNORECASE)
WORD_JOINER = "\u2060"


class Look(StrEnum):
    """How a piece is shown."""
    TEXT = "text"  # as it stands
    INLINE = "inline"  # Markdown: everything escaped but inline math
    MATH = "math"  # a formula of its own
    CODE = "code"


@dataclass(frozen=True)
class Piece:
    """A part of a text; `language` only of code."""
    look: Look
    text: str
    language: str | None = None


def clean(text: str) -> str:
    """Text that can be encoded: lone surrogates, which JSON may hold, become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def clip(text: str, limit: int = SHOWN_CHARS) -> tuple[str, int]:
    """The first `limit` characters, and how many were left out."""
    return text[:limit], max(0, len(text) - limit)


def escape(text: str) -> str:
    """Markdown that shows `text` and nothing else; its line breaks stay."""
    escaped = _PUNCTUATION.sub(r"\\\1", _LINKS.sub(WORD_JOINER, text))
    return re.sub(r"(?<=\n)[ \t]+", lambda m: "\u00a0" * len(m[0]), escaped).replace("\n", "  \n")


def pieces(text: str) -> list[Piece]:
    """Splits a text, in linear time. One that falls into more than MAX_PIECES is not typeset at all."""
    found: list[Piece] = []
    for is_code, part, language in _blocks(text):
        found.extend([Piece(Look.CODE, part, language)] if is_code else _prose(part))
        if len(found) > MAX_PIECES:
            return [Piece(Look.TEXT, text)]
    return found


def _blocks(text: str) -> Iterator[tuple[bool, str, str | None]]:
    """(is code, text, language) by fences, as CommonMark reads them: a fence that is never closed lasts to the end."""
    lines: list[str] = []
    fence, language = "", None
    for line in text.split("\n"):
        match = _FENCE.match(line)
        if fence and match and match[1].startswith(fence) and not match[2]:
            yield True, "\n".join(lines), language
            fence, lines = "", []
        elif not fence and match:
            if lines:
                yield False, "\n".join(lines), None
            fence, language, lines = match[1], match[2] or None, []
        else:
            lines.append(line)
    if lines or fence:
        yield bool(fence), "\n".join(lines), language


def _prose(text: str) -> Iterator[Piece]:
    """Display math on its own; what has inline math as Markdown; all else as it stands."""
    parts: list[tuple[str, str]] = []
    for delimiter, part in _formulas(text):
        if delimiter in _BLOCKS:
            yield from _joined(parts)
            yield Piece(Look.MATH, part.strip())
            parts = []
        else:
            parts.append((delimiter, part))
    yield from _joined(parts)


def _joined(parts: list[tuple[str, str]]) -> Iterator[Piece]:
    if any(delimiter for delimiter, _ in parts):
        shown = (f"${part.strip()}${WORD_JOINER}" if delimiter else escape(part) for delimiter, part in parts)
        yield Piece(Look.INLINE, "".join(shown).strip())
    elif text := "".join(part for _, part in parts).strip("\n"):
        yield Piece(Look.TEXT, text)


def _formulas(text: str) -> Iterator[tuple[str, str]]:
    """(opening delimiter, formula) and ("", text between) in order. A delimiter without its partner is text."""
    marks = list(_DELIMITER.finditer(text))
    last: dict[str, int] = {}  # of each delimiter the last place: none after it, no need to look
    for mark in marks:
        last[mark[0]] = mark.start()
    at = i = 0
    while i < len(marks):
        j = _partner(marks, i, text, last)
        if j is None:
            i += 1
            continue
        if marks[i].start() > at:
            yield "", text[at:marks[i].start()]
        yield marks[i][0], text[marks[i].end():marks[j].start()]
        at, i = marks[j].end(), j + 1
    if at < len(text):
        yield "", text[at:]


def _partner(marks: list[re.Match], i: int, text: str, last: dict[str, int]) -> int | None:
    """The mark that closes mark i around a formula that may be typeset. Only the next can: formulas do not nest."""
    opening = marks[i][0]
    closing = _CLOSING.get(opening)
    if closing is None or i + 1 >= len(marks) or last.get(closing, -1) <= marks[i].start():
        return None
    if marks[i + 1][0] != closing:
        return None
    formula = text[marks[i].end():marks[i + 1].start()]
    after = text[marks[i + 1].end():marks[i + 1].end() + 1]
    return i + 1 if _may_typeset(formula, opening, after) else None


def _may_typeset(formula: str, opening: str, after: str) -> bool:
    if not formula.strip() or len(formula) > MAX_MATH or _FORBIDDEN.search(formula) or set("`$") & set(formula):
        return False
    if opening not in _BLOCKS and "\n" in formula:
        return False
    if opening == "$" and (formula[0].isspace() or formula[-1].isspace() or after.isdigit()):
        return False  # amounts of money, as Pandoc tells them
    return "%" not in formula.replace("\\%", "") and _is_balanced(formula)


def _is_balanced(formula: str) -> bool:
    depth = 0
    for mark in re.findall(r"\\.|[{}]", formula, re.S):
        depth += (mark == "{") - (mark == "}")
        if not 0 <= depth <= MAX_DEPTH:
            return False
    return depth == 0 and not formula.endswith("\\")
