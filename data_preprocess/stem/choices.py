"""What multiple-choice datasets share."""

import hashlib
import random
from collections.abc import Callable, Mapping, Sequence

from data_preprocess.core import Drop, make_row

LETTERS = "ABCDEFGHIJ"
BOX_INSTRUCTION = ("Think step by step, then put the letter of the one correct option, and nothing else, within "
                   "\\boxed{}, as in \\boxed{A}.")
LINE_INSTRUCTION = (
    "Think step by step, then end with a line \"Answer: $LETTER\" (without quotes), where $LETTER is the "
    "letter of the one correct option.")


def lettered(options: Sequence[str]) -> str:
    """`A) first`, `B) second`, ...: a line each."""
    return "\n".join(f"{letter}) {option}" for letter, option in zip(LETTERS, options, strict=False))


def shuffled(question: str, right: str, wrong: Sequence[str]) -> tuple[list[str], str]:
    """The options in an order that depends on nothing but their texts and the question; the letter of `right`."""
    options = sorted([right, *wrong])
    digest = hashlib.sha256("\0".join([question, *options]).encode()).hexdigest()
    random.Random(digest).shuffle(options)
    return options, LETTERS[options.index(right)]


def make_gpqa_map_fn(data_source: str, instruction: str) -> Callable[[Mapping[str, object], int], dict]:
    """-> process_fn(example, index) -> row, for a table of GPQA."""

    def process_fn(example: Mapping[str, object], index: int) -> dict:
        question, right, *wrong = (_clean(example[name])
                                   for name in ("Question", "Correct Answer", "Incorrect Answer 1",
                                                "Incorrect Answer 2", "Incorrect Answer 3"))
        if not all([question, right, *wrong]):
            raise Drop("the question or an option is empty")
        if right in wrong:
            raise Drop("the right answer is among the wrong ones")
        options, letter = shuffled(question, right, wrong)
        prompt = f"{question}\n\n{lettered(options)}\n\n{instruction}"
        info = {"original_prompt": prompt, "dataset": "Idavidrein/gpqa", "subdomain": example.get("Subdomain") or ""}
        return make_row(data_source, prompt, letter, "stem", info)

    return process_fn


def _clean(text: str | None) -> str:
    """Without what the table's authors left around it; brackets belong to formulas and names of molecules."""
    return (text or "").strip().replace(" [title]", ". ")
