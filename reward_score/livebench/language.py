"""LiveBench's language tasks: put sentences in order, correct typos, group words."""

from collections import Counter

from reward_score.livebench.task import Task, body, last_items, split_items

GROUP = 4  # words that belong together in `connections`
SAME_SENTENCE = 0.6  # share of common words
_SPAM = 4  # an answer longer than this many times the truth is not compared


def _plot_unscrambling(answer: str, truth: str, extra_info: dict) -> tuple[float, str]:
    """1 - edit distance between the orders of sentences, by the longer of both.

    LiveBench gives every sentence of the truth its most similar one of the answer, however unlike, so that garbage
    gets a little and an introductory sentence costs everything. Here a sentence of the answer stands for at most one
    of the truth, and a superfluous one costs one edit.
    """
    summary = body(answer).rpartition("<PLOT_SUMMARY>")[2].partition("</PLOT_SUMMARY>")[0].strip()
    expected = _sentences(truth)
    if not expected:
        raise ValueError(f"ground_truth of livebench's plot_unscrambling has no sentences: {truth[:100]!r}")
    if len(summary) > _SPAM * len(truth) + 1000:
        return 0.0, summary
    order = _order(_sentences(summary), expected)
    distance = _edit_distance(order, list(range(len(expected))))
    return 1 - distance / max(len(order), len(expected)), summary


def _sentences(text: str) -> list[list[str]]:
    """Sentences as words; full stops end them, as in LiveBench (`Dr.` does on both sides)."""
    return [words for part in text.split(".") if (words := part.lower().split())]


def _order(sentences: list[list[str]], expected: list[list[str]]) -> list[int]:
    """For each sentence, which one of `expected` it is; -1 for none. Equal ones first, then the most similar."""
    order = [-1] * len(sentences)
    free = {}
    for index, words in enumerate(sentences):
        free.setdefault(tuple(words), []).append(index)
    missing = []
    for number, words in enumerate(expected):
        same = free.get(tuple(words))
        if same:
            order[same.pop(0)] = number
        else:
            missing.append(number)
    bags = {index: Counter(sentences[index]) for index, number in enumerate(order) if number < 0}
    for number in missing:
        bag = Counter(expected[number])
        similar = max(((_similarity(bag, bags[index]), -index) for index in bags), default=(0.0, 0))
        if similar[0] >= SAME_SENTENCE:
            order[-similar[1]] = number
            del bags[-similar[1]]
    return order


def _similarity(a: Counter, b: Counter) -> float:
    return 2 * (a & b).total() / (a.total() + b.total())


def _edit_distance(a: list[int], b: list[int]) -> int:
    """Levenshtein's distance, O(len(a) * len(b))."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, start=1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
    return row[-1]


def _typos(answer: str, truth: str, extra_info: dict) -> tuple[float, str]:
    """1.0 if the corrected text is in the answer, with few words around it: not a list of versions of it."""
    text = " ".join(body(answer)[:_SPAM * len(truth) + 1000].split())
    expected = " ".join(truth.split())
    surplus = len(text) - len(expected)
    return float(expected in text and surplus < min(len(expected), 300)), text


def _connections(answer: str, truth: str, extra_info: dict) -> tuple[float, str]:
    """The share of groups of four that are right, in any order; 0 for another number of words."""
    words = split_items(truth)
    items = last_items(answer, len(words), words)
    right = set(_groups(words)) & set(_groups(items)) if len(items) == len(words) else ()
    return len(right) / len(set(_groups(words))), ", ".join(items)


def _groups(words: list[str]) -> list[frozenset[str]]:
    return [frozenset(words[start:start + GROUP]) for start in range(0, len(words), GROUP)]


def _plot(truth: str) -> str:
    return f"<PLOT_SUMMARY>\n{truth}"


def _wrong_plots(truth: str, extra_info: dict) -> list[str]:
    sentences = [part.strip() for part in truth.split(".") if part.strip()]
    wrong = [sentences[1:] + sentences[:1], sentences[1:], [*sentences, "And so on"], ["Nothing happens"]]
    return [_plot(". ".join(order)) for order in wrong if order != sentences]


def _wrong_texts(truth: str, extra_info: dict) -> list[str]:
    """A letter less, a letter doubled, both versions."""
    middle = len(truth) // 2
    cut, doubled = truth[:-1], truth[:middle] + truth[middle] + truth[middle:]
    return [cut, doubled if not truth[middle].isspace() else cut, f"{cut} or rather: {truth}"]


def _wrong_groups(truth: str, extra_info: dict) -> list[str]:
    words = [word.strip() for word in truth.split(",")]
    shifted = words[1:] + words[:1]
    wrong = [words[:-1], [*words, words[0]], [*words[:-1], "qqq"], *([shifted] if len(words) > GROUP else [])]
    return [truth, *(f"**{', '.join(items)}**" for items in wrong)]


TASKS = {
    "plot_unscrambling": Task(_plot_unscrambling, _plot, _wrong_plots),
    "typos": Task(_typos, str, _wrong_texts),
    "connections": Task(_connections, lambda truth: f"**{truth}**", _wrong_groups),
}
