"""Drops rows by what their text or their answer is."""

import re
from collections.abc import Sequence

Row = dict[str, object]
_IMAGE = re.compile(r"<image>|<img\b|!\[[^\]]*\]\(|\\includegraphics|\[asy\]|data:image/", re.IGNORECASE)
_KINDS = {
    "number": re.compile(r"[-+]?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?|[-+]?\.[0-9]+"),
    "letter": re.compile(r"\(?[A-Za-z]\)?\.?"),
    "boolean": re.compile(r"(?i:true|false|yes|no)"),
}


class ImageFilter:
    """Drops rows whose prompt shows a picture, which a text model cannot see."""

    reason = "needs an image"

    def check(self, rows: Sequence[Row]) -> list[bool]:
        return [not any(_IMAGE.search(message["content"]) for message in row["prompt"]) for row in rows]


class AnswerTypeFilter:
    """Keeps rows whose ground truth is text of one of the kinds: number, letter, boolean, or "other" than these.

    A letter, a yes or a no is guessed too easily to learn from.
    """

    def __init__(self, kinds: Sequence[str]) -> None:
        unknown = set(kinds) - {*_KINDS, "other"}
        if unknown:
            raise ValueError(f"answer types {sorted(unknown)} are none of {', '.join(_KINDS)}, other")
        self.kinds = tuple(kinds)

    @property
    def reason(self) -> str:
        return f"answer is not of type {' or '.join(self.kinds)}"

    def check(self, rows: Sequence[Row]) -> list[bool]:
        return [answer_type(row["reward_model"]["ground_truth"]) in self.kinds for row in rows]


def answer_type(truth: object) -> str:
    """number, letter, boolean or other."""
    text = str(truth).strip().strip("$")
    return next((kind for kind, pattern in _KINDS.items() if pattern.fullmatch(text)), "other")
