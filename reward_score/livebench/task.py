"""What a LiveBench task consists of, and how its short answers are found."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

from reward_score.extraction import last_boxed, last_tag

MAX_TAIL = 100_000  # characters at the end of an answer in which marks are looked for

# Bold text: several lines, but no blank one between the marks. Possessive, hence linear.
_BOLD = re.compile(r"\*{2,3}([^*\n]++(?:\n[^*\n]++)*+)\*{2,3}")
_SOLUTION = re.compile(r"<solution>([^<]*+)</solution>")
_LABEL = re.compile(r"\A[^:,]{0,60}\b(?:answer|order)\b[^:,]{0,60}:", re.IGNORECASE)
_TEXT_COMMAND = re.compile(r"\\(?:text|textbf|mathrm|mathbf)\{([^{}]*+)\}")


@dataclass(frozen=True)
class Task:
    """One task.

    Attributes:
        score: `(answer, truth, extra_info)` to the score in [0, 1] and the text that was judged.
        reference: the truth in the format that the prompt asks for.
        near_misses: `(truth, extra_info)` to answers that are almost right.
    """

    score: Callable[[str, str, dict], tuple[float, str]]
    reference: Callable[[str], str]
    near_misses: Callable[[str, dict], list[str]]


def body(answer: str) -> str:
    """What the last `<solution>` holds, "" if it was cut; the whole answer where there is none."""
    return last_tag(answer, "solution") or "" if "<solution>" in answer else answer


def marked(answer: str) -> list[str]:
    r"""The texts marked as an answer, in order: every `<solution>`; without one, bold texts and the last `\boxed{}`.

    None at all where the last `<solution>` or box was never closed.
    """
    answer = answer[-MAX_TAIL:]
    opened = answer.rfind("<solution>")
    if opened >= 0:
        return [match.group(1) for match in _SOLUTION.finditer(answer)] if _SOLUTION.match(answer, opened) else []
    box_at = max(answer.rfind("\\boxed"), answer.rfind("\\fbox"))
    if box_at < 0:
        return [match.group(1) for match in _BOLD.finditer(answer)]
    box = last_boxed(answer[box_at:])
    if box is None:
        return []
    before, after = answer[:box_at], answer[box_at:].partition(box or "{")[2]
    inner = _TEXT_COMMAND.sub(r"\1", box).replace("\\ ", " ").replace("*", "")
    return [*(match.group(1) for match in _BOLD.finditer(before)), inner,
            *(match.group(1) for match in _BOLD.finditer(after))]  # yapf: disable


def last_marked(answer: str) -> str:
    """The last marked text, stripped; empty if there is none."""
    texts = marked(answer)
    return texts[-1].strip() if texts else ""


def split_items(text: str) -> list[str]:
    """`A, b,\\nc` to `["a", "b", "c"]`."""
    return [" ".join(item.strip(" .\t\n").lower().split()) for item in text.split(",")]


def last_items(answer: str,
               count: int,
               known: Collection[str] | None = None,
               split: Callable[[str], list[str]] = split_items) -> list[str]:
    """The last marked list, lower case: `**yes, no, yes**`, or one item after the other, `**yes** ... **no**`.

    Args:
        count: the length of a right answer. Earlier marked texts complete the last one as long as items lack.
        known: items; a marked text without any of them (a heading) is passed over.
        split: how a marked text is taken apart.
    """
    items: list[str] = []
    for text in reversed(marked(answer)):
        found = split(_LABEL.sub("", text, count=1))
        if known is None or any(item in known for item in found):
            items = found + items
        if len(items) >= count:
            break
    return items
