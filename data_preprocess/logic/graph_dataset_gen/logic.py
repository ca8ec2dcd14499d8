"""Graph search puzzles: of the first steps from a node, exactly one leads to the goal.

`lookahead` is how many steps one must look ahead to tell which (Saparov et al. 2024, arXiv:2412.04703): the goal is
that many steps away, and every wrong first step goes on for at least as many.
"""

from collections.abc import Iterator, Sequence
from random import Random
from string import ascii_lowercase

from data_preprocess.logic.seeding import Puzzle, generate_unique, puzzle_id

NAME_LENGTH = 6
MOST_LOOKAHEAD = 30
LOOKAHEADS = range(2, 11)

Edge = tuple[int, int]

INSTRUCTION = """\
Below is a directed graph, one edge per line: "a -> b" means that you can go from node a to node b, but not back. You \
are at {start} and want to reach {goal}. Only one of the nodes that you can go to next can lead you there.
To which node do you have to go first? Write its name, and nothing else, inside <answer> tags, in this form:
<answer> name </answer>"""


def generate(rng: Random, lookahead: int) -> Puzzle:
    """A puzzle with the goal `lookahead` steps away.

    Returns:
        `id`, `lookahead`, `instruction`, `input` (the edges, a line each), `edges` (pairs of names), `start`, `goal`,
        `path` (the only one, with both ends), `ground_truth` (its second node).

    Raises:
        ValueError: `lookahead` is out of range.
    """
    if not 1 <= lookahead <= MOST_LOOKAHEAD:
        raise ValueError(f"lookahead must be 1 to {MOST_LOOKAHEAD}, got {lookahead!r}")
    edges, start, goal = _draw_graph(rng, lookahead)
    steps = steps_towards(edges, start, goal)
    assert len(steps) == 1, "exactly one first step leads to the goal"
    path = only_path(edges, start, goal)
    assert len(path) == lookahead + 1 and path[1] == steps[0], "the goal is `lookahead` steps away, on one path"
    names = _names(rng, _number_of_nodes(edges))
    return _puzzle([(names[a], names[b]) for a, b in edges], [names[node] for node in path])


def generate_many(count: int, seed: int, lookaheads: Sequence[int] = LOOKAHEADS, first: int = 0) -> Iterator[Puzzle]:
    """Puzzles `first` to `first + count - 1` of the seed, lookaheads in turn; see `seeding.generate_unique`."""
    return generate_unique(generate, "graph", count, seed, lookaheads, first)


def steps_towards(edges: Sequence[Edge], start: int, goal: int) -> list[int]:
    """The nodes after `start` from which `goal` can be reached, found by walking back from the goal."""
    reaching, found = {goal}, [goal]
    while found:
        target = found.pop()
        new = {a for a, b in edges if b == target} - reaching
        reaching |= new
        found += new
    return [b for a, b in edges if a == start and b in reaching]


def only_path(edges: Sequence[Edge], start: int, goal: int) -> list[int]:
    """The nodes from start to goal; as soon as there is a choice, the path ends."""
    path = [start]
    while path[-1] != goal:
        steps = steps_towards(edges, path[-1], goal)
        if len(steps) != 1:
            break
        path += steps
    return path


def _draw_graph(rng: Random, lookahead: int) -> tuple[list[Edge], int, int]:
    """Edges in random order, start, goal.

    The way to the goal and one to three wrong ways leave the start. All look alike: as long as the lookahead or a
    little longer, with dead ends, ways that come in from elsewhere, and a way out of each into a wrong one.
    """
    start, edges = 0, []
    right, *wrong = [_add_way(edges, start, lookahead + rng.randint(0, 2)) for _ in range(rng.randint(2, 4))]
    for way in (right, *wrong):
        for _ in range(rng.randint(0, 2)):
            _add_way(edges, rng.choice(way), rng.randint(1, lookahead))
        source = _number_of_nodes(edges)
        edges.append(([source, *_add_way(edges, source, rng.randint(0, lookahead))][-1], rng.choice(way)))
    for way in (right, *wrong):
        _join(rng, edges, way, rng.choice([other for other in wrong if other is not way] or [[]]))
    return rng.sample(edges, len(edges)), start, right[lookahead - 1]


def _number_of_nodes(edges: Sequence[Edge]) -> int:
    return 1 + max((node for edge in edges for node in edge), default=0)


def _add_way(edges: list[Edge], node: int, length: int) -> list[int]:
    """New nodes, one after another, from a node on."""
    new = max(_number_of_nodes(edges), node + 1)
    nodes = list(range(new, new + length))
    edges += zip([node, *nodes], nodes, strict=False)
    return nodes


def _join(rng: Random, edges: list[Edge], way: Sequence[int], other: Sequence[int]) -> None:
    """An edge from a way to a later place of another, so that they share an ending; to a new node if there is none."""
    place = rng.randrange(len(way))
    edges.append((way[place], other[place + 1] if place + 1 < len(other) else _number_of_nodes(edges)))


def _names(rng: Random, count: int) -> list[str]:
    names: dict[str, None] = {}
    while len(names) < count:
        names["".join(rng.choices(ascii_lowercase, k=NAME_LENGTH))] = None
    return list(names)


def _puzzle(edges: Sequence[tuple[str, str]], path: Sequence[str]) -> Puzzle:
    start, goal = path[0], path[-1]
    return {
        "id": puzzle_id("graph", sorted(edges), start, goal),
        "lookahead": len(path) - 1,
        "instruction": INSTRUCTION.format(start=start, goal=goal),
        "input": "\n".join(f"{a} -> {b}" for a, b in edges),
        "edges": [list(edge) for edge in edges],
        "start": start,
        "goal": goal,
        "path": list(path),
        "ground_truth": path[1],
    }
