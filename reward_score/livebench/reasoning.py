"""LiveBench's reasoning tasks: short answers in bold (2024-06), in `<solution>` tags (since 2024-11), or in a box."""

from reward_score.livebench.task import Task, last_items, last_marked, split_items

_LIES = frozenset({"yes", "no", "unknown"})
_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
            "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty")
_DIGITS = {word: str(number) for number, word in enumerate(_NUMBERS)}
_SHAPES = frozenset({"tetrahedra", "tetrahedron", "triangle", "square"})
_QUALIFIERS = frozenset({"a", "an", "the", "one", "two", "equilateral", "isosceles", "regular", "right", "scalene"})


def _all_or_part(items: list[str], truth: list[str]) -> float:
    """Half for the share of right items, half for all of them; 0 for a list of another length."""
    if len(items) != len(truth):
        return 0.0
    right = sum(item == expected for item, expected in zip(items, truth, strict=True))
    return ((right == len(truth)) + right / len(truth)) / 2


def _web_of_lies_v2(answer: str, truth: str, extra_info: dict) -> tuple[float, str]:
    """All of the yes, no and unknown, in order."""
    items = last_items(answer, len(split_items(truth)), _LIES)
    return float(items == split_items(truth)), ", ".join(items)


def _web_of_lies_v3(answer: str, truth: str, extra_info: dict) -> tuple[float, str]:
    """As v2, with credit for a part."""
    items = last_items(answer, len(split_items(truth)), _LIES)
    return _all_or_part(items, split_items(truth)), ", ".join(items)


def _house_traversal(answer: str, truth: str, extra_info: dict) -> tuple[float, str]:
    """All names, in the order of the walk; commas or spaces between them."""
    names = _names(truth)
    items = last_items(answer, len(names), names, _names)
    return float(items == names), ", ".join(items)


def _names(text: str) -> list[str]:
    return text.lower().replace(",", " ").replace("->", " ").replace("\u2192", " ").strip(" .").split()


def _zebra_puzzle(answer: str, truth: str, extra_info: dict) -> tuple[float, str]:
    """One value (2024-06), or one per question; digits or words for numbers."""
    expected = [_value(item) for item in split_items(truth)]
    items = last_items(answer, len(expected))
    return _all_or_part([_value(item) for item in items], expected), ", ".join(items)


def _value(text: str) -> str:
    """`Position two`, `two`, `2` are one value, and so are `sci-fi movies` and `sci fi`."""
    words = text.lower().replace("-", " ").replace("position", " ").split()
    return " ".join(_DIGITS.get(word, word) for word in (words[:-1] if words[-1:] == ["movies"] else words))


def _spatial(answer: str, truth: str, extra_info: dict) -> tuple[float, str]:
    """The number or the word; a shape may be qualified, as in `equilateral triangle`."""
    pred = " ".join(last_marked(answer).strip(" .").lower().split())
    words, expected = pred.split(), truth.strip().lower()
    if expected in _SHAPES and words[-1:] == [expected] and _QUALIFIERS.issuperset(words[:-1]):
        return 1.0, pred
    return float(_DIGITS.get(pred, pred) == _DIGITS.get(expected, expected)), pred


def _bold(truth: str) -> str:
    return f"**{truth}**"


def _wrong_lists(truth: str, extra_info: dict) -> list[str]:
    """One item another, one less, one more, no bold, taken back, an open tag."""
    items = [item.strip() for item in truth.split(",")]
    other = _bold(", ".join([*items[:-1], "maybe"]))
    cut = [_bold(", ".join(items[:-1]))] if len(items) > 1 else ["**"]
    return [other, *cut, _bold(f"{truth}, {items[-1]}"), truth, f"{_bold(truth)} no, {other}", f"<solution>{truth}"]


def _wrong_words(truth: str, extra_info: dict) -> list[str]:
    return [truth, f"**not {truth}**", f"**{truth}** or **something else**", f"**{truth} or circle**", f"**{truth}"]


def _wrong_walks(truth: str, extra_info: dict) -> list[str]:
    names = truth.replace(",", " ").split()
    wrong = [names[::-1], names[:-1], [*names, names[0]]]
    return [truth, *(_bold(", ".join(walk)) for walk in wrong if walk and walk != names), f"**{truth}"]


TASKS = {
    "web_of_lies_v2": Task(_web_of_lies_v2, _bold, _wrong_lists),
    "web_of_lies_v3": Task(_web_of_lies_v3, _bold, _wrong_lists),
    "house_traversal": Task(_house_traversal, _bold, _wrong_walks),
    "zebra_puzzle": Task(_zebra_puzzle, _bold, _wrong_lists),
    "spatial": Task(_spatial, _bold, _wrong_words),
}
