r"""The shape of a written answer: one spelling, its unit, its brackets and separators. Text only, no algebra."""

import re
from functools import lru_cache
from typing import NamedTuple

_UNICODE = str.maketrans({
    "\u2212": "-", "\u2013": "-", "\u2014": "-", "\u00d7": r"\times ", "\u00b7": r"\cdot ", "\u22c5": r"\cdot ",
    "\u00f7": "/", "\u03c0": r"\pi ", "\u221e": r"\infty ", "\u2264": r"\leq ", "\u2265": r"\geq ", "\u2260": r"\neq ",
    "\u222a": r"\cup ", "\u2229": r"\cap ", "\u2208": r"\in ", "\u2205": r"\emptyset ", "\u211d": r"\mathbb{R}",
    "\u00b1": r"\pm ", "\u00b0": r"^\circ ", "\u00b2": "^{2}", "\u00b3": "^{3}", "\u2009": " ", "\u00a0": " ",
    "\u2248": r"\approx ", "\u03b8": r"\theta ", "\u03b1": r"\alpha ", "\u03b2": r"\beta ", "\u20ac": r"\text{euro}",
})  # yapf: disable
_REWRITES = tuple((re.compile(pattern), replacement) for pattern, replacement in (
    (r"\u221a\s*(?:\(([^()]*)\)|([0-9]+|[a-zA-Z]))", r"\\sqrt{\1\2}"),
    (r"(?<=[0-9])(?:\\,|\{,\}|\\ |,\\!\s*|\\!)(?=[0-9]{3}(?![0-9]))", ","),
    (r"\\(?:left|right|m?[bB]igg?[lr]?)(?![a-zA-Z])\s*\.?", ""),
    (r"\\(?:displaystyle|textstyle|limits|!|\(|\)|\$)(?![a-zA-Z])|(?<!\\)\$", ""),
    (r"\\\\\[[0-9.]+[a-z]+\]", r"\\\\"),
    (r"(?<!\\)\\[,;: ]|(?<!\\)~|\\(?:quad|qquad)(?![a-zA-Z])", " "),
    (r"\\[dtc]frac(?![a-zA-Z])", r"\\frac"),
    (r"\\(?:mathrm|textrm|textnormal|textit|textbf|mathbf|mathit|mbox|operatorname|rm|bf|boldsymbol|bm)\s*\{",
     r"\\text{"),
    (r"\\text\s*\{\s*([\\%.]*)\s*\}", r"\1"),
    (r"\\text\s*\{\s*(and|or)\s*\}", r" \1 "),
    (r"\^\s*\{?\s*\\circ\s*\}?\s*(?:\\text\s*\{\s*([CF])\s*\}|([CF])(?![a-zA-Z]))", r"\\text{degree \1\2}"),
    (r"\^\s*\{?\s*\\circ\s*\}?|\\degree(?![a-z])", r"\\text{degree}"),
    (r"\\lbrace(?![a-z])", r"\\{"),
    (r"\\rbrace(?![a-z])", r"\\}"),
    (r"\\langle(?![a-z])", "("),
    (r"\\rangle(?![a-z])", ")"),
    (r"\\lt(?![a-z])|&lt;", "<"),
    (r"\\gt(?![a-z])|&gt;", ">"),
    (r"\\leq?(?:slant)?(?![a-z])|<=", r"\\leq "),
    (r"\\geq?(?:slant)?(?![a-z])|>=", r"\\geq "),
    (r"\\neq?(?![a-z])|!=", r"\\neq "),
    (r"(?<!\\)\binfinity\b|\binfty\b(?<!\\infty)", r"\\infty"),
    (r"\\(?:varnothing|empty)(?![a-z])", r"\\emptyset"),
    (r"\\frac\s*([0-9a-z])\s*([0-9a-z])", r"\\frac{\1}{\2}"),
    (r"\\frac\s*([0-9a-z])\s*\{", r"\\frac{\1}{"),
    (r"(\\frac\s*\{[^{}]{1,200}\})\s*([0-9a-z])", r"\1{\2}"),
    (r"\\sqrt\s*([0-9a-z])", r"\\sqrt{\1}"),
    (r"\s+", " "),
))
_MATRIX = re.compile(r"\\begin\{(?:[pbB]?matrix|array)\}(?:\{[clr|]*\})?(.*)\\end\{(?:[pbB]?matrix|array)\}", re.DOTALL)
_TEXT = re.compile(r"\\text\s*\{([^{}]*)\}")
_WORDS = re.compile(r"[^\W\d_](?:[^\W\d_]|[ '.,&/-])*")
_LONG_WORD = re.compile(r"[^\W\d_]{4}|^(?:yes|no)$", re.IGNORECASE)  # shorter ones may be products: xyz
_SPACE = re.compile(r"(?<![0-9])\s+|\s+(?![0-9])")
_TRIGONOMETRIC = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![a-z])")
_DEGREES = re.compile(r"([0-9.]+)\s*\\text\{degree\}")
_SPACED_THOUSANDS = re.compile(r"[-+]?[0-9]{1,3}(?: [0-9]{3})+")
_LETTER = re.compile(r"\\text\s*\{\s*(\(?[a-zA-Z]\)?)\s*\}")
_POWER = r"(?:\s*\^\s*\{?\s*[23]\s*\}?)?"
_UNIT = re.compile(
    r"(?P<body>.*?[^\s\\/])\s*(?P<unit>(?:\\?%|\\text\s*\{\s*[a-zA-Z%/][a-zA-Z%/^0-9. *-]{0,39}\}|(?<![a-zA-Z\\])"
    r"(?:cm|mm|km|kg|mph|ft|inch(?:es)?|feet|foot|yards?|miles?|met(?:er|re)s?|hours?|minutes?|seconds?"
    r"|pct|percentage|days?|weeks?|months?|years?|dollars?|cents?|degrees?|percent|units?|sq(?:uare)? units?))"
    rf"{_POWER}(?:\s*/\s*\\text\s*\{{[a-zA-Z ]{{1,40}}\}}{_POWER})?)", re.DOTALL)
