"""Zebra puzzles of levels 1 to 20, each with one solution, proven by search."""

from collections.abc import Iterator, Sequence
from random import Random

from data_preprocess.logic.position_puzzles.choice import choose_clues
from data_preprocess.logic.position_puzzles.relations import Clue, holds, number_of_things
from data_preprocess.logic.position_puzzles.solver import Places
from data_preprocess.logic.seeding import Puzzle, generate_unique, puzzle_id
from data_preprocess.logic.zebrapuzzle_gen.levels import GRIDS_OF_LEVEL, LEVELS, kinds_of_level
from data_preprocess.logic.zebrapuzzle_gen.sentences import sentence
from data_preprocess.logic.zebrapuzzle_gen.words import ATTRIBUTES

INSTRUCTION = """\
{houses} houses stand in a row, numbered 1 to {houses} from left to right. Each has one value of every attribute \
below, and no two houses share a value.
{attributes}
Find out which value belongs to which house from the clues. Write the answer as JSON inside <answer> tags, one row \
per house from left to right, in this form:
<answer>{form}</answer>"""


def generate(rng: Random, level: int) -> Puzzle:
    """A puzzle on one of the level's three grids.

    Returns:
        `id`, `level`, `grid_size` ("4x3": houses x attributes), `instruction`, `input` (the clues, numbered), `clues`
        (`{"kind", "of": [[attribute, value], ...], "number"}`), `ground_truth` (`{"header": ["Position", ...], "rows":
        [["1", ...], ...]}`).

    Raises:
        ValueError: there is no such level.
    """
    kinds = kinds_of_level(level)
    houses, count = rng.choice(GRIDS_OF_LEVEL[level])
    table = {name: rng.sample(ATTRIBUTES[name].values, houses) for name in rng.sample(list(ATTRIBUTES), count)}
    places = _shuffled_places(rng, houses, count)
    clues = choose_clues(rng, lambda rng: draw_clue(rng, kinds, places, houses), places, houses)
    return _puzzle(level, table, places, clues)


def generate_many(count: int, seed: int, levels: Sequence[int] = LEVELS, first: int = 0) -> Iterator[Puzzle]:
    """Puzzles `first` to `first + count - 1` of the seed, levels in turn; see `seeding.generate_unique`."""
    return generate_unique(generate, "zebra", count, seed, levels, first)


def draw_clue(rng: Random, kinds: Sequence[str], places: Places, houses: int) -> Clue:
    """A random clue of one of the kinds that is true of the places (of each variable, `houses` variables a group)."""
    while True:
        kind = rng.choice(kinds)
        of = tuple(rng.sample(range(len(places)), number_of_things(kind)))
        clue = Clue(kind, of, _number(kind, [places[thing] for thing in of]))
        if holds(clue, places, houses) and (kind != "apart" or clue.number > 0):
            return clue


def _number(kind: str, places: Sequence[int]) -> int:
    if kind == "apart":
        return abs(places[0] - places[1]) - 1
    return places[0] + 1 if kind == "at" else 0


def _shuffled_places(rng: Random, houses: int, count: int) -> Places:
    return tuple(place for _ in range(count) for place in rng.sample(range(houses), houses))


def _puzzle(level: int, table: dict[str, list[str]], places: Places, clues: Sequence[Clue]) -> Puzzle:
    things = [(name, value) for name, values in table.items() for value in values]
    told = [{
        "kind": clue.kind,
        "of": [list(things[thing]) for thing in clue.of],
        "number": clue.number
    } for clue in clues]
    truth = _truth(list(table), places, things)
    houses = len(truth["rows"])
    return {
        "id": puzzle_id("zebra", truth, sorted(told, key=str)),
        "level": level,
        "grid_size": f"{houses}x{len(table)}",
        "instruction": _instruction(table, houses),
        "input": "\n".join(f"{number}. {_sentence(clue)}" for number, clue in enumerate(told, start=1)),
        "clues": told,
        "ground_truth": truth,
    }


def _truth(names: list[str], places: Places, things: list[tuple[str, str]]) -> dict[str, list]:
    value = {(name, place): value for (name, value), place in zip(things, places, strict=True)}
    houses = len(things) // len(names)
    rows = [[str(place + 1), *(value[name, place] for name in names)] for place in range(houses)]
    return {"header": ["Position", *names], "rows": rows}


def _instruction(table: dict[str, list[str]], houses: int) -> str:
    attributes = "\n".join(f"- {name}: {', '.join(values)}" for name, values in table.items())
    header = ", ".join(f'"{name}"' for name in ("Position", *table))
    form = f'{{"header": [{header}], "rows": [["1", ...], ["2", ...], ...]}}'
    return INSTRUCTION.format(houses=houses, attributes=attributes, form=form)


def _sentence(clue: dict) -> str:
    return sentence(clue["kind"], [ATTRIBUTES[name].house.format(value) for name, value in clue["of"]], clue["number"])
