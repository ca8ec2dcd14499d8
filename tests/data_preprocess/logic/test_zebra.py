import re
from random import Random
from unittest.mock import ANY

import pytest

from data_preprocess.logic.position_puzzles import choice
from data_preprocess.logic.zebrapuzzle_gen.levels import GRIDS, GRIDS_OF_LEVEL, KINDS, LEVELS, kinds_of_level
from data_preprocess.logic.zebrapuzzle_gen.puzzle_generator import generate, generate_many
from data_preprocess.logic.zebrapuzzle_gen.words import ATTRIBUTES
from reward_score import zebra_puzzle
from tests.data_preprocess.logic.meaning import arrangements, is_true

SMALL_GRIDS = ((3, 2), (3, 3), (4, 2), (4, 3), (5, 2))
HEADING = re.compile(r"^(\d+) houses stand in a row, numbered 1 to \1 from left to right\.")
H = r"(\w[\w' ]*?)"  # a house, as a sentence calls it
# In the order in which they are tried.
READ = [(kind, re.compile(pattern)) for kind, pattern in {
    "same_parity": f"^The numbers of {H} and {H} are both odd or both even$",
    "other_parity": f"^Of the numbers of {H} and {H}, one is odd and one is even$",
    "not_same_as_both": f"^It is not true that {H} is both the same as {H} and the same as {H}$",
    "apart": rf"^There (?:is exactly (?P<one>1) house|are exactly (?P<many>[2-9]) houses) between {H} and {H}$",
    "same_as_one": f"^{H} is the same as {H} or the same as {H}, but not both$",
    "same_as_any": f"^{H} is the same as {H} or the same as {H}, or both$",
    "directly_between": f"^{H} is directly between {H} and {H}, next to both$",
    "between": f"^{H} is somewhere between {H} and {H}$",
    "not_left_of": f"^{H} is not to the left of {H}, though the two may be the same$",
    "not_right_of": f"^{H} is not to the right of {H}, though the two may be the same$",
    "different": f"^{H} is not the same as {H}$",
    "same": f"^{H} is the same as {H}$",
    "directly_left": f"^{H} is directly to the left of {H}$",
    "directly_right": f"^{H} is directly to the right of {H}$",
    "next_to": f"^{H} is directly next to {H}$",
    "left_of": f"^{H} is somewhere to the left of {H}$",
    "right_of": f"^{H} is somewhere to the right of {H}$",
    "far_left": f"^{H} is the leftmost one$",
    "far_right": f"^{H} is the rightmost one$",
    "middle": f"^{H} is the one in the middle$",
    "at_an_end": f"^{H} is at one of the two ends of the row$",
    "odd": f"^{H} has an odd number$",
    "even": f"^{H} has an even number$",
    "at": rf"^{H} is number (?P<one>\d)$",
}.items()]


def stated(puzzle):
    """What a reader knows before the clues: {attribute: values}."""
    lines = puzzle["instruction"].splitlines()
    groups = {name: values.split(", ") for name, values in (line[2:].split(": ") for line in lines if line[:2] == "- ")}
    size = int(HEADING.match(lines[0])[1])
    assert all(len(set(values)) == size for values in groups.values())
    return groups


def read(puzzle):
    """The clues as a reader finds them in the sentences."""
    thing_of = {value: (name, value) for name, values in stated(puzzle).items() for value in values}
    for number, line in enumerate(puzzle["input"].splitlines(), start=1):
        head, text = line.split(". ", 1)
        assert head == str(number) and text.endswith(".")
        kind, match = next((kind, match) for kind, pattern in READ if (match := pattern.match(text[:-1])))
        named = {key: value for key, value in match.groupdict().items() if value}
        houses = [house for house in match.groups() if house and house not in named.values()]
        of = [[thing_of[word] for word in re.findall(r"\w+", house) if word in thing_of] for house in houses]
        assert all(len(things) == 1 for things in of), text
        yield {"kind": kind, "of": [things[0] for things in of], "number": int([*named.values(), 0][0])}


def told(puzzle):
    return [{**clue, "of": [tuple(thing) for thing in clue["of"]]} for clue in puzzle["clues"]]


def truth(puzzle):
    header, rows = puzzle["ground_truth"]["header"], puzzle["ground_truth"]["rows"]
    assert header[0] == "Position" and [row[0] for row in rows] == [str(n) for n in range(1, len(rows) + 1)]
    return {(name, value): int(row[0]) for row in rows for name, value in zip(header[1:], row[1:], strict=True)}


def check_unique(puzzle):
    """By all arrangements, from the clues as data and from the clues as text."""
    groups = [[(name, value) for value in values] for name, values in stated(puzzle).items()]
    assert arrangements(groups, told(puzzle)) == [truth(puzzle)], puzzle["clues"]
    assert arrangements(groups, list(read(puzzle))) == [truth(puzzle)], puzzle["input"]