_NO_UNIT = re.compile(r"\b(?:and|or|not|more|less|than|least|most|minus|plus|times|over|hundreds?|thousands?|millions?"
                      r"|billions?|trillions?|dozens?|pairs?|half|to|about|base|mod|if|for|when|where|squared|cubed"
                      r"|factorial|divided|remainder|negative|wrong|sqrt|cos|sin|log|pi)\b"
                      r"|\{\s*[ekinxyz]\s*\}"  # 5\text{i} is no number
                      r"|(?<![0-9a-zA-Z^{])(?<![{^] )-?[0-9]|\b[eErR][0-9]")  # 5\text{ /2}, 5\text{e3}
_COUNTED = re.compile(r"(?P<body>[-+]?[0-9][0-9,.]*) (?P<unit>[a-z]{4,20}(?: [a-z]{3,20}){0,3})")  # 5 apples
_NOT_COUNTED = re.compile(rf"{_NO_UNIT.pattern}|alpha|beta|gamma|delta|theta|lambda|sigma|omega|root|infinity|choose")
_UNIT_NAMES = {
    "centimeter": "cm", "centimetre": "cm", "millimeter": "mm", "kilometer": "km", "kilometre": "km", "meter": "m",
    "metre": "m", "inche": "in", "inch": "in", "foot": "ft", "feet": "ft", "sec": "s", "second": "s", "hour": "h",
    "hr": "h", "minute": "min", "gram": "g", "kilogram": "kg", "degree": "deg", "percent": "%", "percentage": "%",
    "mile": "mi", "mph": "mi/h", "unit": "", "pound": "lb", "liter": "l", "litre": "l", "yard": "yd", "point": "",
    "pct": "%",
}  # yapf: disable
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")
_SEPARATOR = re.compile(r"\s(?:and|or)\s")


class Shape(NamedTuple):
    """`kind`: "list" (bare `1, 2`), "{}", "()", "[]", "(]", "[)", "matrix..." with its row lengths, or "leaf"."""

    kind: str
    parts: tuple[str, ...]


@lru_cache(8192)
def canonical(text: str) -> str:
    """One spelling of what is written; the value and the order of everything stay."""
    text = text.translate(_UNICODE).strip().strip("*").removeprefix(r"\[").removesuffix(r"\]")
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    text = text.strip().rstrip(".,;:").strip() if not text.rstrip().endswith("\\") else text.strip()
    while text.startswith("{") and text.endswith("}") and enclosed(text):
        text = text[1:-1].strip()
    if _TRIGONOMETRIC.search(text):
        text = _DEGREES.sub(r"(\\frac{\1\\pi}{180})", text)
    if _SPACED_THOUSANDS.fullmatch(text):
        text = text.replace(" ", ",")
    letter = _LETTER.fullmatch(text)
    return letter[1] if letter else text


@lru_cache(8192)
def squeezed(text: str) -> str:
    r"""For comparing as strings: no `\text{}`, braces of one character or spaces, but for those between digits."""
    return re.sub(r"\{(\w)\}", r"\1", _SPACE.sub("", _TEXT.sub(r"\1", text)))


def words(text: str) -> str | None:
    r"""The lower-case words of an answer in words (`Tuesday`, `\text{not enough}`); None for formulas and letters."""
    plain = _TEXT.sub(r"\1", text).strip()
    if not _WORDS.fullmatch(plain) or not ("\\text" in text or _LONG_WORD.search(plain)):
        return None
    return " ".join(re.findall(r"[^\W\d_]+", plain.lower()))


