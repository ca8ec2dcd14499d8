from itertools import product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_preprocess.logic.position_puzzles import choice
from data_preprocess.logic.position_puzzles.relations import BOXES, Clue, holds, narrower, number_of_things
from data_preprocess.logic.position_puzzles.solver import Problem, solutions, unique_solution
from data_preprocess.logic.zebrapuzzle_gen.levels import KINDS
from data_preprocess.logic.zebrapuzzle_gen.puzzle_generator import draw_clue
from tests.data_preprocess.logic.meaning import MEANING, arrangements


def test_every_relation_has_a_meaning_here():
    assert BOXES.keys() == MEANING.keys()


@pytest.mark.parametrize("kind", BOXES)
def test_relations_hold_where_they_say(kind):
    for size in (2, 3, 4, 5, 6):
        for number in range(1, size):
            for places in product(range(size), repeat=number_of_things(kind)):
                expected = MEANING[kind](size, number, *(place + 1 for place in places))
                assert holds(Clue(kind, tuple(range(len(places))), number), places, size) == expected


@pytest.mark.parametrize("kind", BOXES)
def test_narrowing_keeps_what_some_allowed_combination_needs(kind):
    rng, size, things = Random(kind), 5, number_of_things(kind)
    for _ in range(50):
        masks = tuple(rng.randint(1, 2**size - 1) for _ in range(things))
        number = rng.randint(1, size - 1)
        allowed = [places for places in product(range(size), repeat=things)
                   if all(mask >> place & 1 for mask, place in zip(masks, places, strict=True))
                   and MEANING[kind](size, number, *(place + 1 for place in places))]  # yapf: disable
        expected = tuple(sum({1 << places[thing] for places in allowed}) for thing in range(things))
        assert narrower(kind, size, number)(masks) == expected


@st.composite
def problems(draw):
    """(size, groups, clues), with clues that need not agree with each other."""
    size, groups = draw(st.sampled_from([(2, 2), (3, 1), (3, 2), (4, 1), (4, 2), (5, 1), (3, 3)]))
    variables = range(size * groups)

    def clue(kind):
        things = number_of_things(kind)
        of = st.lists(st.sampled_from(variables), min_size=things, max_size=things, unique=True).map(tuple)
        return st.builds(Clue, st.just(kind), of, st.integers(1, size - 1))

    kinds = [kind for kind in BOXES if number_of_things(kind) <= len(variables)]
    return size, groups, draw(st.lists(st.sampled_from(kinds).flatmap(clue), max_size=6))


def by_brute_force(size, groups, clues):
    told = [clue._asdict() for clue in clues]
    found = arrangements([range(group * size, (group + 1) * size) for group in range(groups)], told)
    return {tuple(numbers[variable] - 1 for variable in range(size * groups)) for numbers in found}


@settings(max_examples=120, deadline=None)
@given(problems())
def test_the_solver_finds_all_solutions_each_once(problem):
    size, groups, clues = problem
    found = list(solutions(Problem(size, groups, clues)))
    expected = by_brute_force(size, groups, clues)
    assert len(found) == len(expected) and set(found) == expected


@settings(max_examples=120, deadline=None)
@given(problems(), st.integers(1, 5))
def test_a_unique_solution_is_unique_whatever_the_limit(problem, most_nodes):
    size, groups, clues = problem
    expected = by_brute_force(size, groups, clues)
    only = next(iter(expected)) if len(expected) == 1 else None
    assert unique_solution(Problem(size, groups, clues)) == only
    assert unique_solution(Problem(size, groups, clues), most_nodes) in (only, None)


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from([(3, 2), (4, 2), (5, 1), (3, 3)]))
def test_chosen_clues_leave_one_solution_and_none_is_needless(random, grid):
    size, groups = grid
    rng = Random(random.random())
    solution = tuple(place for _ in range(groups) for place in rng.sample(range(size), size))
    kinds = [kind for kind in KINDS if number_of_things(kind) <= len(solution)]
    clues = choice.choose_clues(rng, lambda rng: draw_clue(rng, kinds, solution, size), solution, size)
    assert by_brute_force(size, groups, clues) == {solution}
    for clue in clues:
        assert len(by_brute_force(size, groups, [other for other in clues if other is not clue])) > 1


def test_a_puzzle_that_lost_a_clue_is_noticed(monkeypatch):
    needed = choice.without_needless
    monkeypatch.setattr(choice, "without_needless", lambda *args: needed(*args)[:-1])
    solution = (2, 0, 3, 1)
    with pytest.raises(AssertionError, match="exactly one solution"):
        choice.choose_clues(Random(0), lambda rng: draw_clue(rng, ["left_of", "apart"], solution, 4), solution, 4)


@pytest.mark.parametrize(("size", "clues", "masks"), [
    (3, [Clue("at", (0,), 1), Clue("at", (1,), 2)], [0b001, 0b010, 0b100]),
    (3, [Clue("at", (2,), 2)], [0b101, 0b101, 0b010]),
    (4, [Clue("left_of", (0, other)) for other in (1, 2, 3)], [0b0001, 0b1110, 0b1110, 0b1110]),
])  # yapf: disable
def test_propagation_alone_sees_what_is_taken_and_what_only_one_can_take(size, clues, masks):
    problem = Problem(size, 1, clues)
    found = problem.open_masks()
    assert problem.propagate(found) and found == masks
