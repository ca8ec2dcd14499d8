"""The 20 levels: which grids a level has, and which clues it may use.

The clue kinds of a level are upstream's: the first levels say where things are, later ones add weaker and weaker clues,
and from 13 on the strongest kinds go, until level 20 is left with "not left of", "somewhere between", parity and
alternatives; `at` and `apart` are ours. So are the 60 sizes: three grids a level, from a list in order of difficulty.
"""

# (houses, attributes), by the number of grids one may fill, houses! ** attributes: from 36 to 10 ** 22.
GRIDS = ((3, 2), (3, 3), (4, 2), (3, 4), (4, 3), (5, 2), (4, 4), (6, 2), (5, 3), (4, 5), (4, 6), (5, 4), (6, 3), (5, 5),
         (7, 3), (6, 4), (5, 6), (6, 5), (7, 4), (6, 6), (7, 5), (7, 6))
LEVELS = range(1, len(GRIDS) - 1)
GRIDS_OF_LEVEL = {level: GRIDS[level - 1:level + 2] for level in LEVELS}

# First and last level of a kind.
KINDS = {
    "same": (1, 12),
    "directly_left": (1, 13),
    "directly_right": (1, 13),
    "at": (1, 14),
    "far_left": (1, 14),
    "far_right": (1, 14),
    "middle": (1, 14),
    "directly_between": (2, 15),
    "next_to": (3, 16),
    "at_an_end": (3, 16),
    "apart": (3, 16),
    "odd": (4, 17),
    "even": (4, 17),
    "left_of": (5, 18),
    "right_of": (5, 18),
    "different": (6, 19),
    "between": (7, 20),
    "not_left_of": (8, 20),
    "not_right_of": (8, 20),
    "same_parity": (9, 20),
    "other_parity": (9, 20),
    "same_as_one": (10, 20),
    "same_as_any": (11, 20),
    "not_same_as_both": (12, 20),
}


def kinds_of_level(level: int) -> list[str]:
    """Names of relations, see `position_puzzles.relations`.

    Raises:
        ValueError: there is no such level.
    """
    if level not in LEVELS:
        raise ValueError(f"level must be {LEVELS[0]} to {LEVELS[-1]}, got {level!r}")
    return [kind for kind, (first, last) in KINDS.items() if first <= level <= last]
