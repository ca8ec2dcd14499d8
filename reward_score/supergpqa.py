r"""`stem__supergpqa*`: up to ten choices, the letter in `\boxed{}` (SuperGPQA, arXiv:2502.14739)."""

from reward_score.extraction import after_thinking, last_boxed, last_letter
from reward_score.registry import register_reward

LETTERS = "ABCDEFGHIJ"


def reference_answer(ground_truth: object, extra_info: dict) -> str:
    return rf"\boxed{{{_truth('supergpqa', ground_truth)}}}"


def near_misses(ground_truth: object, extra_info: dict) -> list[str]:
    """The other letters, two letters, all letters, a word with the letter in it, no box, the letter taken back."""
    truth = _truth("supergpqa", ground_truth)
    others = [letter for letter in LETTERS if letter != truth]
    wrong = [*others, f"{truth}, {others[0]}", LETTERS, f"{truth}ETA"]
    boxes = [rf"\boxed{{{text}}}" for text in wrong]
    return [*boxes, f"The answer is {truth}.", rf"\boxed{{{truth}}} or rather \boxed{{{others[0]}}}"]


@register_reward("stem__supergpqa*",
                 answer_format=r"The last \boxed{} holds one letter, A to J.",
                 reference_answer=reference_answer,
                 near_misses=near_misses)
def compute_score(data_source: str,
                  solution_str: str,
                  ground_truth: object,
                  extra_info: dict | None = None,
                  **kwargs: object) -> dict[str, object]:
    r"""1.0 if the last `\boxed{}` names the right letter and no other; else 0.0.

    Extra key: `pred`, the letter, or the boxed text that names none.

    Raises:
        ValueError: `ground_truth` is no letter from A to J.
    """
    truth = _truth(data_source, ground_truth)
    text = last_boxed(after_thinking(solution_str) or "") or ""
    letter = last_letter(text, LETTERS)
    score = float(letter == truth)
    return {"score": score, "acc": score, "pred": (letter or text)[:200]}


def _truth(data_source: str, ground_truth: object) -> str:
    letter = str(ground_truth).strip().upper()
    if len(letter) != 1 or letter not in LETTERS:
        raise ValueError(f"ground_truth of {data_source!r} must be a letter from A to J; got {ground_truth!r}")
    return letter
