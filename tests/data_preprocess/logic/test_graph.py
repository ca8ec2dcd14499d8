import re
from random import Random

import pytest

from data_preprocess.logic.graph_dataset_gen import logic
from data_preprocess.logic.graph_dataset_gen.logic import LOOKAHEADS, generate, generate_many
from reward_score import graph_dataset


def read(puzzle):
    """(edges, start, goal) as a reader finds them."""
    edges = [tuple(line.split(" -> ")) for line in puzzle["input"].splitlines()]
    return edges, *re.search(r"You are at (\w+) and want to reach (\w+)\.", puzzle["instruction"]).groups()


def paths(edges, start, goal):
    """Every path without a node twice, by depth-first search."""
    if start == goal:
        return [[goal]]
    rest = [(a, b) for a, b in edges if start not in (a, b)]
    return [[start, *path] for a, b in edges if a == start for path in paths(rest, b, goal)]


def longest_way(edges, node):
    return max((1 + longest_way(edges, b) for a, b in edges if a == node), default=0)


def check_unique(puzzle):
    """One path, from the data and from the text; every wrong first step goes on for as long as the right one."""
    assert paths(list(map(tuple, puzzle["edges"])), puzzle["start"], puzzle["goal"]) == [puzzle["path"]]
    edges, start, goal = read(puzzle)
    assert paths(edges, start, goal) == [puzzle["path"]]
    assert puzzle["ground_truth"] == puzzle["path"][1] and len(puzzle["path"]) == puzzle["lookahead"] + 1
    steps = [b for a, b in edges if a == start]
    assert 2 <= len(steps) == len(set(steps))
    assert all(1 + longest_way(edges, step) >= puzzle["lookahead"] for step in steps)


@pytest.mark.parametrize("lookahead", [1, 2, 3, 5, 8, 12])
def test_one_first_step_leads_to_the_goal(lookahead):
    for puzzle in generate_many(60, seed=1, lookaheads=[lookahead]):
        assert puzzle["lookahead"] == lookahead
        check_unique(puzzle)


def test_the_check_notices_another_way_to_the_goal():
    for puzzle in generate_many(30, seed=2):
        wrong = next(b for a, b in puzzle["edges"] if a == puzzle["start"] and b != puzzle["ground_truth"])
        with pytest.raises(AssertionError):
            check_unique({**puzzle, "edges": [*puzzle["edges"], [wrong, puzzle["goal"]]]})
        with pytest.raises(AssertionError):
            check_unique({**puzzle, "input": f"{puzzle['input']}\n{wrong} -> {puzzle['goal']}"})


def test_a_generator_with_a_fault_stops(monkeypatch):
    drawn = logic._draw_graph

    def with_a_short_cut(rng, lookahead):
        edges, start, goal = drawn(rng, lookahead)
        steps = [b for a, b in edges if a == start]
        return edges + [(step, goal) for step in steps], start, goal

    monkeypatch.setattr(logic, "_draw_graph", with_a_short_cut)
    with pytest.raises(AssertionError, match="exactly one first step"):
        generate(Random(0), 5)


def test_the_edges_next_to_a_first_step_do_not_give_it_away():
    puzzles = list(generate_many(600, seed=3))
    by_chance = sum(1 / sum(a == puzzle["start"] for a, _ in puzzle["edges"]) for puzzle in puzzles)
    for end in (0, 1):
        for most in (max, min):
            assert abs(sum(guess(puzzle, end, most) for puzzle in puzzles) - by_chance) < 48  # four standard deviations
    assert abs(sum(first_step(puzzle) == puzzle["ground_truth"] for puzzle in puzzles) - by_chance) < 48


def guess(puzzle, end, most):
    """The chance to be right with the first step that has the most or fewest edges out (0) or in (1)."""
    degrees = {b: sum(edge[end] == b for edge in puzzle["edges"]) for a, b in puzzle["edges"] if a == puzzle["start"]}
    best = [step for step, degree in degrees.items() if degree == most(degrees.values())]
    return (puzzle["ground_truth"] in best) / len(best)


def first_step(puzzle):
    return next(b for a, b in puzzle["edges"] if a == puzzle["start"])


def test_names_have_one_length_and_lookaheads_take_turns():
    puzzles = list(generate_many(20, seed=4))
    assert [puzzle["lookahead"] for puzzle in puzzles] == [*LOOKAHEADS, *LOOKAHEADS, *LOOKAHEADS][:20]
    assert all(re.fullmatch("[a-z]{6}", name) for puzzle in puzzles for edge in puzzle["edges"] for name in edge)


@pytest.mark.parametrize("lookahead", [0, -1, 31])
def test_lookahead_out_of_range(lookahead):
    with pytest.raises(ValueError, match="1 to 30"):
        generate(Random(0), lookahead)


def test_the_reward_gives_full_marks_to_the_truth_only():
    for puzzle in generate_many(20, seed=5):
        name = "logic__graph_logical_dataset"
        answer = f"It is <answer> {puzzle['ground_truth']} </answer>"
        assert graph_dataset.compute_score(name, answer, puzzle["ground_truth"])["score"] == 1.0
        assert graph_dataset.compute_score(name, puzzle["instruction"], puzzle["ground_truth"])["score"] == 0.0
