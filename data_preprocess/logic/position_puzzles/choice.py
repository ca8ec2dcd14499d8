"""Few enough clues: drawn until they leave one solution, then every clue goes that is not needed for it."""

from collections.abc import Callable
from random import Random

from data_preprocess.logic.position_puzzles.relations import Clue, narrower
from data_preprocess.logic.position_puzzles.solver import Places, Problem, is_solved, unique_solution

MOST_DRAWS = 100_000  # far above what any level needs: an endless loop would be a fault of the clue kinds
MOST_NODES = 12  # of the search that shows a clue not to be needed; a clue which would take more stays


def choose_clues(rng: Random, draw: Callable[[Random], Clue], solution: Places, size: int) -> list[Clue]:
    """Clues with `solution` as their only solution, in random order.

    Args:
        draw: gives a random clue that is true of the solution.
        solution: the place of each variable; variables as in `Problem`.
    """
    clues = without_needless(rng, _enough(rng, draw, solution, size), solution, size)
    proven = unique_solution(Problem(size, len(solution) // size, clues))
    assert proven == solution, "a puzzle has exactly one solution"
    return clues


def _enough(rng: Random, draw: Callable[[Random], Clue], solution: Places, size: int) -> list[Clue]:
    """Clues which propagation alone solves; each told something new when it was drawn."""
    problem, clues = Problem(size, len(solution) // size), []
    masks = problem.open_masks()
    for _ in range(MOST_DRAWS):
        if is_solved(masks):
            return clues
        clue = draw(rng)
        if _tells(clue, masks, size):
            problem.add(clue)
            problem.propagate(masks, [len(clues)])
            clues.append(clue)
    raise AssertionError("the kinds of clues cannot tell the places apart")


def _tells(clue: Clue, masks: list[int], size: int) -> bool:
    before = tuple(masks[thing] for thing in clue.of)
    return narrower(clue.kind, size, clue.number)(before) != before


def without_needless(rng: Random, clues: list[Clue], solution: Places, size: int) -> list[Clue]:
    """The clues less those, one after another in random order, without which the solution is still the only one."""
    clues = rng.sample(clues, len(clues))
    for clue in tuple(clues):
        rest = [other for other in clues if other is not clue]
        if unique_solution(Problem(size, len(solution) // size, rest), MOST_NODES) == solution:
            clues = rest
    return clues
