"""Ordering puzzles: put a few things in a line, from clues with one solution, proven by search."""

from collections.abc import Iterator, Sequence
from random import Random
from typing import NamedTuple

from data_preprocess.logic.position_puzzles.choice import choose_clues
from data_preprocess.logic.position_puzzles.relations import Clue, holds, number_of_things
from data_preprocess.logic.position_puzzles.solver import Places
from data_preprocess.logic.seeding import Puzzle, generate_unique, puzzle_id

FEWEST_OBJECTS, MOST_OBJECTS = 3, 20
SIZES = range(FEWEST_OBJECTS, 11)


class Category(NamedTuple):
    """What the things are called, one and many; how the text names one of them; the things (singular nouns)."""

    one: str
    many: str
    name: str
    things: tuple[str, ...]


CATEGORIES = tuple(Category(one, many, name, tuple(things.split())) for one, many, name, things in (
    ("animal", "animals", "the {}",
     "badger beaver camel donkey elephant fox giraffe goat hedgehog horse kangaroo leopard lynx mole otter panda pig "
     "rabbit squirrel tiger walrus wolf yak zebra"),
    ("bird", "birds", "the {}",
     "blackbird condor crane crow cuckoo duck eagle falcon finch goose hawk heron kingfisher lark magpie owl parrot "
     "pelican pigeon robin sparrow stork swan woodpecker"),
    ("vehicle", "vehicles", "the {}",
     "airplane ambulance bicycle bulldozer bus canoe car ferry forklift helicopter limousine motorcycle rocket "
     "sailboat scooter ship snowmobile submarine taxi tractor train tram truck van"),
    ("person", "people", "{}",
     "Aisha Bjorn Chiara Diego Esther Fatou Gustav Hana Ivan Julia Kofi Leila Mateo Nadia Oscar Priya Quentin Rosa "
     "Samir Tomoko Ursula Victor Wanda Yusuf"),
    ("food", "foods", "the {}",
     "bagel baguette burger burrito casserole croissant cupcake curry dumpling lasagna muffin omelet pancake pie "
     "pizza pretzel quiche salad sandwich sausage soup steak taco waffle"),
    ("fruit", "fruits", "the {}",
     "apple apricot avocado banana blackberry cherry coconut fig grape guava kiwi lemon lime lychee mango melon "
     "nectarine orange papaya peach pear pineapple plum pomegranate"),
    ("instrument", "instruments", "the {}",
     "accordion banjo bassoon cello clarinet cornet drum fiddle flute gong guitar harmonica harp lute mandolin oboe "
     "organ piano saxophone sitar trombone trumpet tuba xylophone"),
    ("gemstone", "gemstones", "the {}",
     "agate amber amethyst aquamarine beryl carnelian citrine diamond emerald garnet jade jasper malachite moonstone "
     "onyx opal pearl peridot quartz ruby sapphire topaz tourmaline turquoise"),
))  # yapf: disable

SENTENCES = {
    "far_left": "{0} is the first from the left.",
    "far_right": "{0} is the last from the left.",
    "left_of": "{0} is somewhere to the left of {1}.",
    "right_of": "{0} is somewhere to the right of {1}.",
    "directly_left": "{0} is immediately to the left of {1}.",
    "directly_right": "{0} is immediately to the right of {1}.",
    "next_to": "{0} and {1} are next to each other.",
    "apart": "There {are} {number} {noun} between {0} and {1}.",
}
WEIGHTS = {"far_left": 1, "far_right": 1, "directly_left": 1, "directly_right": 1, "next_to": 2, "apart": 4}
KINDS = [kind for kind in SENTENCES for _ in range(WEIGHTS.get(kind, 3))]  # so that most clues leave something to think

INSTRUCTION = """\
{count} {many} are lined up from left to right, in an order you have to find out. The {many} are {things}.
Use the clues to put all of them in order. Write the {many} from left to right as a list of quoted names inside \
<answer> tags, in this form:
<answer> ['first from the left', 'second', ...] </answer>"""


def generate(rng: Random, num_objects: int) -> Puzzle:
    """A puzzle with things of one category.

    Returns:
        `id`, `num_objects`, `category` (plural), `instruction`, `input` (the clues, numbered), `clues` (`{"kind", "of":
        [name, ...], "number"}`), `ground_truth` (names from left to right).

    Raises:
        ValueError: too few or too many things.
    """
    if not FEWEST_OBJECTS <= num_objects <= MOST_OBJECTS:
        raise ValueError(f"num_objects must be {FEWEST_OBJECTS} to {MOST_OBJECTS}, got {num_objects!r}")
    category = rng.choice(CATEGORIES)
    things = rng.sample(category.things, num_objects)
    places = tuple(rng.sample(range(num_objects), num_objects))
    clues = choose_clues(rng, lambda rng: draw_clue(rng, places), places, num_objects)
    return _puzzle(category, things, places, clues)


def generate_many(count: int, seed: int, sizes: Sequence[int] = SIZES, first: int = 0) -> Iterator[Puzzle]:
    """Puzzles `first` to `first + count - 1` of the seed, sizes in turn; see `seeding.generate_unique`."""
    return generate_unique(generate, "ordering", count, seed, sizes, first)


def draw_clue(rng: Random, places: Places) -> Clue:
    """A random clue that is true of the places."""
    while True:
        kind = rng.choice(KINDS)
        of = tuple(rng.sample(range(len(places)), number_of_things(kind)))
        number = abs(places[of[0]] - places[of[1]]) - 1 if kind == "apart" else 0
        clue = Clue(kind, of, number)
        if holds(clue, places, len(places)) and (kind != "apart" or number > 0):
            return clue


def _puzzle(category: Category, things: Sequence[str], places: Places, clues: Sequence[Clue]) -> Puzzle:
    told = [{"kind": clue.kind, "of": [things[thing] for thing in clue.of], "number": clue.number} for clue in clues]
    truth = [thing for _, thing in sorted(zip(places, things, strict=True))]
    return {
        "id": puzzle_id("ordering", truth, sorted(told, key=str)),
        "num_objects": len(things),
        "category": category.many,
        "instruction": INSTRUCTION.format(count=len(things), many=category.many, things=", ".join(things)),
        "input": "\n".join(f"{number}. {sentence(clue, category)}" for number, clue in enumerate(told, start=1)),
        "clues": told,
        "ground_truth": truth,
    }


def sentence(clue: dict, category: Category) -> str:
    """E.g. "There are 2 people between Rosa and Kofi."."""
    one = clue["number"] == 1
    words = {"number": clue["number"], "are": "is" if one else "are", "noun": category.one if one else category.many}
    text = SENTENCES[clue["kind"]].format(*(category.name.format(name) for name in clue["of"]), **words)
    return text[0].upper() + text[1:]
