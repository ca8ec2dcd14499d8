"""Repeat a text or phrase; `copy:*`, `new:copy_span_idx`, `combination:repeat_prompt`.

Upper and lower case are the same here, as they are in IFEval and IFBench: rows combine these with `change_case:*`.
"""

from reward_score.instructions.registry import instruction
from reward_score.instructions.text import divided_by_six_stars, folded_words


@instruction("combination:repeat_prompt")
def repeat_prompt(text: str, *, prompt_to_repeat: str) -> bool:
    """First repeat the request word for word, then give your answer. (IFEval does not ask for the answer.)"""
    prompt = prompt_to_repeat.strip().lower()
    return text.lower().startswith(prompt) and bool(text[len(prompt):].strip())


@instruction("copy:copy", "copy:copying_simple")
def copy(text: str, *, prompt_to_repeat: str) -> bool:
    """Repeat the request without change, and nothing else."""
    return text.lower() == prompt_to_repeat.strip().lower()


@instruction("copy:copying_multiple")
def copying_multiple(text: str, *, prompt_to_repeat: str, N: int) -> bool:  # noqa: N803 -- the rows' own key
    """Repeat the request without change N times, separated by 6 asterisk symbols."""
    return [part.lower() for part in divided_by_six_stars(text)] == [prompt_to_repeat.strip().lower()] * N


@instruction("new:copy_span_idx")
def copy_span_idx(text: str, *, prompt_to_repeat: str, n_start: int, n_end: int) -> bool:
    """Copy the span between (and including) the character indices n_start and n_end. (IFBench excludes n_end.)"""
    return text.lower() == prompt_to_repeat[n_start:n_end + 1].strip().lower()


@instruction("copy:repeat_phrase")
def repeat_phrase(text: str, *, phrase: str, small_n: int) -> bool:
    """Repeat the phrase exactly n times, each time replacing only one word in the center of the phrase.

    Each of the n has one other word between its first and last word; the unchanged phrase does not occur. IFBench looks
    at the last repetition only for a change.
    """
    wanted, found = folded_words(phrase), folded_words(text)
    last = len(wanted) - 1
    changes = [
        sum(a != b
            for a, b in zip(found[i + 1:i + last], wanted[1:last], strict=True))
        for i in range(len(found) - last)
        if found[i] == wanted[0] and found[i + last] == wanted[last]
    ]
    return changes.count(1) == small_n and 0 not in changes


@instruction("combination:two_responses")
def two_responses(text: str) -> bool:
    """Give two different responses, separated by 6 asterisk symbols."""
    parts = divided_by_six_stars(text)
    return len(parts) == 2 and folded_words(parts[0]) != folded_words(parts[1])
