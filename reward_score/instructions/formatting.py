"""`detectable_format:*` and placeholders: bullets, highlights, sections, JSON, titles, brackets, hyphens."""

import json
import re

from reward_score.instructions.registry import instruction
from reward_score.instructions.text import sentence_ends, words

OPTIONS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")

_PLACEHOLDER = re.compile(r"\[[^\S\n]*+[^\[\]\s][^\[\]\n]*+\]")
_BULLET = re.compile(r"^[ \t]*[*+-][ \t]+(?:[^\s*+_-]|[*+_-]++[^\s*+_-])", re.MULTILINE)
_HIGHLIGHT = re.compile(r"(?<!\*)\*{1,3}(?=[^\s*])[^\n*]*(?<=[^\s*])\*")
_TITLE = re.compile(r"<<[^<>\n]+>>")
_FENCED = re.compile(r"```(?:json)?\s(.*)```", re.DOTALL | re.IGNORECASE)
_BRACKETED = re.compile(r"\[[^\[\]\s]+\]")
_ANGLES = re.compile(r"<<([^<>]*)>>")


@instruction("detectable_content:number_placeholders")
def number_placeholders(text: str, *, num_placeholders: int) -> bool:
    """At least N placeholders in square brackets, such as [address]; empty brackets are none."""
    return len(_PLACEHOLDER.findall(text)) >= num_placeholders


@instruction("detectable_format:number_bullet_lists")
def number_bullet_lists(text: str, *, num_bullets: int) -> bool:
    """Exactly N markdown bullet points. (IFEval also counts a rule `---` and a line that begins with `-5`.)"""
    return len(_BULLET.findall(text)) == num_bullets


@instruction("detectable_format:constrained_response")
def constrained_response(text: str) -> bool:
    """Answer with one of `My answer is yes.`, `no.`, `maybe.`: exactly one. (IFEval accepts all three at once.)"""
    return sum(option.lower() in text.lower() for option in OPTIONS) == 1


@instruction("detectable_format:number_highlighted_sections")
def number_highlighted_sections(text: str, *, num_highlights: int) -> bool:
    """Highlight at least N sections with markdown, `*section*` or `**section**`; bullets are no highlights."""
    return len(_HIGHLIGHT.findall(text)) >= num_highlights


@instruction("detectable_format:multiple_sections")
def multiple_sections(text: str, *, section_spliter: str, num_sections: int) -> bool:
    """At least N sections, each begun by a line `Section 1` (or `## SECTION 2`), with numbers of their own.

    IFEval counts mentions within sentences, and the same number again.
    """
    heading = re.compile(rf"^[ \t>#*_-]*{re.escape(section_spliter.strip())}\s?(\d+)", re.MULTILINE)
    return len(set(heading.findall(text))) >= num_sections


@instruction("detectable_format:json_format")
def json_format(text: str) -> bool:
    """Entire output in JSON, ticks allowed. An object or a list: IFEval takes any number or quoted text for JSON."""
    fenced = _FENCED.fullmatch(text)
    try:
        return isinstance(json.loads(fenced.group(1) if fenced else text), dict | list)
    except (ValueError, RecursionError):  # RecursionError: nested too deep for any reader
        return False


@instruction("detectable_format:title")
def title(text: str) -> bool:
    """A title in double angular brackets, such as <<poem of joy>>."""
    return any(found.strip("<> \t") for found in _TITLE.findall(text))


@instruction("detectable_format:square_brackets")
def square_brackets(text: str) -> bool:
    """Enclose every word in square brackets; punctuation may stand outside."""
    return bool(words(text)) and not words(_BRACKETED.sub(" ", text))


@instruction("detectable_format:bigram_wrapping")
def bigram_wrapping(text: str) -> bool:
    """Wrap every word bigram: <<I am>> <<at home>>. An odd last word may stand alone, wrapped or not.

    IFBench looks at every second pair of brackets only in part, and at none in a one-word answer.
    """
    sizes = [len(words(group)) for group in _ANGLES.findall(text)]
    outside = _ANGLES.sub("<<>>", text)
    odd = len(words(outside)) == 1 and not words(outside.rpartition(">>")[0])
    return bool(sizes) and set(sizes[:-1]) <= {2} and (sizes[-1] == 2 and odd or
                                                       sizes[-1] in (1, 2) and not words(outside))


@instruction("detectable_format:sentence_hyphens")
def sentence_hyphens(text: str) -> bool:
    """All sentences must be connected using hyphens, with no spaces between them: `One.-Two.-Three.`

    A text of one sentence has nothing to connect. IFBench compares only as many pieces as the shorter list has.
    """
    joints = [text[end:end + 2] for end in sentence_ends(text) if end < len(text)]
    return bool(words(text)) and all(joint[0] == "-" and joint[1:].strip() for joint in joints)
