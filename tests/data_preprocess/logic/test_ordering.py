import re
from random import Random
from unittest.mock import ANY

import pytest

from data_preprocess.logic.position_puzzles import choice
from data_preprocess.logic.puzzle_gen import CATEGORIES, generate, generate_many, sentence
from reward_score import puzzles_dataset
from tests.data_preprocess.logic.meaning import arrangements, is_true

NOUNS = {"animals": "animal", "birds": "bird", "vehicles": "vehicle", "people": "person", "foods": "food",
         "fruits": "fruit", "instruments": "instrument", "gemstones": "gemstone"}  # yapf: disable
HEADING = re.compile(r"^(\d+) (\w+) are lined up from left to right, .* The \2 are ([\w, ]+)\.$")
BETWEEN = re.compile(r"^There (is|are) (\d+) (\w+) between ")
T = r"(?:[Tt]he )?(\w+)"
READ = [(kind, re.compile(pattern)) for kind, pattern in {
    "far_left": f"^{T} is the first from the left$",
    "far_right": f"^{T} is the last from the left$",
    "left_of": f"^{T} is somewhere to the left of {T}$",
    "right_of": f"^{T} is somewhere to the right of {T}$",
    "directly_left": f"^{T} is immediately to the left of {T}$",
    "directly_right": f"^{T} is immediately to the right of {T}$",
    "next_to": f"^{T} and {T} are next to each other$",
    "apart": rf"^There (?:is|are) (?P<number>\d+) \w+ between {T} and {T}$",
}.items()]


def stated(puzzle):
    heading = HEADING.match(puzzle["instruction"].splitlines()[0])
    names = heading[3].split(", ")
    assert int(heading[1]) == len(set(names)) == puzzle["num_objects"] and heading[2] == puzzle["category"]
    return names


def read(puzzle):
    for number, line in enumerate(puzzle["input"].splitlines(), start=1):
        assert line.startswith(f"{number}. ") and line.endswith(".")
        text = line.split(". ", 1)[1][:-1]
        kind, match = next((kind, match) for kind, pattern in READ if (match := pattern.match(text)))
        number_told = int(match.groupdict().get("number") or 0)
        yield {"kind": kind, "of": list(match.groups()[kind == "apart":]), "number": number_told}


def check_unique(puzzle):
    """By all permutations, from the clues as data and from the clues as text."""
    expected = [{name: number for number, name in enumerate(puzzle["ground_truth"], start=1)}]
    assert arrangements([stated(puzzle)], puzzle["clues"]) == expected, puzzle["clues"]
    assert arrangements([stated(puzzle)], list(read(puzzle))) == expected, puzzle["input"]


def check_grammar(puzzle):
    """The nouns of the category, singular and plural where they belong, "the" before all but people's names."""
    one, many = NOUNS[puzzle["category"]], puzzle["category"]
    for line in puzzle["input"].splitlines():
        text = line.split(". ", 1)[1]
        between = BETWEEN.match(text)
        if between:
            assert between.groups()[0::2] == (("is", one) if between[2] == "1" else ("are", many)), line
            assert between[2] != "0"
        for name in puzzle["ground_truth"]:
            before = re.findall(rf"(\w+ |^){name}\b", text)
            assert all((article.lower() == "the ") == (many != "people") for article in before), line
        assert text[0].isupper() and not re.search(r"\bthe the\b|  ", text)
        nouns_of_others = {*NOUNS, *NOUNS.values()} - {one, many}
        assert not nouns_of_others & set(re.findall(r"\w+", text)), line


def test_small_puzzles_have_one_solution():
    puzzles = list(generate_many(150, seed=1, sizes=(3, 4, 5, 6)))
    for puzzle in puzzles:
        check_unique(puzzle)
    assert {clue["kind"] for puzzle in puzzles for clue in puzzle["clues"]} == {kind for kind, _ in READ}


def test_no_clue_is_needless():
    for puzzle in generate_many(60, seed=2, sizes=(3, 4, 5)):
        for left_out in range(len(puzzle["clues"])):
            lines = puzzle["input"].splitlines()
            clues = puzzle["clues"][:left_out] + puzzle["clues"][left_out + 1:]
            with pytest.raises(AssertionError):
                check_unique({**puzzle, "clues": clues})
            with pytest.raises(AssertionError):
                check_unique({**puzzle, "input": "\n".join(lines[:left_out] + lines[left_out + 1:])})


def test_a_generator_that_drops_a_clue_stops(monkeypatch):
    needed = choice.without_needless
    monkeypatch.setattr(choice, "without_needless", lambda *args: needed(*args)[:-1])
    with pytest.raises(AssertionError, match="exactly one solution"):
        generate(Random(4), 5)


def test_brute_force_notices_a_solver_that_calls_everything_unique(monkeypatch):
    monkeypatch.setattr(choice, "unique_solution", lambda *args: ANY)
    with pytest.raises(AssertionError):
        check_unique(generate(Random(4), 5))


def test_large_puzzles_say_in_words_what_the_clues_say_and_it_is_true():
    for puzzle in generate_many(40, seed=3, sizes=(7, 10, 14, 20)):
        number_of = {name: number for number, name in enumerate(puzzle["ground_truth"], start=1)}
        assert list(read(puzzle)) == puzzle["clues"] and sorted(stated(puzzle)) == sorted(number_of)
        assert all(is_true(clue, number_of, len(number_of)) for clue in puzzle["clues"])


def test_nouns_fit_every_category():
    puzzles = list(generate_many(300, seed=4))
    for puzzle in puzzles:
        check_grammar(puzzle)
    text = "\n".join(puzzle["input"] for puzzle in puzzles)
    for many, one in NOUNS.items():
        assert f"There is 1 {one} between" in text and f"There are 2 {many} between" in text
    assert not re.search(r"\b1 people|[02-9] person\b|persons|\b1 \w+s between", text)


def test_every_category_is_known_here_and_its_things_belong_to_it_alone():
    assert {category.many: category.one for category in CATEGORIES} == NOUNS
    for category in CATEGORIES:
        assert len(set(category.things)) == len(category.things) >= 20
        assert all(name.isalpha() and name.istitle() == (category.many == "people") for name in category.things)


@pytest.mark.parametrize(("category", "number", "expected"), [
    ("people", 1, "There is 1 person between Rosa and Kofi."),
    ("people", 2, "There are 2 people between Rosa and Kofi."),
    ("vehicles", 1, "There is 1 vehicle between the Rosa and the Kofi."),
    ("birds", 3, "There are 3 birds between the Rosa and the Kofi."),
])
def test_counts(category, number, expected):
    category = next(known for known in CATEGORIES if known.many == category)
    assert sentence({"kind": "apart", "of": ["Rosa", "Kofi"], "number": number}, category) == expected


@pytest.mark.parametrize("num_objects", [0, 2, 21])
def test_sizes_out_of_range(num_objects):
    with pytest.raises(ValueError, match="3 to 20"):
        generate(Random(0), num_objects)


def test_the_reward_gives_full_marks_to_the_truth_only():
    for puzzle in generate_many(40, seed=5):
        score = puzzles_dataset.compute_score("logic__ordering_puzzle_dataset",
                                              f"<answer> {puzzle['ground_truth']} </answer>", puzzle["ground_truth"])
        assert score["score"] == 1.0
        asked = puzzles_dataset.compute_score("logic__ordering_puzzle_dataset", puzzle["instruction"],
                                              puzzle["ground_truth"])
        assert asked["score"] == 0.0
