"""The reward of both sides: the share of distinct tokens, something that differs within a group."""


def distinct(text: str) -> float:
    """0 for an empty answer."""
    words = text.split()
    return len(set(words)) / max(1, len(words))


def compute_score(data_source: str, solution_str: str, ground_truth: str, extra_info: dict | None = None) -> float:
    """The form in which verl calls it."""
    return distinct(solution_str)