@lru_cache(8192)
def split_unit(text: str) -> tuple[str, str]:
    r"""`5\text{ cm}^{2}` to `("5", "cm^2")`; no unit is "". A unit that is no unit (`million`, `or more`) stays."""
    if text.startswith("\\text"):
        return text, ""
    counted = _COUNTED.fullmatch(text)
    match = counted or _UNIT.fullmatch(text)
    if not match or (_NOT_COUNTED if counted else _NO_UNIT).search(match["unit"]):
        return text, ""
    return match["body"].strip(), _unit_name(match["unit"])


def _unit_name(unit: str) -> str:
    name = re.sub(r"[{}\s]*\^[{}\s]*", "^", _TEXT.sub(r"\1", unit)).replace("\\", "").strip(" .{}").lower()
    name, _, power = name.partition("^")
    for word, meaning in (("square ", "2"), ("sq ", "2"), ("sq. ", "2"), ("cubic ", "3"), ("cu ", "3")):
        if name.startswith(word):
            name, power = name.removeprefix(word), meaning
    parts = [_singular(part.strip()) for part in name.replace(" per ", "/").split("/")]
    base = "/".join(parts)
    return f"{base}^{power}" if power and base else base


def _singular(word: str) -> str:
    word = word.rstrip(".")
    word = word[:-1] if len(word) > 3 and word.endswith("s") else word
    return _UNIT_NAMES.get(word, word)


@lru_cache(8192)
def shape(text: str) -> Shape:
    """How an answer is built on its outside; the parts are texts again."""
    matrix = _MATRIX.fullmatch(text)
    if matrix:
        rows = [[cell.strip() for cell in row.split("&")] for row in matrix[1].split("\\\\") if row.strip()]
        return Shape(f"matrix {[len(row) for row in rows]}", tuple(cell for row in rows for cell in row))
    parts = split_top(text, ",;")
    if len(parts) > 1:
        return Shape("list", tuple(part for each in parts for part in _plus_minus(each)))
    bounds = enclosed(text)
    if bounds is None:
        parts = _plus_minus(text)
        return Shape("leaf" if len(parts) == 1 else "list", parts)
    opening, closing, inner = bounds
    parts = split_top(inner, ",;")
    if opening == "\\{":
        return Shape("{}", tuple(part for each in parts for part in _plus_minus(each)) if inner else ())
    if len(parts) == 1:
        inside = inner and opening + closing == "()" or inner.startswith("\\begin")
        return shape(inner) if inside else Shape("leaf", (text,))
    return Shape(opening + closing, parts)


def _plus_minus(text: str) -> tuple[str, ...]:
    if text.count("\\pm") != 1 or "\\text" in text:
        return (text,)
    return text.replace("\\pm", "+").lstrip(" +"), text.replace("\\pm", "-")


def enclosed(text: str) -> tuple[str, str, str] | None:
    r"""`(opening, closing, inner)` of a text that one pair of brackets encloses: `()`, `[)`, `\{\}`, `{}`."""
    depth, end = 0, 0
    if text[:1] not in _OPENING and text[:2] != "\\{":
        return None
    for start, bracket in _brackets(text):
        depth += 1 if bracket[-1] in _OPENING else -1
        end = start + len(bracket)
        if depth == 0:
            break
    if depth or end != len(text):
        return None
    opening = "\\{" if text[0] == "\\" else text[0]
    closing = "\\}" if text.endswith("\\}") else text[-1]
    return opening, closing, text[len(opening):-len(closing)].strip()


def split_top(text: str, separators: str) -> tuple[str, ...]:
    """Splits at separators outside all brackets; with commas go `and` and `or`."""
    depths = [0] * (len(text) + 1)
    for start, bracket in _brackets(text):
        depths[start] += 1 if bracket[-1] in _OPENING else -1
    depth, cuts = 0, []
    words_too = list(_SEPARATOR.finditer(text)) if "," in separators else []
    jumps = {match.start(): match.end() for match in words_too}
    for index, character in enumerate(text):
        depth += depths[index]
        if depth == 0 and (character in separators and text[index - 1:index] != "\\"):
            cuts.append((index, index + 1))
        elif depth == 0 and index in jumps:
            cuts.append((index, jumps[index]))
    if not cuts:
        return (text.strip(),)
    starts, ends = [0, *(end for _, end in cuts)], [*(start for start, _ in cuts), len(text)]
    parts = [text[start:end].strip() for start, end in zip(starts, ends, strict=True)]
    return tuple(part for part in parts if part)


def _brackets(text: str) -> list[tuple[int, str]]:
    return [(match.start(), match.group())
            for match in re.finditer(r"\\[{}]|\\.|[()\[\]{}]", text)
            if len(match.group()) == 1 or match.group()[1] in "{}"]