def small(monkeypatch):
    for level in LEVELS:
        monkeypatch.setitem(GRIDS_OF_LEVEL, level, SMALL_GRIDS)


def test_small_puzzles_of_every_level_and_kind_have_one_solution(monkeypatch):
    small(monkeypatch)
    puzzles = list(generate_many(240, seed=5))
    for puzzle in puzzles:
        check_unique(puzzle)
    assert {clue["kind"] for puzzle in puzzles for clue in puzzle["clues"]} == set(KINDS)
    assert {puzzle["grid_size"] for puzzle in puzzles} == {f"{houses}x{count}" for houses, count in SMALL_GRIDS}


def test_the_check_notices_a_missing_and_a_wrong_clue(monkeypatch):
    small(monkeypatch)
    for puzzle in generate_many(20, seed=6):
        lines = puzzle["input"].splitlines()
        with pytest.raises(AssertionError):
            check_unique({**puzzle, "clues": puzzle["clues"][:-1]})
        with pytest.raises(AssertionError):
            check_unique({**puzzle, "input": "\n".join(lines[:-1])})
        rows = puzzle["ground_truth"]["rows"]
        swapped = [[number, *row[1:]] for number, row in zip("12", rows[1::-1], strict=True)] + rows[2:]
        with pytest.raises(AssertionError):
            check_unique({**puzzle, "ground_truth": {**puzzle["ground_truth"], "rows": swapped}})


def test_a_generator_that_drops_a_clue_stops(monkeypatch):
    needed = choice.without_needless
    monkeypatch.setattr(choice, "without_needless", lambda *args: needed(*args)[:-1])
    with pytest.raises(AssertionError, match="exactly one solution"):
        generate(Random(1), 3)


def test_brute_force_notices_a_solver_that_calls_everything_unique(monkeypatch):
    small(monkeypatch)
    monkeypatch.setattr(choice, "unique_solution", lambda *args: ANY)
    with pytest.raises(AssertionError):
        check_unique(generate(Random(1), 3))


def test_large_puzzles_say_in_words_what_the_clues_say_and_it_is_true():
    puzzles = list(generate_many(80, seed=7))
    for puzzle in puzzles:
        clues, places = told(puzzle), truth(puzzle)
        assert list(read(puzzle)) == clues
        assert all(is_true(clue, places, len(puzzle["ground_truth"]["rows"])) for clue in clues)
    assert [puzzle["level"] for puzzle in puzzles[:21]] == [*LEVELS, 1]


def test_there_are_60_sizes_growing_with_the_level():
    assert list(LEVELS) == list(range(1, 21))
    assert sum(len(grids) for grids in GRIDS_OF_LEVEL.values()) == 60 and len(set(GRIDS)) == len(GRIDS)
    assert set().union(*GRIDS_OF_LEVEL.values()) == set(GRIDS)
    for houses, count in GRIDS:
        assert houses <= min(len(attribute.values) for attribute in ATTRIBUTES.values()) and count <= len(ATTRIBUTES)


def test_levels_use_their_kinds_only():
    for puzzle in generate_many(40, seed=8):
        assert {clue["kind"] for clue in puzzle["clues"]} <= set(kinds_of_level(puzzle["level"]))
        assert tuple(map(int, puzzle["grid_size"].split("x"))) in GRIDS_OF_LEVEL[puzzle["level"]]


@pytest.mark.parametrize("level", [0, 21, -1])
def test_there_is_no_other_level(level):
    with pytest.raises(ValueError, match="1 to 20"):
        generate(Random(0), level)


def test_no_value_could_be_taken_for_another():
    words = [word for attribute in ATTRIBUTES.values() for word in attribute.values]
    assert len({word.lower() for word in words}) == len(words)
    around = " ".join(attribute.house.format("") for attribute in ATTRIBUTES.values())
    assert not set(re.findall(r"\w+", around.lower())) & {word.lower() for word in words}


def test_sentences_are_english():
    text = "\n".join(puzzle["input"] for puzzle in generate_many(120, seed=9, levels=range(3, 13)))
    assert "There is exactly 1 house between" in text and "There are exactly 2 houses between" in text
    assert not re.search(r"\b1 houses|[02-9] house\b|are exactly 1\b|is exactly [02-9]|\bthe the\b|\ba [aeiou]\w+ |  ",
                         text)
    assert all(re.match(r"\d+\. [A-Z].*[^.]\.$", line) for line in text.splitlines())


def test_the_reward_gives_full_marks_to_the_truth_only():
    for puzzle in generate_many(20, seed=10):
        answer = zebra_puzzle.reference_answer(puzzle["ground_truth"], {})
        score = zebra_puzzle.compute_score("logic__zebra_puzzle_dataset", answer, puzzle["ground_truth"])
        assert score["score"] == score["acc"] == 1.0
        asked = zebra_puzzle.compute_score("logic__zebra_puzzle_dataset", puzzle["instruction"], puzzle["ground_truth"])
        assert asked["score"] == 0.0
