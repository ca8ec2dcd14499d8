r"""`stem__gpqa*`: four choices (Rein et al. 2023, arXiv:2311.12022).

One reader for both prompts: `stem__gpqa` asks for a last line `Answer: C`, `stem__gpqa_diamond_no_box`, whatever its
name says, for `\boxed{C}`.
"""

from reward_score.extraction import after_thinking, last_answer_line, last_boxed, last_letter
from reward_score.registry import register_reward

LETTERS = "ABCD"


def reference_answer(ground_truth: object, extra_info: dict) -> str:
    return f"Answer: {_truth('gpqa', ground_truth)}"


def near_misses(ground_truth: object, extra_info: dict) -> list[str]:
    """The other letters, in both formats, several letters, the letter without a format, the letter taken back."""
    truth = _truth("gpqa", ground_truth)
    others = [letter for letter in LETTERS if letter != truth]
    return [
        *(rf"\boxed{{{letter}}}" for letter in others), *(f"Answer: {letter}" for letter in others),
        rf"\boxed{{{truth}, {others[0]}}}", f"Answer: {truth} or {others[0]}", f"It is {truth}.",
        rf"\boxed{{{truth}}} No. Answer: {others[0]}", rf"Answer: {truth}. No: \boxed{{{others[0]}}}"
    ]


@register_reward("stem__gpqa*",
                 answer_format=r"The answer ends with `Answer: X` or \boxed{X}, X one of A, B, C, D.",
                 reference_answer=reference_answer,
                 near_misses=near_misses)
def compute_score(data_source: str,
                  solution_str: str,
                  ground_truth: object,
                  extra_info: dict | None = None,
                  **kwargs: object) -> dict[str, object]:
    r"""1.0 if the last `\boxed{}` or `Answer:` line, whichever comes later, names the right letter; else 0.0.

    Extra key: `pred`, the letter, or the text that names none.

    Raises:
        ValueError: `ground_truth` is none of A, B, C, D.
    """
    truth = _truth(data_source, ground_truth)
    text = _last_choice(after_thinking(solution_str) or "") or ""
    letter = last_letter(text, LETTERS)
    score = float(letter == truth)
    return {"score": score, "acc": score, "pred": (letter or text)[:200]}


def _last_choice(answer: str) -> str | None:
    box_at = max(answer.rfind("\\boxed"), answer.rfind("\\fbox"))
    if box_at < 0:
        return last_answer_line(answer)
    box = last_boxed(answer[box_at:])
    after_box = answer[box_at:].partition(box or "{")[2]
    return last_answer_line(after_box) or box


def _truth(data_source: str, ground_truth: object) -> str:
    letter = str(ground_truth).strip().upper()
    if len(letter) != 1 or letter not in LETTERS:
        raise ValueError(f"ground_truth of {data_source!r} must be one of {', '.join(LETTERS)}; got {ground_truth!r}")
    return letter
