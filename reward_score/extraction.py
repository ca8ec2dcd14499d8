r"""Finds the answer in a response. One set of rules for every task, linear in the length of the text.

The last answer wins, and an unfinished last answer (a truncated `\boxed{` or `<answer>`) is no answer.
"""

import re
from collections.abc import Collection
from fractions import Fraction

_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
_BRACES = re.compile(r"\\.|[{}]", re.DOTALL)
_MAX_BOX_LENGTH = 1_000_000  # characters; a longer box counts as never closed
_DIGITS = r"(?:[0-9]{1,3}(?:,[0-9]{3}){1,40}|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+"
_NUMBER = re.compile(rf"[-+]?(?:{_DIGITS})")
_NUMBER_IN_TEXT = re.compile(rf"(?<![\w.])(?:(?<![)\]}}])[-+])?\$?(?:{_DIGITS})(?!\w|[.,][0-9])")
_DOLLARS = re.compile(r"^([-+]?)(?:\\?\$)+|\\?\$$")
_MAX_NUMBER_LENGTH = 400
_LAST_NUMBER_WINDOW = 100_000  # characters at the end of a text that are searched for a number
_FENCE = re.compile(r"^([ \t]*)(`{3,}|~{3,})([^\n`]*)$", re.MULTILINE)
_TEXT_COMMAND = re.compile(r"\\(?:text|textbf|mathrm|mathbf|rm)\s*\{([^{}]*)\}")
_CHOICE = re.compile(r"(?:(?:option|choice|answer)\s*(?::\s*)?)?\(?([a-z])(?:[).:]+(?:[\s\\].*)?)?",
                     re.DOTALL | re.IGNORECASE)
_ANSWER_LINE = re.compile(r"(?i:\banswer)\s*(?:\*+\s*)?:(?:\s|\*)*+([^\n]*)")


def after_thinking(text: str) -> str | None:
    """The part of a response that is its answer.

    Returns:
        The text after the last `</think>`; the whole text where nothing was thought aloud; None where a `<think>` was
        never closed, because the response was cut before it answered.
    """
    answer = text.rpartition("</think>")[2]
    return None if "<think>" in answer else answer


def last_boxed(text: str) -> str | None:
    r"""Content of the last `\boxed{...}` (or `\fbox{...}`), nested braces included, escaped ones not counted."""
    box = None
    for match in _BOX.finditer(text):
        box = match
    if box is None:
        return None
    end = _closing_brace(text, box.end())
    return None if end is None else text[box.end():end].strip()


def _closing_brace(text: str, start: int) -> int | None:
    depth = 1
    for match in _BRACES.finditer(text, start, start + _MAX_BOX_LENGTH):
        depth += {"{": 1, "}": -1}.get(match.group(), 0)
        if depth == 0:
            return match.start()
    return None


def last_tag(text: str, tag: str = "answer") -> str | None:
    """Content of the last `<tag>...</tag>`, stripped; it may span lines."""
    head, opened, tail = text.rpartition(f"<{tag}>")
    content, closed, _ = tail.partition(f"</{tag}>")
    return content.strip() if opened and closed else None


def last_code_block(text: str, languages: Collection[str] | None = None) -> str | None:
    """Content of the last complete fenced block; None if there is none or the last one was never closed.

    Args:
        languages: the lower-case info words taken (`python`, `py`, and "" for a bare fence); None: any. A bare block
            counts only where no named one came before it: what follows a program is what it prints.
    """
    block, named = None, False
    fence, indent, start, taken = "", "", 0, False
    for match in _FENCE.finditer(text):
        spaces, marks, word = match.group(1), match.group(2), match.group(3).strip().lower()
        if not fence:
            fence, indent, start = marks, spaces, match.end()
            language = word.split(" ")[0]
            taken = languages is None or language in languages and (language != "" or not named)
            if taken:
                block, named = None, language != ""
        elif marks[0] == fence[0] and len(marks) >= len(fence) and not word:
            if taken:
                lines = text[start:match.start()].strip("\n").split("\n")
                block = "\n".join(line.removeprefix(indent) for line in lines)
            fence = ""
    return block


def last_letter(text: str, letters: str = "ABCDEFGHIJ") -> str | None:
    r"""The letter that a multiple-choice answer names, upper case.

    Reads a short text as it stands in a box or after `Answer:` - `C`, `(C)`, `c.`, `\text{C}`, `C) 42`, `option C`.
    None where it names no letter of `letters`, or several.
    """
    text = _TEXT_COMMAND.sub(r"\1", text).replace("$", "").replace("*", "").strip(" \t\n`,")
    match = _CHOICE.fullmatch(text)
    letter = match.group(1).upper() if match else ""
    return letter if letter and letter in letters.upper() else None


def last_answer_line(text: str) -> str | None:
    """The line that follows the last `Answer:`, on its line or the next, bold marks taken off; None if none does."""
    line = None
    for match in _ANSWER_LINE.finditer(text):
        line = match.group(1)
    return line.strip().strip("*").strip() or None if line is not None else None


def last_hashes(text: str) -> str | None:
    """What follows the last `####` on its line, as GSM8K's references write their answers."""
    _, found, tail = text.rpartition("####")
    return tail.split("\n", 1)[0].strip() if found else None


def last_number(text: str) -> str | None:
    """The last number of a text as it stands there (`-1,234.50`, without the dollar sign)."""
    number = None
    for match in _NUMBER_IN_TEXT.finditer(text, max(0, len(text) - _LAST_NUMBER_WINDOW)):
        number = match
    return number.group().replace("$", "") if number else None


def parse_number(text: str) -> Fraction | None:
    r"""Reads a text that is a number and nothing else, exactly.

    Forgives what does not change the value: `$`, thousands separators in the right places (`1,234`, `1{,}234`,
    `1\,234`), a leading plus, a trailing dot, bold marks, a Unicode minus. Anything more (units, fractions,
    exponents, `1,2,3`) is None.
    """
    text = text.strip()
    if len(text) > _MAX_NUMBER_LENGTH:
        return None
    text = text.strip("*").removesuffix(".").replace("\u2212", "-").replace("{,}", ",").replace("\\,", ",")
    text = _DOLLARS.sub(r"\1", text.replace("\\!", "").strip())
    if not _NUMBER.fullmatch(text):
        return None
    return Fraction(text.replace(",", ""))
