"""`logic__ordering_puzzle*`, `ordering_puzzle_dataset*`: put objects in order; exact match of the list."""

from reward_score.extraction import after_thinking, last_tag
from reward_score.literals import parse_enclosed
from reward_score.registry import register_reward


def reference_answer(ground_truth: object, extra_info: dict) -> str:
    return _written(_truth("ordering_puzzle", ground_truth))


def near_misses(ground_truth: object, extra_info: dict) -> list[str]:
    """The order reversed, one object less, one twice, all in one string, the right list taken back."""
    names = _truth("ordering_puzzle", ground_truth)
    wrong = [names[::-1], names[:-1], [*names, names[-1]], names[1:] + names[:1], [", ".join(names)]]
    texts = [_written(candidate) for candidate in wrong if candidate != names]
    return [*texts, _written(names) + _written(names[:-1])]


@register_reward("logic__ordering_puzzle*",
                 "ordering_puzzle*",
                 "puzzles_dataset*",
                 answer_format="The last <answer>...</answer> holds a list of quoted names: ['pigeon', 'crow'].",
                 reference_answer=reference_answer,
                 near_misses=near_misses)
def compute_score(data_source: str,
                  solution_str: str,
                  ground_truth: object,
                  extra_info: dict | None = None,
                  **kwargs: object) -> dict[str, object]:
    """1.0 if the list of the last `<answer>` is the reference, whatever its letter case; else 0.0. Extra key: `pred`.

    Args:
        ground_truth: names in order, as a list, a NumPy array or the text of a list.

    Raises:
        ValueError: `ground_truth` is no list of strings.
    """
    truth = _truth(data_source, ground_truth)
    text = last_tag(after_thinking(solution_str) or "")
    score = float(_names(parse_enclosed(text, "[]")) == truth)
    return {"score": score, "acc": score, "pred": (text or "")[:200]}


def _truth(data_source: str, value: object) -> list[str]:
    value = value.tolist() if hasattr(value, "tolist") else value
    names = _names(parse_enclosed(value, "[]") if isinstance(value, str) else value)
    if not names:
        raise ValueError(f"ground_truth of {data_source!r} must be a list of names, got {str(value)[:100]!r}")
    return names


def _names(value: object) -> list[str] | None:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        return None
    return [name.strip().lower() for name in value]


def _written(names: list[str]) -> str:
    return f"<answer> {names} </answer>"
